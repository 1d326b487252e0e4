// Whole machines that are saved and go on, on the same engine and on another one; and what becomes of one that cannot.
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Engines.Kvm;
using Lamina.Saving;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

public sealed class RestoredMachineTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    private MachineDefinition Definition(EngineChoice engine, IrqchipChoice irqchip) => new()
    {
        Boot = new BootSource { KernelPath = _folder.Kernel },
        MemoryBytes = 16 << 20,
        Engine = engine,
        Irqchip = PlaceOn(engine, irqchip),
        // What both engines give on every host.
        Cpu = "x86-64-v1",
        Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new BalloonDevice(), new NetworkDevice()],
    };

    private static IrqchipChoice PlaceOn(EngineChoice engine, IrqchipChoice onKvm) => engine == EngineChoice.Kvm ? onKvm : IrqchipChoice.Auto;

    private static async Task AnswersAsync(Machine machine, string line)
    {
        await machine.Serial.WriteLineAsync(line, Token);
        Assert.Equal($"{line}\nLamina\n# ", (await machine.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(EngineChoice.Translator, EngineChoice.Translator)]
    [InlineData(EngineChoice.Translator, EngineChoice.Kvm, IrqchipChoice.User)]
    [InlineData(EngineChoice.Translator, EngineChoice.Kvm, IrqchipChoice.Split)]
    [InlineData(EngineChoice.Translator, EngineChoice.Kvm, IrqchipChoice.Kernel)]
    [InlineData(EngineChoice.Kvm, EngineChoice.Kvm, IrqchipChoice.Kernel)]
    public async Task A_guest_goes_on_there_and_back_on_the_engine_that_it_came_from(EngineChoice first, EngineChoice second, IrqchipChoice irqchip = IrqchipChoice.Auto)
    {
        if (first == EngineChoice.Kvm || second == EngineChoice.Kvm) Assert.SkipWhen(KvmSupport.WhyNot() is not null, KvmSupport.WhyNot() ?? "");
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var machine = Machine.Create(Definition(first, irqchip));
        try
        {
            var run = machine.RunAsync(Token);
            Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
            await AnswersAsync(machine, "before");
            for (var move = 0; move < 4; move++)
            {
                var (folder, engine) = (_folder.In($"saved {move}"), move % 2 == 0 ? second : first);
                await machine.PauseAsync(Token);
                await machine.SaveAsync(folder, Token);
                await machine.DisposeAsync();
                Assert.Equal(MachineEnd.Stopped, (await run).End);

                try
                {
                    machine = Machine.Restore(folder, change: definition => definition with { Engine = engine, Irqchip = PlaceOn(engine, irqchip) });
                }
                catch (MachineException lacks) when (engine == EngineChoice.Kvm && irqchip == IrqchipChoice.User)
                {
                    // On Intel the kernel keeps the deadline for local APICs of its own.
                    Assert.EndsWith("this host lacks of it: tsc_deadline_timer", lacks.Message, StringComparison.Ordinal);
                    return;
                }
                run = machine.RunAsync(Token);
                await AnswersAsync(machine, $"move {move}");
            }
            // It starts again as any other.
            await machine.ResetAsync(Token);
            Assert.EndsWith("# ", await machine.Serial.ReadUntilAsync("# ", Token), StringComparison.Ordinal);
            await AnswersAsync(machine, "after");
        }
        finally
        {
            await machine.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_machine_that_is_another_than_the_saved_one_ends_with_a_sentence_that_names_the_part()
    {
        var folder = await SaveAsync();

        Assert.Equal("the saved machine cannot be used: the saved state has devices/balloon0, and this machine has not", await EndOfAsync(folder, definition => definition.Without<BalloonDevice>()));
        Assert.Equal("the saved machine cannot be used: its memory lies elsewhere than this machine's", await EndOfAsync(folder, definition => definition with { MemoryBytes = 32 << 20 }));
        Assert.Contains("interrupts cannot be loaded", await EndOfAsync(folder, definition => definition with { Cpus = 2 }), StringComparison.Ordinal);
    }

    // Another host's processor: what tells it from this one's is changed in the state.
    [Fact]
    public async Task A_guest_that_was_saved_on_another_cpu_keeps_it_over_any_number_of_moves()
    {
        var folder = await SaveAsync();
        var foreign = Change(folder, cpu => Change(cpu, 1, leaf => leaf with { Eax = 0x000f_0ff1 }), leaf => leaf.Leaf is >= 0x8000_0002 and <= 0x8000_0004, leaf => leaf with { Eax = 0x2020_2020, Edx = 0x2034_3231 });
        for (var move = 0; move < 2; move++)
        {
            await using var machine = Machine.Restore(folder);
            _ = machine.RunAsync(Token);
            await AnswersAsync(machine, $"move {move}");
            folder = _folder.In($"further {move}");
            await machine.SaveAsync(folder, Token);
            Assert.Equal(foreign.Leaves, SavedMachine.Read(folder).CpuIdentity!.Leaves);
            Assert.Equal(foreign.ArchCapabilities, SavedMachine.Read(folder).CpuIdentity!.ArchCapabilities);
        }
    }

    [Fact]
    public async Task A_cpu_that_this_host_cannot_give_is_refused_by_the_name_of_what_it_lacks()
    {
        var folder = await SaveAsync();
        Change(folder, cpu => cpu, leaf => leaf is { Leaf: 7, Subleaf: 0 }, leaf => leaf with { Edx = leaf.Edx | 1u << 24 });

        var refused = Assert.Throws<MachineException>(() => Machine.Restore(folder));

        // AMX-TILE, which no guest gets. SDM vol. 2, CPUID.
        Assert.Equal((MachineError.Host, "this host cannot give the CPU that the machine was saved with: this host lacks of it: bit 24 of EDX of the CPUID leaf 0x7"), (refused.Error, refused.Message));
    }

    [Fact]
    public async Task What_a_guest_was_told_of_branch_speculation_and_is_not_true_here_is_a_warning()
    {
        var folder = await SaveAsync();
        Change(folder, cpu => cpu with { ArchCapabilities = cpu.ArchCapabilities | 1ul << 40 }, _ => false, leaf => leaf);
        var lines = new List<LogLine>();

        await using var machine = Machine.Restore(folder, new MachineHooks { Log = Log.To(lines.Add, LogLevel.Warning) });

        Assert.Equal(new LogLine(LogLevel.Warning, "engine", LogEvent.CpuModel, "the guest was told of its CPU what does not hold here, and is told no longer: bit 40 of IA32_ARCH_CAPABILITIES"), Assert.Single(lines));
        _ = machine.RunAsync(Token);
        await AnswersAsync(machine, "on");
    }

    private static CpuIdentity Change(CpuIdentity cpu, uint number, Func<CpuLeaf, CpuLeaf> change) =>
        cpu with { Leaves = [.. cpu.Leaves.Select(leaf => leaf.Leaf == number ? change(leaf) : leaf)] };

    // Changes a saved machine's CPU, and gives it.
    private static CpuIdentity Change(string folder, Func<CpuIdentity, CpuIdentity> whole, Func<CpuLeaf, bool> which, Func<CpuLeaf, CpuLeaf> change)
    {
        var state = SavedMachine.Read(folder);
        var cpu = whole(state.CpuIdentity!);
        cpu = cpu with { Leaves = [.. cpu.Leaves.Select(leaf => which(leaf) ? change(leaf) : leaf)] };
        File.WriteAllBytes(Path.Combine(folder, "state"), (state with { CpuIdentity = cpu }).Encode());
        return cpu;
    }

    [Fact]
    public async Task A_machine_whose_memory_is_gone_ends_with_a_sentence()
    {
        var folder = await SaveAsync();
        File.Delete(Path.Combine(folder, "memory"));

        Assert.Equal($"the saved machine cannot be used: {Path.Combine(folder, "memory")}: it does not exist", await EndOfAsync(folder, definition => definition));
    }

    [Fact]
    public async Task A_suspended_machine_ends_and_who_goes_on_with_it_is_told_when_its_state_was_taken_up()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await using var machine = Machine.Create(Definition(EngineChoice.Translator, IrqchipChoice.Auto));
        var run = machine.RunAsync(Token);
        await machine.Serial.ReadUntilAsync("# ", Token);

        await Assert.ThrowsAsync<MachineException>(() => machine.SuspendAsync(Path.Combine(_folder.Kernel, "machine"), Token));
        await AnswersAsync(machine, "still here");
        await machine.SuspendAsync(_folder.In("suspended"), Token);

        Assert.Equal(MachineEnd.Suspended, (await run).End);
        Assert.Equal(DefinitionJson.Write(Machine.DefinitionOf(_folder.In("suspended"))), DefinitionJson.Write(SavedMachine.Read(_folder.In("suspended")).Definition));
        var takenUp = 0;
        await using var again = Machine.Restore(_folder.In("suspended"), new MachineHooks { TakenUp = () => takenUp++ });
        Assert.Equal(0, takenUp);
        _ = again.RunAsync(Token);
        await AnswersAsync(again, "after");
        Assert.Equal(1, takenUp);
    }

    [Fact]
    public async Task A_machine_that_cannot_be_saved_there_goes_on()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await using var machine = Machine.Create(Definition(EngineChoice.Translator, IrqchipChoice.Auto));
        _ = machine.RunAsync(Token);
        Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));

        var refused = await Assert.ThrowsAsync<MachineException>(() => machine.SaveAsync(Path.Combine(_folder.Kernel, "machine"), Token));

        Assert.StartsWith("the machine cannot be saved to ", refused.Message, StringComparison.Ordinal);
        await AnswersAsync(machine, "still here");
    }

    private async Task<string> SaveAsync()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await using var machine = Machine.Create(Definition(EngineChoice.Translator, IrqchipChoice.Auto));
        _ = machine.RunAsync(Token);
        await machine.Serial.ReadUntilAsync("# ", Token);
        await machine.SaveAsync(_folder.In("saved"));
        return _folder.In("saved");
    }

    private static async Task<string?> EndOfAsync(string folder, Func<MachineDefinition, MachineDefinition> change)
    {
        try
        {
            await using var machine = Machine.Restore(folder, change: change);
            var result = await machine.RunAsync(Token);
            Assert.Equal(MachineEnd.Failed, result.End);
            return result.Message;
        }
        catch (MachineException refused)
        {
            return refused.Message;
        }
    }
}
