// "lamina run": words → MachineSpec → Machine → exit code. How the machine is attached to the terminal is the library's
// work; what is booted is RunSource's.
using System.CommandLine;
using Lamina.Backends.Net.User;
using Lamina.Cli.Output;
using Lamina.Networks;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "run".</summary>
internal static class RunVerb
{
    private static HelpSection[] Sections() =>
    [
        new("In the terminal", [("Ctrl-A X", "end the machine"), ("Ctrl-A H", "help"), ("Ctrl-A Ctrl-A", "send Ctrl-A to the guest")]),
        new("Options of --disk", [.. DiskSpec.Words]),
        new("Exit codes",
        [
            ("0", "the guest powered off, or was reset with --no-reboot"),
            ("1", "the host lacks or refuses something"),
            ("2", "the command line or a file it names cannot be used"),
            ("10", "the guest's kernel panicked"),
            ("11", "the guest's CPU triple-faulted, with --no-reboot"),
            ("70", "internal error"),
            ("124", "--timeout passed"),
            ("129, 130, 143", "ended by SIGHUP, by the user, by SIGTERM"),
            ("(v << 1) | 1", "the guest wrote v to the port of --debug-exit"),
        ]),
        new("Examples",
        [
            ("lamina run", "a shell in a small guest"),
            ("lamina run --memory 1G --timeout 5m", "more memory, for five minutes at most"),
            ("lamina run debian --publish 2222:22 --ssh-key ~/.ssh/id_ed25519.pub", ""),
            ("lamina run --disk work.qcow2 --disk base.img,ro", "two disks"),
            ("lamina run --kernel bzImage --initrd initrd.cpio --cmdline \"console=ttyS0 quiet\"", ""),
            ("lamina run --kernel kernel.elf --debug-exit 0xf4 --no-reboot --timeout 30s", ""),
        ]),
    ];

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var verb = new Verb("run", "Boots a machine on this terminal and ends with it.") { Sections = Sections };
        var options = new RunOptions();
        options.AddTo(verb);
        verb.SetAction(parsed => Run(parsed, options));
        return verb;
    }

    private static int Run(ParseResult parsed, RunOptions options)
    {
        // Words are read before anything is fetched or opened.
        var spec = new MachineSpec
        {
            Type = RunOptions.ReadType(parsed.GetValue(options.Type)),
            Boot = new BootSource { KernelPath = "" },
            Cpus = RunOptions.ReadCpus(parsed.GetValue(options.Cpus)),
            CpuModel = RunOptions.ReadCpuModel(parsed.GetValue(options.CpuModel)),
            Engine = RunOptions.ReadEngine(parsed.GetValue(options.Engine)),
            Irqchip = RunOptions.ReadIrqchip(parsed.GetValue(options.Irqchip)),
            Translator = RunOptions.ReadTranslator(parsed.GetValue(options.CodeCache), parsed.GetValue(options.CodeArchive), parsed.GetValue(options.Stats)),
            Serial = RunOptions.ReadSerial(parsed.GetValue(options.Serial)),
            Disks = [.. (parsed.GetValue(options.Disks) ?? []).Select(DiskSpec.Parse)],
            Shares = [.. (parsed.GetValue(options.Shares) ?? []).Select(ShareSpec.Parse)],
            Vsock = parsed.GetValue(options.Vsock) is { } vsock ? VsockSpec.Parse(vsock) : null,
            Balloon = parsed.GetValue(options.Balloon),
            Report = Stderr.Say,
            Networks = RunOptions.ReadNetworks(parsed.GetValue(options.Networks), parsed.GetValue(options.Published)),
            NoReboot = parsed.GetValue(options.NoReboot),
            DebugExitPort = RunOptions.ReadDebugExit(parsed.GetValue(options.DebugExit)),
            Timeout = RunOptions.ReadTimeout(parsed.GetValue(options.Timeout)),
            GdbPort = RunOptions.ReadGdb(parsed.GetValue(options.Gdb)),
        };
        var memory = RunOptions.ReadSize(options.Memory.Name, parsed.GetValue(options.Memory), "16M, 512MiB or 1G");
        using var trace = parsed.GetResult(options.Trace) is null ? null : TraceSink.Open(parsed.GetValue(options.Trace));
        using var source = RunSource.Open(parsed, options);
        spec = source.Complete(spec) with { Trace = trace is null ? null : trace.Write };
        if (memory is { } bytes) spec = spec with { MemoryBytes = bytes };
        return RunAsync(spec, source, parsed.GetValue(options.Stats)).GetAwaiter().GetResult();
    }

    private static async Task<int> RunAsync(MachineSpec spec, RunSource source, bool stats)
    {
        using var signals = new EndingSignals();
        await using var machine = Machine.Create(spec);
        source.SetStarted();
        Stderr.Say(machine.EngineDescription);
        if (machine.GdbPort is { } port) Stderr.Say($"waiting for gdb: target remote :{port}");
        foreach (var published in FreelyChosen(spec, machine)) Stderr.Say($"{published.Host} leads to the guest's {(published.IsUdp ? "UDP port" : "port")} {published.GuestPort}");
        var result = await machine.RunAsync(signals.Token).ConfigureAwait(false);
        if (stats)
        {
            foreach (var (name, value) in machine.Statistics.OrderBy(counter => counter.Key, StringComparer.Ordinal)) Stderr.Line($"{name,-40} {value,16:N0}");
        }
        return Conclude(result, signals.ExitCode);
    }

    // Only what the user cannot know is told.
    private static IEnumerable<PublishedPort> FreelyChosen(MachineSpec spec, Machine machine) =>
        machine.Published.Except(spec.Networks.Select(card => card.Target).OfType<NetworkTarget.User>().SelectMany(target => target.Options.Published));

    /// <summary>Says how a machine ended, where that is not plain, and gives the exit code.</summary>
    /// <param name="result">The end.</param>
    /// <param name="signal">The exit code of the signal that asked for it, if one did.</param>
    internal static int Conclude(MachineResult result, int? signal)
    {
        var (code, sentence) = result.End switch
        {
            MachineEnd.PoweredOff or MachineEnd.Reset => (ExitCode.Success, null),
            MachineEnd.DebugExit => (result.DebugExitCode.GetValueOrDefault(1) & 0xff, null),
            MachineEnd.GuestPanic => (ExitCode.GuestPanic, "the guest's kernel panicked"),
            MachineEnd.TripleFault => (ExitCode.TripleFault, "the guest's CPU triple-faulted"),
            MachineEnd.TimedOut => (ExitCode.TimedOut, "the time given with --timeout passed"),
            MachineEnd.Stopped => (signal ?? ExitCode.Interrupted, null),
            _ => (ExitCode.Internal, "the machine failed"),
        };
        if (sentence is not null || result.Message is not null) Stderr.Say(result.Message ?? sentence!);
        return code;
    }
}
