// The chipset as firmware, kernels and drivers find it.
using Lamina.Core.Bus;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.I440fx;
using Lamina.Devices.Pci;
using Lamina.Tests.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Pci;

public sealed class I440fxTests
{
    private const int Isa = 1;

    private readonly PciTestMachine _machine = new();
    private readonly bool[] _levels = new bool[24];
    private readonly PirqRouter _router;
    private readonly RecordingLine _sci = new();
    private readonly AcpiPm _power;
    private readonly HostBridge _host;
    private readonly IsaBridge _isa;
    private int _off;

    public I440fxTests()
    {
        _router = new PirqRouter(new InterruptRouter((gsi, level) => _levels[gsi] = level));
        _power = new AcpiPm(new ManualClock(), _sci, () => _off++, () => { }, alwaysAcpi: false, softOffType: 0);
        new ApmPorts(_power).MapPorts(_machine.Ports);
        _host = _machine.Bus.Add(0, 0, new HostBridge(NoPin("host")));
        _isa = _machine.Bus.Add(Isa, 0, new IsaBridge(NoPin("isa"), _router));
        _machine.Bus.Add(Isa, 3, new PowerManagement(NoPin("power"), _power, new SmBusHost()));
    }

    private PciWires NoPin(string name) => _machine.Wires(name) with { Pin = null };

    private uint ReadPower(int offset, int length = 4)
    {
        var data = new byte[4];
        _machine.Bus.Read(PciBus.Number(Isa, 3), offset, data.AsSpan(0, length));
        return BitConverter.ToUInt32(data);
    }

    private void WritePower(int offset, uint value, int length = 4) => _machine.Bus.Write(PciBus.Number(Isa, 3), offset, BitConverter.GetBytes(value).AsSpan(0, length));

    [Fact]
    public void Firmware_finds_the_chipset_that_it_knows()
    {
        Assert.Equal(0x1237_8086u, _machine.Read(0, 0));
        Assert.Equal(0x1100_1af4u, _machine.Read(0, 0x2c));
        Assert.Equal((0x10u, 0x00u), (_machine.Read(0, 0x59, 1), _machine.Read(0, 0x5a, 1)));
        Assert.Equal(0x02u, _machine.Read(0, 0x72, 1));
        Assert.Equal((0x7000_8086u, 0x80u), (_machine.Read(Isa, 0), _machine.Read(Isa, 0x0e, 1)));
        Assert.Equal(0x7113_8086u, ReadPower(0));
        // Management mode is "set up already".
        Assert.Equal(0x02u, ReadPower(0x5b, 1));
        Assert.Equal(0u, _machine.ReadPort(0xb3, 1));
    }

    [Fact]
    public void Memory_attributes_are_kept_until_a_reset()
    {
        for (var offset = 0x59; offset <= 0x5f; offset++) _machine.Write(0, offset, 0x33, 1);
        Assert.Equal((0x33u, 0x3333_3333u), (_machine.Read(0, 0x59, 1), _machine.Read(0, 0x5c)));

        _host.Reset();

        Assert.Equal((0x10u, 0u), (_machine.Read(0, 0x59, 1), _machine.Read(0, 0x5c)));
    }

    [Fact]
    public void A_pirq_leads_what_is_asserted_to_the_interrupt_that_its_register_names()
    {
        Assert.Equal([0, 1, 2, 3, 0], new[] { 1, 2, 3, 4, 5 }.Select(PirqRouter.InputOf));
        var (one, other) = (_router.CreateLine(0), _router.CreateLine(0));
        one.SetLevel(true);
        Assert.DoesNotContain(true, _levels);
        _machine.Write(Isa, 0x60, 10, 1);
        Assert.True(_levels[10]);
        other.SetLevel(true);
        one.SetLevel(false);
        Assert.True(_levels[10]);
        _machine.Write(Isa, 0x60, 11, 1);
        Assert.Equal((false, true), (_levels[10], _levels[11]));
        // Another input that leads there keeps it asserted.
        var third = _router.CreateLine(1);
        _machine.Write(Isa, 0x61, 11, 1);
        third.SetLevel(true);
        other.SetLevel(false);
        Assert.True(_levels[11]);
        third.SetLevel(false);
        Assert.False(_levels[11]);
        other.SetLevel(true);
        foreach (var reserved in new uint[] { 0, 1, 2, 8, 13, 0x80, 0x8b })
        {
            _machine.Write(Isa, 0x60, reserved, 1);
            Assert.DoesNotContain(true, _levels);
        }
        _machine.Write(Isa, 0x60, 5, 1);
        Assert.True(_levels[5]);
        _isa.Reset();
        Assert.DoesNotContain(true, _levels);
    }

    [Fact]
    public void The_power_management_block_answers_where_it_is_put_and_switched_on()
    {
        WritePower(0x40, 0x0000_b03f);
        Assert.Equal(0xb001u, ReadPower(0x40));
        Assert.Equal(0xffffu, _machine.ReadPort(0xb004, 2));
        WritePower(0x80, 1, 1);
        Assert.Equal(0u, _machine.ReadPort(0xb004, 2));
        WritePower(0x40, 0x600);
        Assert.Equal(0xffffu, _machine.ReadPort(0xb004, 2));
        _machine.Ports.Write(0x604, [0x00, 0x20]);
        Assert.Equal(1, _off);
        // All of the block is there, also where nothing is.
        for (ulong port = 0x600; port < 0x640; port++) Assert.NotEqual(0xffu, _machine.ReadPort(port, 1));
        // What is fixed is not taken away.
        WritePower(0x40, 0x80);
        Assert.Equal(0u, _machine.ReadPort(0xb3, 1));
    }

    [Fact]
    public void The_button_raises_the_interrupt_once_the_system_took_power_management_over()
    {
        WritePower(0x40, 0x600);
        WritePower(0x80, 1, 1);
        _machine.Ports.Write(0x602, [0x00, 0x01]);
        Assert.False(_power.PressPowerButton());
        Assert.Equal((0u, false), (_machine.ReadPort(0x604, 2), _sci.Level));
        _machine.Ports.Write(0xb2, [0xf1]);
        Assert.Equal((1u, true), (_machine.ReadPort(0x604, 2), _sci.Level));
        Assert.True(_power.PressPowerButton());
        // The bit is not software's.
        _machine.Ports.Write(0x604, [0x02, 0x00]);
        Assert.Equal(3u, _machine.ReadPort(0x604, 2));
        _machine.Ports.Write(0xb2, [0xf0]);
        Assert.Equal((2u, false), (_machine.ReadPort(0x604, 2), _sci.Level));
        _machine.Ports.Write(0xb2, [0xf1]);
        _power.Reset();
        Assert.Equal(0u, _machine.ReadPort(0x604, 2));
    }

    [Fact]
    public void Nobody_answers_on_the_smbus()
    {
        WritePower(0x90, 0x700);
        WritePower(0xd2, 1, 1);
        _machine.Ports.Write(0x702, [0x48]);

        Assert.Equal((4u, 8u), (_machine.ReadPort(0x700, 1), _machine.ReadPort(0x702, 1)));
        _machine.Ports.Write(0x700, [0x1e]);
        Assert.Equal(0u, _machine.ReadPort(0x700, 1));
    }
}
