// The file system device carries messages: whole ones, once, and nothing else.
using System.Text;
using Lamina.Core.Share;
using Lamina.Core.State;
using Lamina.Devices.Virtio.FileSystem;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class VirtioFileSystemTests : IDisposable
{
    private const ulong RingAt = TestGuest.Ram, Data = TestGuest.Ram + 0x2_0000;

    private readonly Echo _share = new();
    private readonly TestGuest _guest;

    public VirtioFileSystemTests() => _guest = new TestGuest(new VirtioFileSystem(_share, "my folder"));

    public void Dispose() => _guest.Dispose();

    /// <summary>Answers with the request backwards.</summary>
    private sealed class Echo : IFileShare
    {
        public int LongestMessage => 4096;

        public FileShareStatistics Statistics => default;

        public int Resets { get; private set; }

        public List<(int Request, int Room)> Calls { get; } = [];

        public int Answer(ReadOnlySpan<byte> request, Span<byte> reply)
        {
            Calls.Add((request.Length, reply.Length));
            var length = Math.Min(request.Length, reply.Length);
            for (var i = 0; i < length; i++) reply[i] = request[^(i + 1)];
            return length;
        }

        public void Reset() => Resets++;

        public SavedKind Kind => new("folder of a test", 1);

        public void Save(SavedFields fields)
        {
        }

        public void Load(SavedFields fields)
        {
        }

        public void Dispose()
        {
        }
    }

    [Fact]
    public void The_configuration_space_has_the_tag_and_one_request_queue()
    {
        Assert.Equal(26u, _guest.Read(0x08));
        Assert.Equal("my folder", Encoding.UTF8.GetString(_guest.ReadConfig(0, 36)).TrimEnd('\0'));
        Assert.Equal([1, 0, 0, 0, 0, 0, 0, 0], _guest.ReadConfig(36, 8));
        _guest.Write(0x30, 1);
        Assert.NotEqual(0u, _guest.Read(0x34));
        _guest.Write(0x30, 2);
        Assert.Equal(0u, _guest.Read(0x34));
        Assert.Throws<ArgumentException>(() => new VirtioFileSystem(_share, ""));
        Assert.Throws<ArgumentException>(() => new VirtioFileSystem(_share, new string('x', 37)));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(1u)]
    public void A_request_in_pieces_is_answered_in_pieces(uint queue)
    {
        var ring = Start(queue);
        for (byte i = 0; i < 10; i++) _guest.Store(Data + i, i);

        ring.Offer(new Part(Data, 3), new Part(Data + 3, 7), new Part(Data + 0x100, 4, true), new Part(Data + 0x200, 100, true));
        _guest.Notify(queue);

        Assert.Equal((0u, 10u), ring.TakeUsed());
        Assert.Equal((9, 6, 5, 0), (_guest.Load<byte>(Data + 0x100), _guest.Load<byte>(Data + 0x103), _guest.Load<byte>(Data + 0x200), _guest.Load<byte>(Data + 0x205)));
        Assert.Equal([(10, 104)], _share.Calls);
    }

    [Fact]
    public void A_request_without_room_for_an_answer_is_carried_out_as_well()
    {
        var ring = Start(0);

        ring.Offer(new Part(Data, 48));
        _guest.Notify(0);

        Assert.Equal((0u, 0u), ring.TakeUsed());
        Assert.Equal([(48, 0)], _share.Calls);
    }

    [Fact]
    public void A_request_longer_than_any_breaks_the_device_and_a_reset_mends_it()
    {
        var ring = Start(1);

        ring.Offer(new Part(Data, 4097), new Part(Data + 0x4000, 100, true));
        _guest.Notify(1);

        Assert.True(_guest.NeedsReset);
        Assert.Empty(_share.Calls);
        var before = _share.Resets;
        _guest.Write(0x70, 0);
        Assert.Equal(before + 1, _share.Resets);
    }

    private SplitDriver Start(uint queue)
    {
        Assert.Equal(11u, _guest.Negotiate(TestFeatures.Plain));
        var ring = new SplitDriver(_guest, queue, 64, RingAt).Place();
        _guest.DriverOk();
        return ring;
    }
}
