// The two DMA controllers 8237A of a PC, with their page registers (data sheet 231466, "8237A high performance programmable DMA controller"; IBM's Technical
// Reference for the pages): software says where in the first 16 MiB, how far and in which direction, and a device moves its bytes there.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset;

/// <summary>The controllers.</summary>
public sealed class Dma8237 : IResettable, ISavedUnit, IInspected
{
    private const int Channels = 8, OfEach = 4;
    private const ushort FirstPorts = 0x00, PagePorts = 0x81, SecondPorts = 0xc0;
    private const int PagesLength = 15;

    // Which channel's page is behind a port from 0x81 on; the others are kept and lead nowhere.
    private static readonly int[] PageOf = [2, 3, 1, -1, -1, -1, 0, -1, 6, 7, 5, -1, -1, -1, 4];

    // Mode: reload at the end; command: off.
    private const byte Reload = 0x10, Off = 0x04, TransferMask = 0x0c, ToMemory = 0x04, FromMemory = 0x08;

    private readonly Lock _gate = new();
    private readonly Channel[] _channels = [.. Enumerable.Range(0, Channels).Select(_ => new Channel { Masked = true })];
    private readonly byte[] _pages = new byte[PagesLength];
    private readonly byte[] _command = new byte[2], _reached = new byte[2];
    private readonly bool[] _second = new bool[2];

    /// <inheritdoc/>
    public SavedKind Kind => new("8237A pair", 1);

    /// <summary>Puts it to its ports.</summary>
    public void MapPorts(Bus ports)
    {
        ArgumentNullException.ThrowIfNull(ports);
        ports.Map(FirstPorts, 16, new BytePorts(register => Read(0, register), (register, value) => Write(0, register, value)), "DMA controller 1");
        ports.Map(PagePorts, PagesLength, new BytePorts(ReadPage, WritePage), "DMA pages");
        ports.Map(SecondPorts, 32, new BytePorts(register => Read(1, register >> 1), (register, value) => Write(1, register >> 1, value)), "DMA controller 2");
    }

    /// <summary>Where a device's next bytes go to, or come from, on one of the channels of bytes.</summary>
    /// <param name="channel">0 to 3.</param>
    /// <param name="toMemory">The direction, which software must have chosen, too.</param>
    /// <param name="most">How many it has, or wants, at least 1.</param>
    /// <returns>The address and how many are together there; null where the channel moves nothing.</returns>
    internal (ulong Address, int Length)? Next(int channel, bool toMemory, int most)
    {
        lock (_gate)
        {
            ref var at = ref _channels[channel];
            if (at.Masked || (_command[0] & Off) != 0 || (at.Mode & TransferMask) != (toMemory ? ToMemory : FromMemory)) return null;
            // An address stays within its 64 KiB.
            var length = Math.Min(Math.Min(most, at.Count + 1), 0x1_0000 - at.Address);
            return ((ulong)_pages[Array.IndexOf(PageOf, channel)] << 16 | at.Address, length);
        }
    }

    /// <summary>A device has moved bytes of <see cref="Next"/>.</summary>
    /// <returns>Whether that was the last one (terminal count).</returns>
    internal bool Advance(int channel, int length)
    {
        lock (_gate)
        {
            ref var at = ref _channels[channel];
            var isLast = length > at.Count;
            at.Address = (ushort)(at.Address + length);
            at.Count = (ushort)(at.Count - length);
            if (!isLast) return false;
            _reached[0] |= (byte)(1 << channel);
            if ((at.Mode & Reload) != 0) (at.Address, at.Count) = (at.BaseAddress, at.BaseCount);
            else at.Masked = true;
            return true;
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
        {
            for (var i = 0; i < Channels; i++) _channels[i] = new Channel { Masked = true };
            Array.Clear(_pages);
            for (var i = 0; i < 2; i++) (_command[i], _reached[i], _second[i]) = (0, 0, false);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.Each("channel", _channels, static (of, channel) =>
    {
        of.SayHex("address", channel.Address);
        of.Say("count", (long)channel.Count);
        of.SayHex("mode", channel.Mode);
        of.Say("masked", channel.Masked);
    }));

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            Exchange(fields);
            SavedFields.Require(_reached.All(bits => bits < 16), "ends of channels that there are not");
        }
    }

    private void Exchange(SavedFields fields)
    {
        fields.Records(1, _channels, Channel.Exchange);
        fields.Bytes(2, _pages);
        fields.Bytes(3, _command);
        fields.Bytes(4, _reached);
        for (var i = 0; i < 2; i++) fields.Value(5 + i, ref _second[i]);
    }

    private byte ReadPage(int port)
    {
        lock (_gate) return _pages[port];
    }

    private void WritePage(int port, byte value)
    {
        lock (_gate) _pages[port] = value;
    }

    private byte Read(int controller, int register)
    {
        lock (_gate)
        {
            if (register < 8)
            {
                ref var channel = ref _channels[(controller * OfEach) + (register >> 1)];
                return Half(controller, (register & 1) == 0 ? channel.Address : channel.Count);
            }
            if (register != 8) return 0;
            var reached = _reached[controller];
            _reached[controller] = 0;
            return reached;
        }
    }

    private byte Half(int controller, ushort value)
    {
        _second[controller] = !_second[controller];
        return (byte)(_second[controller] ? value : value >> 8);
    }

    private void Write(int controller, int register, byte value)
    {
        lock (_gate)
        {
            var first = controller * OfEach;
            switch (register)
            {
                case < 8:
                    ref var channel = ref _channels[first + (register >> 1)];
                    ref var half = ref (register & 1) == 0 ? ref channel.BaseAddress : ref channel.BaseCount;
                    half = (ushort)(_second[controller] ? half & 0xff | value << 8 : half & 0xff00 | value);
                    _second[controller] = !_second[controller];
                    // What is written is where it goes on, too.
                    if ((register & 1) == 0) channel.Address = half;
                    else channel.Count = half;
                    break;
                case 8:
                    _command[controller] = value;
                    break;
                case 10:
                    _channels[first + (value & 3)].Masked = (value & 4) != 0;
                    break;
                case 11:
                    _channels[first + (value & 3)].Mode = (byte)(value & 0xfc);
                    break;
                case 12:
                    _second[controller] = false;
                    break;
                case 13:
                    (_command[controller], _reached[controller], _second[controller]) = (0, 0, false);
                    for (var i = 0; i < OfEach; i++) _channels[first + i].Masked = true;
                    break;
                case 14 or 15:
                    for (var i = 0; i < OfEach; i++) _channels[first + i].Masked = register == 15 && (value & 1 << i) != 0;
                    break;
                default:
                    break;
            }
        }
    }

    private struct Channel
    {
        internal ushort BaseAddress, BaseCount, Address, Count;
        internal byte Mode;
        internal bool Masked;

        internal static void Exchange(SavedFields fields, ref Channel channel)
        {
            fields.Value(1, ref channel.BaseAddress);
            fields.Value(2, ref channel.BaseCount);
            fields.Value(3, ref channel.Address);
            fields.Value(4, ref channel.Count);
            fields.Value(5, ref channel.Mode);
            fields.Value(6, ref channel.Masked);
        }
    }
}
