// What "lamina run" boots: a kernel of the user's, firmware, an image that lives in memory, or a machine of the store with a disk of its
// own, made of an image. The words that only some of these take are refused for the others here.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Folders;
using Lamina.Images;
using Lamina.Images.Root;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>What is booted, as the definition of a machine to which the words of the command line are then added.</summary>
internal sealed class RunSource : IDisposable
{
    private const string DefaultUser = "debian";

    private readonly StoredMachine? _machine;

    // Says of a machine that a folder is its root, behind all that the words say.
    private Func<MachineDefinition, MachineDefinition>? _root;

    private RunSource(MachineDefinition definition, StoredMachine? machine = null) => (Definition, _machine) = (definition, machine);

    /// <summary>What the machine is where the words say nothing else.</summary>
    public MachineDefinition Definition { get; }

    /// <summary>Finds what the words name; builds an image on its first use.</summary>
    /// <exception cref="UsageException">Words do not go together.</exception>
    /// <exception cref="IOException">An image cannot be built, or a machine not made.</exception>
    public static RunSource Open(ParseResult parsed, RunOptions options)
    {
        var name = parsed.GetValue(options.Image);
        if (parsed.GetValue(options.Kernel) is not null)
        {
            if (name is not null) throw new UsageException($"there is either an image to boot or a --kernel; leave out '{name}' or --kernel");
            RefuseDiskWords(parsed, options, "a --kernel of your own");
            return new RunSource(new MachineDefinition()) { _root = parsed.GetValue(options.Root) is { } root ? OnFolder(parsed, options, root) : null };
        }
        if (FirmwareFetch.IsAsked(parsed, options))
        {
            var machine = new MachineDefinition { Boot = new BootSource { Firmware = parsed.GetValue(options.Firmware) ?? BootSource.SeaBios } };
            FirmwareFetch.Ensure(machine);
            return new RunSource(machine);
        }
        if (RunOptions.AreGiven(parsed, options.Root).Any()) throw new UsageException("--root is for a kernel of your own; name it with --kernel");
        if (RunOptions.AreGiven(parsed, options.Modules).Any()) throw new UsageException("--module is for a kernel of your own; name it with --kernel");
        CheckInitrd(parsed, options);
        name ??= ImageVerb.DefaultImage;
        if (ImageStore.OfUser().HasDisk(name)) return OpenMachine(parsed, options, name);
        RefuseDiskWords(parsed, options, $"the image {name}, which lives in memory");
        var image = ImageOf(name);
        return new RunSource(new MachineDefinition
        {
            MemoryBytes = image.Memory,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = parsed.GetValue(options.Rm) ? image.CommandLine : WithTerminal(image.CommandLine) },
        });
    }

    /// <summary>Adds what is the machine's own: its disk, which the guest is to find first, and its settings, last. What was said at its making is kept for later runs.</summary>
    public MachineDefinition Complete(MachineDefinition definition)
    {
        if (_root is { } root) return root(definition);
        if (_machine is null) return definition;
        if (_machine.IsNew) _machine.Keep(Kept(definition));
        return definition with { Devices = [_machine.Disk!, .. definition.Devices, .. _machine.SeedDisk is { } seed ? [seed] : Array.Empty<DiskDevice>()] };
    }

    /// <summary>To be called when the machine has its files open: what is to be forgotten leaves no names behind, however the program ends.</summary>
    public void SetStarted() => _machine?.SetStarted();

    /// <inheritdoc/>
    public void Dispose() => _machine?.Dispose();

    // What a run is to do with the machine is said at each run; what the machine is, once.
    private MachineDefinition Kept(MachineDefinition definition)
    {
        var made = _machine!.Definition;
        return made with
        {
            MemoryBytes = definition.MemoryBytes,
            MostMemoryBytes = definition.MostMemoryBytes,
            Cpus = definition.Cpus,
            Cpu = definition.Cpu,
            Type = definition.Type,
            Devices = [.. definition.Without<SerialDevice>().Without<ConsoleDevice>().Devices],
        };
    }

    private static RunSource OpenMachine(ParseResult parsed, RunOptions options, string image)
    {
        var size = RunOptions.ReadSize(options.DiskSize.Name, parsed.GetValue(options.DiskSize), "40G");
        var name = parsed.GetValue(options.Name) ?? image;
        MachineStore.CheckName(name);
        var seed = ReadSeed(parsed, options, name, image);
        var ephemeral = parsed.GetValue(options.Ephemeral) || parsed.GetValue(options.Rm);
        if (ephemeral && parsed.GetValue(options.Name) is not null) throw new UsageException("a machine with a --name is kept, an --ephemeral one is not; leave out one of them");
        var machine = ephemeral ? MachineStore.OpenEphemeral(ImageOf(image)) : MachineStore.OfUser().Open(name, image, () => ImageOf(image));
        try
        {
            if (size is { } bytes) machine.Grow(bytes);
            // Said nothing, a machine stays what it was made.
            if (machine.IsNew || RunOptions.AreGiven(parsed, options.HostName, options.User, options.SshKeys, options.UserData).Any()) machine.SetSeed(seed);
            var made = machine.Definition;
            if (machine.IsNew) made = made.With(new NetworkDevice());
            return new RunSource(made with
            {
                Boot = made.Boot with { KernelPath = machine.KernelPath, InitrdPath = machine.InitrdPath, CommandLine = WithTerminal(made.Boot.CommandLine ?? BootSource.DefaultCommandLine) },
            }, machine);
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    // A kernel on a folder: it is told where its root is behind all that its command line says, and gets an initial RAM disk where it needs one.
    private static Func<MachineDefinition, MachineDefinition> OnFolder(ParseResult parsed, RunOptions options, string text)
    {
        var words = Words.Split(text);
        if (words.Count > 2 || (words.Count == 2 && words[1] != "ro") || words[0].Length == 0) throw new UsageException($"--root: '{text}' is no folder; write it like FOLDER or FOLDER,ro");
        var folder = Path.GetFullPath(words[0]);
        if (!Directory.Exists(folder)) throw new UsageException($"--root: the folder {words[0]} does not exist");
        var kernel = parsed.GetValue(options.Kernel)!;
        if (!File.Exists(kernel)) throw new UsageException($"the kernel {kernel} does not exist");
        var initrd = parsed.GetValue(options.Initrd);
        if (initrd is null)
        {
            var cache = UserFolders.Cache ?? throw new UsageException("there is no folder for what is kept for the next run: neither LAMINA_HOME nor HOME nor XDG_CACHE_HOME names one");
            var boot = RootInitrd.Prepare(kernel, folder, Path.Combine(cache, "root"), () => ImageOf(ImageVerb.DefaultImage).InitrdPath!);
            if (boot.Note is { } note) Stderr.Say(note);
            initrd = boot.InitrdPath;
        }
        var isReadOnly = words.Count == 2;
        return definition => (definition with
        {
            Boot = definition.Boot with { InitrdPath = initrd, CommandLine = $"{definition.Boot.CommandLine ?? BootSource.DefaultCommandLine}{TerminalWords.ForGuest()} root={RootInitrd.Tag} rootfstype=virtiofs {(isReadOnly ? "ro" : "rw")}" },
        }).With(new ShareDevice { Path = folder, Tag = RootInitrd.Tag, ReadOnly = isReadOnly });
    }

    /// <summary>Refuses an initial RAM disk that there is not, before an image is built that it is for.</summary>
    /// <exception cref="UsageException">There is none.</exception>
    internal static void CheckInitrd(ParseResult parsed, RunOptions options)
    {
        if (parsed.GetValue(options.Initrd) is { } initrd && !Path.Exists(initrd)) throw new UsageException($"the initrd {initrd} does not exist");
    }

    /// <summary>The settings of a machine's first start, as the words have them.</summary>
    /// <exception cref="UsageException">A value is none, or is not for this image.</exception>
    internal static Seed ReadSeed(ParseResult parsed, RunOptions options, string machine, string image)
    {
        var host = parsed.GetValue(options.HostName) ?? machine;
        if (!MachineStore.IsHostName(host)) throw new UsageException($"--hostname: '{host}' is not a host name; write it like web-1");
        var user = parsed.GetValue(options.User);
        if (user is not null && !IsUserName(user)) throw new UsageException($"--user: '{user}' is not a user's name; write it like alice");
        var seed = new Seed
        {
            HostName = host,
            User = user ?? (IsUserName(Environment.UserName) ? Environment.UserName : DefaultUser),
            Keys = [.. (parsed.GetValue(options.SshKeys) ?? []).SelectMany(Seed.ReadKeys)],
            UserData = parsed.GetValue(options.UserData) is { } file ? Seed.ReadUserData(file) : default,
        };
        return seed.UserData.Length == 0 || seed.HasScript || ImageStore.OfUser().IsImported(image)
            ? seed
            : throw new UsageException($"{options.UserData.Name}: the image {image} runs a script, which begins with #!; other files are for imported images with cloud-init");
    }

    // What Debian's adduser takes.
    private static bool IsUserName(string name) =>
        name.Length is > 0 and <= 32 && char.IsAsciiLetterLower(name[0]) && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_');

    /// <summary>Refuses the words that are for machines with a disk of their own.</summary>
    /// <exception cref="UsageException">One is given.</exception>
    internal static void RefuseDiskWords(ParseResult parsed, RunOptions options, string what)
    {
        var given = RunOptions.AreGiven(parsed, options.Name, options.Ephemeral, options.DiskSize, options.HostName, options.User, options.SshKeys, options.UserData).FirstOrDefault();
        if (given is not null) throw new UsageException($"{given} is for an image with a disk, such as debian, and not for {what}");
    }

    private static string WithTerminal(string commandLine) => $"{commandLine}{TerminalWords.ForGuest()}";

    /// <summary>Finds an image, or builds it on its first use. The way of every run after the first: no builder, no progress, no lock.</summary>
    internal static Image ImageOf(string name) => ImageStore.OfUser().Find(name)
        ?? ImageBuild.Run((store, progress, cancellation) => store.FindOrBuildAsync(name, progress, cancellation));
}
