// The snapshots of a machine: what is kept of it at some moments, each the child of the one before it. A snapshot comes about by one rename of its
// folder, and goes by one; layers of the disk that nothing is based on any more are removed afterwards, by whoever looks next where a program
// was killed between. Whoever makes or removes snapshots of a machine holds the lock of their folder.
using System.Diagnostics;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;
using Lamina.Saving;

namespace Lamina.Hypervisor.Snapshots;

/// <summary>Takes snapshots of machines, and puts machines back to them.</summary>
public static class SnapshotStore
{
    /// <summary>The most snapshots that a machine has.</summary>
    public const int Most = 256;

    /// <summary>The longest description.</summary>
    public const int LongestDescription = 1024;

    // What the machine went on from, or was last taken: the parent of the next one. A file of that name, which no snapshot can have.
    private const string CurrentName = ".current", LockName = ".lock";

    private const int MostOfCurrent = 4096;

    /// <summary>With what the names of folders begin that are no snapshots yet.</summary>
    internal const string Unfinished = ".new-";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30), AgentPatience = TimeSpan.FromSeconds(3), LookAgain = TimeSpan.FromMilliseconds(5);

    /// <summary>The snapshots of a machine, the oldest first; those that cannot be used among them, with why (<see cref="Snapshot.Damage"/>).</summary>
    public static IReadOnlyList<Snapshot> List(MachineHome home)
    {
        ArgumentNullException.ThrowIfNull(home);
        return [.. Snapshot.FoldersOf(home).Select(folder => Snapshot.Look(home, folder)).OfType<Snapshot>().OrderBy(snapshot => snapshot.Taken)];
    }

    /// <summary>A snapshot of a machine.</summary>
    /// <exception cref="MachineException">There is none of that name, or it is damaged.</exception>
    public static Snapshot Find(MachineHome home, string name)
    {
        ArgumentNullException.ThrowIfNull(home);
        CheckName(name);
        var folder = FolderOf(home, name);
        if (Snapshot.Look(home, folder) is { } found) return found.Damage is null ? found : throw new MachineException(MachineError.File, found.Damage);
        var meant = Spelling.Nearest(name, Snapshot.FoldersOf(home).Select(place => Path.GetFileName(place)));
        throw new MachineException($"the machine {home.Name} has no snapshot {name}{(meant is null ? $"; 'lamina snapshot list {home.Name}' shows those that there are" : $"; did you mean {meant}?")}");
    }

    /// <summary>The name of the snapshot that a machine went on from, or that was taken of it last; null for none.</summary>
    public static string? CurrentOf(MachineHome home)
    {
        ArgumentNullException.ThrowIfNull(home);
        try
        {
            var name = System.Text.Encoding.UTF8.GetString(NamedFile.ReadFile(Path.Combine(home.Snapshots, CurrentName), MostOfCurrent)).Trim();
            return MachineStore.IsHostName(name) && Directory.Exists(FolderOf(home, name)) ? name : null;
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Bytes of the host's disk that a snapshot's folder takes; what stood on the machine's disk lies in layers beside.</summary>
    public static long SpaceOf(MachineHome home, Snapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(home);
        ArgumentNullException.ThrowIfNull(snapshot);
        return Snapshot.SpaceOf(FolderOf(home, snapshot.Name));
    }

    /// <summary>Opens a snapshot's memory.</summary>
    /// <exception cref="MachineException">It is missing or damaged.</exception>
    internal static SavedMemory OpenMemory(MachineHome home, Snapshot snapshot) => SavedMemory.Open(FolderOf(home, snapshot.Name));

    /// <summary>The definition that a machine had when a snapshot was taken.</summary>
    /// <exception cref="MachineException">It is damaged.</exception>
    public static MachineDefinition DefinitionOf(MachineHome home, Snapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(home);
        ArgumentNullException.ThrowIfNull(snapshot);
        return MachineFile.Read(home, Snapshot.DefinitionIn(FolderOf(home, snapshot.Name))) ?? throw new MachineException(MachineError.File, $"the definition of the snapshot {snapshot.Name} is gone");
    }

    /// <summary>Takes a snapshot. A machine that runs goes on after a moment, while its memory is written.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="name">The snapshot's name.</param>
    /// <param name="description">What there is to say of it; empty for nothing.</param>
    /// <param name="diskOnly">Whether its disk alone is kept, of a machine that runs, too.</param>
    /// <param name="memory">How its memory is kept. That of a machine which goes on from a snapshot, and has not been started, stays as it is there.</param>
    /// <param name="cancellationToken">Ends the wait, and with it the snapshot.</param>
    /// <exception cref="MachineException">There is one of that name, or the machine cannot have one.</exception>
    /// <exception cref="IOException">The host refuses it; the machine goes on.</exception>
    public static async Task<Snapshot> CreateAsync(MachineHome home, string name, string description = "", bool diskOnly = false, SnapshotMemory memory = SnapshotMemory.Whole, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(home);
        ArgumentNullException.ThrowIfNull(description);
        CheckName(name);
        if (description.Length > LongestDescription || description.Any(char.IsControl)) throw new MachineException($"a description is one line of at most {LongestDescription} characters");
        var definition = MachineFile.Read(home) ?? throw new MachineException($"the machine {home.Name} was removed just now");
        var hasDisk = File.Exists(home.Disk);
        if (diskOnly && !hasDisk) throw new MachineException($"the machine {home.Name} has no disk of its own; leave out --disk-only");
        if (diskOnly && memory != SnapshotMemory.Whole) throw new MachineException($"there is no memory where the disk alone is kept; leave out --disk-only or --{(memory == SnapshotMemory.Compressed ? "compress" : "incremental")}");
        RequireOwnDisks(home, definition);
        using var order = Lock(home);
        if (Directory.Exists(FolderOf(home, name))) throw new MachineException(MachineError.Busy, $"the machine {home.Name} has a snapshot {name} already; choose another name, or remove that one with 'lamina snapshot rm {home.Name} {name}'");
        if (Snapshot.FoldersOf(home).Count() >= Most) throw new MachineException(MachineError.State, $"the machine {home.Name} has {Most} snapshots, which is as many as there can be; remove some with 'lamina snapshot rm'");
        Clear(home);
        var folder = Path.Combine(home.Snapshots, Unfinished + name);
        var taken = new Snapshot(name, DateTimeOffset.UtcNow, CurrentOf(home), home.Folder, null, false, typeof(Machine).Assembly.GetName().Version?.ToString(3) ?? "") { Description = description };
        try
        {
            var client = await MachineControl.TryConnectAsync(home, cancellationToken).ConfigureAwait(false);
            if (client is null) taken = TakeOff(home, folder, taken, hasDisk, diskOnly);
            else
            {
                await using (client.ConfigureAwait(false)) taken = await TakeRunningAsync(client, home, folder, taken, hasDisk, diskOnly, cancellationToken).ConfigureAwait(false);
            }
            if (taken.HasMemory) taken = KeepMemory(home, folder, taken, memory);
            File.Copy(home.Definition, Snapshot.DefinitionIn(folder));
            if (taken.HasMemory && File.Exists(home.Started)) File.Copy(home.Started, Snapshot.StartedIn(folder));
            taken.Write(folder);
            // All of it is on the disk before it has its name, and that before anybody is told; whoever wrote the layer may not have waited for that.
            if (taken.Layer is { } kept) HostFiles.SyncFile(Path.Combine(home.Folder, kept));
            HostFiles.SyncFolder(folder);
            Directory.Move(folder, FolderOf(home, name));
            SetCurrent(home, name);
            return taken;
        }
        catch
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    // What its memory is by now may be another form than was asked for: that is said, and no failure.
    private static Snapshot KeepMemory(MachineHome home, string folder, Snapshot taken, SnapshotMemory memory)
    {
        string? whole = null;
        if (memory == SnapshotMemory.Compressed) SavedMemory.Compress(folder);
        if (memory == SnapshotMemory.Changes && !SavedMemory.IsChanges(folder)) whole = Earlier(home, taken) is { } earlier ? SavedMemory.KeepChanges(folder, FolderOf(home, earlier)) : "there is no snapshot before it whose memory is not compressed";
        return taken with { IsCompressed = SavedMemory.IsCompressed(folder), IsIncremental = SavedMemory.IsChanges(folder), WhyWhole = whole };
    }

    // The nearest one before it with which its memory can be compared.
    private static string? Earlier(MachineHome home, Snapshot taken)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var name = taken.Parent; name is not null && seen.Add(name);)
        {
            if (!MachineStore.IsHostName(name) || Snapshot.TryRead(FolderOf(home, name)) is not { } before) return null;
            if (before.HasMemory && !SavedMemory.IsCompressed(FolderOf(home, name))) return name;
            name = before.Parent;
        }
        return null;
    }

    /// <summary>Puts a machine back to a snapshot: its disk and its definition are what they were, and its next start goes on there. What it did since and is in no snapshot is gone.</summary>
    /// <exception cref="MachineException">There is none of that name, it cannot be used, or the machine runs.</exception>
    /// <exception cref="IOException">The host refuses it.</exception>
    public static void Restore(MachineHome home, string name)
    {
        ArgumentNullException.ThrowIfNull(home);
        using var held = HostLock.TryTake(home.Lock) ?? throw new MachineException(MachineError.Busy, $"the machine {home.Name} is running, and what it does would be lost; stop it first ('lamina stop {home.Name}'), or take a snapshot of that too");
        using var order = Lock(home);
        var snapshot = Find(home, name);
        var folder = FolderOf(home, name);
        // What cannot be read is found out before anything changes.
        if (snapshot.HasMemory) _ = Machine.DefinitionOf(folder);
        _ = DefinitionOf(home, snapshot);
        var definition = MachineFile.ReadText(Snapshot.DefinitionIn(folder));
        SuspendRecord.Drop(home);
        if (snapshot.Layer is { } layer) MachineDisks.PutBack(home, layer);
        MachineVariables.PutBack(home, Snapshot.VariablesIn(folder));
        HostFiles.Replace(home.Definition, definition, durable: true);
        if (snapshot.HasMemory)
        {
            var disks = new Dictionary<string, DiskStamp>(StringComparer.Ordinal);
            if (snapshot.Layer is not null && DiskStamp.Of(home.Disk) is { } stamp) disks[Path.Combine(snapshot.Machine, Path.GetFileName(home.Disk))] = stamp;
            HostFiles.Replace(home.Started, File.Exists(Snapshot.StartedIn(folder)) ? MachineFile.ReadText(Snapshot.StartedIn(folder)) : definition, durable: true);
            new SuspendRecord(snapshot.Taken, snapshot.Machine, disks) { Snapshot = name }.Write(home);
        }
        SetCurrent(home, name);
        MachineDisks.RemoveUnused(home);
    }

    /// <summary>Removes a snapshot. Those that were taken after it are its parent's from then on.</summary>
    /// <exception cref="MachineException">There is none of that name, or the machine is to go on from it.</exception>
    /// <exception cref="IOException">The host refuses it.</exception>
    public static void Remove(MachineHome home, string name)
    {
        ArgumentNullException.ThrowIfNull(home);
        CheckName(name);
        using var order = Lock(home);
        var folder = FolderOf(home, name);
        if (!Directory.Exists(folder)) _ = Find(home, name);
        if (SuspendRecord.Read(home)?.Snapshot == name) throw new MachineException(MachineError.State, $"the machine {home.Name} was put back to {name} and goes on there at its next start; start it first, or have it begin anew with 'lamina start --cold {home.Name}'");
        var parent = Snapshot.TryRead(folder)?.Parent;
        foreach (var child in Snapshot.FoldersOf(home).Select(Snapshot.TryRead).OfType<Snapshot>().Where(child => child.Parent == name)) (child with { Parent = parent }).Write(FolderOf(home, child.Name));
        if (CurrentOf(home) == name) SetCurrent(home, parent);
        var gone = Path.Combine(home.Snapshots, Unfinished + name);
        if (Directory.Exists(gone)) Directory.Delete(gone, recursive: true);
        Directory.Move(folder, gone);
        HostFiles.SyncDirectory(home.Snapshots);
        Directory.Delete(gone, recursive: true);
        MachineDisks.RemoveUnused(home);
    }

    /// <summary>Refuses a machine of which a copy would not have all that stands on its disks.</summary>
    internal static void RequireOwnDisks(MachineHome home, MachineDefinition definition)
    {
        if (definition.DevicesOf<DiskDevice>().FirstOrDefault(disk => !disk.ReadOnly) is { } foreign)
            throw new MachineException($"the machine {home.Name} writes to the disk {foreign.Path}, which is not its own, and a copy of the machine would not have what stands there; make it read-only, or take it out of the machine");
    }

    private static string FolderOf(MachineHome home, string name) => Path.Combine(home.Snapshots, name);

    private static void CheckName(string name)
    {
        if (!MachineStore.IsHostName(name)) throw new MachineException($"'{(name.Length <= 40 ? name : $"{name[..40]}…")}' cannot be a snapshot's name; use lower-case letters, digits and hyphens, up to {DeviceDefinition.LongestName}");
    }

    /// <summary>Removes what killed programs left.</summary>
    internal static void Clear(MachineHome home)
    {
        foreach (var place in Directory.EnumerateDirectories(home.Snapshots, Unfinished + "*").ToList()) Directory.Delete(place, recursive: true);
    }

    private static void SetCurrent(MachineHome home, string? name) => HostFiles.Replace(Path.Combine(home.Snapshots, CurrentName), System.Text.Encoding.UTF8.GetBytes(name ?? ""), durable: true);

    /// <summary>Keeps others from taking and removing snapshots of a machine.</summary>
    internal static HostLock Lock(MachineHome home)
    {
        if (!Directory.Exists(home.Snapshots))
        {
            Directory.CreateDirectory(home.Snapshots, MachineStore.Private);
            HostFiles.SyncDirectory(home.Folder);
        }
        var begin = Stopwatch.GetTimestamp();
        while (true)
        {
            if (HostLock.TryTake(Path.Combine(home.Snapshots, LockName)) is { } order) return order;
            if (Stopwatch.GetElapsedTime(begin) > Patience) throw new MachineException(MachineError.Busy, $"another program has been taking or removing a snapshot of {home.Name} for {Patience.TotalSeconds:0} s; try again when it is done");
            Thread.Sleep(LookAgain);
        }
    }

    /// <summary>Writes a machine that does not run into a folder.</summary>
    internal static Snapshot TakeOff(MachineHome home, string folder, Snapshot taken, bool hasDisk, bool diskOnly)
    {
        using var held = HostLock.TryTake(home.Lock) ?? throw new MachineException(MachineError.Busy, $"the machine {home.Name} is being started or changed; try again when that is done");
        Directory.CreateDirectory(folder, MachineStore.Private);
        var suspended = diskOnly ? null : SuspendRecord.Read(home);
        suspended?.CheckDisks(home, suspended.Moved(Machine.DefinitionOf(suspended.StateOf(home)), home));
        if (suspended is not null)
        {
            // Nobody writes to these files.
            var from = suspended.StateOf(home);
            foreach (var name in Snapshot.SavedFilesIn(from)) MachineDisks.LinkOrCopy(Path.Combine(from, name), Path.Combine(folder, name));
        }
        MachineVariables.Keep(home, Snapshot.VariablesIn(folder));
        var layer = hasDisk ? MachineDisks.FrozenLayer(home) : null;
        // Its disk is another file now, with the same on it.
        if (suspended is not null && hasDisk && DiskStamp.Of(home.Disk) is { } stamp)
        {
            var disk = Path.Combine(suspended.Folder, Path.GetFileName(home.Disk));
            (suspended with { Disks = suspended.Disks.ToDictionary(known => known.Key, known => known.Key == disk ? stamp : known.Value, StringComparer.Ordinal) }).Write(home);
        }
        return taken with { Layer = layer, HasMemory = suspended is not null, Machine = suspended?.Folder ?? taken.Machine };
    }

    /// <summary>Writes a machine that runs into a folder.</summary>
    internal static async Task<Snapshot> TakeRunningAsync(MachineClient client, MachineHome home, string folder, Snapshot taken, bool hasDisk, bool diskOnly, CancellationToken cancellationToken)
    {
        var layer = hasDisk ? MachineDisks.NextLayer(home) : null;
        // What the guest has yet to write to its disk is in its memory, else.
        var still = diskOnly ? await TryStillAsync(home, cancellationToken).ConfigureAwait(false) : null;
        TimeSpan stood;
        byte[]? variables = null;
        try
        {
            stood = await client.SnapshotAsync(!diskOnly, layer, () =>
            {
                variables = MachineVariables.Read(home);
                if (layer is not null) MachineDisks.Exchange(home, layer, home.SnapshotDisk);
            }, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (still is not null) await still.DisposeAsync().ConfigureAwait(false);
        }
        // The process of the machine has no way into a folder that it did not make.
        Directory.CreateDirectory(folder, MachineStore.Private);
        if (variables is not null) HostFiles.Replace(Snapshot.VariablesIn(folder), variables);
        if (!diskOnly)
            foreach (var name in Snapshot.SavedFilesIn(home.SnapshotState))
            {
                var file = Path.Combine(folder, name);
                File.Move(Path.Combine(home.SnapshotState, name), file);
                if (!HostPath.IsRegular(file)) throw new MachineException(MachineError.Host, $"the process of the machine {home.Name} did not write down what it is; it does what no machine does, and 'lamina kill {home.Name}' ends it");
            }
        HostFiles.TryRemoveFolder(home.SnapshotState);
        if (HostProcess.IsRoot)
        {
            // They were written by the user that the machine's process is.
            ConfinedProcess.Give(folder, 0);
            if (hasDisk) ConfinedProcess.Give(home.Disk, 0);
        }
        return taken with { Layer = layer, HasMemory = !diskOnly, StoodStill = stood, IsStilled = still is not null };
    }

    // The guest's file systems stand still until it is disposed of; null for a guest that has no agent, or does not still them.
    private static async Task<AgentConnection?> TryStillAsync(MachineHome home, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        AgentConnection? agent = null;
        try
        {
            agent = await MachineControl.ReachAgentAsync(home, AgentPatience, patience.Token).ConfigureAwait(false);
            _ = await agent.FreezeAsync(patience.Token).ConfigureAwait(false);
            return agent;
        }
        catch (Exception none) when (none is MachineException or IOException || none is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            if (agent is not null) await agent.DisposeAsync().ConfigureAwait(false);
            return null;
        }
    }
}
