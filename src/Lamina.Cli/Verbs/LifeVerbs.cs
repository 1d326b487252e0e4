// The verbs that begin and end a machine's life, and hold it still: start, stop, kill, restart, pause, resume, wait. Each takes
// several machines.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Control;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Running;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs of a machine's life.</summary>
internal static class LifeVerbs
{
    /// <summary>The hidden verb that a machine's process is started with.</summary>
    public const string ProcessVerb = "machine-process";

    /// <summary>Starts machines' processes: this program again.</summary>
    public static MachineLauncher Launcher => new(Environment.ProcessPath!, ProcessVerb);

    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> Create() =>
    [
        Start(), Stop(),
        Kill(),
        Restart(),
        Simple("suspend", "Writes machines down in the middle of what they do, and ends them; their next start goes on there.", "lamina suspend web", (store, name, cancellation) => MachineControl.SuspendAsync(store.Find(name), cancellation)),
        Simple("pause", "Lets a machine stand still, its clocks with it.", "lamina pause web", (store, name, cancellation) => AskAsync(store, name, "pause", cancellation)),
        Simple("resume", "Lets a paused machine go on.", "lamina resume web", (store, name, cancellation) => AskAsync(store, name, "resume", cancellation)),
        Wait(), Process(),
    ];

    private static Verb Start()
    {
        var names = MachineNames.Many();
        var attach = new Option<bool>("--attach", "-a") { Description = "Look at the machine's console (Ctrl-A D leaves it); for one machine." };
        var verb = new Verb("start", "Starts machines, each in a process of its own, and returns when they run.") { Sections = () => [new("Examples", [("lamina start web db", ""), ("lamina start --attach web", "")])] };
        var cold = new Option<bool>("--cold") { Description = "Let a machine that was suspended begin anew, as after a pulled plug." };
        verb.Arguments.Add(names);
        verb.AddGroup("Options", attach, cold);
        verb.SetAction(parsed =>
        {
            var given = parsed.GetRequiredValue(names);
            if (!parsed.GetValue(attach)) return MachineNames.ForEach(given, (store, name, cancellation) => BeginAsync(store, name, parsed.GetValue(cold), cancellation));
            if (given is not [var one]) throw new UsageException("--attach is for one machine; leave it out, or name one");
            return MachineNames.Run(async (store, cancellation) =>
            {
                await BeginAsync(store, one, parsed.GetValue(cold), cancellation).ConfigureAwait(false);
                return await ConsoleVerb.AttachAsync(store.Find(one), null, long.MaxValue, cancellation).ConfigureAwait(false);
            });
        });
        return verb;
    }

    private static Task BeginAsync(MachineStore store, string name, bool cold, CancellationToken cancellation)
    {
        // What an imported machine begins with may not be here yet.
        if (MachineStore.Look(store.Find(name)).Definition is { } definition) FirmwareFetch.Ensure(definition);
        if (cold) store.DropSuspended(name);
        return Launcher.StartAsync(store, name, cancellation);
    }

    private static Verb Stop()
    {
        var timeout = TimeoutOption();
        var verb = new Verb("stop", "Asks guests to power off, and pulls the plug where one does not; returns when the machines have ended.") { Sections = () => [new("Examples", [("lamina stop web db", ""), ("lamina stop --timeout 5s web", ""), ("lamina stop --all", "")])] };
        var names = MachineNames.ManyOrAll(verb);
        verb.AddGroup("Options", timeout);
        verb.SetAction(parsed =>
        {
            var time = ReadTime(timeout, parsed.GetValue(timeout));
            return MachineNames.ForEach(names(parsed), (store, name, cancellation) => StopAsync(store.Find(name), time, cancellation));
        });
        return verb;
    }

    // What a guest had not written down by then is lost, and who waited for it is told.
    private static async Task StopAsync(MachineHome home, TimeSpan? timeout, CancellationToken cancellation)
    {
        var ended = await MachineControl.StopAsync(home, timeout, cancellation).ConfigureAwait(false);
        if (timeout != TimeSpan.Zero && ended.LastEnd is { Result.End: MachineEnd.Stopped }) Stderr.Say($"{home.Name}: its guest did not power off, so the plug was pulled");
    }

    private static Verb Kill()
    {
        var verb = new Verb("kill", "Pulls a machine's plug: the guest is not asked.") { Sections = () => [new("Examples", [("lamina kill web", ""), ("lamina kill --all", "")])] };
        var names = MachineNames.ManyOrAll(verb);
        verb.SetAction(parsed => MachineNames.ForEach(names(parsed), (store, name, cancellation) => MachineControl.KillAsync(store.Find(name), cancellation)));
        return verb;
    }

    private static Verb Restart()
    {
        var names = MachineNames.Many();
        var timeout = TimeoutOption();
        var verb = new Verb("restart", "Stops machines and starts them again, with what their definitions say by now.") { Sections = () => [new("Example", [("lamina restart web", "")])] };
        verb.Arguments.Add(names);
        verb.AddGroup("Options", timeout);
        verb.SetAction(parsed =>
        {
            var time = ReadTime(timeout, parsed.GetValue(timeout));
            return MachineNames.ForEach(parsed.GetRequiredValue(names), async (store, name, cancellation) =>
            {
                var home = store.Find(name);
                if (MachineStore.IsHeld(home)) await StopAsync(home, time, cancellation).ConfigureAwait(false);
                await Launcher.StartAsync(store, name, cancellation).ConfigureAwait(false);
            });
        });
        return verb;
    }

    private static Verb Wait()
    {
        var names = MachineNames.Many();
        var verb = new Verb("wait", "Waits until machines have ended; the exit code is that of the first, as \"lamina run\" has it.")
        {
            Sections = () => [new("Example", [("lamina wait build && lamina logs build", "")])],
        };
        verb.Arguments.Add(names);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var homes = parsed.GetRequiredValue(names).Select(store.Find).ToList();
            var ends = await Task.WhenAll(homes.Select(home => MachineControl.WaitAsync(home, cancellation))).ConfigureAwait(false);
            var first = ends[0];
            if (first.WasKilled) throw new MachineException(MachineError.Host, $"the machine {first.Name} has no end of its own: {MachineControl.Describe(first)}");
            return first.LastEnd is { } last ? RunVerb.Conclude(last.Result, null) : ExitCode.Success;
        }));
        return verb;
    }

    private static Command Process()
    {
        var words = new Argument<string[]>("words") { Arity = new ArgumentArity(5, 6) };
        var verb = new Command(ProcessVerb, "Is a machine's process.") { words };
        verb.Hidden = true;
        verb.SetAction(parsed =>
        {
            var given = parsed.GetRequiredValue(words);
            using var ready = Console.OpenStandardOutput();
            var store = new MachineStore(given[0]);
            if (given is [.., MachineLauncher.Waits]) return WaitingProcess.RunAsync(store, given[1], given[2], given[3], given[4], ready).GetAwaiter().GetResult() is { End: MachineEnd.Failed } ? ExitCode.Internal : ExitCode.Success;
            if (given is [.., MachineLauncher.Arrives]) return ArrivingProcess.RunAsync(store, given[1], given[2], given[3], given[4], ready).GetAwaiter().GetResult() is { End: MachineEnd.Failed } ? ExitCode.Internal : ExitCode.Success;
            if (given is [.., MachineLauncher.Succeeds]) return SucceedingProcess.RunAsync(store, given[1], given[2], given[3], given[4], ready).GetAwaiter().GetResult() is null or { End: MachineEnd.Failed } ? ExitCode.Internal : ExitCode.Success;
            var result = MachineProcess.RunAsync(store, given[1], given[2], given[3], given[4], ready).GetAwaiter().GetResult();
            return result is null ? ExitCode.Host : result.End == MachineEnd.Failed ? ExitCode.Internal : ExitCode.Success;
        });
        return verb;
    }

    private static Verb Simple(string name, string description, string example, Func<MachineStore, string, CancellationToken, Task> act)
    {
        var names = MachineNames.Many();
        var verb = new Verb(name, description) { Sections = () => [new("Example", [(example, "")])] };
        verb.Arguments.Add(names);
        verb.SetAction(parsed => MachineNames.ForEach(parsed.GetRequiredValue(names), act));
        return verb;
    }

    private static async Task AskAsync(MachineStore store, string name, string verb, CancellationToken cancellation)
    {
        await using var client = await MachineControl.ConnectAsync(store.Find(name), cancellation).ConfigureAwait(false);
        _ = await client.AskAsync(verb, null, cancellation).ConfigureAwait(false);
    }

    private static Option<string?> TimeoutOption() => new("--timeout", "-t") { HelpName = "TIME", Description = "How long a guest may take to power off before the plug is pulled; 0: it is not asked. Default: as its definition says." };

    private static TimeSpan? ReadTime(Option option, string? text) => text switch
    {
        null => null,
        "0" or "0s" => TimeSpan.Zero,
        _ => Duration.TryParse(text, out var time) ? time : throw new UsageException($"{option.Name}: '{text}' is no time; write it like 500ms, 90s or 5m"),
    };
}
