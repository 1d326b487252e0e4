// The generation ID as a guest sees it: 16 bytes of memory that it cannot write, and an event when they change.
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class VmGenerationIdTests : IDisposable
{
    private const ulong Address = 0xFEC1_0000;

    private readonly GuestMemory _memory = new([new(0, 0x1_0000)]);
    private readonly VmGenerationId _generation;
    private int _changes;

    public VmGenerationIdTests() => _generation = new VmGenerationId(_memory, Address, new CountingEntropy(), () => _changes++);

    public void Dispose() => _memory.Dispose();

    private byte[] Seen
    {
        get
        {
            var seen = new byte[VmGenerationIdSpec.WindowLength];
            Assert.True(_memory.TryRead(Address, seen));
            return seen;
        }
    }

    [Fact]
    public void It_lies_in_a_page_of_its_own_that_guests_only_read()
    {
        Assert.Equal([.. Enumerable.Range(1, 16).Select(value => (byte)value), .. new byte[VmGenerationIdSpec.WindowLength - 16]], Seen);
        Assert.False(_memory.IsRam(Address, 1));
        Assert.Equal([.. Enumerable.Range(1, 16).Select(value => (byte)value)], _generation.Id.ToArray());
        Assert.Equal(0, _changes);
    }

    [Fact]
    public void A_new_one_is_there_before_the_guest_is_told()
    {
        var told = Array.Empty<byte>();
        using var memory = new GuestMemory([new(0, 0x1_0000)]);
        var generation = new VmGenerationId(memory, Address, new CountingEntropy(), () => Assert.True(memory.TryRead(Address, told = new byte[16])));

        generation.Renew();

        Assert.Equal([.. Enumerable.Range(17, 16).Select(value => (byte)value)], told);
    }

    [Fact]
    public void One_that_is_loaded_is_no_news()
    {
        var saved = SavedFields.Write(1, fields => fields.Bytes(1, "sixteen bytes it"u8.ToArray()));

        SavedFields.Read(saved, 1, _generation.Load);

        Assert.Equal("sixteen bytes it"u8.ToArray(), Seen[..16]);
        Assert.Equal(0, _changes);
    }

    [Fact]
    public void When_it_is_given_up_nothing_lies_there()
    {
        _generation.Dispose();

        Assert.False(_memory.TryRead(Address, new byte[1]));
    }
}
