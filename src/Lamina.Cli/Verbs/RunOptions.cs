// The options of "lamina run", under the headings of its help page. What describes a machine as a whole is an option of the same
// name as in definition files, made from their table (MachineShape) and read by it; devices are read by their own words. Every value
// is parsed as text: each further type of option costs milliseconds at every start, since the runtime compiles
// System.CommandLine anew for it.
using System.CommandLine;
using Lamina.Cli.TextScreens;
using Lamina.Core.Input;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The words of "lamina run".</summary>
internal sealed class RunOptions
{
    private static readonly string?[] NameAlone = [null];

    // Options of the definition's table, with the property that each says.
    private readonly List<(Property<MachineDefinition> Property, Option Option)> _said = [];

    /// <summary>Makes the options.</summary>
    public RunOptions()
    {
        Kernel = Said("kernel", "-k");
        Initrd = Said("initrd");
        CommandLine = Said("cmdline", "-c");
        Modules = Many("module");
        Firmware = Said("firmware");
        Firmware.CompletionSources.Add(BootSource.SeaBios, BootSource.Ovmf);
        Boot = [Kernel, Initrd, CommandLine, Modules, Flag("self-unpack"), Firmware, Said("boot"), Flag("boot-menu")];
        MachineType = Said("machine");
        MachineOptions = [Said("memory", "-m"), Said("memory-most"), Said("cpus"), Said("cpu"), MachineType, Said("engine"), Said("irqchip"), Said("code-cache"), Said("code-archive")];
        Limits = [Said("cpu-cap"), Said("cpu-weight"), Said("cpu-pin"), Said("memory-least"), Said("huge-pages"), Said("share-pages")];
        KeptLimits = [Said("cpu-reserve"), Said("memory-reserve"), Said("memory-limit"), Said("pool")];
        Lock = Said("lock");
        Ends = [Flag("no-reboot"), Said("timeout"), Said("stop-timeout"), Said("debug-exit")];
        Gdb = Said("gdb");
        Display = Said("display");
        Display.CompletionSources.Add(_ => IsOnTerminal ? ["vnc", "vnc=", "text", "none"] : ["vnc", "vnc=", "none"]);
        MachineOptions.First(option => option.Name == "--cpu").CompletionSources.Add([.. Machine.CpuModelNames]);
        Name.CompletionSources.Add(_ => MachineStore.OfUser().Names);
        Serial.CompletionSources.Add(context => Completions(context.WordToComplete, ["stdio", "null", "file:", "unix:"], SerialDevice.Shape, "to"));
        Gdb.CompletionSources.Add(context => Completions(context.WordToComplete, [], MachineShape.Gdb, "port"));
        Networks.CompletionSources.Add(context => Completions(context.WordToComplete, ["user", "tap", "switch=", "socket=", "none"], NetworkDevice.Shape, "link"));
        Cdroms.CompletionSources.Add(context => Completions(context.WordToComplete, [], CdromDevice.Shape, "path"));
        Disks.CompletionSources.Add(context => Completions(context.WordToComplete, [], DiskDevice.Shape, "path"));
    }

    /// <summary>Which image to boot where no kernel is given.</summary>
    public Argument<string?> Image { get; } = ImageVerb.NameArgument($"The image to boot where no --kernel is given ({ImageVerb.DefaultImage}); it is built on first use.");

    /// <summary>--kernel.</summary>
    public Option<string?> Kernel { get; }

    /// <summary>--initrd.</summary>
    public Option<string?> Initrd { get; }

    /// <summary>--cmdline.</summary>
    public Option<string?> CommandLine { get; }

    /// <summary>--module.</summary>
    public Option<string[]> Modules { get; }

    /// <summary>--firmware.</summary>
    public Option<string?> Firmware { get; }

    /// <summary>--display.</summary>
    public Option<string?> Display { get; }

    /// <summary>--gdb.</summary>
    public Option<string?> Gdb { get; }

    /// <summary>--name.</summary>
    public Option<string?> Name { get; } = new("--name") { HelpName = "NAME", Description = "Which machine this is: its disk is kept under this name. Default: the image's name." };

    /// <summary>--ephemeral.</summary>
    public Option<bool> Ephemeral { get; } = new("--ephemeral") { Description = "Start from the image as it is, and forget everything at the end." };

    /// <summary>--cold.</summary>
    public Option<bool> Cold { get; } = new("--cold") { Description = "Boot the machine, and do not go on from a template of it." };

    /// <summary>--root.</summary>
    public Option<string?> Root { get; } = new("--root") { HelpName = "FOLDER[,ro]", Description = "Boot the --kernel on a folder of this host as its root (virtio-fs), which the guest may write, or with ro only read." };

    /// <summary>--rm.</summary>
    public Option<bool> Rm { get; } = new("--rm") { Description = "Run the command behind -- in a machine that is gone with it; its output and its exit code are those of lamina: run --rm IMAGE -- COMMAND…" };

    /// <summary>--copy-in.</summary>
    public Option<string[]> CopyIn { get; } = new("--copy-in") { HelpName = "HOST:GUEST", Description = "Copy a file or folder into the guest before the command; repeatable." };

    /// <summary>--copy-out.</summary>
    public Option<string[]> CopyOut { get; } = new("--copy-out") { HelpName = "GUEST:HOST", Description = "Copy a file or folder out of the guest behind the command, whatever its exit code; repeatable." };

    /// <summary>Whether the machine is this terminal's, which can show its screen (--display text).</summary>
    public bool IsOnTerminal { get; init; }

    /// <summary>The command of --rm: what stands behind --.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

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

    /// <summary>--serial.</summary>
    public Option<string?> Serial { get; } = new("--serial") { HelpName = "TARGET[,OPTION…]", Description = "The first serial port: stdio, null, file:PATH, or unix:PATH (a socket to listen on); options: see below. Default: stdio." };

    /// <summary>--disk.</summary>
    public Option<string[]> Disks { get; } = new("--disk") { HelpName = "PATH[,OPTION…]", Description = "A disk: a raw or qcow2 image, or a block device; repeatable. Options: see below." };

    /// <summary>--cdrom.</summary>
    public Option<string[]> Cdroms { get; } = new("--cdrom") { HelpName = "PATH[,OPTION…]", Description = "A CD drive with an ISO image in it, or none; a machine of the type pc, which boots from it where its disk has no boot loader. Repeatable." };

    /// <summary>--floppy.</summary>
    public Option<string[]> Floppies { get; } = new("--floppy") { HelpName = "PATH[,OPTION…]", Description = "A floppy drive with a raw image in it, which is only read; a machine of the type pc. Twice at most." };

    /// <summary>--share.</summary>
    public Option<string[]> Shares { get; } = new("--share") { HelpName = "FOLDER:TAG[:ro,xattr]", Description = "A folder that the guest may mount (mount -t virtiofs TAG /mnt); repeatable." };

    /// <summary>--balloon.</summary>
    public Option<bool> Balloon { get; } = new("--balloon") { Description = "Give memory that the guest frees back to the host (virtio balloon with free page reporting)." };

    /// <summary>--vsock.</summary>
    public Option<string?> Vsock { get; } = new("--vsock") { HelpName = "CID,path=SOCKET", Description = "Sockets between the guest and programs of this host: those connect to the Unix socket and say \"CONNECT PORT\", the guest reaches what listens at SOCKET_PORT." };

    /// <summary>--net.</summary>
    public Option<string[]> Networks { get; } = new("--net") { HelpName = "NETWORK", Description = "A network card: user (a network of its own, without privilege), tap[=NAME], switch=PATH (shared by machines), socket=PATH (passt) or none; options follow with commas, see below; repeatable. Default: user." };

    /// <summary>--publish.</summary>
    public Option<string[]> Published { get; } = new("--publish", "-p") { HelpName = "[ADDRESS:]HOST:GUEST[/udp]", Description = "Lead a port of the host to one of the guest; listens on 127.0.0.1 where no address is given; repeatable." };

    /// <summary>--trace.</summary>
    public Option<string?> Trace { get; } = new("--trace") { HelpName = "[FILE]", Description = "Write the guest's exits and exceptions, a line each, to a file or to standard error.", Arity = ArgumentArity.ZeroOrOne };

    /// <summary>--stats.</summary>
    public Option<bool> Stats { get; } = new("--stats") { Description = "Say at the end where the time and the memory went." };

    /// <summary>--inspect.</summary>
    public Option<string?> Inspect { get; } = new("--inspect") { HelpName = "[FILE]", Description = "On each SIGUSR1 write the state of every part of the machine to a file (as JSON where its name ends with .json) or to standard error.", Arity = ArgumentArity.ZeroOrOne };

    private Option[] Boot { get; }

    private Option<string?> MachineType { get; }

    private Option[] MachineOptions { get; }

    // Its share of the host.
    private Option[] Limits { get; }

    // That of one that has a process of its own.
    private Option[] KeptLimits { get; }

    private Option<string?> Lock { get; }

    private Option[] Ends { get; }

    /// <summary>Adds all of them to a verb.</summary>
    public void AddTo(Verb verb)
    {
        Display.HelpName += "|text[=LAYOUT]";
        Display.Description += $" Or text: its characters in this terminal, of which the keys are the machine's keyboard's ({string.Join(", ", KeyboardLayout.All.Select(layout => layout.Name))}).";
        verb.Arguments.Add(Image);
        verb.AddGroup("What to boot", [.. Boot, Root]);
        verb.AddGroup("A command in a machine of its own", Rm, CopyIn, CopyOut, Cold);
        verb.AddGroup("The machine", [.. MachineOptions, .. Limits, Disks, Cdroms, Floppies, Shares, Vsock, Balloon, Serial, Lock]);
        verb.AddGroup("A machine with a disk of its own (debian, imported images)", Name, Ephemeral, DiskSize, HostName, User, SshKeys, UserData);
        verb.AddGroup("Networks", Networks, Published);
        verb.AddGroup("How it ends", Ends);
        verb.AddGroup("Looking inside", Display, Gdb, Inspect, Trace, Stats);
    }

    /// <summary>Adds those to a verb that say what a machine is that is kept.</summary>
    public void AddKept(Verb verb)
    {
        verb.Arguments.Add(Image);
        verb.AddGroup("What to boot", Boot);
        verb.AddGroup("The machine", [.. MachineOptions, .. Limits, Disks, Cdroms, Floppies, Shares, Vsock, Balloon, Serial, Lock, .. KeptLimits]);
        verb.AddGroup("An image with a disk (debian, imported images)", DiskSize, HostName, User, SshKeys, UserData);
        verb.AddGroup("Networks", Networks, Published);
        verb.AddGroup("How it ends", Ends);
        verb.AddGroup("Looking inside", Display, Gdb);
    }

    /// <summary>Adds those to a verb that change what a machine is.</summary>
    public void AddChanging(Verb verb)
    {
        verb.AddGroup("The machine", [.. MachineOptions, .. Limits, .. Boot, Lock, .. KeptLimits, .. Ends, Display, Gdb]);
        verb.AddGroup("More devices", Disks, Cdroms, Floppies, Shares, Networks, Published, Balloon, Vsock, Serial);
    }

    /// <summary>Adds those to a verb that say how the disk of a new machine is made.</summary>
    public void AddSettings(Verb verb) => verb.AddGroup("An image with a disk (debian, imported images), when it is made", DiskSize, HostName, User, SshKeys, UserData);

    /// <summary>What the words say of a machine that there is: its properties as they are said, devices and ports beside those that it has.</summary>
    /// <exception cref="UsageException">A value or a device is none, or the machine has no use for it.</exception>
    public MachineDefinition Change(ParseResult parsed, MachineDefinition machine)
    {
        if (machine.Image is { } image && AreGiven(parsed, Kernel, Initrd, Modules, Firmware).FirstOrDefault() is { } boot) throw new UsageException($"{boot} is for a machine with a kernel of your own; this one boots that of its image {image}");
        machine = WithProperties(parsed, machine);
        if (IsGiven(parsed, Disks)) machine = WithMore(machine, Each(parsed, Disks, DiskDevice.Parse));
        if (IsGiven(parsed, Cdroms)) machine = WithMore(machine, Each(parsed, Cdroms, CdromDevice.Parse));
        if (IsGiven(parsed, Floppies)) machine = WithMore(machine, Each(parsed, Floppies, FloppyDevice.Parse));
        if (IsGiven(parsed, Shares)) machine = WithMore(machine, Each(parsed, Shares, ShareDevice.Parse));
        if (IsGiven(parsed, Networks)) machine = WithMore(machine, Each(parsed, Networks, text => NetworkDevice.Parse(text) ?? throw new MachineException("none removes no card; use --remove with its name, like --remove network0")));
        if (parsed.GetValue(Balloon) && !machine.DevicesOf<BalloonDevice>().Any()) machine = machine.With(new BalloonDevice());
        if (parsed.GetValue(Vsock) is { } vsock) machine = machine.Without<VsockDevice>().With(Read(Vsock, vsock, VsockDevice.Parse));
        if (parsed.GetValue(Serial) is not null) machine = machine.Without<SerialDevice>().With(ReadSerial(parsed));
        return IsGiven(parsed, Published) ? WithPublished(machine, link => [.. link.Published.Union(Each(parsed, Published, PublishedPort.Parse))]) : machine;
    }

    /// <summary>Says in a machine's definition what the words say; what they do not speak of stays.</summary>
    /// <exception cref="UsageException">A value or a device is none.</exception>
    public MachineDefinition Apply(ParseResult parsed, MachineDefinition machine)
    {
        machine = WithProperties(parsed, machine);
        if (IsGiven(parsed, Disks)) machine = machine.Without<DiskDevice>().With(Each(parsed, Disks, DiskDevice.Parse));
        if (IsGiven(parsed, Cdroms)) machine = machine.Without<CdromDevice>().With(Each(parsed, Cdroms, CdromDevice.Parse));
        if (IsGiven(parsed, Floppies)) machine = machine.Without<FloppyDevice>().With(Each(parsed, Floppies, FloppyDevice.Parse));
        if (IsGiven(parsed, Shares)) machine = machine.Without<ShareDevice>().With(Each(parsed, Shares, ShareDevice.Parse));
        if (parsed.GetValue(Vsock) is { } vsock) machine = machine.Without<VsockDevice>().With(Read(Vsock, vsock, VsockDevice.Parse));
        if (parsed.GetValue(Balloon)) machine = machine.Without<BalloonDevice>().With(new BalloonDevice());
        machine = WithNetworks(parsed, machine);
        // What only a PC has says what kind of machine it is, where nothing else does.
        return !IsGiven(parsed, MachineType) && (machine.Boot.Firmware == BootSource.Ovmf || machine.Boot.From == BootMedium.Network || machine.Devices.Any(device => device is CdromDevice or FloppyDevice or DiskDevice { Bus: not DriveBus.Virtio } or NetworkDevice { Model: not NetworkModel.Virtio }))
            ? machine with { Type = Definition.MachineType.Pc } : machine;
    }

    /// <summary>Where the serial port leads: this terminal, unless the words say otherwise.</summary>
    /// <exception cref="UsageException">It is no target.</exception>
    public SerialDevice ReadSerial(ParseResult parsed) => parsed.GetValue(Serial) is not { } text ? new SerialDevice { To = new ConsoleTarget.Stdio() } : Read(Serial, text, SerialDevice.Parse) switch
    {
        { To: ConsoleTarget.Memory or ConsoleTarget.Own } => throw new UsageException($"--serial: '{text}' is for programs that run a machine themselves; use stdio, null, file:PATH or unix:PATH"),
        var serial => serial,
    };

    /// <summary>Reads a size; null where it is not given.</summary>
    /// <exception cref="UsageException">It is not a size.</exception>
    public static ulong? ReadSize(string option, string? text, string example) =>
        text is null ? null : ByteSize.TryParse(text, out var bytes) ? bytes : throw new UsageException($"{option}: '{text}' is not a size; write it like {example}");

    /// <summary>Which of some options were given.</summary>
    public static IEnumerable<string> AreGiven(ParseResult parsed, params Option[] options) => options.Where(option => IsGiven(parsed, option)).Select(option => option.Name);

    // Where nothing is said a machine has one card, on a network of its own; ports are published by the first card that is on such a network.
    private MachineDefinition WithNetworks(ParseResult parsed, MachineDefinition machine)
    {
        if (IsGiven(parsed, Networks)) machine = machine.Without<NetworkDevice>().With(Each(parsed, Networks, NetworkDevice.Parse).OfType<NetworkDevice>());
        else if (!machine.DevicesOf<NetworkDevice>().Any() && machine.Image is null) machine = machine.With(new NetworkDevice());
        return IsGiven(parsed, Published) ? WithPublished(machine, _ => Each(parsed, Published, PublishedPort.Parse)) : machine;
    }

    private MachineDefinition WithProperties(ParseResult parsed, MachineDefinition machine)
    {
        foreach (var (property, option) in _said)
        {
            if (option == Modules && IsGiven(parsed, option)) machine = machine with { Boot = machine.Boot with { Modules = [] } };
            foreach (var text in Values(parsed, option))
                if (option != Display || !IsOnTerminal || !TextDisplay.IsMeant(text)) machine = With(machine, property, text);
        }
        return machine;
    }

    // One that is there already as it is said is not there twice.
    private static MachineDefinition WithMore(MachineDefinition machine, IEnumerable<DeviceDefinition> devices) =>
        machine.With(devices.Select(device => machine with { Devices = [device] }).SelectMany(alone => alone.MapPaths(Path.GetFullPath).Devices).Where(device => !machine.Devices.Any(known => IsSaid(known, device))));

    // A disk's format was found out when it was added.
    private static bool IsSaid(DeviceDefinition known, DeviceDefinition device) =>
        DefinitionDifference.Same(known, device is DiskDevice { Format: null } disk && known is DiskDevice added ? disk with { Format = added.Format } : device);

    private static MachineDefinition WithPublished(MachineDefinition machine, Func<NetworkLink.User, IReadOnlyList<PublishedPort>> published)
    {
        var first = machine.DevicesOf<NetworkDevice>().FirstOrDefault(card => card.Link is NetworkLink.User) ?? throw new UsageException("--publish needs a network card of the kind user; add --net user");
        var link = (NetworkLink.User)first.Link;
        return machine with { Devices = [.. machine.Devices.Select(device => ReferenceEquals(device, first) ? first with { Link = link with { Published = published(link) } } : device)] };
    }

    // Behind a comma a device's options follow.
    private static IEnumerable<string> Completions<T>(string word, string[] first, Shape<T> shape, string main)
    {
        var comma = word.LastIndexOf(',');
        if (comma < 0) return first;
        return from property in shape.Properties
               where property.Name != main && !property.IsShort
               from value in property.Choices.Count > 0 ? property.Choices.Select(choice => $"={choice}") : property.Kind is ValueKind.Flag ? [""] : ["="]
               select $"{word[..(comma + 1)]}{property.Name}{value}";
    }

    private static MachineDefinition With(MachineDefinition machine, Property<MachineDefinition> property, string? text)
    {
        try
        {
            return MachineShape.Shape.With(machine, property.Name, text);
        }
        catch (MachineException) when (text is "")
        {
            // What a definition's own sentence says to write is how a file has it.
            throw new UsageException($"--{property.Name} needs a value; write --{property.Name} {property.Syntax}: {property.Meaning}");
        }
        catch (MachineException refused)
        {
            // The sentence begins with the property's name.
            throw new UsageException($"--{refused.Message}");
        }
    }

    private static T[] Each<T>(ParseResult parsed, Option<string[]> option, Func<string, T> read) => [.. parsed.GetValue(option)!.Select(text => Read(option, text, read))];

    private static T Read<T>(Option option, string text, Func<string, T> read)
    {
        try
        {
            return read(text);
        }
        catch (MachineException refused)
        {
            throw new UsageException($"{option.Name}: {refused.Message}");
        }
    }

    private static IEnumerable<string?> Values(ParseResult parsed, Option option)
    {
        if (!IsGiven(parsed, option)) return [];
        return option switch
        {
            Option<string[]> many => parsed.GetValue(many)!,
            Option<bool> flag when !parsed.GetValue(flag) => [],
            Option<bool> => NameAlone,
            _ => [parsed.GetValue((Option<string?>)option)],
        };
    }

    private static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    private Option<string?> Said(string name, params string[] aliases) => Add(name, property => new Option<string?>($"--{name}", aliases) { HelpName = property.Syntax.Contains('|', StringComparison.Ordinal) && property.Choices.Count > 0 ? "WHICH" : property.Syntax });

    private Option<string[]> Many(string name) => Add(name, property => new Option<string[]>($"--{name}") { HelpName = property.Syntax });

    private Option<bool> Flag(string name) => Add(name, _ => new Option<bool>($"--{name}"));

    private TOption Add<TOption>(string name, Func<Property<MachineDefinition>, TOption> make) where TOption : Option
    {
        var property = MachineShape.Shape.Properties.First(property => property.Name == name);
        var option = make(property);
        option.Description = $"{char.ToUpperInvariant(property.Meaning[0])}{property.Meaning.AsSpan(1)}.";
        if (property.Choices.Count > 0) option.CompletionSources.Add([.. property.Choices]);
        _said.Add((property, option));
        return option;
    }
}
