// Random accesses of every width to every device, with time passing: nothing throws, hangs or overloads the host's timers.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.Ps2;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class HostileGuestTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Random_accesses_are_survived(int seed)
    {
        var random = new Random(seed);
        var machine = new ApicTestMachine(3);
        var router = machine.Controllers.Router;
        var (ports, memory) = (new Bus("port"), new Bus("memory"));
        machine.Controllers.Map(ports, memory);
        new Pit8254(machine.Clock, router.CreateIsaLine(Pit8254Spec.Irq)).MapPorts(ports);
        new CmosRtc(machine.Clock, router.CreateIsaLine(CmosRtcSpec.Irq)).MapPorts(ports);
        new I8042(router.CreateIsaLine(I8042Spec.KeyboardIrq), () => { }).MapPorts(ports);
        new AcpiPm(machine.Clock, router.CreateLine(AcpiPmSpec.SciGsi), () => { }, () => { }).MapPorts(ports);
        var backend = new ScriptedBackend();
        new Serial16550A(machine.Clock, router.CreateIsaLine(Serial16550ASpec.Com1Irq), backend).MapPorts(ports);
        var ranges = ports.Ranges.Select(range => (Bus: ports, range.Start, range.Length))
            .Concat(memory.Ranges.Select(range => (Bus: memory, range.Start, range.Length))).ToArray();
        var data = new byte[8];

        for (var i = 0; i < 100_000; i++)
        {
            var width = 1 << random.Next(4);
            random.NextBytes(data);
            var range = ranges[random.Next(ranges.Length)];
            var address = range.Start + (ulong)random.NextInt64((long)Math.Min(range.Length, 0x60));
            if (random.Next(2) == 0) range.Bus.Write(address, data.AsSpan(0, width));
            else range.Bus.Read(address, data.AsSpan(0, width));
            TouchLocalApic(random, machine[random.Next(3)], data, width);
            if (random.Next(8) == 0) machine.Clock.Advance(random.NextInt64(1_000_000));
            if (random.Next(64) == 0) backend.Type(data);
        }

        // A timer of the host may serve each periodic source at most every 50 µs or so.
        Assert.InRange(machine.Clock.Expiries, 0, 200_000 + 8 * machine.Clock.NowNanoseconds / 25_000);
    }

    private static void TouchLocalApic(Random random, LocalApic apic, byte[] data, int width)
    {
        var offset = (ulong)random.Next(0x400);
        switch (random.Next(6))
        {
            case 0:
                apic.Mmio.Read(offset, data.AsSpan(0, width));
                break;
            case 1:
                apic.Mmio.Write(offset & ~0xful, data.AsSpan(0, 4));
                break;
            case 2:
                apic.TryReadMsr(0x800 + (uint)random.Next(0x100), out _);
                break;
            case 3:
                apic.TryWriteMsr(random.Next(4) switch { 0 => 0x1b, 1 => 0x6e0, _ => 0x800 + (uint)random.Next(0x40) }, BitConverter.ToUInt64(data) >> random.Next(64));
                break;
            case 4:
                apic.TaskPriority = (byte)random.Next(16);
                break;
            default:
                if (apic.HasInterrupt) Assert.InRange(apic.Acknowledge(), -1, 255);
                break;
        }
    }

    [Fact]
    public async Task Devices_and_vcpus_at_once_do_not_deadlock()
    {
        var machine = new ApicTestMachine(2).Enabled();
        machine.InitialisePic();
        var ioApic = machine.Controllers.IoApic!;
        ioApic.Out32(0, 0x10 + 2 * 9);
        ioApic.Out32(0x10, 0x8051);
        ioApic.Out32(0, 0x10 + 2 * 4);
        ioApic.Out32(0x10, 0x0052);
        var lines = new[] { machine.Controllers.Router.CreateLine(9), machine.Controllers.Router.CreateIsaLine(4) };

        var devices = lines.Select(line => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++) line.Pulse();
        }));
        var vcpus = Enumerable.Range(0, 2).Select(vcpu => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                machine[vcpu].Acknowledge();
                machine[vcpu].Set(0xb0, 0);
                machine[vcpu].Set(0x310, (uint)(1 - vcpu) << 24);
                machine[vcpu].Set(0x300, 0x61);
                machine.Controllers.Pic!.Master.Out(0, 0x20);
            }
        }));

        var all = Task.WhenAll([.. devices, .. vcpus]);

        Assert.Same(all, await Task.WhenAny(all, Task.Delay(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken)));
        await all;
        Assert.False(machine[0].HasInterrupt && machine[0].State.Request.Highest < 0 && !machine[0].State.Lint0);
    }
}
