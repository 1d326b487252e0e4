// Why a machine stands still: the user's pause, a debugger's stop and a full host come and go in any order, and the machine goes on
// when none of them is left.
using Lamina.Core.Time;
using Lamina.Life;
using Lamina.Saving;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Life;

public sealed class HoldTests : IAsyncDisposable
{
    private readonly MachineLife _life = new(noReboot: false, log: null);
    private readonly NoHardware _hardware = new();

    public HoldTests() => _life.Own(_hardware);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // The state, whether devices stand still, and whether time passes.
    private (MachineState, bool, bool) Now => (_life.State, _hardware.IsStill, _hardware.ClockRuns);

    private static (MachineState, bool, bool) Runs => (MachineState.Running, false, true);

    private static (MachineState, bool, bool) IsStill => (MachineState.Paused, true, false);

    public async ValueTask DisposeAsync() => await _life.DisposeAsync();

    [Fact]
    public async Task A_pause_stops_time_first_then_the_devices_and_a_resume_lets_devices_go_first()
    {
        await StartAsync();
        _hardware.Asked.Clear();

        await PauseAsync();
        Assert.Equal(IsStill, Now);
        await ResumeAsync();

        Assert.Equal(Runs, Now);
        Assert.Equal(["clock stands", "pause", "resume", "clock runs"], _hardware.Asked);
    }

    [Fact]
    public async Task A_pause_right_after_the_start_and_a_second_one_which_is_refused()
    {
        var start = _life.DoAsync(new MachineAction.Start(), Token);
        await PauseAsync();
        await start;

        var refused = await Assert.ThrowsAsync<MachineException>(PauseAsync);

        Assert.Equal("a machine that is paused cannot be paused", refused.Message);
        Assert.Equal(IsStill, Now);
        Assert.Single(_hardware.Asked, "pause");
        await ResumeAsync();
        Assert.Equal(Runs, Now);
    }

    [Fact]
    public async Task While_the_host_is_full_devices_go_on_and_what_waits_is_tried_again()
    {
        await StartAsync();

        await TellFullAsync(true);
        Assert.Equal((MachineState.Paused, false, false), Now);
        await TellFullAsync(false);

        Assert.Equal(Runs, Now);
        Assert.DoesNotContain("pause", _hardware.Asked);
    }

    [Fact]
    public async Task The_users_pause_stands_whether_the_host_is_full_or_not()
    {
        await StartAsync();
        await TellFullAsync(true);

        await PauseAsync();
        Assert.Equal(IsStill, Now);
        await TellFullAsync(true);
        Assert.Equal(IsStill, Now);
        await TellFullAsync(false);
        Assert.Equal(IsStill, Now);

        await ResumeAsync();
        Assert.Equal(Runs, Now);
    }

    [Fact]
    public async Task Who_resumes_a_machine_whose_host_is_full_has_it_go_on_until_that_is_found_again()
    {
        await StartAsync();
        await PauseAsync();
        await TellFullAsync(true);

        await ResumeAsync();
        Assert.Equal(Runs, Now);
        await TellFullAsync(true);
        Assert.Equal((MachineState.Paused, false, false), Now);
        await ResumeAsync();

        Assert.Equal(Runs, Now);
    }

    [Theory]
    [InlineData("user", "debugger", "user", "debugger")]
    [InlineData("user", "debugger", "debugger", "user")]
    [InlineData("debugger", "user", "user", "debugger")]
    [InlineData("debugger", "user", "debugger", "user")]
    public async Task The_users_pause_and_a_debuggers_stop_come_and_go_in_any_order(string first, string second, string firstGone, string secondGone)
    {
        await StartAsync();

        await HoldAsync(first);
        Assert.Equal((true, false), (_hardware.IsStill, _hardware.ClockRuns));
        await HoldAsync(second);
        Assert.Equal(IsStill, Now);
        await ReleaseAsync(firstGone);
        // Of the two the user alone is seen by programs.
        Assert.Equal((firstGone == "user" ? MachineState.Running : MachineState.Paused, true, false), Now);
        await ReleaseAsync(secondGone);

        Assert.Equal(Runs, Now);
        Assert.Single(_hardware.Asked, "pause");
    }

    [Fact]
    public async Task A_debugger_that_lets_a_machine_go_whose_host_is_full_lets_its_devices_try_again()
    {
        await StartAsync();
        await TellFullAsync(true);
        await HoldAsync("debugger");
        Assert.Equal(IsStill, Now);

        await ReleaseAsync("debugger");
        Assert.Equal((MachineState.Paused, false, false), Now);
        await TellFullAsync(false);

        Assert.Equal(Runs, Now);
    }

    [Fact]
    public async Task A_machine_that_is_reset_or_ended_while_it_is_paused_does_not_move()
    {
        await StartAsync();
        await PauseAsync();
        _hardware.Asked.Clear();

        await _life.DoAsync(new MachineAction.Reset(ResetCause.User), Token);
        Assert.Equal(IsStill, Now);
        await _life.DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped)), Token);

        Assert.Equal(["reset", "conclude", "dispose"], _hardware.Asked);
    }

    [Fact]
    public async Task What_the_guest_asks_for_comes_before_a_pause_that_has_not_begun_yet()
    {
        var pause = Task.CompletedTask;
        _hardware.Starting = () =>
        {
            pause = PauseAsync();
            ((IHardwareEvents)_life).Reset();
        };
        await StartAsync();
        await pause;

        Assert.Equal(IsStill, Now);
        Assert.Equal(["reset", "start", "reset"], _hardware.Asked.TakeWhile(what => what != "pause").Where(what => !what.StartsWith("clock", StringComparison.Ordinal)));
        await ResumeAsync();
        Assert.Equal(2, _hardware.Asked.Count(what => what == "reset"));
    }

    [Fact]
    public async Task A_reset_that_the_guest_asked_for_is_over_when_a_pause_is()
    {
        using var folder = new KernelFolder();
        Task? pause = null;
        Machine? made = null;
        await using var machine = made = Create(Spec(folder), new FakeEngine(vcpu => vcpu.Starts == 0 ? Do(
            _ =>
            {
                // The pause waits for its turn, and then for this vCPU, which asks for the reset meanwhile.
                pause = made!.PauseAsync();
                Reset(vcpu);
            })(vcpu) : Forever(vcpu)));
        var run = machine.RunAsync(Token);
        while (Volatile.Read(ref pause) is null) await Task.Yield();

        await pause!;

        Assert.Equal((MachineState.Paused, 1L), (machine.State, machine.Count("machine_resets")));
        await machine.StopAsync(Token);
        await run;
    }

    [Fact]
    public async Task A_guest_that_powered_off_as_it_was_paused_has_ended_when_the_pause_is_over()
    {
        using var folder = new KernelFolder();
        Task? pause = null;
        Machine? made = null;
        await using var machine = made = Create(Spec(folder), Do(vcpu =>
        {
            pause = made!.PauseAsync();
            PowerOff(vcpu);
        }));
        var run = machine.RunAsync(Token);
        while (Volatile.Read(ref pause) is null) await Task.Yield();

        await pause!;

        Assert.Equal(MachineState.Ended, machine.State);
        Assert.Equal(MachineEnd.PoweredOff, (await run).End);
    }

    [Fact]
    public async Task A_machine_stands_still_while_it_is_saved_and_goes_on_afterwards()
    {
        await StartAsync();
        var during = Now;
        _hardware.Saving = () => during = Now;

        await SaveAsync();

        Assert.Equal((true, false), (during.Item2, during.Item3));
        Assert.Equal(Runs, Now);
        Assert.Equal(["pause", "save there", "resume"], _hardware.Asked.Where(what => what is "pause" or "resume" or "save there"));
    }

    [Fact]
    public async Task A_paused_machine_that_is_saved_stays_paused()
    {
        await StartAsync();
        await PauseAsync();

        await SaveAsync();

        Assert.Equal(IsStill, Now);
        await ResumeAsync();
        Assert.Equal(Runs, Now);
    }

    [Fact]
    public async Task A_machine_that_cannot_be_saved_goes_on()
    {
        await StartAsync();
        _hardware.Saving = () => throw new MachineException(MachineError.File, "no space is left");

        var refused = await Assert.ThrowsAsync<MachineException>(SaveAsync);

        Assert.Equal((MachineError.File, "no space is left"), (refused.Error, refused.Message));
        Assert.Equal(Runs, Now);
        _hardware.Saving = () => throw new InvalidOperationException("a bug");
        await Assert.ThrowsAsync<InvalidOperationException>(SaveAsync);
        Assert.Equal(Runs, Now);
    }

    [Fact]
    public async Task A_machine_that_was_not_started_or_has_ended_cannot_be_saved()
    {
        Assert.Equal("a machine that is not started cannot be saved", (await Assert.ThrowsAsync<MachineException>(SaveAsync)).Message);
        await StartAsync();
        await _life.DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped)), Token);
        Assert.Equal("a machine that is ended cannot be saved", (await Assert.ThrowsAsync<MachineException>(SaveAsync)).Message);
    }

    [Fact]
    public async Task A_machine_that_was_saved_loads_its_state_at_rest_and_then_runs()
    {
        var saved = new SavedStart("there", new SavedMachine { Definition = new MachineDefinition(), CpuModel = "host", Clock = new SavedClock(0, 0, 1, default), Ranges = [], Units = [] });
        var life = new MachineLife(noReboot: false, log: null, saved);
        var hardware = new NoHardware();
        life.Own(hardware);

        await life.DoAsync(new MachineAction.Start(), Token);

        Assert.Equal(["pause", "load", "start", "resume", "clock runs"], hardware.Asked);
        await life.DoAsync(new MachineAction.Reset(ResetCause.User), Token);
        Assert.Contains("reset", hardware.Asked);
        await life.DisposeAsync();
    }

    private Task SaveAsync() => _life.DoAsync(new MachineAction.Save("there"));

    private Task StartAsync() => _life.DoAsync(new MachineAction.Start());

    private Task PauseAsync() => _life.DoAsync(new MachineAction.Pause());

    private Task ResumeAsync() => _life.DoAsync(new MachineAction.Resume());

    private async Task TellFullAsync(bool waits)
    {
        ((IHardwareEvents)_life).WaitForHost(waits);
        // What is asked for next comes after it.
        await Assert.ThrowsAsync<MachineException>(StartAsync);
    }

    private Task HoldAsync(string who) => who == "user" ? PauseAsync() : _life.DebugAsync(_ => null);

    private Task ReleaseAsync(string who) => who == "user" ? ResumeAsync() : _life.DebugAsync(_ => new DebugRun(new HashSet<int>(), Clock: true));
}
