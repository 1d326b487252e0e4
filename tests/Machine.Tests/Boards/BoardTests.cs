// Parts fit any board: the same definition on "micro" and on the tests' own board gives the same devices by the same names, which a guest
// finds where the board has its places, and which work, are looked at, saved and loaded there.
using Lamina.Boards;
using Lamina.Micro;
using Lamina.Parts;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Boards;

public sealed class BoardTests : IDisposable
{
    // virtio 1.2, 4.2.2: registers; 2.1: the status bits up to DRIVER_OK; 6: VERSION_1 is bit 32.
    private const ulong Magic = 0, DeviceId = 8, FeaturesSelect = 0x14, DriverFeatures = 0x20, DriverFeaturesSelect = 0x24, InterruptStatus = 0x60, Status = 0x70;
    private const uint Acknowledge = 1, Driver = 2, DriverOk = 4, FeaturesOk = 8, ConfigurationChange = 2, BalloonId = 5;

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<bool> Both => [false, true];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Both))]
    public async Task Every_kind_of_part_is_found_and_set_up_in_its_place(bool own)
    {
        IBoard board = own ? new TestBoard() : new MicroBoard();
        var definition = Whole();
        var expected = PartCatalog.Of(definition.Complete()).Select(device => $"devices/{device.Name}").ToArray();
        var found = new TaskCompletionSource<uint[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var machine = Create(definition, board, vcpu => SetUp(vcpu, own, expected.Length, found));
        var run = machine.RunAsync(Token);

        var ids = await BeforeTheEndAsync(found.Task, run);

        // Every kind takes part that needs no controller of its board's, and none stands under another name than its own.
        Assert.Empty(PartCatalog.Kinds.Except([typeof(CdromDevice), typeof(FloppyDevice)]).Except(definition.Complete().Devices.Select(device => device.GetType())));
        Assert.Equal(expected, machine.Parts.Where(name => name.StartsWith("devices/", StringComparison.Ordinal)));
        var seen = await machine.InspectAsync("devices", Token);
        Assert.All(expected, name => Assert.Contains("DriverOk", (string)seen.Find(name["devices/".Length..])!["status"]!, StringComparison.Ordinal));
        // virtio 1.2, 5: the types in the order of the catalogue: entropy, consoles, channels, disks, shares, cards, balloon, sockets.
        Assert.Equal([4, 3, 3, 2, 2, 26, 1, 1, BalloonId, 19], ids);
        await machine.StopAsync(Token);
        await run;
    }

    [Theory]
    [MemberData(nameof(Both))]
    public async Task A_part_interrupts_by_the_line_of_its_place(bool own)
    {
        IBoard board = own ? new TestBoard() : new MicroBoard();
        var (ready, interrupted) = (new TaskCompletionSource<uint[]>(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously));
        const int balloon = 2;
        await using var machine = Create((TestMachines.Spec(_folder) with { DebugExitPort = null }).With(new BalloonDevice()), board, vcpu => Waits(vcpu));
        var run = machine.RunAsync(Token);
        Assert.Equal(BalloonId, (await BeforeTheEndAsync(ready.Task, run))[balloon]);

        machine.Balloon.Target = 1 << 20;

        await BeforeTheEndAsync(interrupted.Task, run);
        var lines = await machine.InspectAsync("interrupts", Token);
        Assert.Equal($"0x{1ul << (own ? TestBoard.GsiOf(balloon) : MicroLayout.VirtioGsiOf(balloon)):x}", lines.Find("io apic")!["lines"]);
        await machine.StopAsync(Token);
        await run;

        IEnumerable<FakeStep> Waits(FakeVcpu vcpu)
        {
            foreach (var step in SetUp(vcpu, own, 3, ready))
            {
                if (step == FakeStep.Halt) break;
                yield return step;
            }
            while (vcpu.ReadMmio(WindowOf(own, balloon) + InterruptStatus) != ConfigurationChange) yield return FakeStep.Continue;
            interrupted.SetResult(true);
            while (true) yield return FakeStep.Continue;
        }
    }

    [Fact]
    public async Task A_guest_boots_is_saved_and_goes_on_on_a_board_of_another_kind()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var services = new MachineServices { Board = new TestBoard() };
        var definition = new MachineDefinition { Boot = new BootSource { KernelPath = _folder.Kernel }, MemoryBytes = 16 << 20, Engine = EngineChoice.Translator }.With(new BalloonDevice()).With(new NetworkDevice());
        await using (var machine = Machine.Create(definition, new MachineHooks(), services))
        {
            _ = machine.RunAsync(Token);
            Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
            Assert.False(await machine.PressPowerButtonAsync(Token));
            await machine.SaveAsync(_folder.In("saved"), Token);
        }

        await using (var machine = Machine.Restore(_folder.In("saved"), new MachineHooks(), null, services))
        {
            _ = machine.RunAsync(Token);
            await machine.Serial.WriteLineAsync("there", Token);
            Assert.Equal("there\nLamina\n# ", (await machine.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal));
        }
        // The chipset is another one; the sentence names the first part that there is not.
        await using var other = Machine.Restore(_folder.In("saved"));
        Assert.StartsWith("the saved machine cannot be used: the saved state is of a machine without chipset/", (await other.RunAsync(Token)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_board_has_no_room_for_is_refused_in_its_own_name()
    {
        var services = new MachineServices { Board = new TestBoard(), Engine = new FakeEngine(TestMachines.Forever) };
        var spec = TestMachines.Spec(_folder) with { DebugExitPort = null };

        string Refused(MachineDefinition definition) => Assert.Throws<MachineException>(() => Machine.Create(definition, new MachineHooks(), services)).Message;

        Assert.Equal("a machine of this build has at most 4 CPUs, not 5", Refused(spec with { Cpus = 5 }));
        Assert.Equal("a test machine has room for 12 devices, two of which are always there; this one would have 13", Refused(Enumerable.Range(0, 11).Aggregate(spec, (all, _) => all.With(new NetworkDevice()))));
    }

    // Each device is brought to DRIVER_OK as a driver does it; then the vCPU rests.
    private static IEnumerable<FakeStep> SetUp(FakeVcpu vcpu, bool own, int places, TaskCompletionSource<uint[]> found)
    {
        if (vcpu.Index != 0)
        {
            yield return FakeStep.Halt;
            yield break;
        }
        var ids = new uint[places];
        for (var place = 0; place < places; place++)
        {
            var window = WindowOf(own, place);
            Assert.Equal(0x7472_6976u, vcpu.ReadMmio(window + Magic));
            ids[place] = vcpu.ReadMmio(window + DeviceId);
            vcpu.WriteMmio(window + Status, Acknowledge | Driver);
            vcpu.WriteMmio(window + FeaturesSelect, 1);
            vcpu.WriteMmio(window + DriverFeaturesSelect, 1);
            vcpu.WriteMmio(window + DriverFeatures, 1);
            vcpu.WriteMmio(window + Status, Acknowledge | Driver | FeaturesOk);
            vcpu.WriteMmio(window + Status, Acknowledge | Driver | FeaturesOk | DriverOk);
            yield return FakeStep.Continue;
        }
        found.SetResult(ids);
        yield return FakeStep.Halt;
    }

    // What a script finds wrong ends its machine, with a message that says it.
    private static async Task<T> BeforeTheEndAsync<T>(Task<T> wanted, Task<MachineResult> run)
    {
        if (await Task.WhenAny(wanted, run) == run) Assert.Fail((await run).Message ?? "the machine ended");
        return await wanted;
    }

    private static ulong WindowOf(bool own, int place) => own ? TestBoard.WindowOf(place) : MicroLayout.VirtioMmio + (ulong)place * MicroLayout.VirtioMmioStride;

    private static Machine Create(MachineDefinition definition, IBoard board, Func<FakeVcpu, IEnumerable<FakeStep>> script) =>
        Machine.Create(definition, new MachineHooks(), new MachineServices { Engine = new FakeEngine(script), Board = board });

    private MachineDefinition Whole()
    {
        foreach (var disk in (string[])["disk", "other"]) File.WriteAllBytes(_folder.In(disk), new byte[2 << 20]);
        Directory.CreateDirectory(_folder.In("share"));
        return (TestMachines.Spec(_folder) with { DebugExitPort = null }).With(new DiskDevice { Path = _folder.In("disk") })
            .With(new DiskDevice { Path = _folder.In("other") })
            .With(new ShareDevice { Path = _folder.In("share"), Tag = "files" })
            .With(new NetworkDevice())
            .With(new NetworkDevice { Link = new NetworkLink.Switch(_folder.In("switch")) })
            .With(new BalloonDevice())
            .With(new ChannelDevice { Port = "org.lamina.0", Path = _folder.In("channel") })
            .With(new VsockDevice { Cid = 3, Path = _folder.In("vsock") });
    }
}
