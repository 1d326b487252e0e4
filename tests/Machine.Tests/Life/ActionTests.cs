// Actions: what they answer, what becomes of the machine where one fails, and how a wait for one is given up.
using Lamina.Control;
using Lamina.Life;
using Xunit;

namespace Lamina.Tests.Machines.Life;

public sealed class ActionTests : IAsyncDisposable
{
    private readonly MachineLife _life = new(noReboot: false, log: null);
    private readonly NoHardware _hardware = new();

    public ActionTests() => _life.Own(_hardware);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await _life.DisposeAsync();

    [Fact]
    public async Task Actions_answer()
    {
        await _life.StartAsync();

        Assert.True(await _life.DoAsync(new MachineAction.PowerButton(), Token));
        Assert.Equal(4096ul, await _life.DoAsync(new MachineAction.ResizeBalloon(8192), Token));
        var saved = await _life.DoAsync(new MachineAction.Save("there"), Token);
        Assert.Equal("there", saved.Folder);
        Assert.Equal("running", (await _life.DoAsync(new MachineAction.Inspect(), Token)).Find("life")!["state"]);
    }

    [Theory]
    [InlineData(typeof(IOException), typeof(MachineException))]
    [InlineData(typeof(MachineException), typeof(MachineException))]
    [InlineData(typeof(InvalidOperationException), typeof(InvalidOperationException))]
    public async Task A_save_that_fails_is_refused_and_the_machine_goes_on(Type failure, Type seen)
    {
        await _life.StartAsync();
        var watch = _life.Events.Watch(Token);
        const string full = "No space left on device";
        _hardware.Saving = () => throw (Exception)Activator.CreateInstance(failure, failure == typeof(MachineException) ? [MachineError.File, full, null] : [full])!;

        var refused = await Assert.ThrowsAnyAsync<Exception>(() => _life.DoAsync(new MachineAction.Save("there"), Token));

        Assert.Equal((seen, full), (refused.GetType(), refused.Message));
        Assert.Equal((MachineState.Running, Holds.None, false), (_life.State, _life.Holds, _hardware.IsStill));
        _hardware.Saving = () => { };
        await _life.DoAsync(new MachineAction.Save("there"), Token);
        await _life.DisposeAsync();
        var told = new List<string>();
        await foreach (var one in watch) told.Add(one.GetType().Name);
        Assert.Equal(["Paused", "Resumed", "Paused", "Resumed", "Saved", "Ended"], told);
    }

    [Fact]
    public async Task A_reset_that_fails_ends_the_machine_and_whoever_asked_is_told()
    {
        await _life.StartAsync();
        _hardware.Resetting = () => throw new IOException("the kernel's file is gone");

        var failed = await Assert.ThrowsAsync<MachineException>(() => _life.DoAsync(new MachineAction.Reset(ResetCause.User), Token));

        Assert.Equal("the kernel's file is gone", failed.Message);
        Assert.Equal(new MachineResult(MachineEnd.Failed, Message: "the kernel's file is gone"), await _life.Result);
    }

    [Fact]
    public async Task A_start_that_fails_is_told_by_the_result_alone()
    {
        _hardware.Starting = () => throw new IOException("the terminal is gone");

        await _life.StartAsync();

        Assert.Equal(new MachineResult(MachineEnd.Failed, Message: "the terminal is gone"), await _life.Result);
        await Assert.ThrowsAsync<MachineException>(_life.StartAsync);
    }

    // The guest asks for a reset while a user's action is carried out, which then carries that out, too: its failure is the machine's end
    // and not the user's.
    [Fact]
    public async Task A_guest_whose_own_reset_fails_does_not_take_the_users_action_with_it()
    {
        await _life.StartAsync();
        _hardware.Resetting = () => throw new IOException("the kernel's file is gone");
        _hardware.Saving = ((IHardwareEvents)_life).Reset;

        Assert.Equal("there", (await _life.DoAsync(new MachineAction.Save("there"), Token)).Folder);

        Assert.Equal(new MachineResult(MachineEnd.Failed, Message: "the kernel's file is gone"), await _life.Result);
        Assert.Equal("a machine that is ended cannot be paused", (await Assert.ThrowsAsync<MachineException>(() => _life.DoAsync(new MachineAction.Pause(), Token))).Message);
    }

    [Fact]
    public async Task A_wait_that_is_cancelled_ends_and_an_action_that_has_not_begun_is_not_begun()
    {
        await _life.StartAsync();
        using var begun = new ManualResetEvent(false);
        using var goesOn = new ManualResetEvent(false);
        _hardware.Saving = () =>
        {
            begun.Set();
            goesOn.WaitOne();
        };
        var save = _life.DoAsync(new MachineAction.Save("there"), Token);
        begun.WaitOne();
        using var cancelled = new CancellationTokenSource();
        var pause = _life.DoAsync(new MachineAction.Pause(), cancelled.Token);

        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pause);
        goesOn.Set();
        await save;
        await _life.DoAsync(new MachineAction.PowerButton(), Token);
        Assert.Equal((MachineState.Running, Holds.None), (_life.State, _life.Holds));
    }

    [Fact]
    public async Task A_part_that_there_is_not_is_named()
    {
        var refused = await Assert.ThrowsAsync<MachineException>(() => _life.DoAsync(new MachineAction.Inspect("devices/none"), Token));

        Assert.Equal("the machine has no part devices/none; without a name every part is told", refused.Message);
        Assert.Equal(MachineState.Created, _life.State);
    }
}
