// The options of "lamina run", under the headings of its help page, and how their values are read. What they mean for a
// machine is in RunVerb. Every value is parsed as text and read by a function below: each further type of option costs
// milliseconds at every start, since the runtime compiles System.CommandLine anew for it.
using System.CommandLine;
using System.Globalization;
using Lamina.Choice;
using Lamina.Cli.Values;
using Lamina.Engines;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Lamina.Networks;

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
    public Option<string[]> Modules { get; } = new("--module") { HelpName = "\"FILE [ARGS]\"", Description = "A module for a Multiboot or PVH kernel; repeatable, in order." };

    /// <summary>--name.</summary>
    public Option<string?> Name { get; } = new("--name") { HelpName = "NAME", Description = "Which machine this is: its disk is kept under this name. Default: the image's name." };

    /// <summary>--ephemeral.</summary>
    public Option<bool> Ephemeral { get; } = new("--ephemeral") { Description = "Start from the image as it is, and forget everything at the end." };

    /// <summary>--disk-size.</summary>
    public Option<string?> DiskSize { get; } = new("--disk-size") { HelpName = "SIZE", Description = "Make the machine's own disk this large: 40G. It cannot become smaller." };

    /// <summary>--hostname.</summary>
    public Option<string?> HostName { get; } = new("--hostname") { HelpName = "NAME", Description = "The guest's host name. Default: the machine's name." };

    /// <summary>--user.</summary>
    public Option<string?> User { get; } = new("--user") { HelpName = "NAME", Description = "Who the ssh keys are for; may become root with sudo. Default: you." };

    /// <summary>--ssh-key.</summary>
    public Option<string[]> SshKeys { get; } = new("--ssh-key") { HelpName = "FILE", Description = "Public keys that may log in by ssh; repeatable." };

    /// <summary>--user-data.</summary>
    public Option<string?> UserData { get; } = new("--user-data") { HelpName = "FILE", Description = "A script (#!…) that root runs once in the guest; or, for images with cloud-init, whatever that takes." };

    /// <summary>--memory.</summary>
    public Option<string?> Memory { get; } = new("--memory", "-m") { HelpName = "SIZE", Description = "Guest memory, from 16M: 512M, 1G, 1GiB. Taken from the host as the guest touches it. Default: 256M; the image's own for an image." };

    /// <summary>--cpus.</summary>
    public Option<string?> Cpus { get; } = new("--cpus") { HelpName = "N", Description = "Virtual CPUs. Default: 1." };

    /// <summary>--cpu.</summary>
    public Option<string?> CpuModel { get; } = Choice("--cpu", "MODEL[,-FEATURE…]", $"What the virtual CPUs offer: {string.Join(", ", CpuModels.Names)}; features are taken away or added behind it: host,-avx512f. Default: host, all that the host has.", [.. CpuModels.Names]);

    /// <summary>--machine.</summary>
    public Option<string?> Type { get; } = Choice("--machine", "TYPE", "The kind of machine: micro (no firmware, no PCI; virtio over MMIO). Default: micro.", "micro");

    /// <summary>--engine.</summary>
    public Option<string?> Engine { get; } = Choice("--engine", "ENGINE", "What runs the guest's code: auto, kvm (hardware virtualization), or translator (no hardware support, no privilege). Default: auto.", "auto", "kvm", "translator");

    /// <summary>--irqchip.</summary>
    public Option<string?> Irqchip { get; } = Choice("--irqchip", "PLACE", "Where interrupt controllers are on kvm: kernel (all in the host's), split (the local APICs in it), user (all in the machine), or auto (as many in the host's kernel as it offers). Default: auto.", "auto", "kernel", "split", "user");

    /// <summary>--code-cache.</summary>
    public Option<string?> CodeCache { get; } = new("--code-cache") { HelpName = "SIZE", Description = "The most memory for the translator's code, 16M to 1G. Default: 256M." };

    /// <summary>--serial.</summary>
    public Option<string?> Serial { get; } = new("--serial") { HelpName = "TARGET", Description = "The first serial port: stdio, null, file:PATH, or unix:PATH (a socket to listen on). Default: stdio." };

    /// <summary>--disk.</summary>
    public Option<string[]> Disks { get; } = new("--disk") { HelpName = "PATH[,OPTION…]", Description = "A disk: a raw or qcow2 image, or a block device; repeatable. Options: see below." };

    /// <summary>--share.</summary>
    public Option<string[]> Shares { get; } = new("--share") { HelpName = "FOLDER:TAG[:ro,xattr]", Description = "A folder that the guest may mount (mount -t virtiofs TAG /mnt); repeatable." };

    /// <summary>--balloon.</summary>
    public Option<bool> Balloon { get; } = new("--balloon") { Description = "Give memory that the guest frees back to the host (virtio balloon with free page reporting)." };

    /// <summary>--vsock.</summary>
    public Option<string?> Vsock { get; } = new("--vsock") { HelpName = "CID,path=SOCKET", Description = "Sockets between the guest and programs of this host: those connect to the Unix socket and say \"CONNECT PORT\", the guest reaches what listens at SOCKET_PORT." };

    /// <summary>--net.</summary>
    public Option<string[]> Networks { get; } = new("--net") { HelpName = "NETWORK", Description = "A network card: user (a network of its own, without privilege), tap[=NAME], switch=PATH (shared by machines), socket=PATH (passt) or none; options follow with commas, see docs/networks.md; repeatable. Default: user." };

    /// <summary>--publish.</summary>
    public Option<string[]> Published { get; } = new("--publish", "-p") { HelpName = "[ADDRESS:]HOST:GUEST[/udp]", Description = "Lead a port of the host to one of the guest; listens on 127.0.0.1 where no address is given; repeatable." };

    /// <summary>--no-reboot.</summary>
    public Option<bool> NoReboot { get; } = new("--no-reboot") { Description = "End where the guest resets or its CPU triple-faults, instead of starting it again." };

    /// <summary>--timeout.</summary>
    public Option<string?> Timeout { get; } = new("--timeout") { HelpName = "TIME", Description = "End after this time with exit code 124: 500ms, 90s, 5m, 2h." };

    /// <summary>--debug-exit.</summary>
    public Option<string?> DebugExit { get; } = new("--debug-exit") { HelpName = "PORT", Description = "An I/O port where the guest's write of v ends the machine with exit code (v << 1) | 1." };

    /// <summary>--gdb.</summary>
    public Option<string?> Gdb { get; } = new("--gdb") { HelpName = "PORT", Description = "Wait for gdb on 127.0.0.1:PORT (\"target remote :PORT\") before the first instruction; 0 picks a free port." };

    /// <summary>--trace.</summary>
    public Option<string?> Trace { get; } = new("--trace") { HelpName = "[FILE]", Description = "Write the guest's exits and exceptions, a line each, to a file or to standard error.", Arity = ArgumentArity.ZeroOrOne };

    /// <summary>--stats.</summary>
    public Option<bool> Stats { get; } = new("--stats") { Description = "Say at the end where the time and the memory went." };

    /// <summary>--code-archive.</summary>
    public Option<string?> CodeArchive { get; } = new("--code-archive") { HelpName = "FOLDER|off", Description = "Where the translator keeps its code for the next run. Default: below the user's cache folder." };

    /// <summary>Adds all of them to a verb.</summary>
    public void AddTo(Verb verb)
    {
        verb.Arguments.Add(Image);
        verb.AddGroup("What to boot", Kernel, Initrd, CommandLine, Modules);
        verb.AddGroup("The machine", Memory, Cpus, CpuModel, Type, Engine, Irqchip, CodeCache, CodeArchive, Disks, Shares, Vsock, Balloon, Serial);
        verb.AddGroup("A machine with a disk of its own (debian, imported images)", Name, Ephemeral, DiskSize, HostName, User, SshKeys, UserData);
        verb.AddGroup("Networks", Networks, Published);
        verb.AddGroup("How it ends", NoReboot, Timeout, DebugExit);
        verb.AddGroup("Looking inside", Gdb, Trace, Stats);
    }

    /// <summary>Reads --memory or --disk-size; null where it is not given.</summary>
    /// <exception cref="UsageException">It is not a size.</exception>
    public static ulong? ReadSize(string option, string? text, string example) =>
        text is null ? null : ByteSize.TryParse(text, out var bytes) ? bytes : throw Refuse(option, text, "a size", example);

    /// <summary>Reads --code-cache, --code-archive and --stats.</summary>
    /// <exception cref="UsageException">Not a size, or a folder where no code can be kept.</exception>
    public static TranslatorSettings ReadTranslator(string? codeCache, string? codeArchive, bool stats)
    {
        var settings = new TranslatorSettings
        {
            MeasureTime = stats,
            ArchiveFolder = codeArchive switch
            {
                "off" => null,
                null => CodeArchiveFolder.OfUser(),
                "" => throw Refuse("--code-archive", codeArchive, "a folder", "off or /var/tmp/code"),
                _ => TranslatorEngine.WhyNotKeptIn(codeArchive) is { } reason ? throw new UsageException($"--code-archive: {reason}") : Path.GetFullPath(codeArchive),
            },
        };
        if (codeCache is null) return settings;
        if (!ByteSize.TryParse(codeCache, out var bytes)) throw Refuse("--code-cache", codeCache, "a size", "64M");
        return settings with { CodeBufferBytes = (int)Math.Min(bytes, int.MaxValue) };
    }

    /// <summary>Reads --cpu.</summary>
    /// <exception cref="UsageException">There is no such model or feature.</exception>
    public static string ReadCpuModel(string? text) =>
        text is null ? CpuModels.Host : CpuModels.WhyNot(text) is { } reason ? throw new UsageException($"--cpu: {reason}") : text;

    /// <summary>Reads --cpus.</summary>
    /// <exception cref="UsageException">It is not a number.</exception>
    public static int ReadCpus(string? text) =>
        text is null ? 1 : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : throw Refuse("--cpus", text, "a number of CPUs", "2");

    /// <summary>Reads --machine.</summary>
    /// <exception cref="UsageException">There is no such machine.</exception>
    public static MachineType ReadType(string? text) => text switch
    {
        null or "micro" => MachineType.Micro,
        _ => throw new UsageException($"--machine: there is no machine '{text}'; there is micro"),
    };

    /// <summary>Reads --engine.</summary>
    /// <exception cref="UsageException">There is no such engine.</exception>
    public static EngineChoice ReadEngine(string? text) => text switch
    {
        null or "auto" => EngineChoice.Auto,
        "kvm" => EngineChoice.Kvm,
        "translator" => EngineChoice.Translator,
        _ => throw new UsageException($"--engine: there is no engine '{text}'; there are auto, kvm and translator"),
    };

    /// <summary>Reads --irqchip.</summary>
    /// <exception cref="UsageException">There is no such place.</exception>
    public static IrqchipChoice ReadIrqchip(string? text) => text switch
    {
        null or "auto" => IrqchipChoice.Auto,
        "kernel" => IrqchipChoice.Kernel,
        "split" => IrqchipChoice.Split,
        "user" => IrqchipChoice.User,
        _ => throw new UsageException($"--irqchip: interrupt controllers cannot be in '{text}'; there are auto, kernel, split and user"),
    };

    /// <summary>Reads --serial.</summary>
    /// <exception cref="MachineException">It is not a target.</exception>
    public static SerialTarget ReadSerial(string? text) => text is null ? new SerialTarget.Stdio() : SerialTarget.Parse(text);

    /// <summary>Reads --timeout.</summary>
    /// <exception cref="UsageException">It is not a time.</exception>
    public static TimeSpan? ReadTimeout(string? text) =>
        text is null ? null : Duration.TryParse(text, out var duration) ? duration : throw Refuse("--timeout", text, "a time", "500ms, 90s or 5m");

    /// <summary>Reads --debug-exit, decimal or 0x hexadecimal.</summary>
    /// <exception cref="UsageException">It is not an I/O port.</exception>
    public static ushort? ReadDebugExit(string? text)
    {
        if (text is null) return null;
        var isHexadecimal = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return ushort.TryParse(isHexadecimal ? text.AsSpan(2) : text, isHexadecimal ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            ? port
            : throw Refuse("--debug-exit", text, "an I/O port", "0xf4");
    }

    /// <summary>Reads --gdb.</summary>
    /// <exception cref="UsageException">It is not a TCP port.</exception>
    public static int? ReadGdb(string? text) =>
        text is null ? null : ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) ? port : throw Refuse("--gdb", text, "a TCP port", "1234");

    /// <summary>
    /// Reads --net and --publish. Where nothing is said there is one card on a network of its own; ports are published by
    /// the first card that is on such a network.
    /// </summary>
    /// <exception cref="UsageException">There is none to publish a port with.</exception>
    /// <exception cref="MachineException">A word is not understood.</exception>
    public static IReadOnlyList<NetworkSpec> ReadNetworks(string[]? networks, string[]? published)
    {
        List<NetworkSpec> cards = networks is null or [] ? [new NetworkSpec(new NetworkTarget.User())] : [.. networks.Select(NetworkWords.Parse).OfType<NetworkSpec>()];
        if (published is null or []) return cards;
        var index = cards.FindIndex(card => card.Target is NetworkTarget.User);
        if (index < 0) throw new UsageException("--publish needs a network card of the kind user; add --net user");
        var options = ((NetworkTarget.User)cards[index].Target).Options;
        cards[index] = cards[index] with { Target = new NetworkTarget.User(options with { Published = [.. published.Select(NetworkWords.ParsePublished)] }) };
        return cards;
    }

    /// <summary>Reads one --module: "FILE" or "FILE ARGS".</summary>
    public static BootModule ReadModule(string text)
    {
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        return space < 0 ? new BootModule(text) : new BootModule(text[..space], text[(space + 1)..]);
    }

    private static Option<string?> Choice(string name, string helpName, string description, params string[] values)
    {
        var option = new Option<string?>(name) { HelpName = helpName, Description = description };
        option.CompletionSources.Add(values);
        return option;
    }

    private static UsageException Refuse(string option, string text, string what, string example) =>
        new($"{option}: '{text}' is not {what}; write it like {example}");
}
