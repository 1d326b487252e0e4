// The two cascaded 8259As of a PC with their edge/level control registers. Lines come from the interrupt router; the
// output goes to the local APICs' LINT0 and to input 0 of the I/O APIC; a CPU acknowledges through Acknowledge.
// Both chips are acknowledged in one step, and the master's input 2 follows the slave's output: a request that the slave
// took back has gone from the master too, so a spurious interrupt is always the master's level 7.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using static Lamina.Devices.Chipset.Pic8259Spec;

namespace Lamina.Devices.Chipset;

/// <summary>The interrupt controller pair of a PC.</summary>
public sealed class Pic8259Pair : IExternalInterruptController
{
    private readonly Lock _gate = new();
    private readonly IInterruptLine _output;
    private readonly Pic8259 _master = new(master: true);
    private readonly Pic8259 _slave = new(master: false);

    /// <summary>Creates the pair, not yet initialised by the guest.</summary>
    /// <param name="output">The INTR pin.</param>
    public Pic8259Pair(IInterruptLine output)
    {
        _output = output;
        Master = new BytePorts(port => Read(_master, port), (port, value) => Write(_master, port, value));
        Slave = new BytePorts(port => Read(_slave, port), (port, value) => Write(_slave, port, value));
        EdgeLevel = new BytePorts(ReadEdgeLevel, WriteEdgeLevel);
    }

    /// <summary>The master's two ports.</summary>
    public IBusDevice Master { get; }

    /// <summary>The slave's two ports.</summary>
    public IBusDevice Slave { get; }

    /// <summary>The two edge/level control registers.</summary>
    public IBusDevice EdgeLevel { get; }

    /// <summary>Copies of the live registers.</summary>
    public (Pic8259State Master, Pic8259State Slave) State
    {
        get { lock (_gate) return (_master.State, _slave.State); }
    }

    /// <summary>Claims the pair's ports.</summary>
    public void MapPorts(Bus ports)
    {
        ports.Map(MasterPort, Length, Master);
        ports.Map(SlavePort, Length, Slave);
        ports.Map(EdgeLevelPort, Length, EdgeLevel);
    }

    /// <summary>Drives an input, 0 to 15; input 2 is the cascade and takes no line.</summary>
    public void SetLine(int input, bool asserted)
    {
        if (input == CascadeInput) return;
        lock (_gate)
        {
            if (input < 8) _master.SetLine(input, asserted);
            else _slave.SetLine(input - 8, asserted);
            Update();
        }
    }

    /// <inheritdoc/>
    public byte Acknowledge()
    {
        lock (_gate)
        {
            var level = _master.Winner;
            if (level < 0) return (byte)(_master.State.VectorBase | SpuriousLevel);
            _master.Acknowledge(level);
            var chip = _master;
            if (level == CascadeInput)
            {
                chip = _slave;
                level = _slave.Winner;
                _slave.Acknowledge(level);
            }
            var vector = (byte)(chip.State.VectorBase | level);
            Update();
            return vector;
        }
    }

    /// <summary>Forgets everything but the levels of the lines.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _master.State = new Pic8259State { Lines = _master.State.Lines };
            _slave.State = new Pic8259State { Lines = _slave.State.Lines };
            Update();
        }
    }

    /// <summary>Replaces the registers.</summary>
    public void Load(in Pic8259State master, in Pic8259State slave)
    {
        lock (_gate)
        {
            (_master.State, _slave.State) = (master, slave);
            Update();
        }
    }

    private byte Read(Pic8259 chip, int port)
    {
        lock (_gate)
        {
            var value = chip.Read(port);
            Update();
            return value;
        }
    }

    private void Write(Pic8259 chip, int port, byte value)
    {
        lock (_gate)
        {
            chip.Write(port, value);
            Update();
        }
    }

    private byte ReadEdgeLevel(int port)
    {
        lock (_gate) return (port == 0 ? _master : _slave).State.LevelTriggered;
    }

    private void WriteEdgeLevel(int port, byte value)
    {
        lock (_gate)
        {
            (port == 0 ? _master : _slave).SetLevelTriggered((byte)(value & EdgeLevelWritable >> (8 * port)));
            Update();
        }
    }

    private void Update()
    {
        _master.SetCascade(_slave.Winner >= 0);
        _output.SetLevel(_master.Winner >= 0);
    }
}
