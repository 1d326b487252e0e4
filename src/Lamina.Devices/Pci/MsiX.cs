// MSI-X: the messages of a function that stand in a table in its memory, with a bit for each that waits because it is masked.
// PCI Local Bus Specification 3.0, 6.8.2. Guarded by the function's lock for interrupts, which it is given.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using static Lamina.Devices.Pci.PciSpec;

namespace Lamina.Devices.Pci;

/// <summary>The table and the bits behind it. Answers in a window of <see cref="Length"/>.</summary>
public sealed class MsiX : IBusDevice, ISavedUnit
{
    // A page is the least that a guest can map alone.
    private const ulong LeastLength = 0x1000;

    private readonly Lock _gate;
    private readonly int _capability;
    private readonly IMessageInterrupts _messages;
    private readonly byte[] _table;
    private readonly byte[] _pending;
    private bool _maskAll;

    internal MsiX(int capability, int vectors, Lock gate, IMessageInterrupts messages)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(vectors);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vectors, MostMsiXVectors);
        (_capability, Vectors, _gate, _messages) = (capability, vectors, gate, messages);
        _table = new byte[vectors * EntryLength];
        // The bits are read by 64 at once.
        _pending = new byte[(vectors + 63) / 64 * sizeof(ulong)];
        Length = Math.Max(LeastLength, 2 * System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)_table.Length));
        Reset();
    }

    /// <summary>How many messages there are.</summary>
    public int Vectors { get; }

    /// <summary>The window's length in bytes, a power of two.</summary>
    public ulong Length { get; }

    /// <summary>Where in it the bits of waiting messages lie.</summary>
    internal uint PendingOffset => (uint)(Length / 2);

    /// <summary>Whether the driver uses messages in place of the pin. With the interrupts' lock.</summary>
    public bool IsEnabled { get; private set; }

    /// <summary>Sends a message, or notes that it waits. With the interrupts' lock, and enabled.</summary>
    /// <param name="vector">Which; one that is not there is nothing.</param>
    public void Signal(int vector)
    {
        if ((uint)vector >= (uint)Vectors || !IsEnabled) return;
        if (IsMasked(vector)) _pending[vector / 8] |= (byte)(1 << (vector % 8));
        else Send(vector);
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++) data[i] = ByteAt(offset + (ulong)i);
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset >= (ulong)_table.Length) return AccessResult.Ok;
        lock (_gate)
        {
            for (var i = 0; i < data.Length && (int)offset + i < _table.Length; i++) _table[(int)offset + i] = (byte)(data[i] & Writable((int)offset + i));
            var last = Math.Min((int)offset + data.Length, _table.Length) - 1;
            for (var vector = (int)offset / EntryLength; vector <= last / EntryLength; vector++) SendPending(vector);
        }
        return AccessResult.Ok;
    }

    /// <summary>Every message masked, none waits.</summary>
    internal void Reset()
    {
        Array.Clear(_table);
        Array.Clear(_pending);
        for (var vector = 0; vector < Vectors; vector++) _table[(vector * EntryLength) + EntryControl] = (byte)EntryMasked;
    }

    /// <summary>Configuration space was written: takes message control out of it.</summary>
    internal void Update(ReadOnlySpan<byte> space)
    {
        var control = BinaryPrimitives.ReadUInt16LittleEndian(space[(_capability + MsiXControl)..]);
        var (enabled, maskAll) = ((control & MsiXEnable) != 0, (control & MsiXMaskAll) != 0);
        if (IsEnabled == enabled && _maskAll == maskAll) return;
        (IsEnabled, _maskAll) = (enabled, maskAll);
        for (var vector = 0; vector < Vectors; vector++) SendPending(vector);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("MSI-X", 1);

    /// <inheritdoc/>
    /// <remarks>With the interrupts' lock. Message control is the function's, which has it updated afterwards.</remarks>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        Exchange(fields);
        for (var i = 0; i < _table.Length; i++) SavedFields.Require((_table[i] & ~Writable(i)) == 0, $"message {i / EntryLength} has a bit that cannot be written");
        for (var i = Vectors; i < _pending.Length * 8; i++) SavedFields.Require(!IsPending(i), $"message {i} waits, and there are {Vectors}");
    }

    private void Exchange(SavedFields fields)
    {
        fields.Bytes(1, _table);
        fields.Bytes(2, _pending);
    }

    internal void Inspect(InspectNode node)
    {
        node.Say("messages enabled", IsEnabled);
        node.Say("messages masked", _maskAll);
        node.Each("message", Enumerable.Range(0, Vectors).ToArray(), (below, vector) =>
        {
            below.SayHex("address", Address(vector));
            below.SayHex("data", U32(vector, EntryData));
            below.Say("masked", (U32(vector, EntryControl) & EntryMasked) != 0);
            below.Say("waits", IsPending(vector));
        });
    }

    private byte ByteAt(ulong offset)
    {
        if (offset < (ulong)_table.Length) return _table[(int)offset];
        var bit = offset - PendingOffset;
        return offset >= PendingOffset && bit < (ulong)_pending.Length ? _pending[(int)bit] : (byte)0;
    }

    // 6.8.2.6 to 6.8.2.9: the address is of whole words, and of the control only the mask is there.
    private static byte Writable(int offset) => (offset % EntryLength) switch
    {
        0 => 0xfc,
        EntryControl => (byte)EntryMasked,
        > EntryControl => 0,
        _ => 0xff,
    };

    private bool IsMasked(int vector) => _maskAll || (U32(vector, EntryControl) & EntryMasked) != 0;

    private bool IsPending(int vector) => (_pending[vector / 8] >> (vector % 8) & 1) != 0;

    private void SendPending(int vector)
    {
        if (!IsEnabled || !IsPending(vector) || IsMasked(vector)) return;
        _pending[vector / 8] &= (byte)~(1 << (vector % 8));
        Send(vector);
    }

    private void Send(int vector) => _messages.Send(Address(vector), U32(vector, EntryData));

    private ulong Address(int vector) => BinaryPrimitives.ReadUInt64LittleEndian(_table.AsSpan(vector * EntryLength));

    private uint U32(int vector, int field) => BinaryPrimitives.ReadUInt32LittleEndian(_table.AsSpan((vector * EntryLength) + field));
}
