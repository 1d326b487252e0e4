// "lamina run": words → MachineDefinition → Machine → exit code. How the machine is attached to the terminal is the library's
// work; what is booted is RunSource's.
using System.CommandLine;
using Lamina.Choice;
using Lamina.Cli.Output;
using Lamina.Cli.TextScreens;
using Lamina.Control;
using Lamina.Core.Input;
using Lamina.Hypervisor.Locking;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "run".</summary>
internal static class RunVerb
{
    private static HelpSection[] Sections() =>
    [
        new("In the terminal", [("Ctrl-A X", "end the machine"), ("Ctrl-A H", "help"), ("Ctrl-A Ctrl-A", "send Ctrl-A to the guest")]),
        .. DeviceSections(),
        new("Exit codes",
        [
            ("0", "the guest powered off, or was reset with --no-reboot"),
            ("1", "the host lacks or refuses something"),
            ("2", "the command line or a file it names cannot be used"),
            ("10", "the guest's kernel panicked"),
            ("11", "the guest's CPU triple-faulted, with --no-reboot"),
            ("70", "internal error"),
            ("124", "--timeout passed"),
            ("129, 130, 143", "ended by SIGHUP, by the user, by SIGTERM, and the guest did not power off when asked"),
            ("(v << 1) | 1", "the guest wrote v to the port of --debug-exit"),
        ]),
        new("Examples",
        [
            ("lamina run", "a shell in a small guest"),
            ("lamina run --memory 1G --timeout 5m", "more memory, for five minutes at most"),
            ("lamina run debian --publish 2222:22 --ssh-key ~/.ssh/id_ed25519.pub", ""),
            ("lamina run --rm tiny -- uname -a", "a command in a machine that is gone with it"),
            ("lamina run --rm --copy-in src:/root tiny -- sh -c 'cd src && ./build'", ""),
            ("lamina run --disk work.qcow2 --disk base.img,ro", "two disks"),
            ("lamina run --kernel bzImage --initrd initrd.cpio --cmdline \"console=ttyS0 quiet\"", ""),
            ("lamina run --kernel bzImage --root / --cmdline \"console=ttyS0 init=/bin/sh\"", "your own files, as far as you may read and write them"),
            ("lamina run --machine pc --floppy dos.img --display text", "a PC's screen and keyboard"),
            ("lamina run --kernel kernel.elf --debug-exit 0xf4 --no-reboot --timeout 30s", ""),
        ]),
    ];

    /// <summary>What is said of the options of devices.</summary>
    internal static HelpSection[] DeviceSections() =>
    [
        new("Options of --serial", Options(SerialDevice.Shape, "to")),
        new("Options of --disk", Options(DiskDevice.Shape, "path")),
        new("Options of --cdrom", Options(CdromDevice.Shape, "path")),
        new("Options of --floppy", Options(FloppyDevice.Shape, "path")),
        new("Options of --net", Options(NetworkDevice.Shape, "link")),
    ];

    // What stands first is told beside the option itself.
    private static (string, string)[] Options<T>(Shape<T> shape, string first) =>
        [.. shape.Properties.Where(property => property.Name != first && !property.IsShort).DistinctBy(property => property.Name).Select(property => (property.Usage, property.Meaning))];

    /// <summary>Builds the command.</summary>
    /// <param name="guests">The words of a command for the guest.</param>
    public static Command Create(string[] guests)
    {
        var verb = new Verb("run", "Boots a machine on this terminal and ends with it.") { Sections = Sections };
        var options = new RunOptions { Command = guests, IsOnTerminal = true };
        options.AddTo(verb);
        verb.SetAction(parsed => Run(parsed, options));
        return verb;
    }

    private static int Run(ParseResult parsed, RunOptions options)
    {
        // All that the words say is checked before anything is fetched, opened or made.
        using var throwAway = ThrowAwayRun.Read(parsed, options);
        var said = WithRun(parsed, options, options.Apply(parsed, new MachineDefinition()));
        Machine.Check(said);
        TerminalLock.Check(said);
        var layout = TextDisplay.IsMeant(parsed.GetValue(options.Display)) ? CheckText(parsed, options, said) : null;
        using var trace = parsed.GetResult(options.Trace) is null ? null : TraceSink.Open(parsed.GetValue(options.Trace));
        using var inspection = parsed.GetResult(options.Inspect) is null ? null : new InspectSignal(parsed.GetValue(options.Inspect));
        using var source = RunSource.Open(parsed, options);
        var definition = WithRun(parsed, options, source.Complete(options.Apply(parsed, source.Definition)));
        var hooks = new MachineHooks { Log = ProgramLog.Of(trace), MeasuresTime = parsed.GetValue(options.Stats) };
        return throwAway is null ? RunAsync(definition, hooks, source, inspection, layout).GetAwaiter().GetResult()
            : RunAsync(throwAway.Complete(definition, parsed.GetResult(options.Serial) is not null), hooks, source, throwAway).GetAwaiter().GetResult();
    }

    // The terminal shows one thing.
    private static KeyboardLayout CheckText(ParseResult parsed, RunOptions options, MachineDefinition machine)
    {
        if (parsed.GetValue(options.Rm)) throw new UsageException("--display text is not for a machine that runs one command and is gone with it; leave out --display or --rm");
        if (machine.Type != MachineType.Pc) throw new UsageException("a display is of a machine of the kind pc; add --machine pc, or leave the display out");
        if (machine.DevicesOf<SerialDevice>().Any(port => port.To is ConsoleTarget.Stdio)) throw new UsageException("this terminal shows the screen (--display text); let the serial port lead elsewhere (--serial file:PATH), or leave --serial out");
        var (layout, problem) = TextDisplay.Check(parsed.GetValue(options.Display)!);
        return layout ?? throw new UsageException(problem!);
    }

    // What this run does with whatever machine it is.
    private static MachineDefinition WithRun(ParseResult parsed, RunOptions options, MachineDefinition definition) =>
        definition.Without<SerialDevice>().With(TextDisplay.IsMeant(parsed.GetValue(options.Display)) && parsed.GetValue(options.Serial) is null ? new SerialDevice { To = new ConsoleTarget.Null() } : options.ReadSerial(parsed)) with { CodeArchive = definition.CodeArchive ?? CodeArchiveFolder.OfUser() };

    private static async Task<int> RunAsync(MachineDefinition definition, MachineHooks hooks, RunSource source, ThrowAwayRun throwAway)
    {
        for (var isLocked = false; ; isLocked = true)
        {
            await using var machine = throwAway.Create(definition, hooks);
            source.SetStarted();
            if (!isLocked) Lock(definition, throwAway, throwAway.Writes);
            if (await throwAway.RunAsync(machine).ConfigureAwait(false) is { } code) return code;
        }
    }

    private static async Task<int> RunAsync(MachineDefinition definition, MachineHooks hooks, RunSource source, InspectSignal? inspection, KeyboardLayout? layout)
    {
        using var signals = new EndingSignals(takesTwo: true);
        await using var machine = Make(definition, hooks, signals);
        source.SetStarted();
        Stderr.Say(machine.EngineDescription);
        if (machine.Display is { } display) Stderr.Say($"the screen is at {display} (VNC)");
        if (machine.DisplayWebSocket is { } web) Stderr.Say($"browsers find it at {(definition.Display!.Tls is null ? "ws" : "wss")}://{web} (WebSocket)");
        if (machine.GdbPort is { } port) Stderr.Say($"waiting for gdb: target remote :{port}");
        foreach (var published in FreelyChosen(definition, machine)) Stderr.Say($"{published.Host} leads to the guest's {(published.IsUdp ? "UDP port" : "port")} {published.GuestPort}");
        Lock(definition, throwAway: null, inspection is null ? [] : inspection.Writes);
        // Who wants the end before the guest has begun gets it at once.
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(signals.Token.IsCancellationRequested ? signals.Token : signals.Again);
        using var screen = layout is null ? null : TextDisplay.Show(machine, layout, ends.Cancel);
        var run = machine.RunAsync(ends.Token);
        await using var asks = signals.Token.UnsafeRegister(_ => _ = machine.ShutDownAsync(() => Stderr.Say("asked the guest to power off; a second signal pulls the plug")), null).ConfigureAwait(false);
        inspection?.LookAt(machine);
        var result = await run.ConfigureAwait(false);
        screen?.Dispose();
        if (hooks.MeasuresTime) CounterTable.Write([.. machine.Counters, .. ProcessCounters.Read()]);
        return Conclude(result, signals.ExitCode);
    }

    private static Machine Make(MachineDefinition definition, MachineHooks hooks, EndingSignals signals)
    {
        try
        {
            return Machine.Create(definition, hooks with { Cancellation = signals.Token });
        }
        catch (OperationCanceledException) when (signals.ExitCode is { } code)
        {
            throw new EndedBySignalException(code);
        }
    }

    // From here on nothing is opened that is not the machine's.
    private static void Lock(MachineDefinition definition, ThrowAwayRun? throwAway, IEnumerable<string> writes)
    {
        if (TerminalLock.TryEnter(definition, speaks: throwAway is not null, throwAway?.Copies ?? false, throwAway?.Reads ?? [], writes) is { } refused) Stderr.Say($"not all of the lock is in force; without {refused}");
    }

    // Only what the user cannot know is told.
    private static IEnumerable<PublishedPort> FreelyChosen(MachineDefinition definition, Machine machine) =>
        machine.Published.Except(definition.DevicesOf<NetworkDevice>().Select(card => card.Link).OfType<NetworkLink.User>().SelectMany(link => link.Published));

    /// <summary>Says how a machine ended, where that is not plain, and gives the exit code.</summary>
    /// <param name="result">The end.</param>
    /// <param name="signal">The exit code of the signal that asked for it, if one did.</param>
    internal static int Conclude(MachineResult result, int? signal)
    {
        var sentence = result.Message ?? result.End switch
        {
            MachineEnd.GuestPanic => "the guest's kernel panicked",
            MachineEnd.TripleFault => "the guest's CPU triple-faulted",
            MachineEnd.TimedOut => "the time given with --timeout passed",
            MachineEnd.Failed => "the machine failed",
            _ => null,
        };
        if (sentence is not null) Stderr.Say(sentence);
        return CodeOf(result, signal);
    }

    /// <summary>The exit code for how a machine ended.</summary>
    /// <param name="result">The end.</param>
    /// <param name="signal">The exit code of the signal that asked for it, if one did.</param>
    internal static int CodeOf(MachineResult result, int? signal = null) => result.End switch
    {
        MachineEnd.PoweredOff or MachineEnd.Reset or MachineEnd.Migrated => ExitCode.Success,
        MachineEnd.DebugExit => result.DebugExitCode.GetValueOrDefault(1) & 0xff,
        MachineEnd.GuestPanic => ExitCode.GuestPanic,
        MachineEnd.TripleFault => ExitCode.TripleFault,
        MachineEnd.TimedOut => ExitCode.TimedOut,
        MachineEnd.Stopped => signal ?? ExitCode.Interrupted,
        _ => ExitCode.Internal,
    };
}
