// The virtio entropy device (virtio 1.2, 5.4): fills the driver's buffers from the host's random number generator.
using Lamina.Core.Entropy;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Rng;

/// <summary>The entropy device.</summary>
/// <param name="source">Where random bytes come from.</param>
public sealed class VirtioRng(IEntropySource source) : IVirtioDevice, ISavedUnit, ICounted
{
    private readonly byte[] _piece = new byte[RngSpec.PieceLength];
    private IVirtioHost? _host;
    private RngState _state;

    /// <inheritdoc/>
    public VirtioDeviceType Type => VirtioDeviceType.Entropy;

    /// <inheritdoc/>
    public ulong Features => 0;

    /// <inheritdoc/>
    public IReadOnlyList<VirtioQueueSpec> Queues { get; } = [new(RngSpec.QueueSize)];

    /// <inheritdoc/>
    public uint ConfigGeneration => 0;

    /// <summary>Requests answered since the last reset.</summary>
    public long Requests => Volatile.Read(ref _state.Requests);

    /// <summary>Random bytes given since the last reset.</summary>
    public long Bytes => Volatile.Read(ref _state.Bytes);

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Total("entropy_requests", Requests, "requests for random bytes since the guest's start");
        counters.Total("entropy_bytes", Bytes, "random bytes that the guest got", CounterUnit.Bytes);
    }

    /// <inheritdoc/>
    public void Attach(IVirtioHost host) => _host = host;

    /// <inheritdoc/>
    public bool Accepts(ulong features) => true;

    /// <inheritdoc/>
    public void ReadConfig(int offset, Span<byte> data) => data.Clear();

    /// <inheritdoc/>
    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        // 5.4.4: there is no configuration space.
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
        for (var i = 0; i < RngSpec.RequestsAtOnce; i++)
        {
            if (!queue.TryTake(out var chain)) return false;
            if (chain.ReadableLength != 0)
            {
                // 5.4.6.1
                _host.Fail("a buffer for random bytes has a device-readable part");
                return false;
            }
            queue.Complete(chain, Fill(queue, chain));
        }
        return true;
    }

    /// <inheritdoc/>
    public void StopQueue(int index)
    {
        // Buffers are worked on under the queue's gate only, so none is left.
    }

    /// <inheritdoc/>
    public void Reset() => _state = default;

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio entropy device", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => fields.Record(1, ref _state, RngState.Exchange);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => fields.Record(1, ref _state, RngState.Exchange);

    private uint Fill(Virtqueue queue, DescriptorChain chain)
    {
        var wanted = (int)Math.Min(chain.WritableLength, RngSpec.LongestAnswer);
        var done = 0;
        while (done < wanted && queue.IsLive)
        {
            var piece = _piece.AsSpan(0, Math.Min(wanted - done, _piece.Length));
            source.Fill(piece);
            done += chain.Write((ulong)done, piece);
        }
        // Nothing that the guest was given stays behind in the host.
        _piece.AsSpan().Clear();
        _state.Requests++;
        _state.Bytes += done;
        return (uint)done;
    }
}
