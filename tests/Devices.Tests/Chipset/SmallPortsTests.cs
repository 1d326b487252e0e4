// The devices of one register each.
using Lamina.Core.Bus;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.Ps2;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class SmallPortsTests
{
    [Theory]
    [InlineData(new byte[] { 0x00 }, 1)]
    [InlineData(new byte[] { 0x10 }, 33)]
    [InlineData(new byte[] { 0x34, 0x12 }, 0x2469)]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff }, -1)]
    public void Debug_exit_doubles_the_value_and_adds_one(byte[] written, int code)
    {
        var codes = new List<int>();
        var port = new DebugExit(codes.Add);

        Assert.Equal(AccessResult.Ok, port.Write(0, written));

        Assert.Equal([code], codes);
        Assert.Equal(0, port.In(0));
    }

    [Theory]
    [InlineData(0x01, PvPanicEvents.Panicked)]
    [InlineData(0x02, PvPanicEvents.CrashLoaded)]
    [InlineData(0xfd, PvPanicEvents.Panicked | PvPanicEvents.ShutDown)]
    public void Pvpanic_tells_the_events_it_knows(int written, PvPanicEvents told)
    {
        var events = new List<PvPanicEvents>();
        var port = new PvPanic(events.Add);
        Assert.Equal(0x07, port.In(0));

        port.Out(0, written);
        port.Out(0, 0xf8);

        Assert.Equal([told], events);
    }

    [Fact]
    public void Port_92_resets_on_a_rising_bit_and_keeps_a20()
    {
        var resets = 0;
        var port = new SystemControlPortA(() => resets++);
        Assert.Equal(0x02, port.In(0));

        port.Out(0, 0xfd);
        port.Out(0, 0x01);
        Assert.Equal((1, 0x01), (resets, port.In(0)));
        port.Out(0, 0x02);
        port.Out(0, 0x03);
        Assert.Equal(2, resets);

        port.Reset();
        Assert.Equal(0x02, port.In(0));
    }

    [Fact]
    public void Port_cf9_resets_on_a_rising_bit()
    {
        var resets = 0;
        var port = new ResetControl(() => resets++);

        port.Out(0, 0x02);
        Assert.Equal((0, 0x02), (resets, port.In(0)));
        port.Out(0, ResetPortsSpec.ResetControlValue);
        port.Out(0, 0xff);
        Assert.Equal((1, 0x0e), (resets, port.In(0)));

        port.Reset();
        port.Out(0, 0x04);
        Assert.Equal(2, resets);
    }

    [Fact]
    public void Post_codes_can_be_asked_for()
    {
        var port = new PostCodePort();
        port.Out(0, 0x3c);
        Assert.Equal((0x3c, 0x3c), (port.Code, port.In(0)));
    }

    [Fact]
    public void All_devices_of_a_pc_find_their_ports_free()
    {
        var (ports, memory) = (new Bus("port"), new Bus("memory"));
        var (clock, line) = (new ManualClock(), new RecordingLine());
        var controllers = new InterruptControllers(clock, 2);

        controllers.Map(ports, memory);
        new Pit8254(clock, line).MapPorts(ports);
        new CmosRtc(clock, line).MapPorts(ports);
        new I8042(line, () => { }).MapPorts(ports);
        new SystemControlPortA(() => { }).MapPorts(ports);
        new ResetControl(() => { }).MapPorts(ports);
        new AcpiPm(clock, line, () => { }, () => { }).MapPorts(ports);
        new DebugExit(_ => { }).MapPorts(ports);
        new PvPanic(_ => { }).MapPorts(ports);
        new PostCodePort().MapPorts(ports);
        new Serial16550A(clock, line, new ScriptedBackend()).MapPorts(ports);

        Assert.Equal(
            [0x20ul, 0x40, 0x60, 0x61, 0x64, 0x70, 0x80, 0x92, 0xa0, 0xf4, 0x3f8, 0x4d0, 0x505, 0x600, 0xcf9],
            ports.Ranges.Select(range => range.Start));
        Assert.Equal([0xfec0_0000ul], memory.Ranges.Select(range => range.Start));
    }
}
