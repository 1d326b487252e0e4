// The generation ID of whole machines: when it stays, and when it is another one of which the guest is told.
using Lamina.Control;
using Lamina.Saving;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

public sealed class GenerationTests : IDisposable
{
    private const string Unit = "chipset/generation";

    private readonly KernelFolder _folder = new();
    private int _saved;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    private MachineDefinition Definition(MachineType type) => new()
    {
        Type = type,
        Boot = new BootSource { KernelPath = _folder.Kernel },
        MemoryBytes = 16 << 20,
        Engine = EngineChoice.Translator,
        Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }],
    };

    private async Task<Machine> StartAsync(MachineType type)
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var machine = Machine.Create(Definition(type));
        _ = machine.RunAsync(Token);
        Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
        return machine;
    }

    private async Task<string> SaveAsync(Machine machine)
    {
        var folder = _folder.In($"saved {_saved++}");
        await machine.SaveAsync(folder, Token);
        return folder;
    }

    // The ID, and whether the guest has yet to see that it is another one.
    private static async Task<(string Id, bool IsTold)> LookAsync(Machine machine)
    {
        var id = (string)(await machine.InspectAsync(Unit, Token))["id"]!;
        return (id, (string)(await machine.InspectAsync("chipset/power", Token))["general status"]! == "0x2");
    }

    private static async Task<Machine> RunAsync(Machine machine)
    {
        _ = machine.RunAsync(Token);
        await machine.Serial.WriteLineAsync("on", Token);
        Assert.EndsWith("# ", await machine.Serial.ReadUntilAsync("# ", Token), StringComparison.Ordinal);
        return machine;
    }

    [Theory, InlineData(MachineType.Micro), InlineData(MachineType.Pc)]
    public async Task Each_machine_has_one_and_keeps_it_through_a_pause_a_reset_and_a_suspension(MachineType type)
    {
        await using var other = await StartAsync(type);
        await using var machine = await StartAsync(type);
        var (id, isTold) = await LookAsync(machine);
        Assert.NotEqual((await LookAsync(other)).Id, id);
        Assert.False(isTold);

        await machine.PauseAsync(Token);
        await machine.ResumeAsync(Token);
        await machine.ResetAsync(Token);
        Assert.Equal((id, false), await LookAsync(machine));
        await machine.SuspendAsync(_folder.In("suspended"), Token);
        await using var again = await RunAsync(Machine.Restore(_folder.In("suspended"), new MachineHooks { GoesOnAlone = true }));

        Assert.Equal((id, false), await LookAsync(again));
    }

    [Theory, InlineData(MachineType.Micro), InlineData(MachineType.Pc)]
    public async Task Whoever_goes_on_from_a_state_that_is_kept_is_another_one_each_time_and_is_told(MachineType type)
    {
        await using var machine = await StartAsync(type);
        var (id, _) = await LookAsync(machine);
        var folder = await SaveAsync(machine);
        Assert.Equal((id, false), await LookAsync(machine));

        await using var first = await RunAsync(Machine.Restore(folder));
        await using var second = await RunAsync(Machine.Restore(folder));
        await using var further = await RunAsync(Machine.Restore(await SaveAsync(first)));

        (string Id, bool IsTold)[] seen = [await LookAsync(first), await LookAsync(second), await LookAsync(further)];
        Assert.All(seen, machine => Assert.True(machine.IsTold));
        Assert.Equal(4, seen.Select(machine => machine.Id).Append(id).Distinct().Count());
    }

    [Theory, InlineData(MachineType.Micro), InlineData(MachineType.Pc)]
    public async Task Each_copy_of_a_running_machine_and_each_copy_of_those_is_another_one_and_is_told(MachineType type)
    {
        await using var machine = await StartAsync(type);
        var (id, _) = await LookAsync(machine);

        await using var child = await ForkAsync(machine);
        await using var sibling = await ForkAsync(machine);
        await using var grandchild = await ForkAsync(child);

        (string Id, bool IsTold)[] seen = [await LookAsync(child), await LookAsync(sibling), await LookAsync(grandchild)];
        Assert.All(seen, machine => Assert.True(machine.IsTold));
        Assert.Equal(4, seen.Select(machine => machine.Id).Append(id).Distinct().Count());
        Assert.Equal((id, false), await LookAsync(machine));

        // One that was a copy before is put to where the machine is.
        await child.PauseAsync(Token);
        using var once = await machine.DoAsync(new MachineAction.Fork([], null), Token);
        await child.RewindAsync(once, goesOn: true, Token);
        Assert.DoesNotContain((await LookAsync(child)).Id, seen.Select(machine => machine.Id).Append(id));
        Assert.True((await LookAsync(child)).IsTold);
    }

    [Theory, InlineData(MachineType.Micro), InlineData(MachineType.Pc)]
    public async Task A_state_of_a_program_that_had_no_generation_ID_goes_on(MachineType type)
    {
        await using var machine = await StartAsync(type);
        var folder = await SaveAsync(machine);
        var state = SavedMachine.Read(folder);
        Assert.Contains(state.Units, unit => unit.Name == Unit);
        File.WriteAllBytes(Path.Combine(folder, "state"), (state with { Units = [.. state.Units.Where(unit => unit.Name != Unit)] }).Encode());

        await using var first = await RunAsync(Machine.Restore(folder, new MachineHooks { GoesOnAlone = true }));
        await using var second = await RunAsync(Machine.Restore(folder));

        Assert.NotEqual((await LookAsync(first)).Id, (await LookAsync(second)).Id);
        Assert.NotEqual((await LookAsync(machine)).Id, (await LookAsync(first)).Id);
    }

    private static async Task<Machine> ForkAsync(Machine machine)
    {
        using var description = await machine.DescribeAsync(Token);
        var copy = Machine.Wait(description, new MachineHooks(), definition => definition);
        var forked = await machine.DoAsync(new MachineAction.Fork([], null), Token);
        copy.TakeUp(forked);
        await RunAsync(copy);
        forked.Dispose();
        return copy;
    }
}
