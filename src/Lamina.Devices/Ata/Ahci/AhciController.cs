// An AHCI controller on PCI, as the ICH9 has one (8086:2922): six ports of Serial ATA behind memory registers, which tell of what happens by a message or
// by the pin.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Core.Work;
using Lamina.Devices.Pci;
using static Lamina.Devices.Ata.Ahci.AhciSpec;

namespace Lamina.Devices.Ata.Ahci;

/// <summary>The controller.</summary>
public sealed class AhciController : PciFunction, IPausable, IBusDevice
{
    /// <summary>How many drives it has ports for.</summary>
    public const int Places = Ports;

    private readonly Lock _gate = new();
    private readonly AhciPort[] _ports;
    private uint _control = Enabled, _interrupts;

    /// <summary>Makes it, without drives.</summary>
    /// <param name="wires">What it is connected with.</param>
    /// <param name="memory">Guest memory.</param>
    /// <param name="workers">Makes what works for it.</param>
    public AhciController(PciWires wires, GuestMemory memory, IWorkerFactory workers)
        : base(new PciIdentity(0x8086, 0x2922, 0x01_0601) { Revision = 2, Subsystem = Chipset.I440fx.I440fxSpec.Board }, wires)
    {
        AddBar(5, 0, Length, this);
        AddMessages(1);
        _ports = [.. Enumerable.Range(0, Ports).Select(i => new AhciPort($"ahci-{i}", _gate, memory, workers, Update))];
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("AHCI controller", 1);

    /// <summary>Connects a drive; before the machine runs. Its state is its own.</summary>
    public void Put(int port, AtaDrive drive) => _ports[port].Put(drive);

    /// <inheritdoc/>
    public void Pause()
    {
        foreach (var port in _ports) port.Pause();
    }

    /// <inheritdoc/>
    public void Resume()
    {
        foreach (var port in _ports) port.Resume();
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        if (offset % 4 + (ulong)data.Length > 4 && (offset % 4 != 0 || data.Length != 8)) return AccessResult.InvalidSize;
        Span<byte> words = stackalloc byte[8];
        var first = (int)offset & ~3;
        lock (_gate)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(words, ReadRegister(first));
            if (data.Length == 8) BinaryPrimitives.WriteUInt32LittleEndian(words[4..], ReadRegister(first + 4));
        }
        words.Slice((int)offset & 3, data.Length).CopyTo(data);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        // 3: registers are written as whole words.
        if (offset % 4 != 0 || data.Length is not (4 or 8)) return AccessResult.InvalidSize;
        for (var at = 0; at < data.Length; at += 4) WriteRegister((int)offset + at, BinaryPrimitives.ReadUInt32LittleEndian(data[at..]));
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        lock (_gate)
        {
            (_control, _interrupts) = (Enabled, 0);
            foreach (var port in _ports) port.Reset(isPower: true);
            Update();
        }
        foreach (var port in _ports) port.AwaitWorker();
    }

    /// <inheritdoc/>
    public override void Save(SavedFields fields)
    {
        base.Save(fields);
        lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        base.Load(fields);
        lock (_gate)
        {
            Exchange(fields);
            SavedFields.Require((_control & ~InterruptsOn) == Enabled && (_interrupts & ~ImplementedValue) == 0, $"a control register of 0x{_control:x}");
            SetPin((_control & InterruptsOn) != 0 && _interrupts != 0);
        }
    }

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        base.Inspect(node);
        node.Locked(_gate, () =>
        {
            node.SayHex("control", _control);
            node.SayHex("interrupts", _interrupts);
            for (var i = 0; i < Ports; i++)
                if (_ports[i].Drive is not null) _ports[i].Inspect(node.Below($"port {i}"));
        });
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        foreach (var port in _ports) port.Dispose();
    }

    private void Exchange(SavedFields fields)
    {
        fields.Value(16, ref _control);
        fields.Value(17, ref _interrupts);
        for (var i = 0; i < Ports; i++) fields.Unit(18 + i, _ports[i]);
    }

    private uint ReadRegister(int register) => register switch
    {
        Capabilities => CapabilitiesValue,
        Control => _control,
        InterruptStatus => _interrupts,
        Implemented => ImplementedValue,
        AhciSpec.Version => VersionValue,
        >= PortsAt when (register - PortsAt) / PortLength is var port and < Ports => _ports[port].Read((register - PortsAt) % PortLength),
        _ => 0,
    };

    private void WriteRegister(int register, uint value)
    {
        var waits = false;
        lock (_gate)
        {
            switch (register)
            {
                case Control when (value & AhciSpec.Reset) != 0:
                    (_control, _interrupts, waits) = (Enabled, 0, true);
                    foreach (var port in _ports) port.Reset(isPower: false);
                    break;
                case Control:
                    _control = Enabled | value & InterruptsOn;
                    break;
                case InterruptStatus:
                    _interrupts &= ~value;
                    break;
                case >= PortsAt when (register - PortsAt) / PortLength is var port and < Ports:
                    waits = _ports[port].Write((register - PortsAt) % PortLength, value);
                    break;
                default:
                    break;
            }
            Update();
        }
        if (waits)
            foreach (var port in _ports) port.AwaitWorker();
    }

    // With the lock: ports that ask for an interrupt are marked until software clears the mark, and are marked again while they still ask.
    private void Update()
    {
        var before = _interrupts;
        for (var i = 0; i < Ports; i++)
            if (_ports is not null && _ports[i] is { Interrupts: true }) _interrupts |= 1u << i;
        var on = (_control & InterruptsOn) != 0;
        SetPin(on && _interrupts != 0);
        if (!on || (_interrupts & ~before) == 0) return;
        lock (InterruptGate)
        {
            if (Messages is { IsEnabled: true } messages) messages.Signal(0);
        }
    }
}
