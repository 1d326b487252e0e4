// The IDE function of the PIIX3 (Intel's data sheet 290550, 2.2 and 2.3): two channels at the ports and interrupts that every PC has had since 1984,
// and a bus master for each. A channel answers where software did not switch it off in configuration space, and COMMAND lets ports be answered: the
// hardware begins with both off, but OVMF switches none on, since the virtual machines that it knows have no such switch.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Core.Work;
using Lamina.Devices.Chipset.I440fx;
using Lamina.Devices.Pci;
using static Lamina.Devices.Ata.Ide.IdeSpec;

namespace Lamina.Devices.Ata.Ide;

/// <summary>Function 1 of the south bridge.</summary>
public sealed class PiixIde : PciFunction, IPausable
{
    /// <summary>How many drives it has places for: two on each of two channels.</summary>
    public const int Places = IdeSpec.Channels * Drives;

    private readonly IdeChannel[] _channels;
    private readonly IBusWindow[] _windows;

    /// <summary>Makes it, without drives.</summary>
    /// <param name="wires">What it is connected with; it has no pin.</param>
    /// <param name="lines">The interrupts of its channels, 14 and 15.</param>
    /// <param name="memory">Guest memory.</param>
    /// <param name="workers">Makes what works for it.</param>
    public PiixIde(PciWires wires, IReadOnlyList<IInterruptLine> lines, GuestMemory memory, IWorkerFactory workers) : base(I440fxSpec.Ide, wires)
    {
        _channels = [.. Enumerable.Range(0, IdeSpec.Channels).Select(i => new IdeChannel($"ide-{i}", lines[i], memory, workers))];
        Fix(PciSpec.Status, 0x0280, sizeof(ushort));
        Fix(Timing, (uint)Decode << 16 | Decode, sizeof(uint), uint.MaxValue);
        Fix(SlaveTiming, 0, sizeof(byte), byte.MaxValue);
        AddBar(4, PciSpec.BarIsPorts, MasterPorts, new MasterPort(_channels));
        _windows = [.. _channels.SelectMany((channel, i) => (IBusWindow[])
        [
            wires.Ports.CreateWindow($"{wires.Name} channel {i}", CommandPorts, channel.CommandBlock),
            wires.Ports.CreateWindow($"{wires.Name} channel {i} control", 1, channel.ControlBlock),
        ])];
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("PIIX3 IDE function", 1);

    /// <summary>Connects a drive; before the machine runs. Its state is its own.</summary>
    /// <param name="place">Where: devices 0 and 1 of the first channel, then of the second.</param>
    /// <param name="drive">The drive.</param>
    public void Put(int place, AtaDrive drive) => _channels[place / Drives].Put(place % Drives, drive);

    /// <inheritdoc/>
    public void Pause()
    {
        foreach (var channel in _channels) channel.Pause();
    }

    /// <inheritdoc/>
    public void Resume()
    {
        foreach (var channel in _channels) channel.Resume();
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        foreach (var channel in _channels) channel.Reset();
    }

    /// <inheritdoc/>
    public override void Save(SavedFields fields)
    {
        base.Save(fields);
        for (var i = 0; i < _channels.Length; i++) fields.Unit(16 + i, _channels[i]);
    }

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        base.Load(fields);
        for (var i = 0; i < _channels.Length; i++) fields.Unit(16 + i, _channels[i]);
    }

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        base.Inspect(node);
        for (var i = 0; i < _channels.Length; i++) _channels[i].Inspect(node.Below($"channel {i}"));
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var window in _windows) window.Dispose();
        base.Dispose();
        foreach (var channel in _channels) channel.Dispose();
    }

    /// <inheritdoc/>
    protected override void Written(int offset, int length)
    {
        var answers = (BinaryPrimitives.ReadUInt16LittleEndian(Space[PciSpec.Command..]) & PciSpec.AnswersPorts) != 0;
        for (var i = 0; i < _channels.Length; i++)
        {
            var on = answers && (BinaryPrimitives.ReadUInt16LittleEndian(Space[(Timing + (2 * i))..]) & Decode) != 0;
            Put(_windows[2 * i], on, CommandBase[i]);
            Put(_windows[(2 * i) + 1], on, ControlBase[i]);
        }
    }

    private static void Put(IBusWindow window, bool on, ushort port)
    {
        if (on) window.TryMove(port);
        else window.SwitchOff();
    }

    // The two channels' registers, one behind the other.
    private sealed class MasterPort(IdeChannel[] channels) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            for (var i = 0; i < data.Length; i++)
            {
                var at = (int)offset + i;
                data[i] = at < MasterPorts ? channels[at / MasterPortsOfChannel].ReadMaster(at % MasterPortsOfChannel) : (byte)0xff;
            }
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            for (var i = 0; i < data.Length; i++)
            {
                var at = (int)offset + i;
                if (at < MasterPorts) channels[at / MasterPortsOfChannel].WriteMaster(at % MasterPortsOfChannel, data[i]);
            }
            return AccessResult.Ok;
        }
    }
}
