// The options of "lamina run", under the headings of its help page, and how their values are read. What they mean for a
// machine is in RunVerb.
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Lamina.Cli.Values;

namespace Lamina.Cli.Verbs;

/// <summary>The words of "lamina run".</summary>
internal sealed class RunOptions
{
    /// <summary>Which image to boot where no kernel is given.</summary>
    public Argument<string?> Image { get; } = ImageVerb.NameArgument($"The image to boot where no --kernel is given ({ImageVerb.DefaultImage}); it is built on first use.");

    /// <summary>--kernel.</summary>
    public Option<string?> Kernel { get; } = new("--kernel", "-k") { HelpName = "FILE", Description = "A bzImage, an ELF kernel (PVH or vmlinux) or a Multiboot 1 image." };

    /// <summary>--initrd.</summary>
    public Option<string?> Initrd { get; } = new("--initrd") { HelpName = "FILE", Description = "An initial RAM disk for it." };

    /// <summary>--cmdline.</summary>
    public Option<string?> CommandLine { get; } = new("--cmdline", "-c") { HelpName = "TEXT", Description = $"The kernel's command line. Default: {BootSource.DefaultCommandLine}; the image's own for an image." };

    /// <summary>--module.</summary>
    public Option<string[]> Modules { get; } = new("--module") { HelpName = "\"FILE [ARGS]\"", Description = "A module for a Multiboot or PVH kernel; repeatable, in order.", Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false };

    /// <summary>--memory.</summary>
    public Option<ulong> Memory { get; } = new("--memory", "-m")
    {
        HelpName = "SIZE",
        Description = "Guest memory, from 16M: 512M, 1G, 1GiB. Taken from the host as the guest touches it. Default: 256M.",
        CustomParser = result => ByteSize.TryParse(Word(result), out var bytes) ? bytes : Refuse<ulong>(result, "--memory", "a size", "16M, 512MiB or 1G"),
        DefaultValueFactory = _ => 256ul << 20,
    };

    /// <summary>--cpus.</summary>
    public Option<int> Cpus { get; } = new("--cpus")
    {
        HelpName = "N",
        Description = "Virtual CPUs; 1 for now.",
        CustomParser = result => int.TryParse(Word(result), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : Refuse<int>(result, "--cpus", "a number of CPUs", "1"),
        DefaultValueFactory = _ => 1,
    };

    /// <summary>--machine.</summary>
    public Option<MachineType> Type { get; } = Choice("--machine", "TYPE", "The kind of machine: micro (no firmware, no PCI; virtio over MMIO).", MachineType.Micro);

    /// <summary>--engine.</summary>
    public Option<EngineChoice> Engine { get; } = Choice("--engine", "ENGINE", "What runs the guest's code: auto, or translator (no hardware support, no privilege).", EngineChoice.Auto);

    /// <summary>--serial.</summary>
    public Option<SerialTarget> Serial { get; } = new("--serial")
    {
        HelpName = "TARGET",
        Description = "The first serial port: stdio, null, file:PATH, or unix:PATH (a socket to connect to). Default: stdio.",
        CustomParser = result =>
        {
            try
            {
                return SerialTarget.Parse(Word(result));
            }
            catch (MachineException failure)
            {
                result.AddError($"--serial: {failure.Message}");
                return null;
            }
        },
        DefaultValueFactory = _ => new SerialTarget.Stdio(),
    };

    /// <summary>--no-reboot.</summary>
    public Option<bool> NoReboot { get; } = new("--no-reboot") { Description = "End where the guest resets or its CPU triple-faults, instead of starting it again." };

    /// <summary>--timeout.</summary>
    public Option<TimeSpan?> Timeout { get; } = new("--timeout")
    {
        HelpName = "TIME",
        Description = "End after this time with exit code 124: 500ms, 90s, 5m, 2h.",
        CustomParser = result => Duration.TryParse(Word(result), out var duration) ? duration : Refuse<TimeSpan?>(result, "--timeout", "a time", "500ms, 90s or 5m"),
    };

    /// <summary>--debug-exit.</summary>
    public Option<ushort?> DebugExit { get; } = new("--debug-exit")
    {
        HelpName = "PORT",
        Description = "An I/O port where the guest's write of v ends the machine with exit code (v << 1) | 1.",
        CustomParser = result => TryParsePort(Word(result), out var port) ? port : Refuse<ushort?>(result, "--debug-exit", "an I/O port", "0xf4"),
    };

    /// <summary>--gdb.</summary>
    public Option<int?> Gdb { get; } = new("--gdb")
    {
        HelpName = "PORT",
        Description = "Wait for gdb on 127.0.0.1:PORT (\"target remote :PORT\") before the first instruction; 0 picks a free port.",
        CustomParser = result => int.TryParse(Word(result), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= ushort.MaxValue
            ? port
            : Refuse<int?>(result, "--gdb", "a TCP port", "1234"),
    };

    /// <summary>--trace.</summary>
    public Option<string?> Trace { get; } = new("--trace") { HelpName = "[FILE]", Description = "Write the guest's exits and exceptions, a line each, to a file or to standard error.", Arity = ArgumentArity.ZeroOrOne };

    /// <summary>--stats.</summary>
    public Option<bool> Stats { get; } = new("--stats") { Description = "Say at the end where the time and the memory went." };

    /// <summary>Adds all of them to a verb.</summary>
    public void AddTo(Verb verb)
    {
        verb.Arguments.Add(Image);
        verb.AddGroup("What to boot", Kernel, Initrd, CommandLine, Modules);
        verb.AddGroup("The machine", Memory, Cpus, Type, Engine, Serial);
        verb.AddGroup("How it ends", NoReboot, Timeout, DebugExit);
        verb.AddGroup("Looking inside", Gdb, Trace, Stats);
    }

    /// <summary>Reads a port number, decimal or 0x hexadecimal.</summary>
    internal static bool TryParsePort(string text, out ushort port) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ushort.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out port)
        : ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port);

    // An enumeration's values in lower case; the only ones that are accepted and completed.
    private static Option<T> Choice<T>(string name, string helpName, string description, T otherwise) where T : struct, Enum
    {
        var values = Enum.GetValues<T>().ToDictionary(value => value.ToString().ToLowerInvariant());
        var option = new Option<T>(name)
        {
            HelpName = helpName,
            Description = $"{description} Default: {otherwise.ToString().ToLowerInvariant()}.",
            CustomParser = result => values.TryGetValue(Word(result), out var value) ? value : Refuse<T>(result, name, string.Join(" or ", values.Keys), null),
            DefaultValueFactory = _ => otherwise,
        };
        option.CompletionSources.Clear();
        option.CompletionSources.Add([.. values.Keys]);
        return option;
    }

    private static string Word(ArgumentResult result) => result.Tokens.Count > 0 ? result.Tokens[^1].Value : "";

    private static T? Refuse<T>(ArgumentResult result, string option, string what, string? example)
    {
        result.AddError($"{option}: '{Word(result)}' is not {what}{(example is null ? "" : $"; write it like {example}")}");
        return default;
    }
}
