// MSI: the messages of a function whose one address and value stand in its configuration space. PCI Local Bus Specification 3.0,
// 6.8.1. What software wrote there is the function's; here is what follows of it. Guarded by the function's lock for interrupts.
using System.Buffers.Binary;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using static Lamina.Devices.Pci.PciSpec;

namespace Lamina.Devices.Pci;

/// <summary>A function's messages.</summary>
public sealed class Msi : ISavedUnit
{
    private readonly int _capability, _vectors;
    private readonly Lock _gate;
    private readonly IMessageInterrupts _messages;
    private ulong _address;
    private uint _data, _masked, _pending;
    private int _given = 1;

    internal Msi(int capability, int vectors, Lock gate, IMessageInterrupts messages)
    {
        if (vectors is < 1 or > 32 || !System.Numerics.BitOperations.IsPow2(vectors)) throw new ArgumentOutOfRangeException(nameof(vectors), vectors, "a power of two up to 32");
        (_capability, _vectors, _gate, _messages) = (capability, vectors, gate, messages);
    }

    /// <summary>Whether the driver uses messages in place of the pin. With the interrupts' lock.</summary>
    public bool IsEnabled { get; private set; }

    /// <summary>Sends a message, or notes that it waits. With the interrupts' lock.</summary>
    /// <param name="vector">Which; where the driver was given fewer, those behind share the last one (6.8.1.3).</param>
    public void Signal(int vector)
    {
        if (!IsEnabled || vector < 0) return;
        vector = Math.Min(vector, _given - 1);
        if ((_masked >> vector & 1) != 0) _pending |= 1u << vector;
        else Send(vector);
    }

    internal void Reset() => _pending = 0;

    /// <summary>Configuration space was written.</summary>
    internal void Update(ReadOnlySpan<byte> space)
    {
        var own = space[_capability..];
        var control = BinaryPrimitives.ReadUInt16LittleEndian(own[MsiControl..]);
        IsEnabled = (control & MsiEnable) != 0;
        // 6.8.1.3: more than it asked for is not given.
        _given = Math.Min(1 << Math.Min(control >> MsiGivenShift & MsiCountMask, 5), _vectors);
        _address = BinaryPrimitives.ReadUInt64LittleEndian(own[MsiAddress..]);
        _data = BinaryPrimitives.ReadUInt16LittleEndian(own[MsiData..]);
        _masked = BinaryPrimitives.ReadUInt32LittleEndian(own[MsiMask..]);
        var ready = IsEnabled ? _pending & ~_masked : 0;
        _pending &= ~ready;
        for (var vector = 0; ready != 0; vector++, ready >>= 1)
            if ((ready & 1) != 0) Send(Math.Min(vector, _given - 1));
    }

    /// <summary>Puts the bits of waiting messages into what is read of configuration space.</summary>
    internal void ReadPending(int offset, Span<byte> data)
    {
        var first = _capability + MsiPending;
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++)
                if (offset + i >= first && offset + i < first + sizeof(uint)) data[i] = (byte)(_pending >> (8 * (offset + i - first)));
        }
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("MSI", 1);

    /// <inheritdoc/>
    /// <remarks>With the interrupts' lock. All but the waiting messages is in the function's configuration space.</remarks>
    public void Save(SavedFields fields) => fields.Value(1, ref _pending);

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        fields.Value(1, ref _pending);
        SavedFields.Require(_vectors == 32 || _pending >> _vectors == 0, $"waiting messages 0x{_pending:x}, and there are {_vectors}");
    }

    internal void Inspect(InspectNode node)
    {
        node.Say("messages enabled", IsEnabled);
        node.SayHex("message address", _address);
        node.SayHex("message data", _data);
        node.SayHex("messages masked", _masked);
        node.SayHex("messages waiting", _pending);
    }

    private void Send(int vector) => _messages.Send(_address, (uint)(_data & ~(_given - 1)) | (uint)vector);
}
