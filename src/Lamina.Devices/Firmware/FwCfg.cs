// The device by which firmware asks what machine it is in (QEMU's fw_cfg): an item is selected by a number, and its bytes are read one by
// one from a port or copied to memory by DMA. All happens on the vCPU's thread and has ended when its instruction has; nothing that the
// guest writes is believed: a length beyond an item, an address that is no memory and a write to what is not the guest's set the
// error bit and change nothing.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Units;
using static Lamina.Devices.Firmware.FwCfgSpec;

namespace Lamina.Devices.Firmware;

/// <summary>A firmware configuration device. Its selector and data, and its DMA address, each answer in a window of their own.</summary>
public sealed class FwCfg : IResettable, ISavedUnit, IInspected
{
    // Behind an item's end there are zeros, without an end. More of them than this are no mistake but a wish to keep a CPU busy.
    private const uint MostZeros = 1 << 20;
    private const int Piece = 4096;

    private readonly Lock _gate = new();
    private readonly GuestMemory _memory;
    private readonly FwCfgItems _items;
    private readonly ILog? _log;
    private SortedDictionary<ushort, (string Name, byte[] Bytes, bool IsWritable)> _table;
    private ushort _key;
    private uint _offset, _dmaHigh;

    /// <summary>Creates it with nothing selected but the signature.</summary>
    /// <param name="items">What it gives. They are the device's from now on.</param>
    /// <param name="memory">Where DMA goes to.</param>
    /// <param name="log">Is told of what the guest does wrong; or null.</param>
    public FwCfg(FwCfgItems items, GuestMemory memory, ILog? log = null)
    {
        ArgumentNullException.ThrowIfNull(items);
        (_items, _memory, _log) = (items, memory, log);
        _table = items.ToTable();
        Selector = new SelectorPorts(this);
        Dma = new DmaPorts(this);
    }

    /// <summary>The selector at offset 0, the data at offset 1.</summary>
    public IBusDevice Selector { get; }

    /// <summary>The DMA address.</summary>
    public IBusDevice Dma { get; }

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports)
    {
        ports.Map(SelectorPort, SelectorLength, Selector, "FwCfg");
        ports.Map(DmaPort, DmaLength, Dma, "FwCfg DMA");
    }

    /// <summary>As after power-on: what the guest wrote is gone.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _table = _items.ToTable();
            (_key, _offset, _dmaHigh) = (0, 0, 0);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("key", _key);
        node.Say("offset", _offset);
        foreach (var (key, item) in _table)
        {
            var told = node.Below(item.Name);
            told.SayHex("key", key);
            told.Say("bytes", item.Bytes.Length);
            if (item.IsWritable) told.Say("writable", true);
        }
    });

    /// <inheritdoc/>
    public SavedKind Kind => new("fw_cfg", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    private void Exchange(SavedFields fields)
    {
        lock (_gate)
        {
            _items.Exchange(fields, 1);
            fields.Value(2, ref _key);
            fields.Value(3, ref _offset);
            fields.Value(4, ref _dmaHigh);
            if (fields.IsLoading) _table = _items.ToTable();
            SavedFields.Require((_key & ~KeyMask) == 0, $"a key of 0x{_key:x}");
            // What the guest wrote, in the directory's order.
            var number = 5;
            foreach (var item in _table.Values)
                if (item.IsWritable) fields.Bytes(number++, item.Bytes.AsSpan());
        }
    }

    private void Choose(ushort selector)
    {
        lock (_gate) (_key, _offset) = ((ushort)(selector & KeyMask), 0);
    }

    private byte Next()
    {
        lock (_gate)
        {
            var bytes = Chosen;
            return _offset < bytes.Length ? bytes[_offset++] : (byte)0;
        }
    }

    // With the lock: an item that is not there has no bytes.
    private byte[] Chosen => _table.TryGetValue(_key, out var item) ? item.Bytes : [];

    private void Carry(ulong at)
    {
        lock (_gate)
        {
            Span<byte> access = stackalloc byte[AccessLength];
            if (!_memory.TryRead(at, access))
            {
                Complain($"a transfer is described at 0x{at:x}, which is no memory");
                return;
            }
            var control = BinaryPrimitives.ReadUInt32BigEndian(access);
            var length = BinaryPrimitives.ReadUInt32BigEndian(access[AccessLengthOffset..]);
            var address = BinaryPrimitives.ReadUInt64BigEndian(access[AccessAddressOffset..]);
            if ((control & Select) != 0) (_key, _offset) = ((ushort)(control >> 16 & KeyMask), 0);
            var done = (control & (Read | Write | Skip)) switch
            {
                0 => true,
                Skip => Advance(length),
                var wish when (wish & Read) != 0 => CopyOut(address, length),
                _ => CopyIn(address, length),
            };
            if (!done) Complain($"{length} bytes at offset {_offset} of key 0x{_key:x} cannot be carried to or from 0x{address:x} (control 0x{control:x})");
            BinaryPrimitives.WriteUInt32BigEndian(access, done ? 0 : Error);
            if (!_memory.TryWrite(at, access[..sizeof(uint)])) Complain($"the end of a transfer is to be told at 0x{at:x}, which cannot be written");
        }
    }

    private bool Advance(uint length)
    {
        _offset = (uint)Math.Min((ulong)_offset + length, uint.MaxValue);
        return true;
    }

    private bool CopyOut(ulong address, uint length)
    {
        var bytes = Chosen;
        var there = bytes.AsSpan((int)Math.Min(_offset, (uint)bytes.Length));
        if (there.Length > length) there = there[..(int)length];
        var zeros = length - (uint)there.Length;
        if (zeros > MostZeros || address > ulong.MaxValue - length || !_memory.IsRam(address, length) || !_memory.TryWrite(address, there)) return false;
        Span<byte> nothing = stackalloc byte[Piece];
        nothing.Clear();
        for (var at = address + (uint)there.Length; zeros > 0;)
        {
            var piece = (int)Math.Min(zeros, Piece);
            if (!_memory.TryWrite(at, nothing[..piece])) return false;
            (at, zeros) = (at + (uint)piece, zeros - (uint)piece);
        }
        return Advance(length);
    }

    private bool CopyIn(ulong address, uint length)
    {
        if (!_table.TryGetValue(_key, out var item) || !item.IsWritable || (ulong)_offset + length > (uint)item.Bytes.Length) return false;
        return _memory.TryRead(address, item.Bytes.AsSpan((int)_offset, (int)length)) && Advance(length);
    }

    private void Complain(string what) => _log.Debug(LogEvent.Firmware, what);

    private sealed class SelectorPorts(FwCfg device) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            if (offset != 1) return AccessResult.Unclaimed;
            data[0] = device.Next();
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            // Data are not written by their port any more (QEMU 2.4).
            if (offset == 0 && data.Length == sizeof(ushort)) device.Choose(BinaryPrimitives.ReadUInt16LittleEndian(data));
            else if (offset == 0) return AccessResult.InvalidSize;
            return AccessResult.Ok;
        }
    }

    private sealed class DmaPorts(FwCfg device) : IBusDevice
    {
        private static ReadOnlySpan<byte> Signature => "QEMU CFG"u8;

        public AccessResult Read(ulong offset, Span<byte> data)
        {
            Signature.Slice((int)offset, data.Length).CopyTo(data);
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            switch (offset, data.Length)
            {
                case (0, sizeof(ulong)):
                    device.Carry(BinaryPrimitives.ReadUInt64BigEndian(data));
                    break;
                case (0, sizeof(uint)):
                    lock (device._gate) device._dmaHigh = BinaryPrimitives.ReadUInt32BigEndian(data);
                    break;
                case (sizeof(uint), sizeof(uint)):
                    ulong at;
                    // The address is forgotten with the transfer.
                    lock (device._gate) (at, device._dmaHigh) = ((ulong)device._dmaHigh << 32 | BinaryPrimitives.ReadUInt32BigEndian(data), 0);
                    device.Carry(at);
                    break;
                default:
                    return AccessResult.InvalidSize;
            }
            return AccessResult.Ok;
        }
    }
}
