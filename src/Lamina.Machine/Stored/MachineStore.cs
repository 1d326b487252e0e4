// The user's machines that outlive a run: machines/NAME/ holds its definition (machine.json), the kernel that it boots and the disk that is its own. A machine
// does not depend on its image any more once it is made: the image may be built anew or removed. machine.json is written last
// and removed first, so that a folder with it is complete. A lock keeps two runs from one machine.
using Lamina.Backends.Disk;
using Lamina.Folders;
using Lamina.Host;
using Lamina.Images;

namespace Lamina.Stored;

/// <summary>A machine in the store, for lists.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Definition">Its definition; null where the file cannot be used.</param>
/// <param name="Problem">Why it cannot, as a sentence; null where it can.</param>
/// <param name="Folder">The folder with its files.</param>
/// <param name="Size">The length of its own disk's file, in bytes.</param>
/// <param name="IsRunning">Whether a process runs it.</param>
public sealed record MachineListing(string Name, MachineDefinition? Definition, string? Problem, string Folder, long Size, bool IsRunning);

/// <summary>The stored machines of a user.</summary>
/// <param name="folder">The folder, which need not exist.</param>
public sealed class MachineStore(string folder)
{
    internal const string DiskFile = "disk.qcow2", SeedFile = "seed.img", RootName = "root", SeedName = "seed";
    private const string BaseFile = "base.qcow2", KernelFile = "kernel", InitrdFile = "initrd", LockFile = "lock";
    private const int WouldBlock = 11; // errno(3): EWOULDBLOCK
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The folder of the store.</summary>
    public string Folder { get; } = Path.GetFullPath(folder);

    /// <summary>The store of the user: machines below $XDG_DATA_HOME/lamina, or ~/.local/share/lamina.</summary>
    /// <exception cref="MachineException">The user has neither.</exception>
    public static MachineStore OfUser() => new(Path.Combine(
        UserFolders.Data ?? throw new MachineException("there is no folder for machines: neither HOME nor XDG_DATA_HOME names one; --ephemeral needs none"), "machines"));

    /// <summary>Refuses a name that no machine can have.</summary>
    /// <exception cref="MachineException">It is no host name.</exception>
    public static void CheckName(string name)
    {
        if (!IsHostName(name)) throw new MachineException($"'{name}' cannot be a machine's name; use lower-case letters, digits and hyphens, up to {DeviceDefinition.LongestName}");
    }

    /// <summary>Whether a text can be a host name without a domain.</summary>
    public static bool IsHostName(string name) => DeviceDefinition.IsName(name);

    /// <summary>The machines there are, by name.</summary>
    public IReadOnlyList<MachineListing> List()
    {
        if (!Directory.Exists(Folder)) return [];
        var machines = new List<MachineListing>();
        foreach (var home in Directory.EnumerateDirectories(Folder).Order(StringComparer.Ordinal))
        {
            var name = Path.GetFileName(home);
            if (!IsHostName(name) || !File.Exists(MachineFile.PathIn(home))) continue;
            using var gate = TryLock(home);
            var disk = new FileInfo(Path.Combine(home, DiskFile));
            var (definition, problem) = TryRead(home);
            problem ??= WhyGone(name, disk.FullName);
            machines.Add(new MachineListing(name, definition, problem, home, disk.Exists ? disk.Length : 0, gate is null));
        }
        return machines;
    }

    /// <summary>Opens a machine, which nobody else can until it is disposed; makes it where there is none of that name.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="imageName">The image that it is to be made of, or was.</param>
    /// <param name="image">Finds or builds that image; called only where the machine is made.</param>
    /// <exception cref="MachineException">It is running, or was made of another image.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    public StoredMachine Open(string name, string imageName, Func<Image> image)
    {
        CheckName(name);
        var home = Path.Combine(Folder, name);
        CreateFolder(home);
        var gate = TryLock(home) ?? throw new MachineException(MachineError.Busy, $"the machine {name} is running already; end it first, give this one a --name of its own, or use --ephemeral");
        try
        {
            var definition = MachineFile.Read(home);
            if (definition is null) return Make(name, home, gate, image());
            if (definition.Image != imageName) throw new MachineException($"there is a machine {name} already, and it was made of {definition.Image}; give this one another --name, or remove that one: lamina machine rm {name}");
            foreach (var file in (string[])[DiskFile, BaseFile, KernelFile])
                if (WhyGone(name, Path.Combine(home, file)) is { } gone) throw new MachineException(MachineError.File, gone);
            return Stored(name, home, gate, definition, isNew: false);
        }
        catch
        {
            gate.Dispose();
            throw;
        }
    }

    /// <summary>Makes a machine that leaves nothing behind.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public static StoredMachine OpenEphemeral(Image image)
    {
        var home = Directory.CreateTempSubdirectory("lamina-machine-").FullName;
        try
        {
            var disk = image.DiskPath!;
            DiskTools.Create(new DiskCreation { Path = Path.Combine(home, DiskFile), Backing = disk });
            return new StoredMachine(home, gate: null, new DiskDevice { Name = RootName, Path = Path.Combine(home, DiskFile), Backing = [disk], Cache = CacheMode.Unsafe })
            {
                KernelPath = image.KernelPath,
                InitrdPath = image.InitrdPath,
                Definition = Of(image),
                IsNew = true,
            };
        }
        catch
        {
            Directory.Delete(home, recursive: true);
            throw;
        }
    }

    /// <summary>Removes a machine and its disk; gives the folder that was removed, or null where there was none.</summary>
    /// <exception cref="MachineException">It is running.</exception>
    public string? Remove(string name)
    {
        CheckName(name);
        var home = Path.Combine(Folder, name);
        if (!Directory.Exists(home)) return null;
        using var gate = TryLock(home) ?? throw new MachineException(MachineError.Busy, $"the machine {name} is running; end it first");
        File.Delete(MachineFile.PathIn(home));
        Directory.Delete(home, recursive: true);
        return home;
    }

    // The image's files get second names: they stay as long as the machine does, and take no space while the image has them too.
    private static StoredMachine Make(string name, string home, FileStream gate, Image image)
    {
        try
        {
            foreach (var file in Directory.EnumerateFiles(home).Where(file => Path.GetFileName(file) != LockFile)) File.Delete(file);
            LinkOrCopy(image.DiskPath!, Path.Combine(home, BaseFile));
            LinkOrCopy(image.KernelPath, Path.Combine(home, KernelFile));
            if (image.InitrdPath is { } initrd) LinkOrCopy(initrd, Path.Combine(home, InitrdFile));
            DiskTools.Create(new DiskCreation { Path = Path.Combine(home, DiskFile), Backing = BaseFile });
            var definition = Of(image);
            MachineFile.Write(home, definition);
            return Stored(name, home, gate, definition, isNew: true);
        }
        catch (Exception failure)
        {
            Directory.Delete(home, recursive: true);
            if (failure is IOException or UnauthorizedAccessException)
                throw new IOException($"the machine {name} could not be made in {home} ({failure.Message.TrimEnd('.')}); free some space, or name another folder in XDG_DATA_HOME", failure);
            throw;
        }
    }

    private static StoredMachine Stored(string name, string home, FileStream gate, MachineDefinition definition, bool isNew)
    {
        var initrd = Path.Combine(home, InitrdFile);
        return new StoredMachine(home, gate, new DiskDevice { Name = RootName, Path = Path.Combine(home, DiskFile), Backing = [Path.Combine(home, BaseFile)] })
        {
            KernelPath = Path.Combine(home, KernelFile),
            InitrdPath = File.Exists(initrd) ? initrd : null,
            Definition = definition with { Name = name },
            IsNew = isNew,
        };
    }

    private static MachineDefinition Of(Image image) => new()
    {
        Image = image.Name,
        ImageVersion = image.Version,
        Made = DateTimeOffset.UtcNow,
        MemoryBytes = image.Memory,
        Boot = new BootSource { CommandLine = image.CommandLine },
    };

    // One machine that is damaged does not hide the others.
    private static (MachineDefinition? Definition, string? Problem) TryRead(string home)
    {
        try
        {
            return (MachineFile.Read(home), null);
        }
        catch (MachineException damaged)
        {
            return (null, damaged.Message);
        }
    }

    private static string? WhyGone(string name, string file)
    {
        var found = new FileInfo(file);
        return found is { Exists: true, Length: > 0 } ? null
            : $"{file} of the machine {name} is {(found.Exists ? "empty" : "gone")}; put it back, or remove the machine with 'lamina machine rm {name}', and its next run makes it anew";
    }

    private static void CreateFolder(string home)
    {
        try
        {
            Directory.CreateDirectory(home, Private);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"the machines' folder {home} cannot be made ({failure.Message.TrimEnd('.')}); make it writable, or name another one in XDG_DATA_HOME", failure);
        }
    }

    private static void LinkOrCopy(string source, string target)
    {
        if (!HostFiles.TryLink(source, target)) File.Copy(source, target);
    }

    private static FileStream? TryLock(string home)
    {
        try
        {
            return new FileStream(Path.Combine(home, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException busy) when (busy.HResult == WouldBlock)
        {
            return null;
        }
    }
}
