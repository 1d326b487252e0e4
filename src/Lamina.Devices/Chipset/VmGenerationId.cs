// The virtual machine's generation ID: 128 random bits in a page of read-only memory, which are others when the machine goes on from a moment from which another one
// has gone on, or may. A guest that is told so makes anew what nobody else may have: its kernel's random numbers, above all. It does not know when that
// is the case; whoever lets the machine go on does. Through pauses, resets and migrations the ID stays.
using Lamina.Core.Entropy;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using static Lamina.Devices.Chipset.VmGenerationIdSpec;

namespace Lamina.Devices.Chipset;

/// <summary>A generation ID.</summary>
public sealed class VmGenerationId : ILaterUnit, IInspected, IDisposable
{
    private readonly Lock _gate = new();
    private readonly MemoryRegion _region;
    private readonly IEntropySource _entropy;
    private readonly Action _changed;
    private readonly byte[] _id = new byte[Length];

    /// <summary>Puts a new ID to a place.</summary>
    /// <param name="memory">The machine's memory, of which its page becomes a region.</param>
    /// <param name="address">Where the page lies.</param>
    /// <param name="entropy">Where IDs come from.</param>
    /// <param name="changed">Tells the guest that the ID is another one; called without locks.</param>
    /// <exception cref="Host.HostException">The host has no memory for it.</exception>
    public VmGenerationId(GuestMemory memory, ulong address, IEntropySource entropy, Action changed)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(entropy);
        (_entropy, _changed) = (entropy, changed);
        entropy.Fill(_id);
        _region = memory.Map(address, WindowLength, MemoryKind.Rom, "generation ID");
        Show();
    }

    /// <summary>The ID, as the guest sees it.</summary>
    public ReadOnlyMemory<byte> Id
    {
        get { lock (_gate) return _id.ToArray(); }
    }

    /// <summary>Makes a new one, and tells the guest. No vCPU runs, or it reads while the ID changes and is told afterwards.</summary>
    public void Renew()
    {
        lock (_gate)
        {
            _entropy.Fill(_id);
            Show();
        }
        _changed();
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.Say("id", new Guid(_id).ToString());
        node.SayHex("address", _region.Start ?? 0);
    });

    /// <inheritdoc/>
    public SavedKind Kind => new("generation ID", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        ArgumentNullException.ThrowIfNull(fields);
        lock (_gate) fields.Bytes(1, _id.AsSpan());
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        ArgumentNullException.ThrowIfNull(fields);
        lock (_gate)
        {
            fields.Bytes(1, _id.AsSpan());
            Show();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _region.Dispose();

    private void Show()
    {
        if (!_region.TryWrite(0, _id)) throw new InvalidOperationException("the generation ID lies nowhere");
    }
}
