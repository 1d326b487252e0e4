// The virtio file system device (virtio 1.2, 5.11): carries FUSE messages between the guest and a shared folder. A request
// is copied out of guest memory before anybody looks at it. The device keeps nothing between two requests, so that it
// has no state of its own but its folder's.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Inspection;
using Lamina.Core.Share;
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.FileSystem;

/// <summary>The file system device.</summary>
public sealed class VirtioFileSystem : IVirtioDevice, ISavedUnit, IInspected
{
    private readonly IFileShare _share;
    private readonly byte[] _tag;
    private readonly (byte[] Request, byte[] Reply)[] _messages;
    private IVirtioHost? _host;

    /// <summary>Makes a device of a shared folder, which stays its creator's to dispose.</summary>
    /// <param name="share">The folder.</param>
    /// <param name="tag">The name by which the guest mounts it; 1 to 36 bytes.</param>
    /// <exception cref="ArgumentException">The name is too long or empty.</exception>
    public VirtioFileSystem(IFileShare share, string tag)
    {
        _share = share;
        _tag = Encoding.UTF8.GetBytes(tag);
        if (_tag.Length is 0 or > FileSystemSpec.TagLength) throw new ArgumentException($"the tag of a shared folder has 1 to {FileSystemSpec.TagLength} bytes", nameof(tag));
        _messages = [.. Queues.Select(_ => (new byte[share.LongestMessage], new byte[share.LongestMessage]))];
    }

    /// <summary>The longest tag in bytes.</summary>
    public static int LongestTag => FileSystemSpec.TagLength;

    /// <inheritdoc/>
    public VirtioDeviceType Type => VirtioDeviceType.FileSystem;

    /// <inheritdoc/>
    public ulong Features => 0;

    /// <inheritdoc/>
    public IReadOnlyList<VirtioQueueSpec> Queues { get; } =
        [.. Enumerable.Range(0, FileSystemSpec.RequestQueues + 1).Select(i => new VirtioQueueSpec(FileSystemSpec.QueueSize, i))];

    /// <inheritdoc/>
    public uint ConfigGeneration => 0;

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Say("tag", Encoding.UTF8.GetString(_tag));

    /// <inheritdoc/>
    public void Attach(IVirtioHost host) => _host = host;

    /// <inheritdoc/>
    public bool Accepts(ulong features) => true;

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data)
    {
        Span<byte> image = stackalloc byte[FileSystemSpec.ConfigLength];
        image.Clear();
        _tag.CopyTo(image);
        BinaryPrimitives.WriteUInt32LittleEndian(image[FileSystemSpec.RequestQueuesAt..], FileSystemSpec.RequestQueues);
        ConfigSpace.Read(image, offset, data);
    }

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // 5.11.4: nothing in it is the driver's to write.
    }

    /// <inheritdoc/>
    public void Activate(ulong features)
    {
        // Nothing depends on what was negotiated.
    }

    /// <inheritdoc/>
    public bool ProcessQueue(int index)
    {
        var queue = _host!.Queues[index];
        var (request, reply) = _messages[index];
        for (var i = 0; i < FileSystemSpec.RequestsAtOnce; i++)
        {
            if (!queue.TryTake(out var chain)) return false;
            if (chain.ReadableLength > (uint)request.Length)
            {
                _host.Fail($"a file system request is {chain.ReadableLength} bytes long");
                return false;
            }
            var length = chain.Read(0, request);
            var room = (int)Math.Min(chain.WritableLength, (uint)reply.Length);
            var answered = _share.Answer(request.AsSpan(0, length), reply.AsSpan(0, room));
            queue.Complete(chain, (uint)chain.Write(0, reply.AsSpan(0, answered)));
        }
        return true;
    }

    /// <inheritdoc/>
    public void StopQueue(int index)
    {
        // Buffers are worked on under the queue's gate only, so none is left.
    }

    /// <inheritdoc/>
    public void Reset() => _share.Reset();

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio file system device", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => fields.Unit(1, _share);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => fields.Unit(1, _share);
}
