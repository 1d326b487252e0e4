// How buses reach the adapter: ports, the window below 1 MiB, the registers in memory, and video memory itself. Accesses of several bytes are
// so many of one byte, the lowest address first.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Display;
using Lamina.Core.Memory;
using static Lamina.Devices.Display.VgaSpec;

namespace Lamina.Devices.Display;

public sealed partial class VgaAdapter
{
    private void ReadPorts(int port, Span<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++) data[i] = _registers.Read(port + i, _clock.NowNanoseconds);
        }
    }

    private void WritePorts(int port, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++) _registers.Write(port + i, data[i]);
            _changes++;
        }
    }

    private void WriteExtension(int register, ushort value)
    {
        lock (_gate)
        {
            var cleared = _extensions.Write(register, value);
            _registers.EightBitColours = _extensions.EightBitColours;
            if (cleared > 0) _memory.Clear(0, cleared);
            _changes++;
        }
    }

    private ushort ReadExtension(int register)
    {
        lock (_gate) return _extensions.Read(register);
    }

    private sealed class PortAccess(VgaAdapter adapter) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            adapter.ReadPorts(VgaSpec.Ports + (int)offset, data);
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            adapter.WritePorts(VgaSpec.Ports + (int)offset, data);
            return AccessResult.Ok;
        }
    }

    // The index at the first port; the register at the second, and once more at the third, where its address is even.
    private sealed class ExtensionAccess(VgaAdapter adapter) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            if (data.Length != sizeof(ushort) || offset > 2) return AccessResult.InvalidSize;
            ushort index;
            lock (adapter._gate) index = adapter._extensions.Index;
            BinaryPrimitives.WriteUInt16LittleEndian(data, offset == 0 ? index : adapter.ReadExtension(index));
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            if (data.Length != sizeof(ushort) || offset > 2) return AccessResult.InvalidSize;
            var value = BinaryPrimitives.ReadUInt16LittleEndian(data);
            ushort index;
            lock (adapter._gate)
            {
                if (offset == 0) adapter._extensions.Index = value;
                index = adapter._extensions.Index;
            }
            if (offset != 0) adapter.WriteExtension(index, value);
            return AccessResult.Ok;
        }
    }

    private sealed class WindowAccess(VgaAdapter adapter) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            lock (adapter._gate)
            {
                for (var i = 0; i < data.Length; i++)
                {
                    var address = VgaWindow.Locate(adapter._registers, offset + (ulong)i);
                    if (address < 0 && i == 0) return AccessResult.Unclaimed;
                    data[i] = address < 0 ? (byte)0xff : VgaWindow.Read(adapter._registers, adapter._memory.Bytes, address + adapter._extensions.BankStart);
                }
            }
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            lock (adapter._gate)
            {
                for (var i = 0; i < data.Length; i++)
                {
                    var address = VgaWindow.Locate(adapter._registers, offset + (ulong)i);
                    if (address < 0) return i == 0 ? AccessResult.Unclaimed : AccessResult.Ok;
                    if (VgaWindow.Write(adapter._registers, adapter._memory.Bytes, address + adapter._extensions.BankStart, data[i]) is >= 0 and var word) adapter._memory.NotifyWritten(word * Planes, Planes);
                }
                adapter._changes++;
            }
            return AccessResult.Ok;
        }
    }

    // The extensions' registers are of 16 bits, several at once; QEMU's own of 32.
    private sealed class RegistersInMemory(VgaAdapter adapter) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            var at = (int)offset;
            data.Clear();
            switch (at)
            {
                case < EdidEnd:
                    for (var i = 0; i < data.Length; i++) data[i] = at + i < adapter._edid.Length ? adapter._edid[at + i] : (byte)0;
                    break;
                case >= PortsAt and < PortsEnd when at + data.Length <= PortsEnd:
                    adapter.ReadPorts(MirroredPorts + (at - PortsAt), data);
                    break;
                case >= ExtensionsAt and < ExtensionsEnd:
                    for (var i = 0; i < data.Length; i++) data[i] = (byte)(adapter.ReadExtension((at + i - ExtensionsAt) / 2) >> (8 * ((at + i) & 1)));
                    break;
                case >= OwnAt and < OwnAt + OwnLength:
                    Span<byte> own = stackalloc byte[OwnLength];
                    BinaryPrimitives.WriteUInt32LittleEndian(own, OwnLength);
                    lock (adapter._gate) BinaryPrimitives.WriteUInt32LittleEndian(own[OwnByteOrder..], adapter._extensions.ByteOrder);
                    own[(at - OwnAt)..Math.Min(at - OwnAt + data.Length, OwnLength)].CopyTo(data);
                    break;
                default:
                    data.Fill(0xff);
                    break;
            }
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            var at = (int)offset;
            switch (at)
            {
                case >= PortsAt and < PortsEnd when at + data.Length <= PortsEnd:
                    adapter.WritePorts(MirroredPorts + (at - PortsAt), data);
                    break;
                case >= ExtensionsAt and < ExtensionsEnd:
                    if (data.Length == 1 || (at & 1) != 0) return AccessResult.InvalidSize;
                    for (var i = 0; i < data.Length; i += 2) adapter.WriteExtension((at + i - ExtensionsAt) / 2, BinaryPrimitives.ReadUInt16LittleEndian(data[i..]));
                    break;
                case OwnAt + OwnByteOrder when data.Length == sizeof(uint):
                    lock (adapter._gate)
                    {
                        adapter._extensions.ByteOrder = BinaryPrimitives.ReadUInt32LittleEndian(data);
                        adapter._changes++;
                    }
                    break;
                case < EdidEnd or >= OwnAt:
                    break;
                default:
                    return AccessResult.Unclaimed;
            }
            return AccessResult.Ok;
        }
    }

    // Video memory as a base address register moves it. Where RAM lies already, guests do not have it.
    private sealed class VideoWindow(DeviceMemory memory) : IBusWindow
    {
        public string Name => "video memory";

        public ulong Length => (ulong)memory.Length;

        public ulong? Start => memory.Place?.Start;

        public bool TryMove(ulong start) => memory.TryMove(start);

        public void SwitchOff() => memory.SwitchOff();

        // The adapter's, which gives it up.
        public void Dispose()
        {
        }
    }

    // Looks at the counter, and at the pages of video memory where the guest has it; who is told of those is the log of guest memory, which
    // costs the guest something only as long as somebody watches.
    private sealed class VgaWatch(VgaAdapter adapter) : IScreenWatch
    {
        private long _seen = -1;
        private MemoryRange? _place;
        private WriteLogReader? _log;
        private ulong[] _pages = [];

        public bool HasChanged()
        {
            lock (adapter._looking)
            {
                ObjectDisposedException.ThrowIf(adapter._isGone, adapter);
                return Look();
            }
        }

        public void Dispose()
        {
            lock (adapter._looking)
            {
                if (adapter._watches.Remove(this)) Close();
            }
        }

        internal void Close() => _log?.Dispose();

        private bool Look()
        {
            var changes = Volatile.Read(ref adapter._changes);
            var changed = changes != _seen;
            _seen = changes;
            if (adapter._memory.Place is var place && place != _place)
            {
                _log?.Dispose();
                (_place, _log, changed) = (place, place is { } range ? adapter._guest.Writes.Open(range) : null, true);
                _pages = new ulong[_log?.Words ?? 0];
            }
            if (_log is null) return changed;
            _log.Take(_pages);
            return changed || _pages.AsSpan().ContainsAnyExcept(0ul);
        }
    }
}
