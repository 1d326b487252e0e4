// Looking inside a whole machine, with every kind of part that a definition can have: every part says something under the name that
// it has in the tree, while the guest runs, and nothing changes by it.
using System.Text.Json;
using Lamina.Control;
using Lamina.Core.Inspection;
using Lamina.Micro;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Life;

public sealed class InspectTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Every_part_says_what_it_is_by_its_name_in_the_tree()
    {
        await using var machine = Create(Whole(), Forever);
        var run = machine.RunAsync(Token);

        var seen = await machine.InspectAsync(cancellationToken: Token);

        Assert.NotEmpty(machine.Parts);
        Assert.All(machine.Parts, name => Assert.False(string.IsNullOrEmpty(seen.Find(name)?.Kind), $"{name} says nothing"));
        Assert.DoesNotContain("error", Values(seen).Select(value => value.Key));
        string[] saying = ["memory", "clock", "interrupts", "buses/port", "buses/memory", "vcpus/0/state", "vcpus/1/state", "chipset/pit", "chipset/rtc", "chipset/keyboard", "chipset/power", "chipset/serial", "chipset/port 92h",
            "chipset/reset control", "chipset/pci configuration", "chipset/post code", "full disks", "backends/disk 0", "backends/network 0", "backends/sockets", "backends/share files", "consoles/serial", .. machine.Parts.Where(name => name.StartsWith("devices/", StringComparison.Ordinal))];
        Assert.All(saying, name => Assert.True(seen.Find(name) is { Entries.Count: > 0 } || name is "full disks" or "consoles/serial", $"{name} has no value"));
        Assert.Equal(9, machine.Parts.Count(name => name.StartsWith("devices/", StringComparison.Ordinal)));
        Assert.StartsWith("0x", Assert.IsType<string>(seen.Find("vcpus/1/state")!["rip"]), StringComparison.Ordinal);
        Assert.Equal("running", seen.Find("life")!["state"]);
        await machine.StopAsync(Token);
        await run;
    }

    [Fact]
    public async Task The_tree_reads_as_JSON_and_as_text_with_the_same_names()
    {
        await using var machine = Create(Whole(), Forever);

        var seen = await machine.InspectAsync(cancellationToken: Token);

        using var json = JsonDocument.Parse(seen.ToJson());
        foreach (var name in machine.Parts)
        {
            var place = json.RootElement;
            foreach (var piece in name.Split('/')) place = place.GetProperty(piece);
            Assert.Equal(seen.Find(name)!.Kind, place.GetProperty("kind").GetString());
            Assert.Contains($"{name.Split('/')[^1]}: {seen.Find(name)!.Kind}\n", seen.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task One_part_is_looked_at_with_what_is_below_it()
    {
        var engine = new FakeEngine(Forever);
        await using var machine = Create(Whole(), engine);

        var disk = await machine.InspectAsync("devices/disk0", Token);

        Assert.Equal("virtio Block over MMIO", disk.Kind);
        Assert.Equal(2ul << 20, disk.Find("device")!["bytes"]);
        Assert.Equal("raw disk image", (await machine.InspectAsync("/backends/disk 0/", Token)).Kind);
        // What is not below it is not asked: a look at no vCPU parks none.
        foreach (var vcpu in engine.Machines[0].Vcpus) vcpu.Looks = 0;
        await machine.InspectAsync("devices", Token);
        Assert.All(engine.Machines[0].Vcpus, vcpu => Assert.Equal(0, vcpu.Looks));
        await machine.InspectAsync("vcpus/1", Token);
        Assert.Equal([0, 1], engine.Machines[0].Vcpus.Select(vcpu => vcpu.Looks));
        Assert.Equal(MachineError.Definition, (await Assert.ThrowsAsync<MachineException>(() => machine.InspectAsync("devices/disk7", Token))).Error);
    }

    [Fact]
    public async Task Looking_while_the_guest_works_changes_nothing()
    {
        // Each turn adds to a sum in memory, through memory that a look reads beside it; a turn that were lost or done twice shows.
        const ulong place = 0x20_0000;
        const int turns = 20_000;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        IEnumerable<FakeStep> Work(FakeVcpu vcpu)
        {
            if (vcpu.Index != 0) yield break;
            for (ulong turn = 1; turn <= turns; turn++)
            {
                vcpu.Machine.Memory.TryRead(place, out ulong sum);
                vcpu.Machine.Memory.TryWrite(place, sum + turn);
                vcpu.Out(PostCode, (byte)turn);
                yield return FakeStep.Continue;
            }
            done.SetResult();
            while (true) yield return FakeStep.Continue;
        }
        await using var machine = Create(Whole(), Work);
        var run = machine.RunAsync(Token);

        var looks = 0;
        while (!done.Task.IsCompleted)
        {
            var seen = await machine.InspectAsync(cancellationToken: Token);
            Assert.NotNull(seen.Find("vcpus/0/state")!["rip"]);
            looks++;
        }
        await machine.PauseAsync(Token);

        Assert.True(looks > 0);
        Assert.Equal((MachineState.Paused, Holds.User), (machine.State, machine.Holds));
        machine.Memory.TryRead(place, out ulong all);
        Assert.Equal((ulong)turns * (turns + 1) / 2, all);
        await machine.StopAsync(Token);
        await run;
    }

    [Fact]
    public async Task A_paused_machine_that_is_looked_at_twice_is_the_same()
    {
        await using var machine = Create(Whole(), Forever);
        var run = machine.RunAsync(Token);
        await machine.PauseAsync(Token);

        var first = (await machine.InspectAsync(cancellationToken: Token)).ToJson();
        var second = (await machine.InspectAsync(cancellationToken: Token)).ToJson();

        // What the host's memory and wall clock say is not the machine's.
        static string Still(string json) => string.Join('\n', json.Split('\n').Where(line => !line.Contains("resident", StringComparison.Ordinal) && !line.Contains("\"time\"", StringComparison.Ordinal)));
        Assert.Equal(Still(first), Still(second));
        Assert.Equal(MachineState.Paused, machine.State);
        await machine.StopAsync(Token);
        await run;
    }

    [Fact]
    public async Task Odd_values_of_a_guests_are_told_and_harm_nothing()
    {
        await using var machine = Create(Whole(), Do(vcpu =>
        {
            // The first window of virtio: select a queue that there is not, write nonsense to every register but the status.
            const ulong window = MicroLayout.VirtioMmio;
            Assert.Equal(MmioMagic, vcpu.ReadMmio(window));
            for (ulong register = 0; register < 0x100; register += 4)
                if (register != 0x70) vcpu.WriteMmio(window + register, 0xffff_ffff);
            vcpu.WriteMmio(window + 0x30, 0);
            vcpu.WriteMmio(window + 0x38, 0xfff1);
            for (ulong register = 0x80; register < 0xb0; register += 4) vcpu.WriteMmio(window + register, 0xffff_fff0);
            for (ushort port = 0x40; port < 0x48; port++) vcpu.Out(port, 0xff);
            for (var index = 0; index < 128; index++)
            {
                vcpu.Out(0x70, (byte)index);
                vcpu.Out(0x71, 0xff);
            }
        }));
        var run = machine.RunAsync(Token);
        while (machine.Counters.Where(one => one.Name == "vcpu_steps").Sum(one => one.Value) < 2) await Task.Yield();

        var seen = await machine.InspectAsync(cancellationToken: Token);

        Assert.DoesNotContain("error", Values(seen).Select(value => value.Key));
        using var json = JsonDocument.Parse(seen.ToJson());
        await machine.StopAsync(Token);
        await run;
    }

    [Fact]
    public async Task Counters_have_names_of_metrics_and_the_names_of_their_parts()
    {
        await using var machine = Create(Whole(), Forever);

        var counters = machine.Counters;

        Assert.All(counters, one => Assert.Matches("^[a-z][a-z0-9_]*$", one.Name));
        Assert.All(counters, one => Assert.NotEmpty(one.Description));
        Assert.All(counters.Where(one => one.Unit == CounterUnit.Bytes), one => Assert.EndsWith("_bytes", one.Name, StringComparison.Ordinal));
        Assert.All(counters.Where(one => one.Part.Length != 0), one => Assert.Contains(one.Part, machine.Parts));
        Assert.Equal(counters.Count, counters.Select(one => (one.Part, one.Name, one.Of)).Distinct().Count());
        Assert.All(counters.GroupBy(one => one.Name), same => Assert.Single(same.Select(one => (one.Kind, one.Unit, one.Description)).Distinct()));
        Assert.DoesNotContain(counters, one => one.Name.StartsWith("process_", StringComparison.Ordinal));
        Assert.Contains(ProcessCounters.Read(), one => one is { Name: "process_resident_bytes", Value: > 0 });
    }

    private const ushort PostCode = 0x80;
    private const uint MmioMagic = 0x7472_6976; // "virt"

    private MachineDefinition Whole()
    {
        foreach (var disk in (string[])["disk", "other"]) File.WriteAllBytes(_folder.In(disk), new byte[2 << 20]);
        Directory.CreateDirectory(_folder.In("share"));
        return (Spec(_folder) with { Cpus = 2 }).With(new DiskDevice { Path = _folder.In("disk") })
            .With(new DiskDevice { Path = _folder.In("other") })
            .With(new ShareDevice { Path = _folder.In("share"), Tag = "files" })
            .With(new NetworkDevice())
            .With(new NetworkDevice { Link = new NetworkLink.Switch(_folder.In("switch")) })
            .With(new BalloonDevice())
            .With(new VsockDevice { Cid = 3, Path = _folder.In("vsock") });
    }

    private static IEnumerable<KeyValuePair<string, object>> Values(InspectNode node) =>
        node.Entries.Concat(node.Nodes.SelectMany(Values));
}
