// One virtual machine, as a program uses it: created from a definition, run once to its end, and meanwhile stopped, reset,
// paused, watched and typed to. Any number of machines live in one process; they share nothing.
// This is the public face; MachineLife carries the actions out, MachineBuilder puts the parts together.
using Lamina.Backends.Disk;
using Lamina.Boards;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Devices.Chipset.Ps2;
using Lamina.Doctor;
using Lamina.Life;
using Lamina.Migration;
using Lamina.Networks;
using Lamina.Saving;
using Lamina.Screens;

namespace Lamina;

/// <summary>A virtual machine.</summary>
public sealed class Machine : IAsyncDisposable
{
    // What a host is to have left beside a second copy of a guest's memory.
    private const ulong SpareMemory = 64 << 20;

    private static readonly TimeSpan UsualPace = TimeSpan.FromMilliseconds(10);

    // Longer than a system takes that has heard it to begin to end.
    private static readonly TimeSpan PressedAgain = TimeSpan.FromSeconds(3);

    private readonly MachineDefinition _definition;
    private readonly TimeProvider _time;
    private readonly Func<CancellationToken, Task<bool>>? _asksToPowerOff;
    private readonly BuiltMachine _built;
    private readonly MachineLife _life;
    private SavedStart? _waits;
    private int _disposed;

    private Machine(MachineDefinition definition, MachineHooks hooks, BuiltMachine built) =>
        (_definition, _time, _asksToPowerOff, _built, _life) = (definition, hooks.Time, hooks.AsksToPowerOff, built, built.Life);

    /// <summary>Checks a definition, opens and checks what it names, and builds the machine. Nothing runs yet.</summary>
    /// <param name="definition">What the machine is to be.</param>
    /// <param name="hooks">What the program connects it with; nothing by default.</param>
    /// <exception cref="MachineException">Something in the definition, in its files or on the host is not as it must be.</exception>
    public static Machine Create(MachineDefinition definition, MachineHooks? hooks = null)
    {
        return Create(definition, hooks ?? new MachineHooks(), new MachineServices());
    }

    /// <summary>Refuses a definition that no machine on this host can have, without opening or making anything that it names.</summary>
    /// <exception cref="MachineException">The first thing that is wrong.</exception>
    public static void Check(MachineDefinition definition) => MachineBuilder.Check(definition);

    /// <summary>Makes the images of disks that have a size and are not there (<see cref="DiskDevice.Size"/>), as <see cref="Create(MachineDefinition, MachineHooks?)"/> does; for programs that create the machine where it cannot reach their folders.</summary>
    /// <exception cref="MachineException">One cannot be made.</exception>
    public static void MakeDisks(MachineDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        try
        {
            foreach (var disk in definition.DevicesOf<DiskDevice>()) Disks.DiskBackends.Make(disk);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MachineException(MachineError.File, failure.Message, failure);
        }
    }

    /// <summary>Unpacks a Linux kernel that is to be loaded unpacked (<see cref="BootSource.SelfUnpack"/>), as <see cref="Create(MachineDefinition, MachineHooks?)"/> does; for programs that create the machine where it cannot keep the unpacked one.</summary>
    /// <exception cref="MachineException">The kernel's file cannot be read.</exception>
    public static void UnpackKernel(MachineDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        Boot.BootLoader.Unpack(definition.Boot);
    }

    /// <summary>The names of CPU models, as <see cref="MachineDefinition.Cpu"/> has them; switches may stand behind one.</summary>
    public static IReadOnlyList<string> CpuModelNames => Engines.CpuModels.Names;

    /// <summary>
    /// Builds a machine that goes on where one stood that was saved (<see cref="SaveAsync"/>). Nothing runs yet; what the guest was doing is
    /// read when the machine is run, which ends at once, with a sentence, where a part cannot take its state up.
    /// </summary>
    /// <param name="folder">The folder of the saved machine.</param>
    /// <param name="hooks">What the program connects it with; nothing by default.</param>
    /// <param name="change">
    /// Names what is elsewhere now: paths, ports, networks. What the guest sees of the machine must stay as it was. Null where all is
    /// where it was.
    /// </param>
    /// <exception cref="MachineException">The folder holds no saved machine, or something that it names is not as it must be.</exception>
    public static Machine Restore(string folder, MachineHooks? hooks = null, Func<MachineDefinition, MachineDefinition>? change = null) =>
        Restore(folder, hooks ?? new MachineHooks(), change, new MachineServices());

    /// <summary>What a saved machine is.</summary>
    /// <exception cref="MachineException">The folder holds no saved machine.</exception>
    public static MachineDefinition DefinitionOf(string folder) => SavedMachine.Read(folder).Definition;

    /// <summary>
    /// Builds a machine that waits to go on from another one of this host (<see cref="MachineAction.Fork"/>), which <see cref="TakeUp"/> gives it before it is run:
    /// all that can be done before is done then.
    /// </summary>
    /// <param name="description">What that one is (<see cref="DescribeAsync"/>).</param>
    /// <param name="hooks">What the program connects it with.</param>
    /// <param name="change">Names what is elsewhere for this one, as for <see cref="Restore(string, MachineHooks?, Func{MachineDefinition, MachineDefinition}?)"/>.</param>
    /// <exception cref="MachineException">Something that it names is not as it must be.</exception>
    public static Machine Wait(MachineForked description, MachineHooks hooks, Func<MachineDefinition, MachineDefinition> change)
    {
        ArgumentNullException.ThrowIfNull(description);
        ArgumentNullException.ThrowIfNull(hooks);
        ArgumentNullException.ThrowIfNull(change);
        return WaitFor(description.State, hooks, change).Machine;
    }

    /// <summary>Puts a machine that waited, went on, and is paused, to where another one stands by now: what it knows of the guest's code it keeps.</summary>
    /// <param name="to">That one, of the same machine as before; the caller's to dispose of afterwards.</param>
    /// <param name="goesOn">Whether it runs from there; else it stays paused.</param>
    /// <exception cref="MachineException">It is not paused, or that is another machine; where it cannot go on there, it has ended.</exception>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task RewindAsync(MachineForked to, bool goesOn, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(to);
        (_waits ?? throw new InvalidOperationException("the machine did not wait for another one")).Check(to);
        await _life.RewindAsync(to, goesOn).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Takes note of the memory that the guest of a machine that waited has written since it went on: what it writes first, it will write first the next time.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task NoteWorkingSetAsync(CancellationToken cancellationToken = default) => _life.NoteWorkingSetAsync().WaitAsync(cancellationToken);

    /// <summary>
    /// Which memory the guest of a machine that was saved has touched since it went on, as <see cref="MachineHooks.WorkingSet"/> takes it: to be asked soon, when the guest has done what is to
    /// be quick the next time.
    /// </summary>
    /// <returns>It; empty where the host does not tell, or the machine has ended.</returns>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task<ReadOnlyMemory<byte>> WorkingSetAsync(CancellationToken cancellationToken = default) => _life.WorkingSetAsync().WaitAsync(cancellationToken);

    /// <summary>Gives a machine that waits what it goes on from when it is run.</summary>
    /// <param name="from">It; the caller's to dispose of when the machine has taken it up (<see cref="MachineHooks.TakenUp"/>).</param>
    /// <exception cref="MachineException">It is of another machine than the one that was described.</exception>
    public void TakeUp(MachineForked from)
    {
        ArgumentNullException.ThrowIfNull(from);
        (_waits ?? throw new InvalidOperationException("the machine does not wait for another one")).TakeUp(from);
    }

    /// <summary>What another machine must be that is to go on from this one (<see cref="Wait"/>), whatever this one does meanwhile.</summary>
    /// <exception cref="MachineException">It has ended.</exception>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task<MachineForked> DescribeAsync(CancellationToken cancellationToken = default) => _life.DescribeAsync().WaitAsync(cancellationToken);

    internal static (Machine Machine, SavedStart Start) WaitFor(SavedMachine description, MachineHooks hooks, Func<MachineDefinition, MachineDefinition> change, GuestMemory? memory = null)
    {
        var (definition, start) = (change(description.Definition), new SavedStart(null, description, hooks.TakenUp) { Memory = memory });
        return (new Machine(definition, hooks, MachineBuilder.Build(definition, hooks, new MachineServices(), start)) { _waits = start }, start);
    }

    internal static Machine Restore(string folder, MachineHooks hooks, Func<MachineDefinition, MachineDefinition>? change, MachineServices services)
    {
        var saved = SavedMachine.Read(folder);
        var definition = change?.Invoke(saved.Definition) ?? saved.Definition;
        return new Machine(definition, hooks, MachineBuilder.Build(definition, hooks, services, new SavedStart(folder, saved, hooks.TakenUp)));
    }

    internal static Machine Create(MachineDefinition definition, MachineHooks hooks, MachineServices services)
    {
        ArgumentNullException.ThrowIfNull(definition);
        return new Machine(definition, hooks, MachineBuilder.Build(definition, hooks, services));
    }

    /// <summary>Which engine runs the guest, and why, on one line.</summary>
    public string EngineDescription => _built.EngineDescription;

    /// <summary>What is booted, and by which protocol, on one line.</summary>
    public string BootDescription => _built.BootDescription;

    /// <summary>What the machine is doing.</summary>
    public MachineState State => _life.State;

    /// <summary>The guest's first serial port.</summary>
    /// <exception cref="InvalidOperationException">The port does not lead to <see cref="ConsoleTarget.Memory"/>.</exception>
    public SerialConsole Serial => _built.Serial ?? throw new InvalidOperationException("the machine's serial port is not kept in memory; let it lead to ConsoleTarget.Memory");

    /// <summary>The guest's virtio console.</summary>
    /// <exception cref="InvalidOperationException">The console does not lead to <see cref="ConsoleTarget.Memory"/>.</exception>
    public SerialConsole Console => _built.Console ?? throw new InvalidOperationException("the machine's virtio console is not kept in memory; let it lead to ConsoleTarget.Memory");

    /// <summary>The guest's screen.</summary>
    /// <exception cref="MachineException">The machine has none: *pc* has one.</exception>
    public IScreen Screen => _built.Screen ?? throw new MachineException(MachineError.Definition, "the machine has no screen; one of the kind pc has (--machine pc)");

    /// <summary>Where the screen can be looked at over VNC: an address with the port that it has, or a path; null where it cannot.</summary>
    public string? Display => _built.Display?.Address;

    /// <summary>Where browsers find the screen by WebSocket: an address with the port that it has; null where they cannot.</summary>
    public string? DisplayWebSocket => _built.Display?.WebSocketAddress;

    /// <summary>Waits until the guest's screen shows a text.</summary>
    /// <param name="text">It, within a row; as it is spelled.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>All that is shown then.</returns>
    /// <exception cref="MachineException">There is no screen, or the machine has ended.</exception>
    public Task<ScreenText> WaitForScreenTextAsync(string text, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        return new ScreenWait(Screen, () => State == MachineState.Ended, _time).ForTextAsync(text, cancellationToken);
    }

    /// <summary>Waits until the guest's screen has stayed as it is for some time.</summary>
    /// <param name="length">How long.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">There is no screen, or the machine has ended.</exception>
    public Task WaitForStillScreenAsync(TimeSpan length, CancellationToken cancellationToken = default) => new ScreenWait(Screen, () => State == MachineState.Ended, _time).ForStillnessAsync(length, cancellationToken);

    /// <summary>The TCP port on which the debugger's server listens, or null where there is none.</summary>
    public int? GdbPort => _built.Debugger?.Port;

    /// <summary>The guest's memory balloon: how much it is to do without, what it says of its memory.</summary>
    /// <exception cref="InvalidOperationException">There is no <see cref="BalloonDevice"/>.</exception>
    public IMemoryBalloon Balloon => _built.Balloon ?? throw new InvalidOperationException("the machine has no memory balloon; add a BalloonDevice");

    /// <summary>Types at the guest's keyboard: each stroke goes down, and up, when the guest has read what came before. Behind those that others asked for.</summary>
    /// <param name="strokes">The strokes; <see cref="KeyboardLayout"/> has those that write a text.</param>
    /// <param name="pace">The machine's time between a stroke's down and its up, and up to the next one; a hundredth of a second by default.</param>
    /// <param name="cancellationToken">Ends the wait; what was asked for is typed all the same.</param>
    /// <exception cref="MachineException">The machine has no keyboard, or its guest does not read it.</exception>
    public async Task TypeAsync(IReadOnlyList<KeyStroke> strokes, TimeSpan? pace = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(strokes);
        var typist = Input("keyboard").Typist;
        foreach (var piece in strokes.Chunk(Typist.MostStrokes))
        {
            var typed = typist.TypeAsync(piece, pace ?? UsualPace) ?? throw new MachineException(MachineError.Busy, "so much is being typed at the machine's keyboard already that no more can wait; wait until it is read");
            if (!await typed.WaitAsync(cancellationToken).ConfigureAwait(false)) throw new MachineException(MachineError.State, "the guest does not read its keyboard, or began anew; what was left to type is dropped");
        }
    }

    /// <summary>Moves the guest's mouse.</summary>
    /// <param name="right">Steps to the right; negative to the left.</param>
    /// <param name="down">Steps downwards; negative upwards.</param>
    /// <param name="wheel">Clicks of the wheel towards the user; negative away.</param>
    /// <param name="buttons">The buttons that are down from now on.</param>
    /// <exception cref="MachineException">The machine has no mouse.</exception>
    public void MovePointer(int right, int down, int wheel, PointerButtons buttons) => Input("mouse").Pointer.Move(right, down, wheel, buttons);

    private BoardInput Input(string what) => _built.Input ?? throw new MachineException(MachineError.Definition, $"the machine has no {what}; one of the kind pc has");

    /// <summary>The published ports of the machine's networks, each with the address that it really has (port 0 picks one).</summary>
    public IReadOnlyList<PublishedPort> Published => NetworkBackends.Published(_built.Networks);

    /// <summary>The guest's RAM.</summary>
    internal GuestMemory Memory => _built.Memory;

    /// <summary>The disks that it writes and that can be copied meanwhile.</summary>
    internal IReadOnlyList<LayeredDisk> WrittenDisks => _built.WrittenDisks;

    /// <summary>The names of the parts, for tests of what is told of each.</summary>
    internal IReadOnlyList<string> Parts => _built.Parts;

    /// <summary>What every part of the machine counts; after the end, the last values. What the process takes is in <see cref="ProcessCounters"/>.</summary>
    public IReadOnlyList<Counter> Counters => _life.Counters;

    /// <summary>Why the machine stands still although it was started.</summary>
    public Holds Holds => _life.Holds;

    /// <summary>
    /// Runs the machine to its end, once. Cancelling it is the same as <see cref="StopAsync"/>: the result then says
    /// <see cref="MachineEnd.Stopped"/>. With <see cref="MachineDefinition.GdbPort"/> the guest waits for a debugger first.
    /// </summary>
    /// <exception cref="MachineException">It has run before, or ended before it could start.</exception>
    public async Task<MachineResult> RunAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) await StopAsync(CancellationToken.None).ConfigureAwait(false);
        else await _life.StartAsync().ConfigureAwait(false);
        await using var cancellation = cancellationToken.UnsafeRegister(static machine => _ = ((Machine)machine!).StopAsync(), this).ConfigureAwait(false);
        if (_definition.Timeout is not { } timeout) return await _life.Result.ConfigureAwait(false);

        using var ended = new CancellationTokenSource();
        var first = await Task.WhenAny(_life.Result, Task.Delay(timeout, _time, ended.Token)).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        if (first != _life.Result) await EndAsync(new MachineResult(MachineEnd.TimedOut, Message: $"the machine's time of {timeout.TotalSeconds:0.###} s is over")).ConfigureAwait(false);
        return await _life.Result.ConfigureAwait(false);
    }

    /// <summary>
    /// What happens to the machine from this call on, in order, up to its end, which is the last event. It never holds the machine up: a
    /// reader that does not keep up loses the oldest events and gets a <see cref="MachineEvent.Missed"/> that says how many. Each call is
    /// a reader of its own, which reads once.
    /// </summary>
    /// <param name="cancellationToken">Ends the watch.</param>
    public IAsyncEnumerable<MachineEvent> WatchAsync(CancellationToken cancellationToken = default) => _life.Events.Watch(cancellationToken);

    /// <summary>Does an action after those that were asked for before it.</summary>
    /// <param name="action">The action.</param>
    /// <param name="cancellationToken">Ends the wait. An action that has begun is carried out all the same; one that has not is not begun.</param>
    /// <exception cref="MachineException">It is not legal in the state that the machine has by then, or it failed; <see cref="MachineAction.Failure"/> says what became of the machine.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public Task DoAsync(MachineAction action, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(action);
        return _life.DoAsync(action, cancellationToken);
    }

    /// <summary>Does an action that has an answer, after those that were asked for before it.</summary>
    /// <param name="action">The action.</param>
    /// <param name="cancellationToken">Ends the wait. An action that has begun is carried out all the same; one that has not is not begun.</param>
    /// <returns>Its answer.</returns>
    /// <exception cref="MachineException">It is not legal in the state that the machine has by then, or it failed; <see cref="MachineAction.Failure"/> says what became of the machine.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public Task<TAnswer> DoAsync<TAnswer>(MachineAction<TAnswer> action, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(action);
        return _life.DoAsync(action, cancellationToken);
    }

    /// <summary>Looks inside: the state of every part, by the names of the machine's tree. Nothing changes by it.</summary>
    /// <param name="path">Which part ("devices/disk0"), with all below it; empty for the machine.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What was seen, as text (<see cref="InspectNode.ToString"/>), as JSON (<see cref="InspectNode.ToJson"/>), or value by value.</returns>
    /// <exception cref="MachineException">The machine has ended, or has no such part.</exception>
    public Task<InspectNode> InspectAsync(string path = "", CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        return _life.DoAsync(new MachineAction.Inspect(path), cancellationToken);
    }

    /// <summary>Powers the machine off now, as pulling the plug does. Does nothing where it has ended.</summary>
    /// <param name="cancellationToken">Ends the wait for it.</param>
    public Task StopAsync(CancellationToken cancellationToken = default) => EndAsync(new MachineResult(MachineEnd.Stopped), cancellationToken);

    /// <summary>Presses the power button: the guest is asked to shut down, and ends as <see cref="MachineEnd.PoweredOff"/> if it does.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether the guest listens to the button.</returns>
    /// <exception cref="MachineException">The machine is not running.</exception>
    public Task<bool> PressPowerButtonAsync(CancellationToken cancellationToken = default) => _life.DoAsync(new MachineAction.PowerButton(), cancellationToken);

    /// <summary>Asks the guest to power off by the power button, or as <see cref="MachineHooks.AsksToPowerOff"/> says, every three seconds and by both where it does not come to it, and pulls the plug where it does not listen or takes longer than <see cref="MachineDefinition.StopTimeout"/>. Does nothing where the machine has ended.</summary>
    /// <param name="asked">Told when the guest has been asked and listens; or null.</param>
    /// <param name="timeout">How long the guest may take; null for <see cref="MachineDefinition.StopTimeout"/>, zero: it is not asked.</param>
    /// <param name="cancellationToken">Pulls the plug at once.</param>
    public async Task ShutDownAsync(Action? asked = null, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        var patience = timeout ?? _definition.StopTimeout;
        _life.Hurry();
        if (patience > TimeSpan.Zero && await TryAskAsync(cancellationToken).ConfigureAwait(false))
        {
            asked?.Invoke();
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var insists = InsistAsync(ended.Token);
            var first = await Task.WhenAny(_life.Result, Task.Delay(patience, _time, ended.Token)).ConfigureAwait(false);
            await ended.CancelAsync().ConfigureAwait(false);
            await insists.ConfigureAwait(false);
            if (first == _life.Result) return;
        }
        await StopAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Starts the guest again from its boot files.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The machine is not running or paused.</exception>
    public Task ResetAsync(CancellationToken cancellationToken = default) => _life.DoAsync(new MachineAction.Reset(ResetCause.User), cancellationToken);

    /// <summary>Stops the guest between two instructions; its clocks stand still.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The machine is not running.</exception>
    public Task PauseAsync(CancellationToken cancellationToken = default) => _life.DoAsync(new MachineAction.Pause(), cancellationToken);

    /// <summary>Lets a paused guest go on.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The machine is not paused.</exception>
    public Task ResumeAsync(CancellationToken cancellationToken = default) => _life.DoAsync(new MachineAction.Resume(), cancellationToken);

    /// <summary>
    /// Writes the machine down, from which <see cref="Restore(string, MachineHooks?, Func{MachineDefinition, MachineDefinition}?)"/> makes one that
    /// goes on there. The guest stands still for a moment and goes on while its memory is written, unless it is paused. Its disks and shared folders are
    /// not copied: whoever goes on with the saved machine gives it those of that moment.
    /// </summary>
    /// <param name="folder">A folder that is not there yet.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Where it was saved, and for how long it stood still.</returns>
    /// <exception cref="MachineException">The machine is not running or paused, or something keeps it from being saved; it goes on.</exception>
    public async Task<MachineSaved> SaveAsync(string folder, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var saved = await _life.DoAsync(new MachineAction.Save(folder), cancellationToken).ConfigureAwait(false);
        await saved.Written.WaitAsync(cancellationToken).ConfigureAwait(false);
        return saved;
    }

    /// <summary>Writes the machine down as <see cref="SaveAsync"/> does, and ends it there as <see cref="MachineEnd.Suspended"/>: nothing of it runs between.</summary>
    /// <param name="folder">A folder that is not there yet.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Where it was saved, and for how long it stood still for that.</returns>
    /// <exception cref="MachineException">The machine is not running or paused, or something keeps it from being saved; it goes on.</exception>
    public Task<MachineSaved> SuspendAsync(string folder, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        return _life.DoAsync(new MachineAction.Suspend(folder), cancellationToken);
    }

    /// <summary>
    /// Sends the machine to another process or host, where a <see cref="MachineArrival"/> takes it in, with its memory and the disks that it writes, while the guest runs
    /// but for a moment. NBD exports stay where they are: the other side reaches them as this one does. When this returns it has ended here as <see cref="MachineEnd.Migrated"/>; where it throws it goes on here. Other hosts should be reached by a link
    /// that is encrypted and of which both ends know who the other is.
    /// </summary>
    /// <param name="peer">Leads to there; the caller's to close.</param>
    /// <param name="options">How it goes.</param>
    /// <param name="cancellationToken">Keeps the machine here, as long as it is not given.</param>
    /// <exception cref="MachineException">It cannot go, the other side cannot take it, or the guest writes faster than the link carries.</exception>
    /// <exception cref="IOException">The link or the host fails.</exception>
    public async Task<MigrationOutcome> MigrateAsync(Stream peer, MigrationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(peer);
        _life.RequireWhole();
        foreach (var disk in _definition.Complete().DevicesOf<DiskDevice>())
            if (!disk.ReadOnly && (disk.Temporary || !(disk.IsRemote || _built.Moves(disk.Name)))) throw new MachineException($"the machine writes its disk {disk.Name}, which is no qcow2 image of its own and stays on this host");
        using var source = new MigrationSource(_life, Memory, WrittenDisks, peer, options ?? new MigrationOptions());
        return await source.RunAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Hands the machine to another process of this host, whose <see cref="MachineArrival"/> takes the memory in and, when all is closed here, opens the disks and whatever else it had open. When this returns it has ended
    /// here; where it throws before it was closed it goes on here.
    /// </summary>
    /// <param name="peer">Leads to there; the caller's to close.</param>
    /// <param name="options">How it goes.</param>
    /// <param name="cancellationToken">Keeps the machine here, as long as it does not stand still.</param>
    /// <returns>What became of it.</returns>
    /// <exception cref="MachineException">It cannot go, the other side cannot take it, or the guest writes faster than the link carries.</exception>
    /// <exception cref="IOException">The link or the host fails.</exception>
    public async Task<HandOverOutcome> HandOverAsync(Stream peer, HandOverOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(peer);
        ArgumentNullException.ThrowIfNull(options);
        _life.RequireWhole();
        if (HostMemory.Free(HostFacts.ReadFile) is { } free && Memory.Resident + SpareMemory > free)
            throw new MachineException(MachineError.Host, $"the host has {ByteSize.Format(free)} of memory left, and for a moment the machine's is there twice, which takes up to {ByteSize.Format(Memory.Resident)}; end something, or have the guest do without some of its memory");
        using var source = new MigrationSource(_life, Memory, [], peer, new MigrationOptions { Downtime = options.Downtime });
        return await source.HandOverAsync(options, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends it, which cannot go on.</summary>
    internal void Fail(string sentence) => ((Life.IHardwareEvents)_life).Fail(sentence);

    internal void HoldArriving() => _life.HoldArriving();

    internal Task ArriveAsync(SavedClock from, bool isPaused) => _life.ArriveAsync(from, isPaused);

    /// <summary>Ends the machine, if it has not ended, and gives back all it holds.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _life.DisposeAsync().ConfigureAwait(false);
        if (_built.Debugger is { } debugger) await debugger.Closed.ConfigureAwait(false);
    }

    private async Task<bool> TryAskAsync(CancellationToken cancellationToken) =>
        await TryPressAsync().ConfigureAwait(false) || await TryAskOtherwiseAsync(cancellationToken).ConfigureAwait(false);

    private async Task<bool> TryAskOtherwiseAsync(CancellationToken cancellationToken)
    {
        try
        {
            return _asksToPowerOff is not null && await _asksToPowerOff(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception refused) when (refused is MachineException or IOException)
        {
            return false;
        }
    }

    // A kernel hears the button long before a program of its system waits for it: a guest that is starting lets it pass. It is pressed again
    // until the guest is off or its time is over, and who else can ask is told to.
    private async Task InsistAsync(CancellationToken cancellationToken)
    {
        var isAsked = false;
        try
        {
            while (true)
            {
                await Task.Delay(PressedAgain, _time, cancellationToken).ConfigureAwait(false);
                isAsked = isAsked || await TryAskOtherwiseAsync(cancellationToken).ConfigureAwait(false);
                _ = await TryPressAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    // False as well where the machine does not run.
    private async Task<bool> TryPressAsync()
    {
        try
        {
            return await PressPowerButtonAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (MachineException)
        {
            return false;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    private async Task EndAsync(MachineResult result, CancellationToken cancellationToken = default)
    {
        try
        {
            await _life.DoAsync(new MachineAction.End(result), cancellationToken).ConfigureAwait(false);
        }
        catch (MachineException) when (_life.State == MachineState.Ended)
        {
            // It ended by itself first; that result stands.
        }
        catch (ObjectDisposedException)
        {
        }
    }
}
