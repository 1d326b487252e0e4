// A guest that writes anything anywhere: configuration spaces by every port and width, registers wherever they answer. Nothing throws,
// and what a function says of itself is where it answers.
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.I440fx;
using Lamina.Devices.Pci;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Pci;
using Lamina.Core.Memory;
using Lamina.Tests.Devices.Chipset;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Pci;

public sealed class HostilePciTests
{
    private const int Accesses = 250_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Random_accesses_are_survived_and_leave_no_two_truths(int seed)
    {
        var random = new Random(seed);
        var machine = new PciTestMachine();
        using var memory = new GuestMemory([new MemoryRange(0x10_0000, 0x10_0000)]);
        var workers = new TestWorkers();
        var router = new PirqRouter(new InterruptRouter((_, _) => { }));
        var power = new AcpiPm(new ManualClock(), new RecordingLine(), () => { }, () => { }, alwaysAcpi: false);
        new ApmPorts(power).MapPorts(machine.Ports);
        machine.Bus.Add(0, 0, new HostBridge(machine.Wires("host") with { Pin = null }));
        machine.Bus.Add(1, 0, new IsaBridge(machine.Wires("isa") with { Pin = null }, router));
        machine.Bus.Add(1, 3, new PowerManagement(machine.Wires("power") with { Pin = null }, power, new SmBusHost()));
        for (var device = 3; device < 5; device++) machine.Add(device);
        for (var device = 5; device < 8; device++)
            machine.Bus.Add(device, 0, new VirtioPci(new TestDevice(2) { Config = { [0] = 9 } }, new VirtioOptions(memory, workers), machine.Wires($"virtio {device}") with { Pin = router.CreateLine(device & 3) }));
        var data = new byte[8];

        for (var i = 0; i < Accesses; i++)
        {
            Fill(random, data);
            switch (random.Next(8))
            {
                case 0 or 1:
                    // The address, mostly of a function that is there.
                    var address = 0x8000_0000u | (uint)random.Next(9) << 11 | (uint)(random.Next(4) == 0 ? random.Next(8) : 0) << 8 | (uint)random.Next(256) & ~3u;
                    machine.Ports.Write(0xcf8, BitConverter.GetBytes(random.Next(16) == 0 ? BitConverter.ToUInt32(data) : address));
                    break;
                case 2 or 3:
                    machine.Ports.Write(0xcf8 + (ulong)random.Next(8), data.AsSpan(0, 1 << random.Next(3)));
                    break;
                case 4:
                    machine.Ports.Read(0xcf8 + (ulong)random.Next(8), data.AsSpan(0, 1 << random.Next(3)));
                    break;
                case 5:
                    Touch(random, machine.Ports, data, most: 4);
                    break;
                default:
                    Touch(random, machine.Memory, data, most: 8);
                    break;
            }
            if (random.Next(64) == 0) workers.Run(rounds: 4);
            if (i % 1000 == 0) AssertOneTruth(machine);
        }
        AssertOneTruth(machine);
    }

    private static void Fill(Random random, byte[] data)
    {
        random.NextBytes(data);
        switch (random.Next(4))
        {
            case 0: data.AsSpan().Fill(0xff); break;
            case 1: data.AsSpan(1).Clear(); break;
            case 2: BitConverter.TryWriteBytes(data, (uint)random.Next(16) << 12 | 0xe000_0000u); break;
        }
    }

    private static void Touch(Random random, Core.Bus.Bus bus, byte[] data, int most)
    {
        var ranges = bus.Ranges.ToArray();
        if (ranges.Length == 0) return;
        var range = ranges[random.Next(ranges.Length)];
        var address = range.Start + (ulong)random.NextInt64((long)Math.Min(range.Length, 0x4000));
        var length = Math.Min(most, 1 << random.Next(4));
        if (random.Next(2) == 0) bus.Write(address, data.AsSpan(0, length));
        else bus.Read(address, data.AsSpan(0, length));
    }

    // Of devices 3 and 4 all registers are known: each answers where it says, unless it just says its size or is where nothing can be.
    private static void AssertOneTruth(PciTestMachine machine)
    {
        foreach (var (function, name) in new[] { (3, "test 3"), (4, "test 4") })
        {
            var inspected = new Core.Inspection.InspectNode("function");
            Find(machine, function).Inspect(inspected);
            var command = machine.Read(function, 4, 2);
            foreach (var bar in inspected.Nodes.Where(node => node["answers at"] is not null))
            {
                var index = (int)(long)bar["index"]!;
                var answers = (string)bar["answers at"]!;
                var isPorts = index == 0;
                if ((command & (isPorts ? 1 : 2)) == 0)
                {
                    Assert.Equal("nowhere", answers);
                    continue;
                }
                var register = (string)bar["register"]!;
                var low = machine.Read(function, 0x10 + (4 * index));
                var high = index == 2 ? machine.Read(function, 0x1c) : 0;
                var saysSize = index == 2 ? high == uint.MaxValue : (low | 0xf) == (uint.MaxValue & ~(uint)(Convert.ToUInt64(((string)bar["length"]!)[2..], 16) - 1) | 0xf);
                if (!saysSize && answers != "nowhere") Assert.EndsWith(register, answers, StringComparison.Ordinal);
                if (!saysSize && answers == "nowhere") Assert.True(register == "0x0" || (isPorts && Convert.ToUInt64(register[2..], 16) > 0xffff - 0x1f), $"{name} {index} says {register} and answers nowhere");
            }
        }
    }

    private static PciFunction Find(PciTestMachine machine, int device) => machine.Functions[device];
}
