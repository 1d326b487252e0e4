// The board of pc without a guest: what stands in for firmware has left every part where a kernel expects it, also after a reset.
using Lamina.Boot;
using Lamina.Parts;
using Lamina.Pc;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Boards;

public sealed class PcBoardTests : IDisposable
{
    private const ushort Address = 0xcf8, Data = 0xcfc;
    private const uint Acknowledge = 1, Driver = 2, DriverOk = 4, FeaturesOk = 8;

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Parts_stand_on_the_bus_in_order_with_places_that_answer_and_interrupts_after_each_reset()
    {
        var definition = Definition();
        var parts = PartCatalog.Of(definition.Complete()).Select(device => device.Name).ToArray();
        var boots = new List<uint[]>();
        var (seen, resting) = (new List<(uint Ports, uint Memory, uint Line)>(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var machine = Machine.Create(definition, new MachineHooks(), new MachineServices { Engine = new FakeEngine(Script) });
        var run = machine.RunAsync(Token);
        if (await Task.WhenAny(resting.Task, run) == run) Assert.Fail((await run).Message ?? "the machine ended");

        // The types in the order of the catalogue, twice; transitional ones by their own number.
        Assert.Equal([0x1005_1af4, 0x1003_1af4, 0x1003_1af4, 0x1001_1af4, 0x105a_1af4, 0x1000_1af4, 0x1002_1af4, 0x1053_1af4], boots[0]);
        Assert.Equal(boots[0], boots[1]);
        Assert.Equal(parts.Length, boots[0].Length);
        // Devices 3 to 10: C, D, A, B, …
        Assert.Equal([11u, 11, 10, 10, 11, 11, 10, 10], seen.Take(parts.Length).Select(part => part.Line));
        Assert.Equal(seen.Count, seen.Select(part => part.Memory).Distinct().Count() * 2);
        var inspected = await machine.InspectAsync("devices", Token);
        Assert.All(parts, name => Assert.Contains("DriverOk", (string)inspected.Find(name)!["status"]!, StringComparison.Ordinal));
        Assert.Equal("PIIX3 ISA bridge", (await machine.InspectAsync("buses", Token)).Find("pci")!["01.0"]);
        await machine.StopAsync(Token);
        await run;

        IEnumerable<FakeStep> Script(FakeVcpu vcpu)
        {
            var ids = new uint[parts.Length];
            for (uint place = 0; place < parts.Length; place++)
            {
                var device = place + 3;
                ids[place] = Config(vcpu, device, 0);
                var memory = Config(vcpu, device, 0x20) & ~0xfu;
                seen.Add((Config(vcpu, device, 0x10), memory, Config(vcpu, device, 0x3c) & 0xff));
                Assert.Equal(3u, Config(vcpu, device, 4) & 7);
                Assert.InRange(memory, 0xe000_0000u, 0xfebf_ffffu);
                vcpu.WriteMmio(memory + 0x08, 1);
                foreach (var status in new[] { Acknowledge, Acknowledge | Driver }) vcpu.WriteByte(memory + 0x14, (byte)status);
                vcpu.WriteMmio(memory + 0x0c, 1);
                vcpu.WriteByte(memory + 0x14, (byte)(Acknowledge | Driver | FeaturesOk));
                vcpu.WriteByte(memory + 0x14, (byte)(Acknowledge | Driver | FeaturesOk | DriverOk));
                yield return FakeStep.Continue;
            }
            boots.Add(ids);
            // The power management block is there; what moves is put back by a reset.
            vcpu.Out32(Address, 0x8000_1820);
            vcpu.Out32(Data, 0xfe00_0000);
            if (boots.Count == 1) vcpu.Out(0xcf9, 6);
            else resting.TrySetResult();
            while (true) yield return FakeStep.Halt;
        }
    }

    [Fact]
    public async Task Gigabit_cards_are_functions_of_their_own_whose_cables_are_pulled()
    {
        const uint places = 10;
        var definition = (TestMachines.Spec(_folder) with { Type = MachineType.Pc, DebugExitPort = null })
            .With(new NetworkDevice { Model = NetworkModel.E1000, Name = "old" }, new NetworkDevice { Model = NetworkModel.E1000e, Name = "new", Plugged = false, Limit = new RateLimit { OperationsPerSecond = 10 } });
        var (seen, resting) = (new List<uint>(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var machine = Machine.Create(definition, new MachineHooks(), new MachineServices { Engine = new FakeEngine(Script) });
        var run = machine.RunAsync(Token);
        if (await Task.WhenAny(resting.Task, run) == run) Assert.Fail((await run).Message ?? "the machine ended");

        Assert.Equal([0x100e_8086, 0x10d3_8086], seen.Where(id => id is 0x100e_8086 or 0x10d3_8086));
        await machine.DoAsync(new Lamina.Control.MachineAction.Plug("new", true), Token);
        await machine.DoAsync(new Lamina.Control.MachineAction.Plug("old", false), Token);
        var devices = await machine.InspectAsync("devices", Token);
        Assert.Equal((false, true), (devices.Find("old")!["link is up"], devices.Find("new")!["link is up"]));
        await machine.StopAsync(Token);
        await run;

        IEnumerable<FakeStep> Script(FakeVcpu vcpu)
        {
            for (var device = 3u; device < places; device++) seen.Add(Config(vcpu, device, 0));
            resting.TrySetResult();
            while (true) yield return FakeStep.Halt;
        }
    }

    [Fact]
    public async Task Drives_are_on_the_IDE_function_which_answers_without_firmware_after_each_reset()
    {
        foreach (var name in (string[])["first", "second", "disc"]) File.WriteAllBytes(_folder.In(name), new byte[1 << 20]);
        var definition = (TestMachines.Spec(_folder) with { Type = MachineType.Pc, DebugExitPort = null })
            .With(new DiskDevice { Path = _folder.In("first"), Bus = DriveBus.Ide }, new DiskDevice { Path = _folder.In("second"), Bus = DriveBus.Ide, ReadOnly = true }, new CdromDevice { Path = _folder.In("disc") }, new CdromDevice());
        var (seen, resting) = (new List<uint>(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using (var machine = Machine.Create(definition, new MachineHooks(), new MachineServices { Engine = new FakeEngine(Script) }))
        {
            var run = machine.RunAsync(Token);
            if (await Task.WhenAny(resting.Task, run) == run) Assert.Fail((await run).Message ?? "the machine ended");
            // The function's number; a port for its bus master; statuses of devices 0 and 1 of both channels: disks are ready, CD drives wait to be asked.
            Assert.Equal([0x7010_8086, 1, 0x50, 0x50, 0, 0], seen.Take(6));
            Assert.Equal(seen.Take(6), seen.Skip(6));

            var inspected = await machine.InspectAsync("devices", Token);
            Assert.Equal(1ul << 20, inspected.Find("disk0")!["bytes"]);
            Assert.Equal(true, inspected.Find("disk1")!["read only"]);
            Assert.Equal(false, inspected.Find("cdrom1")!["medium"]);
            await machine.DoAsync(new Lamina.Control.MachineAction.ChangeDisc("cdrom1", _folder.In("second")), Token);
            Assert.Equal(true, (await machine.InspectAsync("devices", Token)).Find("cdrom1")!["medium"]);
            await Assert.ThrowsAsync<MachineException>(() => machine.DoAsync(new Lamina.Control.MachineAction.ChangeDisc("cdrom7", ""), Token));
            await machine.SaveAsync(_folder.In("saved"), Token);
        }
        // What was changed is what it goes on with.
        Assert.Equal(_folder.In("second"), Machine.DefinitionOf(_folder.In("saved")).DevicesOf<CdromDevice>().Last().Path);

        IEnumerable<FakeStep> Script(FakeVcpu vcpu)
        {
            seen.Add(Config(vcpu, 1, 0x100));
            seen.Add(Config(vcpu, 1, 0x120) & 1);
            foreach (ushort channel in (ushort[])[0x1f0, 0x170])
                foreach (byte device in (byte[])[0xa0, 0xb0])
                {
                    vcpu.Out((ushort)(channel + 6), device);
                    seen.Add(vcpu.In((ushort)(channel + 7)));
                }
            if (seen.Count == 6) vcpu.Out(0xcf9, 6);
            else resting.TrySetResult();
            while (true) yield return FakeStep.Halt;
        }
    }

    [Fact]
    public void Memory_goes_on_above_4_GiB_and_the_windows_keep_off_it()
    {
        var map = MemoryMap.Create(PcLayout.Boot, 5ul << 30);

        Assert.Equal([(0ul, 0xa_0000ul), (0xc_0000, 0xe000_0000 - 0xc_0000), (1ul << 32, (5ul << 30) - 0xe000_0000)], map.Ram.Select(range => (range.Start, range.Length)));
        Assert.Equal((0xe000_0000ul, (5ul << 30) - 0xe000_0000), (map.LowEnd, map.HighLength));
        Assert.Equal(32ul << 30, PcLayout.WideMemory(map)!.Value.First);
        Assert.Equal(96ul << 30, PcLayout.WideMemory(MemoryMap.Create(PcLayout.Boot, 65ul << 30))!.Value.First);
        Assert.Null(PcLayout.WideMemory(MemoryMap.Create(PcLayout.Boot, PcLayout.Boot.MaximumMemory)));
    }

    [Fact]
    public void A_machine_with_more_devices_than_places_is_refused()
    {
        var definition = Enumerable.Range(0, 28).Aggregate(Definition(), (all, _) => all.With(new NetworkDevice()));

        var refused = Assert.Throws<MachineException>(() => Machine.Create(definition, new MachineHooks(), new MachineServices { Engine = new FakeEngine(TestMachines.Forever) }));

        Assert.StartsWith("a pc machine has room for 29 devices", refused.Message, StringComparison.Ordinal);
    }

    private static uint Config(FakeVcpu vcpu, uint device, uint register)
    {
        vcpu.Out32(Address, 0x8000_0000 | device << 11 | register);
        return vcpu.In32(Data);
    }

    private MachineDefinition Definition()
    {
        File.WriteAllBytes(_folder.In("disk"), new byte[2 << 20]);
        Directory.CreateDirectory(_folder.In("share"));
        return (TestMachines.Spec(_folder) with { Type = MachineType.Pc, DebugExitPort = null })
            .With(new DiskDevice { Path = _folder.In("disk") })
            .With(new ChannelDevice { Port = "org.example" })
            .With(new ShareDevice { Path = _folder.In("share"), Tag = "share" })
            .With(new NetworkDevice())
            .With(new BalloonDevice())
            .With(new VsockDevice { Cid = 3, Path = _folder.In("vsock") });
    }
}
