// The machines of a user that are kept: machines/NAME/ holds a machine's definition (machine.json), the kernel that it boots, the disk that is
// its own, and what is said of its runs (MachineHome). A machine does not depend on its image any more once it is made: the image may be
// built anew or removed. machine.json is written last and removed first, so that a folder with it is complete, and what a killed
// program left of a machine that never was is cleared away by whoever needs the name. A lock in the folder keeps two processes from one
// machine; a lock of the store orders what makes, renames and removes machines.
using System.Diagnostics;
using System.Security.Cryptography;
using Lamina.Backends.Disk;
using Lamina.Folders;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;
using Lamina.Images;

namespace Lamina.Hypervisor.Stored;

/// <summary>The stored machines of a user.</summary>
/// <param name="folder">The folder, which need not exist.</param>
public sealed class MachineStore(string folder)
{
    internal const string RootName = "root", SeedName = "seed";
    private const string StoreLock = ".lock", Waiting = ".waiting-";

    // No process begins so slowly.
    private static readonly TimeSpan Begins = TimeSpan.FromMinutes(1);
    internal const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(5), Patience = TimeSpan.FromSeconds(30);

    /// <summary>The folder of the store.</summary>
    public string Folder { get; } = Path.GetFullPath(folder);

    /// <summary>The store of the user: machines below $LAMINA_HOME, $XDG_DATA_HOME/lamina, or ~/.local/share/lamina.</summary>
    /// <exception cref="MachineException">The user has none of them.</exception>
    public static MachineStore OfUser() => new(Path.Combine(
        UserFolders.Data ?? throw new MachineException("there is no folder for machines: neither LAMINA_HOME nor HOME nor XDG_DATA_HOME names one; --ephemeral needs none"), "machines"));

    /// <summary>Refuses a name that no machine can have.</summary>
    /// <exception cref="MachineException">It is no host name.</exception>
    public static void CheckName(string name)
    {
        if (!IsHostName(name)) throw new MachineException($"'{Shown(name)}' cannot be a machine's name; use lower-case letters, digits and hyphens, up to {DeviceDefinition.LongestName}");
    }

    /// <summary>Whether a text can be a host name without a domain.</summary>
    public static bool IsHostName(string name) => DeviceDefinition.IsName(name);

    /// <summary>The folder of a machine that there is, or could be.</summary>
    /// <exception cref="MachineException">No machine can have that name.</exception>
    public MachineHome HomeOf(string name)
    {
        CheckName(name);
        return new MachineHome(Path.Combine(Folder, name));
    }

    /// <summary>The folder of a machine that there is.</summary>
    /// <exception cref="MachineException">There is none of that name.</exception>
    public MachineHome Find(string name)
    {
        var home = HomeOf(name);
        if (File.Exists(home.Definition)) return home;
        CheckAccess(home.Definition, $"the machine {name} in {Folder}");
        var meant = Spelling.Nearest(name, Names);
        throw new MachineException($"there is no machine {name}{(meant is null ? "; 'lamina ps -a' shows those that there are" : $"; did you mean {meant}?")}");
    }

    /// <summary>The names of the machines there are, in order; none of them is looked at.</summary>
    /// <exception cref="MachineException">The folder belongs to another user.</exception>
    public IReadOnlyList<string> Names => !IsThere ? [] :
        [.. Directory.EnumerateDirectories(Folder).Where(path => IsHostName(Path.GetFileName(path)) && File.Exists(new MachineHome(path).Definition)).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    /// <summary>The machines there are, by name. One that is damaged does not hide the others.</summary>
    public IReadOnlyList<MachineListing> List() => [.. Names.Select(name => Look(new MachineHome(Path.Combine(Folder, name))))];

    /// <summary>A machine, for lists.</summary>
    public static MachineListing Look(MachineHome home)
    {
        ArgumentNullException.ThrowIfNull(home);
        var (definition, problem) = TryRead(home);
        problem ??= definition?.Image is null ? null : WhyDamaged(home);
        var length = ((IEnumerable<string>)[home.Disk, .. home.Layers]).Select(path => new FileInfo(path)).Sum(file => file.Exists ? file.Length : 0);
        return new MachineListing(home.Name, definition, problem, home, length, IsHeld(home), RunRecord.Read(home.Run), EndRecord.Read(home.End)) { Suspended = SuspendRecord.Read(home), Migrated = MigrationRecord.Read(home) };
    }

    /// <summary>Makes a machine. It is there when this returns, and not at all where it throws.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="definition">What it is to be, without what is its own in its folder.</param>
    /// <param name="image">The image that it is made of; or null.</param>
    /// <param name="prepare">Does what there is to do before it counts as made (its disk's size, its settings); or null.</param>
    /// <exception cref="MachineException">There is one of that name.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    public void Create(string name, MachineDefinition definition, Image? image, Action<StoredMachine>? prepare = null)
    {
        ArgumentNullException.ThrowIfNull(definition);
        var home = HomeOf(name);
        using var order = LockStore();
        using var gate = Begin(home);
        using var made = Make(home, gate, definition, image, prepare);
        made.SetStarted();
    }

    /// <summary>Opens a machine, which nobody else can until it is disposed; makes it where there is none of that name.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="imageName">The image that it is to be made of, or was.</param>
    /// <param name="image">Finds or builds that image; called only where the machine is made.</param>
    /// <exception cref="MachineException">It is running, or was made of another image.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    public StoredMachine Open(string name, string imageName, Func<Image> image)
    {
        ArgumentNullException.ThrowIfNull(image);
        var home = HomeOf(name);
        CreateFolder(home.Folder);
        var gate = TryLock(home) ?? throw Runs(name);
        try
        {
            if (MachineFile.Read(home) is not { } definition)
            {
                var from = image();
                return Make(home, gate, Of(from), from, null);
            }
            if (definition.Image != imageName) throw new MachineException($"there is a machine {name} already, and it was made of {definition.Image ?? "no image"}; give this one another --name, or remove that one: lamina rm {name}");
            return OpenMade(home, gate, definition);
        }
        catch
        {
            gate.Dispose();
            throw;
        }
    }

    /// <summary>Opens a machine that there is, which nobody else can until it is disposed.</summary>
    /// <exception cref="MachineException">There is none, it is running, or it is damaged.</exception>
    public StoredMachine OpenToRun(string name)
    {
        var home = Find(name);
        ControlPath.Check(home.Socket);
        var gate = TryLock(home) ?? throw Runs(name);
        try
        {
            return OpenMade(home, gate, MachineFile.Read(home) ?? throw new MachineException($"the machine {name} was removed just now"));
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
        ArgumentNullException.ThrowIfNull(image);
        var home = new MachineHome(Directory.CreateTempSubdirectory("lamina-machine-").FullName);
        try
        {
            var disk = image.DiskPath!;
            DiskTools.Create(new DiskCreation { Path = home.Disk, Backing = disk });
            return new StoredMachine(home, gate: null)
            {
                Disk = new DiskDevice { Name = RootName, Path = home.Disk, Backing = [disk], Cache = CacheMode.Unsafe },
                KernelPath = image.KernelPath,
                InitrdPath = image.InitrdPath,
                Definition = Of(image),
                IsNew = true,
            };
        }
        catch
        {
            Directory.Delete(home.Folder, recursive: true);
            throw;
        }
    }

    /// <summary>Begins to change a machine's definition; nobody else makes, changes or removes a machine until it is disposed of. The machine may be running.</summary>
    /// <exception cref="MachineException">There is no such machine, or its definition cannot be used.</exception>
    public MachineEdit Edit(string name)
    {
        var order = LockStore();
        try
        {
            var home = Find(name);
            return new MachineEdit(home, MachineFile.Read(home) ?? throw new MachineException($"the machine {name} was removed just now"), order);
        }
        catch
        {
            order.Dispose();
            throw;
        }
    }

    /// <summary>Gives a machine another name.</summary>
    /// <exception cref="MachineException">There is no such machine, it is running, or there is one of the new name.</exception>
    public void Rename(string name, string to)
    {
        using var order = LockStore();
        var (home, target) = (Find(name), HomeOf(to));
        ControlPath.Check(target.Socket);
        using var gate = TryLock(home) ?? throw new MachineException(MachineError.Busy, $"the machine {name} is running; stop it first, then rename it");
        if (File.Exists(target.Definition)) throw new MachineException(MachineError.Busy, $"there is a machine {to} already; choose another name");
        if (Directory.Exists(target.Folder))
        {
            // What a killed program left of a machine that never was, unless one is being made there.
            using var making = TryLock(target) ?? throw new MachineException(MachineError.Busy, $"a machine {to} is being made; choose another name");
            Directory.Delete(target.Folder, recursive: true);
        }
        Directory.Move(home.Folder, target.Folder);
    }

    /// <summary>Makes a machine that is as another one: with what stands on its disk, which both write for themselves from then on.</summary>
    /// <param name="name">The other.</param>
    /// <param name="to">The new one's name.</param>
    /// <returns>Sentences about what they cannot both have.</returns>
    /// <exception cref="MachineException">There is no such machine, it is running, or there is one of the new name.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    public IReadOnlyList<string> Clone(string name, string to)
    {
        return WhileOff(name, "clone", (from, definition) =>
        {
            IReadOnlyList<string> notes = [];
            Add(to, home =>
            {
                (var copied, notes) = MachineCopy.Make(from, home, definition);
                return copied;
            });
            return notes;
        });
    }

    /// <summary>Does something with the files of a machine, which nobody else can run, change or remove meanwhile.</summary>
    /// <param name="name">The machine.</param>
    /// <param name="verb">What is done, as the command line calls it.</param>
    /// <param name="work">Does it.</param>
    /// <exception cref="MachineException">There is no such machine, it runs, or it is damaged.</exception>
    internal T WhileOff<T>(string name, string verb, Func<MachineHome, MachineDefinition, T> work)
    {
        var home = Find(name);
        using var held = TryLock(home) ?? throw new MachineException(MachineError.Busy, $"the machine {name} is running, and its disk changes meanwhile; stop it first ('lamina stop {name}'), then {verb} it");
        var definition = MachineFile.Read(home) ?? throw new MachineException($"the machine {name} was removed just now");
        MigrationRecord.Check(home);
        if (definition.Image is not null && WhyDamaged(home) is { } damaged) throw new MachineException(MachineError.File, damaged);
        if (SuspendRecord.Read(home) is not null)
            throw new MachineException(MachineError.State, $"the machine {name} is suspended in the middle of what it does, and its disk is as at a pulled plug; let it go on and stop it first ('lamina start {name}', 'lamina stop {name}'), then {verb} it");
        return work(home, definition);
    }

    /// <summary>Has a machine that was suspended begin anew at its next start: what it had in memory is gone then, as when the plug is pulled. One that was not is left as it is.</summary>
    /// <exception cref="MachineException">There is no such machine, or it runs.</exception>
    /// <exception cref="IOException">It cannot be removed.</exception>
    public void DropSuspended(string name)
    {
        var home = Find(name);
        using var held = TryLock(home) ?? throw Runs(name);
        SuspendRecord.Drop(home);
        SuspendRecord.DropForked(home);
        MigrationRecord.Drop(home);
    }

    /// <summary>Removes a machine and its disk; gives the folder that was removed, or null where there was none.</summary>
    /// <exception cref="MachineException">It is running.</exception>
    public string? Remove(string name)
    {
        var home = HomeOf(name);
        if (!IsThere || !Directory.Exists(home.Folder)) return null;
        using var order = LockStore();
        using var gate = TryLock(home) ?? throw new MachineException(MachineError.Busy, $"the machine {name} is running; stop it first ('lamina stop {name}')");
        File.Delete(home.Definition);
        Directory.Delete(home.Folder, recursive: true);
        return home.Folder;
    }

    /// <summary>Removes what killed programs left of machines that never were.</summary>
    /// <param name="onlySay">Whether nothing is removed.</param>
    /// <returns>The folders.</returns>
    public IReadOnlyList<string> Prune(bool onlySay)
    {
        if (!IsThere) return [];
        if (!onlySay) ClearWaiting();
        using var order = LockStore();
        var found = new List<string>();
        foreach (var folder in Directory.EnumerateDirectories(Folder).Order(StringComparer.Ordinal).ToList())
        {
            var home = new MachineHome(folder);
            if (!IsHostName(home.Name) || File.Exists(home.Definition) || IsHeld(home)) continue;
            found.Add(folder);
            if (!onlySay) Directory.Delete(folder, recursive: true);
        }
        return found;
    }

    /// <summary>Whether a process holds a machine.</summary>
    public static bool IsHeld(MachineHome home)
    {
        ArgumentNullException.ThrowIfNull(home);
        return HostLock.IsTaken(home.Lock);
    }

    /// <summary>What a machine is that is made of an image, where nothing else is said.</summary>
    public static MachineDefinition Of(Image image)
    {
        ArgumentNullException.ThrowIfNull(image);
        return new MachineDefinition
        {
            Image = image.Name,
            ImageVersion = image.Version,
            Made = DateTimeOffset.UtcNow,
            MemoryBytes = image.Memory,
            Boot = new BootSource { CommandLine = image.CommandLine },
            // Such a guest may have QEMU's agent, which cloud images often bring.
            Devices = image.IsImported ? [new ChannelDevice { Port = ChannelDevice.QemuAgent }] : [],
        };
    }

    /// <summary>Makes a machine of files that are put into its folder; it is complete when its definition is written. That may take its time, and holds up nobody who wants another name.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="fill">Puts them there, and gives the definition.</param>
    /// <exception cref="MachineException">There is one of that name.</exception>
    internal void Add(string name, Func<MachineHome, MachineDefinition> fill)
    {
        var home = HomeOf(name);
        HostLock gate;
        using (LockStore()) gate = Begin(home);
        using var held = gate;
        Fill(home, () => MachineFile.Write(home, fill(home) with { Name = null }));
    }

    /// <summary>Makes the folder of a machine that is yet to come: there is none until <see cref="Complete"/>.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="fill">Puts into it what it needs.</param>
    /// <exception cref="MachineException">There is one of that name.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    internal async Task<MachineHome> AddArrivingAsync(string name, Func<MachineHome, Task> fill)
    {
        var home = HomeOf(name);
        HostLock gate;
        using (LockStore()) gate = Begin(home);
        // Its process takes it next.
        using var held = gate;
        try
        {
            foreach (var entry in Directory.EnumerateFileSystemEntries(home.Folder).Where(entry => entry != home.Lock).ToList())
                if (Directory.Exists(entry)) Directory.Delete(entry, recursive: true);
                else File.Delete(entry);
            await fill(home).ConfigureAwait(false);
            return home;
        }
        catch
        {
            Directory.Delete(home.Folder, recursive: true);
            throw;
        }
    }

    /// <summary>A machine that was yet to come is there, but to run.</summary>
    /// <exception cref="MachineException">There is one of that name.</exception>
    /// <exception cref="IOException">It cannot be done.</exception>
    internal void Complete(MachineHome home, MachineDefinition definition, MachineDefinition started)
    {
        using var order = LockStore();
        if (File.Exists(home.Definition)) throw new MachineException(MachineError.Busy, $"there is a machine {home.Name} already");
        new MigrationRecord(DateTimeOffset.UtcNow, null, IsConfirmed: false).Write(home);
        MachineFile.WriteStarted(home, started);
        MachineFile.Write(home, definition with { Name = null });
    }

    /// <summary>Removes what there is of a machine whose process is ending, or has.</summary>
    /// <returns>Whether it is gone.</returns>
    internal async Task<bool> RemoveUnfinishedAsync(MachineHome home)
    {
        for (var i = 0; i < 100 && IsHeld(home); i++) await Task.Delay(50).ConfigureAwait(false);
        if (IsHeld(home)) return false;
        if (!Directory.Exists(home.Folder)) return true;
        using var order = LockStore();
        File.Delete(home.Definition);
        Directory.Delete(home.Folder, recursive: true);
        return true;
    }

    /// <summary>Makes a folder for a process that waits to be a machine. It has no name that a machine can have.</summary>
    /// <param name="fill">Puts into it what that one needs.</param>
    /// <exception cref="IOException">It cannot be made.</exception>
    internal MachineHome AddWaiting(Action<MachineHome> fill)
    {
        var home = new MachineHome(Path.Combine(Folder, Waiting + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))));
        ControlPath.Check(home.Socket);
        CreateFolder(home.Folder);
        // The file is there before its process is, which makes none in this folder.
        using var held = TryLock(home);
        Fill(home, () => fill(home));
        return home;
    }

    /// <summary>Gives the folder of a process that waits a machine's name; the machine is there from then on.</summary>
    /// <param name="waiting">The folder's name.</param>
    /// <param name="name">The machine's.</param>
    /// <param name="fill">Puts into it what is that machine's alone.</param>
    /// <param name="definition">Its definition.</param>
    /// <exception cref="MachineException">There is one of that name, or none of that folder.</exception>
    /// <exception cref="IOException">It cannot be done.</exception>
    internal MachineHome Adopt(string waiting, string name, Action<MachineHome> fill, Func<MachineHome, MachineDefinition> definition)
    {
        var (home, from) = (HomeOf(name), new MachineHome(Path.Combine(Folder, Path.GetFileName(waiting))));
        using (LockStore())
        {
            if (!from.Name.StartsWith(Waiting, StringComparison.Ordinal) || !IsHeld(from)) throw new MachineException(MachineError.Host, "a process that waited to be a copy is gone; try again");
            ControlPath.Check(home.Socket);
            if (Directory.Exists(home.Folder))
            {
                // What a killed program left of a machine that never was, unless one is being made there.
                if (File.Exists(home.Definition) || IsHeld(home)) throw new MachineException(MachineError.Busy, $"there is a machine {name} already; choose another name, or remove that one with 'lamina rm {name}'");
                Directory.Delete(home.Folder, recursive: true);
            }
            Directory.Move(from.Folder, home.Folder);
            // Its process goes on by the paths that it has, where it has no root of its own in which they stay.
            File.CreateSymbolicLink(from.Folder, home.Name);
        }
        fill(home);
        MachineFile.Write(home, definition(home) with { Name = null });
        return home;
    }

    /// <summary>Removes the folders of processes that waited and are gone, and the names that copies had while they waited and need no more.</summary>
    internal void ClearWaiting()
    {
        if (!IsThere) return;
        foreach (var folder in new DirectoryInfo(Folder).EnumerateFileSystemInfos(Waiting + "*").ToList())
        {
            if (IsHeld(new MachineHome(folder.FullName))) continue;
            try
            {
                // The name that a copy had before.
                if (folder.LinkTarget is not null) File.Delete(folder.FullName);
                // One that was made just now is about to be held.
                else if (DateTime.UtcNow - folder.LastWriteTimeUtc >= Begins) Directory.Delete(folder.FullName, recursive: true);
            }
            catch (IOException)
            {
                // Another program does, too.
            }
        }
    }

    // The folder of a machine that there is not yet, held.
    private static HostLock Begin(MachineHome home)
    {
        if (File.Exists(home.Definition)) throw new MachineException(MachineError.Busy, $"there is a machine {home.Name} already; choose another name, or remove that one with 'lamina rm {home.Name}'");
        ControlPath.Check(home.Socket);
        CreateFolder(home.Folder);
        return TryLock(home) ?? throw new MachineException(MachineError.Busy, $"{home.Folder} is in use by another process; choose another name");
    }

    // Nothing stays of a machine that could not be made.
    private static void Fill(MachineHome home, Action fill)
    {
        try
        {
            foreach (var file in Directory.EnumerateFiles(home.Folder).Where(file => file != home.Lock)) File.Delete(file);
            fill();
        }
        catch (Exception failure)
        {
            Directory.Delete(home.Folder, recursive: true);
            if (failure is UnauthorizedAccessException or (IOException and not DiskImageException))
                throw new IOException($"the machine {home.Name} could not be made in {home.Folder} ({failure.Message.TrimEnd('.')}); free some space, or name another folder in {UserFolders.RootVariable}", failure);
            throw;
        }
    }

    // A name may be a whole book.
    private static string Shown(string name) => name.Length <= 40 ? name : $"{name[..40]}…";

    // One of another user's is neither there nor not.
    private bool IsThere
    {
        get
        {
            CheckAccess(Path.Combine(Folder, StoreLock), $"the machines' folder {Folder}");
            return Directory.Exists(Folder);
        }
    }

    private static void CheckAccess(string path, string what)
    {
        try
        {
            _ = File.GetAttributes(path);
        }
        catch (UnauthorizedAccessException denied)
        {
            throw new MachineException(MachineError.Host, $"{what} belongs to another user; ask that user, or name a folder of your own in {UserFolders.RootVariable}", denied);
        }
        catch (IOException)
        {
            // It is not there.
        }
    }

    private static MachineException Runs(string name) => new(MachineError.Busy, $"the machine {name} is running already; end it first, give this one a --name of its own, or use --ephemeral");

    // The image's files get second names: they stay as long as the machine does, and take no space while the image has them too.
    private static StoredMachine Make(MachineHome home, HostLock gate, MachineDefinition definition, Image? image, Action<StoredMachine>? prepare)
    {
        StoredMachine? made = null;
        Fill(home, () =>
        {
            if (image is not null)
            {
                MachineDisks.LinkOrCopy(image.KernelPath, home.Kernel);
                if (image.InitrdPath is { } initrd) MachineDisks.LinkOrCopy(initrd, home.Initrd);
                if (image.DiskPath is { } disk)
                {
                    MachineDisks.LinkOrCopy(disk, home.Base);
                    DiskTools.Create(new DiskCreation { Path = home.Disk, Backing = Path.GetFileName(home.Base) });
                }
            }
            made = Stored(home, gate, definition, isNew: true);
            prepare?.Invoke(made);
            MachineFile.Write(home, definition with { Name = null, Devices = [.. definition.Devices.Select(StoredMachine.WithFormat)] });
        });
        return made!;
    }

    private static StoredMachine OpenMade(MachineHome home, HostLock gate, MachineDefinition definition)
    {
        MigrationRecord.Check(home);
        if (definition.Image is not null && WhyDamaged(home) is { } damaged) throw new MachineException(MachineError.File, damaged);
        return Stored(home, gate, definition, isNew: false);
    }

    private static string? WhyDamaged(MachineHome home)
    {
        var file = new FileInfo(home.Kernel) is { Exists: true, Length: > 0 } ? MachineDisks.Missing(home) : home.Kernel;
        return file is null ? null : $"{file} of the machine {home.Name} is {(File.Exists(file) ? "empty" : "gone")}; put it back, or remove the machine with 'lamina rm {home.Name}', and its next run makes it anew";
    }

    private static StoredMachine Stored(MachineHome home, HostLock gate, MachineDefinition definition, bool isNew) => new(home, gate)
    {
        Disk = MachineDisks.DiskOf(home),
        KernelPath = File.Exists(home.Kernel) ? home.Kernel : null,
        InitrdPath = File.Exists(home.Initrd) ? home.Initrd : null,
        Definition = definition with { Name = home.Name },
        IsNew = isNew,
    };

    private static (MachineDefinition? Definition, string? Problem) TryRead(MachineHome home)
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

    private static void CreateFolder(string home)
    {
        try
        {
            Directory.CreateDirectory(home, Private);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"the machines' folder {home} cannot be made ({failure.Message.TrimEnd('.')}); make it writable, or name another one in {UserFolders.RootVariable}", failure);
        }
    }

    private static HostLock? TryLock(MachineHome home) => HostLock.TryTake(home.Lock);

    // Held for as long as it takes to change names of files; whoever is killed lets go of it.
    private HostLock LockStore()
    {
        if (!IsThere) CreateFolder(Folder);
        var begin = Stopwatch.GetTimestamp();
        while (true)
        {
            if (HostLock.TryTake(Path.Combine(Folder, StoreLock)) is { } gate) return gate;
            if (Stopwatch.GetElapsedTime(begin) > Patience) throw new MachineException(MachineError.Busy, $"another program has been making or removing a machine in {Folder} for {Patience.TotalSeconds:0} s; try again when it is done");
            Thread.Sleep(LookAgain);
        }
    }
}
