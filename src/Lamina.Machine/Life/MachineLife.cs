// The life of a machine: one queue of actions, carried out one after another, and explicit states. Everything that
// happens to a machine comes through here: the user's actions, the guest's requests, vCPU exits, the debugger's wishes.
// vCPUs run exactly while the machine was started and nothing holds it; devices run then, too, and stand still otherwise.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Lamina.Control;
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Host;
using Lamina.Saving;

namespace Lamina.Life;

/// <summary>What a vCPU's debug exit is told to.</summary>
internal interface IDebugExits
{
    /// <summary>A vCPU reached a breakpoint or finished a step; it is held. On the vCPU's thread.</summary>
    void Stopped(int vcpu);
}

/// <summary>What a debugger lets happen until it asks again.</summary>
/// <param name="Vcpus">The vCPUs that run.</param>
/// <param name="Clock">Whether the guest's time goes on. While it stands, no timer interrupts a step.</param>
internal sealed record DebugRun(IReadOnlySet<int> Vcpus, bool Clock);

/// <summary>Carries out the actions on one machine.</summary>
internal sealed partial class MachineLife : IHardwareEvents
{
    private readonly record struct Work(Func<Task<object?>> Run, TaskCompletionSource<object?> Done, CancellationToken Cancelled);

    // What the guest or its hardware asked for and is not done yet.
    private readonly ConcurrentQueue<MachineAction> _asked = [];
    private readonly Channel<Work> _queue = Channel.CreateUnbounded<Work>(new UnboundedChannelOptions { SingleReader = true });
    private readonly TaskCompletionSource<MachineResult> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly bool _noReboot;
    private readonly ILog? _log;
    private readonly SavedStart? _saved;
    private readonly Task _loop;
    private IHardware? _hardware;
    private VcpuThread[] _threads = [];
    private volatile MachineState _state;
    private volatile bool _isHurried;
    private int _holds;
    private Holds _toldHolds;
    private DebugRun? _debuggerLets;
    private bool _clockRuns, _isStill;
    private readonly Lock _countersGate = new();
    private IReadOnlyList<Counter>? _lastCounters;
    private long _resets;

    /// <param name="noReboot">Whether the end of the guest's run is the machine's.</param>
    /// <param name="log">Gets a line for what happens, or null.</param>
    /// <param name="saved">Where the machine goes on when it is started; null for its boot files.</param>
    /// <param name="events">Who is told of what happens; one of its own where nothing is said.</param>
    internal MachineLife(bool noReboot, ILog? log, SavedStart? saved = null, EventSource? events = null)
    {
        (_noReboot, _log, _saved) = (noReboot, log, saved);
        Events = events ?? new EventSource(TimeProvider.System);
        _loop = LoopAsync();
    }

    /// <summary>The state after the last finished action.</summary>
    internal MachineState State => _state;

    /// <summary>Who is told of what happens.</summary>
    internal EventSource Events { get; }

    /// <summary>Why it stands still.</summary>
    internal Holds Holds => (Holds)Volatile.Read(ref _holds);

    /// <summary>How the machine ended; completes when it has.</summary>
    internal Task<MachineResult> Result => _result.Task;

    /// <summary>Whether somebody asked for the end and waits for it, so that readers of consoles that stand still are not waited for as long as otherwise.</summary>
    internal bool IsHurried => _isHurried;

    /// <summary>Who is told of debug exits; set before the start.</summary>
    internal IDebugExits? Debugger { get; set; }

    /// <summary>What keeps the vCPUs to their share of the host's processors; set before the start, or null.</summary>
    internal CpuShare? Share { get; set; }

    /// <summary>What the hardware counts and how often the guest was started again; the last values after the end.</summary>
    internal IReadOnlyList<Counter> Counters
    {
        get
        {
            // The gate keeps the hardware from being taken down while it is asked.
            lock (_countersGate)
                return [new Counter("machine_resets", Interlocked.Read(ref _resets), CounterKind.Counter, CounterUnit.Count, "how often the guest was started again"), .. _lastCounters ?? _hardware!.Counters];
        }
    }

    /// <summary>What another machine must be that is to go on from this one.</summary>
    internal async Task<MachineForked> DescribeAsync() => (MachineForked)(await EnqueueAsync(() => _state == MachineState.Ended
        ? throw new MachineException(MachineError.State, "the machine has ended")
        : Task.FromResult<object?>(_hardware!.Describe()), CancellationToken.None).ConfigureAwait(false))!;

    /// <inheritdoc/>
    public async Task<SavedMachine> DescribeStateAsync() => (SavedMachine)(await EnqueueAsync(() => _state == MachineState.Ended
        ? throw new MachineException(MachineError.State, "the machine has ended")
        : Task.FromResult<object?>(_hardware!.DescribeState()), CancellationToken.None).ConfigureAwait(false))!;

    /// <summary>Takes the hardware over. Called once, before any action; the life disposes it.</summary>
    internal void Own(IHardware hardware) => _hardware = hardware;

    /// <summary>Does an action after those that were asked for before it.</summary>
    /// <param name="action">The action.</param>
    /// <param name="cancellationToken">Ends the wait. An action that has begun is carried out all the same, one that has not is not begun.</param>
    /// <exception cref="MachineException">It is not legal in the state that the machine has by then, or it failed.</exception>
    internal Task DoAsync(MachineAction action, CancellationToken cancellationToken = default)
    {
        if (action is MachineAction.End) Hurry();
        return EnqueueAsync(() => CarryOutAsync(action), cancellationToken);
    }

    /// <inheritdoc cref="DoAsync(MachineAction, CancellationToken)"/>
    /// <returns>The action's answer.</returns>
    internal async Task<TAnswer> DoAsync<TAnswer>(MachineAction<TAnswer> action, CancellationToken cancellationToken = default) =>
        (TAnswer)(await EnqueueAsync(() => CarryOutAsync(action), cancellationToken).ConfigureAwait(false))!;

    /// <summary>Starts the machine. Where that fails it has ended, and <see cref="Result"/> says why.</summary>
    /// <exception cref="MachineException">It has been started before, or has ended.</exception>
    internal Task StartAsync() => EnqueueAsync(async () =>
    {
        var start = new MachineAction.Start();
        Require(start);
        try
        {
            await CarryOutAsync(start).ConfigureAwait(false);
        }
        catch (Exception) when (_state == MachineState.Ended)
        {
            // Told by the result.
        }
        return null;
    }, CancellationToken.None);

    /// <summary>Says that somebody asks for the end and waits for it. At once, also while an end waits for readers.</summary>
    internal void Hurry() => _isHurried = true;

    /// <summary>Keeps the vCPUs from running until a debugger lets them. Called before the start.</summary>
    internal void HoldForDebugger() => Hold(Holds.Debugger);

    /// <summary>
    /// For a debugger: parks all vCPUs, then runs a function. It returns what happens from then on; null keeps all parked.
    /// Does nothing where the machine has ended.
    /// </summary>
    internal Task DebugAsync(Func<IReadOnlyList<IVcpu>, DebugRun?> whileParked) => Enqueue(async () =>
    {
        if (_state == MachineState.Ended) return;
        Hold(Holds.Debugger);
        await ApplyAsync().ConfigureAwait(false);
        if (_state == MachineState.Ended) return;
        _debuggerLets = whileParked(_hardware!.Vcpus);
        if (_debuggerLets is not null) Release(Holds.Debugger);
        await ApplyAsync().ConfigureAwait(false);
    });

    /// <summary>Ends the machine, if it has not ended, and gives everything back. The queue takes nothing afterwards.</summary>
    internal async Task DisposeAsync()
    {
        _ = DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped)));
        _queue.Writer.TryComplete();
        await _loop.ConfigureAwait(false);
        await AllWrittenAsync().ConfigureAwait(false);
    }

    void IHardwareEvents.PowerOff() => Raise(new MachineAction.End(new MachineResult(MachineEnd.PoweredOff)));

    void IHardwareEvents.Reset() => Raise(new MachineAction.Reset(ResetCause.Guest));

    void IHardwareEvents.Panic(string message)
    {
        Tell(new MachineEvent.GuestPanicked(message));
        Raise(new MachineAction.End(new MachineResult(MachineEnd.GuestPanic, Message: message)));
    }

    void IHardwareEvents.Fail(string message) => Raise(new MachineAction.End(new MachineResult(MachineEnd.Failed, Message: message)));

    void IHardwareEvents.DebugExit(int code) => Raise(new MachineAction.End(new MachineResult(MachineEnd.DebugExit, code)));

    void IHardwareEvents.DiskFull(string path, bool full) => Tell(full ? new MachineEvent.DiskFull(path) : new MachineEvent.DiskGoesOn(path));

    void IHardwareEvents.WaitForHost(bool waits) => _ = Enqueue(async () =>
    {
        if (_state is not (MachineState.Running or MachineState.Paused)) return;
        if (waits) Hold(Holds.HostFull);
        else Release(Holds.HostFull);
        await ApplyAsync().ConfigureAwait(false);
    });

    // What the guest asked for takes effect at once: its vCPUs run no further while the action waits for its turn. Said before they
    // are held, so that who lets them run sees it, or they are held after that.
    private void Raise(MachineAction action)
    {
        _asked.Enqueue(action);
        HoldVcpus();
        _ = Enqueue(CarryOutAskedAsync);
    }

    private void HoldVcpus()
    {
        foreach (var thread in Volatile.Read(ref _threads)) thread.Hold();
    }

    // One wish may make another one void, as an end does with all that follow.
    private async Task CarryOutAskedAsync()
    {
        while (_asked.TryDequeue(out var action))
        {
            if (!action.IsLegalIn(_state)) continue;
            try
            {
                await CarryOutAsync(action).ConfigureAwait(false);
            }
            catch (Exception) when (_state == MachineState.Ended)
            {
                // Nobody waits for it, and the machine's result says why it ended.
            }
        }
    }

    private void VcpuExited(VcpuThread thread, VcpuExit exit, string? failure)
    {
        switch (exit)
        {
            case VcpuExit.TripleFault:
                Raise(new MachineAction.Reset(ResetCause.TripleFault));
                break;
            case VcpuExit.Debug when Debugger is { } debugger:
                Hold(Holds.Debugger);
                debugger.Stopped(thread.Vcpu.Index);
                break;
            default:
                Raise(new MachineAction.End(new MachineResult(MachineEnd.Failed, Message: failure ?? $"the engine stopped vCPU {thread.Vcpu.Index} without saying why")));
                break;
        }
    }

    private Task Enqueue(Func<Task> run) => EnqueueAsync(async () =>
    {
        await run().ConfigureAwait(false);
        return null;
    }, CancellationToken.None);

    private Task<object?> EnqueueAsync(Func<Task<object?>> run, CancellationToken cancellationToken)
    {
        var done = new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_queue.Writer.TryWrite(new Work(run, done, cancellationToken))) done.SetException(new ObjectDisposedException("Machine"));
        // An action that nobody waits for may fail; its failure is not an unobserved one.
        _ = done.Task.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return cancellationToken.CanBeCanceled ? done.Task.WaitAsync(cancellationToken) : done.Task;
    }

    private async Task LoopAsync()
    {
        await foreach (var work in _queue.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            if (work.Cancelled.IsCancellationRequested)
            {
                work.Done.SetCanceled(work.Cancelled);
                continue;
            }
            try
            {
                work.Done.SetResult(await work.Run().ConfigureAwait(false));
            }
            catch (Exception e)
            {
                work.Done.SetException(e);
            }
        }
    }

    private void Require(MachineAction action)
    {
        if (!action.IsLegalIn(_state) || (action is MachineAction.Pause && Holds.HasFlag(Holds.User))) throw new MachineException(MachineError.State, $"a machine that is {Text(_state)} cannot be {action.Verb}");
    }

    // Whatever comes of it, the machine is brought to what its holds ask for afterwards. Where that fails it is half-way between two
    // states, and ends, as it does where the action itself leaves it there.
    private async Task<object?> CarryOutAsync(MachineAction action)
    {
        Require(action);
        object? answer = null;
        ExceptionDispatchInfo? failure = null;
        try
        {
            answer = await PerformAsync(action).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e is IOException ? new MachineException(e is HostException ? MachineError.Host : MachineError.File, e.Message, e) : e);
        }
        if (_state == MachineState.Ended)
        {
            failure?.Throw();
            return answer;
        }
        try
        {
            if (action.Failure == FailurePolicy.EndMachine) failure?.Throw();
            await ApplyAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (_state != MachineState.Ended)
        {
            var message = e is MachineException or IOException ? e.Message : $"an internal error stopped the machine ({e.GetType().Name}: {e.Message})";
            await EndAsync(new MachineResult(MachineEnd.Failed, Message: message)).ConfigureAwait(false);
            throw;
        }
        failure?.Throw();
        return answer;
    }

    private async Task<object?> PerformAsync(MachineAction action)
    {
        switch (action)
        {
            case MachineAction.Start:
                Start();
                break;
            case MachineAction.Pause:
                Hold(Holds.User);
                break;
            case MachineAction.Resume:
                // Whoever lets it go on knows of a full disk; it holds the machine again where that has not changed.
                Release(Holds.User | Holds.HostFull);
                break;
            case MachineAction.Reset reset:
                await ResetAsync(reset.Cause).ConfigureAwait(false);
                break;
            case MachineAction.Save save:
                return await SaveAsync(save.Folder, goesOn: true, [], null).ConfigureAwait(false);
            case MachineAction.Snapshot snapshot:
                return await SaveAsync(snapshot.Folder, goesOn: true, snapshot.Layers, snapshot.Commit).ConfigureAwait(false);
            case MachineAction.Fork fork:
                return await ForkAsync(fork.Layers, fork.Commit).ConfigureAwait(false);
            case MachineAction.Suspend suspend:
                var kept = await SaveAsync(suspend.Folder, goesOn: false, [], null).ConfigureAwait(false);
                await EndAsync(new MachineResult(MachineEnd.Suspended)).ConfigureAwait(false);
                return kept;
            case MachineAction.PowerButton:
                var listens = _hardware!.PressPowerButton();
                Tell(new MachineEvent.PowerButtonPressed(listens));
                return listens;
            case MachineAction.Inspect inspect:
                return await InspectAsync(inspect.Path).ConfigureAwait(false);
            case MachineAction.ResizeBalloon resize:
                return _hardware!.ResizeBalloon(resize.Bytes);
            case MachineAction.Publish publish:
                _hardware!.Publish(publish.Device, publish.Ports);
                break;
            case MachineAction.Plug plug:
                _hardware!.Plug(plug.Device, plug.Plugged);
                break;
            case MachineAction.ChangeDisc change:
                _hardware!.ChangeDisc(change.Device, change.Path, change.File);
                break;
            case MachineAction.SetRate rate:
                _hardware!.SetRate(rate.Device, rate.Limit);
                break;
            case MachineAction.SetCpuLimit share:
                Share?.Set(share.Limit);
                break;
            case MachineAction.End end:
                await EndAsync(end.Result).ConfigureAwait(false);
                break;
        }
        return null;
    }

    // vCPUs stand for as long as it takes to read their registers, and time goes on; what else there is to see is looked at while they run.
    private async Task<InspectNode> InspectAsync(string path)
    {
        var look = _hardware!.Inspect(path);
        if (look.NeedsParked)
        {
            await ParkAsync().ConfigureAwait(false);
            look.LookParked();
            await ApplyAsync().ConfigureAwait(false);
            if (_state == MachineState.Ended) throw new MachineException(MachineError.State, "the machine ended before it could be looked at");
        }
        look.Look();
        if (path.Trim('/').Length == 0) SayLife(look.Root);
        return look.Root.Find(path) ?? throw new MachineException(MachineError.Definition, $"the machine has no part {path}; without a name every part is told");
    }

    private void SayLife(InspectNode root)
    {
        var life = root.Below("life", "what the machine is doing");
        life.Say("state", Text(_state));
        if (Holds != Holds.None) life.Say("holds", Holds);
        life.Say("resets", Interlocked.Read(ref _resets));
    }

    private void Start()
    {
        if (_saved is { } saved)
        {
            SetStill(true);
            _hardware!.Load(saved);
            saved.TakenUp?.Invoke();
        }
        else
        {
            _hardware!.Reset();
        }
        _hardware.Start();
        Volatile.Write(ref _threads, [.. _hardware.Vcpus.Select(v => new VcpuThread(v, VcpuExited, Share))]);
        _state = MachineState.Running;
        Tell(new MachineEvent.Started());
    }

    private async Task ResetAsync(ResetCause cause)
    {
        if (_noReboot && cause != ResetCause.User)
        {
            await EndAsync(cause == ResetCause.Guest
                ? new MachineResult(MachineEnd.Reset)
                : new MachineResult(MachineEnd.TripleFault, Message: "the guest's CPU gave up (triple fault)")).ConfigureAwait(false);
            return;
        }
        await ParkAsync().ConfigureAwait(false);
        _hardware!.Reset();
        Interlocked.Increment(ref _resets);
        Tell(new MachineEvent.WasReset(cause));
    }

    private async Task EndAsync(MachineResult result)
    {
        try
        {
            await CloseAsync().ConfigureAwait(false);
        }
        finally
        {
            Conclude(result);
        }
    }

    private async Task CloseAsync()
    {
        await Task.WhenAll(_threads.Select(t => t.QuitAsync())).ConfigureAwait(false);
        if (_hardware is not { } hardware) return;
        using (hardware)
        {
            hardware.Conclude();
            lock (_countersGate) _lastCounters = hardware.Counters;
        }
    }

    private void Conclude(MachineResult result)
    {
        _state = MachineState.Ended;
        _result.TrySetResult(result);
        Tell(new MachineEvent.Ended(result));
    }

    private void Tell(MachineEvent what)
    {
        Events.Tell(what);
        if (_log is not null && EventLine.Of(what) is { } line) _log.Write(line.Level, line.What, line.Message);
    }

    private void Hold(Holds why) => Interlocked.Or(ref _holds, (int)why);

    private void Release(Holds why) => Interlocked.And(ref _holds, (int)~why);

    // Brings the vCPUs, the devices and the clock to what the holds ask for.
    private async Task ApplyAsync()
    {
        Holds holds;
        bool run;
        while (true)
        {
            holds = Holds;
            run = _state != MachineState.Created && holds == Holds.None;
            if (!run) await ParkAsync().ConfigureAwait(false);
            // What the guest asked for before it was parked comes before it stands still, and before it runs any further.
            if (_asked.IsEmpty) break;
            await CarryOutAskedAsync().ConfigureAwait(false);
            if (_state == MachineState.Ended) return;
        }
        TellHolds(holds);
        if (_state != MachineState.Created) _state = (holds & ~(Holds.Debugger | Holds.Saving)) == Holds.None ? MachineState.Running : MachineState.Paused;
        var clock = run && _debuggerLets is not { Clock: false };
        if (!clock) SetClock(false);
        SetStill(!run && (holds & ~Holds.HostFull) != Holds.None);
        if (!run) return;
        if (clock) SetClock(true);
        foreach (var thread in _threads)
            if (_debuggerLets is not { } lets || lets.Vcpus.Contains(thread.Vcpu.Index)) thread.Release();
        if (!_asked.IsEmpty) HoldVcpus();
    }

    private void TellHolds(Holds holds)
    {
        if (_state == MachineState.Created || holds == _toldHolds) return;
        _toldHolds = holds;
        Tell(holds == Holds.None ? new MachineEvent.Resumed() : new MachineEvent.Paused(holds));
    }

    private void SetClock(bool runs)
    {
        if (_clockRuns != runs) _hardware!.SetClockRunning(_clockRuns = runs);
    }

    private void SetStill(bool still)
    {
        if (_isStill == still) return;
        _isStill = still;
        if (still) _hardware!.Pause();
        else _hardware!.Resume();
    }

    private Task ParkAsync() => Task.WhenAll(_threads.Select(t => t.ParkAsync()));

    private static string Text(MachineState state) => state switch
    {
        MachineState.Created => "not started",
        MachineState.Running => "running",
        MachineState.Paused => "paused",
        _ => "ended",
    };
}
