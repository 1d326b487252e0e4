// A machine's life from start to end: how it ends, what may be done when, and that nothing is left behind.
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Life;

public sealed class MachineLifeTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_guest_that_powers_off_ends_the_run()
    {
        await using var machine = Create(Spec(_folder), Do(PowerOff));

        var result = await machine.RunAsync(Token);

        Assert.Equal(new MachineResult(MachineEnd.PoweredOff), result);
        Assert.Equal(MachineState.Ended, machine.State);
    }

    [Fact]
    public async Task A_write_to_the_debug_exit_port_ends_the_run_with_its_code()
    {
        await using var machine = Create(Spec(_folder), Do(vcpu => vcpu.Out32(DebugExitPort, 0x10)));

        var result = await machine.RunAsync(Token);

        Assert.Equal((MachineEnd.DebugExit, 0x21), (result.End, result.DebugExitCode!.Value));
    }

    [Fact]
    public async Task Without_the_option_there_is_no_debug_exit_port()
    {
        await using var machine = Create(Spec(_folder) with { DebugExitPort = null }, Do(vcpu => vcpu.Out32(DebugExitPort, 0x10), PowerOff));

        Assert.Equal(MachineEnd.PoweredOff, (await machine.RunAsync(Token)).End);
    }

    [Fact]
    public async Task A_panic_that_the_guest_reports_ends_the_run()
    {
        await using var machine = Create(Spec(_folder), Do(vcpu => vcpu.Out(PvPanic, 1)));

        Assert.Equal(MachineEnd.GuestPanic, (await machine.RunAsync(Token)).End);
    }

    [Fact]
    public async Task A_crash_that_the_guest_deals_with_itself_does_not_end_the_run()
    {
        await using var machine = Create(Spec(_folder), Do(vcpu => vcpu.Out(PvPanic, 2), PowerOff));

        Assert.Equal(MachineEnd.PoweredOff, (await machine.RunAsync(Token)).End);
    }

    [Fact]
    public async Task A_reset_starts_the_guest_again_with_memory_as_at_the_start()
    {
        const ulong scratch = 0x30_0000;
        var found = new List<uint>();
        await using var machine = Create(Spec(_folder), Do(
            vcpu =>
            {
                vcpu.Machine.Memory.TryRead<uint>(scratch, out var before);
                vcpu.Machine.Memory.TryRead<uint>(0x100_0000, out var kernel);
                found.AddRange([before, kernel]);
                vcpu.Machine.Memory.TryWrite(scratch, 0xDEADu);
                vcpu.Machine.Memory.TryWrite(0x100_0000, 0xDEADu);
            },
            vcpu => (vcpu.Starts < 3 ? (Action<FakeVcpu>)Reset : PowerOff)(vcpu)));

        var result = await machine.RunAsync(Token);

        Assert.Equal(MachineEnd.PoweredOff, result.End);
        Assert.Equal([0u, 0x9090_9090, 0u, 0x9090_9090, 0u, 0x9090_9090], found);
        Assert.Equal(2, machine.Count("machine_resets"));
    }

    [Fact]
    public async Task What_is_to_outlast_the_machine_is_kept_when_its_vcpus_have_ended_and_its_counters_tell_of_it()
    {
        await using var machine = Create(Spec(_folder) with { Cpus = 2 }, Do(vcpu => _ = vcpu.In(Com1), PowerOff));

        var result = await machine.RunAsync(Token);

        Assert.Equal(MachineEnd.PoweredOff, result.End);
        Assert.InRange(machine.Count("fake_kept"), 1, long.MaxValue);
        Assert.Equal(machine.Count("fake_steps"), machine.Count("fake_kept"));
    }

    [Fact]
    public async Task A_machine_of_which_nothing_can_be_kept_ends_and_gives_back_all_the_same()
    {
        var engine = new FakeEngine(Do(PowerOff));
        await using var machine = Create(Spec(_folder), engine);
        engine.Machines[0].FailsToConclude = true;

        var result = await machine.RunAsync(Token);

        Assert.Equal(MachineEnd.PoweredOff, result.End);
        Assert.True(engine.Machines[0].IsDisposed);
    }

    [Fact]
    public async Task A_reset_puts_the_devices_back()
    {
        var seen = new List<byte>();
        await using var machine = Create(Spec(_folder), Do(
            vcpu =>
            {
                seen.Add(vcpu.In(Com1 + 7));
                vcpu.Out(Com1 + 7, 0x5A);
            },
            vcpu => (vcpu.Starts < 2 ? (Action<FakeVcpu>)Reset : PowerOff)(vcpu)));

        await machine.RunAsync(Token);

        Assert.Equal([0, 0], seen);
    }

    [Theory]
    [InlineData(0x64, 0xFE)]
    [InlineData(0x60E, 0x01)]
    [InlineData(0xCF9, 0x06)]
    [InlineData(0x92, 0x03)]
    public async Task Every_reset_register_ends_a_run_that_is_not_to_reboot(int port, int value)
    {
        await using var machine = Create(Spec(_folder) with { NoReboot = true }, Do(vcpu => vcpu.Out((ushort)port, (byte)value)));

        Assert.Equal(MachineEnd.Reset, (await machine.RunAsync(Token)).End);
    }

    [Fact]
    public async Task A_triple_fault_resets()
    {
        await using var machine = Create(Spec(_folder), TripleFaultOnce);

        Assert.Equal(MachineEnd.PoweredOff, (await machine.RunAsync(Token)).End);
        Assert.Equal(1, machine.Count("machine_resets"));

        static IEnumerable<FakeStep> TripleFaultOnce(FakeVcpu vcpu)
        {
            if (vcpu.Starts < 2) yield return FakeStep.TripleFault;
            PowerOff(vcpu);
            yield return FakeStep.Halt;
        }
    }

    [Fact]
    public async Task A_triple_fault_ends_a_run_that_is_not_to_reboot()
    {
        await using var machine = Create(Spec(_folder) with { NoReboot = true }, _ => [FakeStep.TripleFault]);

        Assert.Equal(MachineEnd.TripleFault, (await machine.RunAsync(Token)).End);
    }

    [Fact]
    public async Task An_engine_that_fails_ends_the_run_with_its_words()
    {
        await using var machine = Create(Spec(_folder), _ => [FakeStep.Fail]);

        Assert.Equal(new MachineResult(MachineEnd.Failed, Message: "the fake engine was told to fail"), await machine.RunAsync(Token));
    }

    [Theory]
    [InlineData(nameof(FakeStep.Throw), "a bug")]
    [InlineData(nameof(FakeStep.ThrowOutOfMemory), "no memory")]
    public async Task An_engine_that_throws_ends_the_run_and_not_the_process(string step, string words)
    {
        await using var machine = Create(Spec(_folder), _ => [Enum.Parse<FakeStep>(step)]);

        var result = await machine.RunAsync(Token);

        Assert.Equal(MachineEnd.Failed, result.End);
        Assert.Contains(words, result.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_kernel_that_is_gone_at_a_reset_ends_the_run_in_a_sentence()
    {
        await using var machine = Create(Spec(_folder), Do(_ => File.WriteAllBytes(_folder.Kernel, [1]), Reset));

        var result = await machine.RunAsync(Token);

        Assert.Equal(MachineEnd.Failed, result.End);
        Assert.Contains("shorter", result.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stopping_ends_a_guest_that_does_not_listen()
    {
        var started = new TaskCompletionSource();
        await using var machine = Create(Spec(_folder), vcpu =>
        {
            started.TrySetResult();
            return Forever(vcpu);
        });
        var run = machine.RunAsync(Token);
        await started.Task.WaitAsync(Token);

        await machine.StopAsync(Token);

        Assert.Equal(MachineEnd.Stopped, (await run).End);
        await machine.StopAsync(Token);
    }

    [Fact]
    public async Task Cancelling_the_run_stops_the_machine()
    {
        using var source = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var machine = Create(Spec(_folder), vcpu =>
        {
            source.CancelAfter(0);
            return Forever(vcpu);
        });

        Assert.Equal(MachineEnd.Stopped, (await machine.RunAsync(source.Token)).End);
    }

    [Fact]
    public async Task A_run_that_is_cancelled_before_it_starts_never_starts()
    {
        var engine = new FakeEngine(Forever);
        await using var machine = Create(Spec(_folder), engine);

        var result = await machine.RunAsync(new CancellationToken(canceled: true));

        Assert.Equal(MachineEnd.Stopped, result.End);
        Assert.Equal(0, engine.Machines[0].Vcpus[0].Starts);
    }

    [Fact]
    public async Task The_time_out_ends_a_guest_that_goes_on_for_ever()
    {
        var time = new ManualTime();
        await using var machine = Create(Spec(_folder) with { Timeout = TimeSpan.FromSeconds(30) }, new FakeEngine(Forever), time);
        var run = machine.RunAsync(Token);
        await time.Armed.WaitAsync(Token);

        time.Fire();

        var result = await run;
        Assert.Equal(MachineEnd.TimedOut, result.End);
        Assert.Contains("30 s", result.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_paused_guest_stands_still_and_a_resumed_one_goes_on()
    {
        var engine = new FakeEngine(Forever);
        await using var machine = Create(Spec(_folder), engine);
        var run = machine.RunAsync(Token);
        await WaitForAsync(() => machine.State == MachineState.Running);
        var vcpu = engine.Machines[0].Vcpus[0];

        await machine.PauseAsync(Token);
        var (steps, clock) = (vcpu.Steps, vcpu.Machine.Clock.NowNanoseconds);
        await Task.Yield();

        Assert.Equal((MachineState.Paused, steps, clock), (machine.State, vcpu.Steps, vcpu.Machine.Clock.NowNanoseconds));
        await machine.ResumeAsync(Token);
        await WaitForAsync(() => vcpu.Steps > steps && vcpu.Machine.Clock.NowNanoseconds > clock);
        await machine.StopAsync(Token);
        await run;
    }

    [Fact]
    public async Task A_reset_while_paused_leaves_the_guest_paused_at_its_start()
    {
        var engine = new FakeEngine(Forever);
        await using var machine = Create(Spec(_folder), engine);
        _ = machine.RunAsync(Token);
        await WaitForAsync(() => machine.State == MachineState.Running);
        await machine.PauseAsync(Token);

        await machine.ResetAsync(Token);

        var state = new Core.Engine.VcpuState();
        engine.Machines[0].Vcpus[0].GetState(state);
        Assert.Equal((MachineState.Paused, 0x100_0200ul), (machine.State, state.Rip));
    }

    [Fact]
    public async Task What_a_state_does_not_allow_is_refused_in_a_sentence()
    {
        await using var machine = Create(Spec(_folder), Forever);

        Assert.Equal("a machine that is not started cannot be paused", (await Assert.ThrowsAsync<MachineException>(() => machine.PauseAsync(Token))).Message);
        await Assert.ThrowsAsync<MachineException>(() => machine.ResumeAsync(Token));
        await Assert.ThrowsAsync<MachineException>(() => machine.ResetAsync(Token));
        var run = machine.RunAsync(Token);
        await Assert.ThrowsAsync<MachineException>(() => machine.ResumeAsync(Token));
        await Assert.ThrowsAsync<MachineException>(() => machine.RunAsync(Token));
        await machine.StopAsync(Token);
        await run;
        Assert.Equal("a machine that is ended cannot be reset", (await Assert.ThrowsAsync<MachineException>(() => machine.ResetAsync(Token))).Message);
    }

    [Fact]
    public async Task Disposal_ends_a_running_machine_and_gives_everything_back()
    {
        var engine = new FakeEngine(Forever);
        var machine = Create(Spec(_folder), engine);
        var run = machine.RunAsync(Token);

        await machine.DisposeAsync();
        await machine.DisposeAsync();

        Assert.Equal(MachineEnd.Stopped, (await run).End);
        Assert.True(engine.Machines[0].IsDisposed);
        Assert.True(engine.Machines[0].Vcpus[0].IsDisposed);
    }

    [Fact]
    public async Task Disposal_at_any_moment_of_a_life_full_of_resets_ends_in_good_order()
    {
        for (var round = 0; round < 30; round++)
        {
            var engine = new FakeEngine(Do(vcpu => Print(vcpu, "x"), Reset));
            var machine = Create(Spec(_folder), engine);
            var run = machine.RunAsync(Token);
            await WaitForAsync(() => engine.Machines[0].Vcpus[0].Starts > round % 5);

            await machine.DisposeAsync();

            Assert.Equal(MachineEnd.Stopped, (await run).End);
            Assert.True(engine.Machines[0].IsDisposed);
        }
    }

    [Fact]
    public async Task Actions_from_many_threads_at_once_are_done_one_after_another()
    {
        await using var machine = Create(Spec(_folder), Forever);
        var run = machine.RunAsync(Token);
        await WaitForAsync(() => machine.State == MachineState.Running);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; i < 25; i++)
            {
                try
                {
                    await (((worker + i) % 3) switch { 0 => machine.PauseAsync(), 1 => machine.ResumeAsync(), _ => machine.ResetAsync() });
                }
                catch (MachineException refusal)
                {
                    Assert.Contains("cannot be", refusal.Message, StringComparison.Ordinal);
                }
            }
        }, Token)));

        await machine.StopAsync(Token);
        Assert.Equal(MachineEnd.Stopped, (await run).End);
    }

    [Fact]
    public async Task Two_machines_in_one_process_know_nothing_of_one_another()
    {
        await using var first = Create(Spec(_folder), Do(vcpu => Print(vcpu, "one")));
        await using var second = Create(Spec(_folder), Do(vcpu => Print(vcpu, "two"), PowerOff));
        var running = first.RunAsync(Token);

        Assert.Equal(MachineEnd.PoweredOff, (await second.RunAsync(Token)).End);
        await first.Serial.ReadUntilAsync("one", Token);

        Assert.Equal(("one", "two"), (first.Serial.Text, second.Serial.Text));
        Assert.Equal(MachineState.Running, first.State);
        await first.StopAsync(Token);
        await running;
    }

    private static async Task WaitForAsync(Func<bool> condition)
    {
        while (!condition())
        {
            Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }
}
