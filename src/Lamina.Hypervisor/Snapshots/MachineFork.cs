// Copies of a machine that runs, each of which goes on by itself where it is, while the first one goes on too: they share its memory and what
// stands on its disk until one of them writes there. A copy is a machine like any other: only its first start differs, which goes on from the
// first one's state. Its guest is told that it is another machine, where there is an agent.
using System.Security.Cryptography;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Running;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Snapshots;

/// <summary>Forks machines.</summary>
public static class MachineFork
{
    /// <summary>The most copies that are made at once.</summary>
    public const int Most = 256;

    private const int SeedBytes = 64;

    private static readonly TimeSpan AgentPatience = TimeSpan.FromSeconds(10);

    /// <summary>Names for copies of a machine that no machine has.</summary>
    /// <param name="store">The machines.</param>
    /// <param name="name">The machine.</param>
    /// <param name="count">How many.</param>
    public static IReadOnlyList<string> NamesFor(MachineStore store, string name, int count)
    {
        ArgumentNullException.ThrowIfNull(store);
        var taken = store.Names.ToHashSet(StringComparer.Ordinal);
        return [.. Enumerable.Range(1, int.MaxValue).Select(number => $"{name}-{number}").Where(free => !taken.Contains(free)).Take(count)];
    }

    /// <summary>Makes copies of a machine that runs or is suspended, which stands still for a moment; none of them runs yet.</summary>
    /// <param name="store">The machines.</param>
    /// <param name="name">The machine.</param>
    /// <param name="to">The copies' names.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">It cannot be copied so, or a name is taken; copies that were made by then stay.</exception>
    /// <exception cref="IOException">The host refuses it.</exception>
    public static async Task MakeAsync(MachineStore store, string name, IReadOnlyList<string> to, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(to);
        if (to.Count is 0 or > Most) throw new MachineException($"{to.Count} copies cannot be made at once; up to {Most} can");
        var home = store.Find(name);
        var definition = MachineFile.Read(home) ?? throw new MachineException($"the machine {name} was removed just now");
        SnapshotStore.RequireOwnDisks(home, definition);
        if (definition.DevicesOf<NetworkDevice>().FirstOrDefault(card => card.Link is not NetworkLink.User) is not null)
            throw new MachineException($"the machine {name} has a network card on a network that others are on, where its copy would have the same address; only machines with user networks can be forked");
        foreach (var copy in to)
            if (File.Exists(store.HomeOf(copy).Definition)) throw new MachineException(MachineError.Busy, $"there is a machine {copy} already; choose another name, or remove that one with 'lamina rm {copy}'");
        using var order = SnapshotStore.Lock(home);
        SnapshotStore.Clear(home);
        var folder = Path.Combine(home.Snapshots, $"{SnapshotStore.Unfinished}fork-{Guid.NewGuid():N}");
        try
        {
            var hasDisk = File.Exists(home.Disk);
            var moment = new Snapshot("", DateTimeOffset.UtcNow, null, home.Folder, null, false, "");
            var client = await MachineControl.TryConnectAsync(home, cancellationToken).ConfigureAwait(false);
            if (client is null) moment = SnapshotStore.TakeOff(home, folder, moment, hasDisk, diskOnly: false);
            else
            {
                await using (client.ConfigureAwait(false)) moment = await SnapshotStore.TakeRunningAsync(client, home, folder, moment, hasDisk, diskOnly: false, cancellationToken).ConfigureAwait(false);
            }
            if (!moment.HasMemory) throw new MachineException(MachineError.State, $"the machine {name} does not run; start it first, or copy it as it is with 'lamina clone {name} NEW'");
            foreach (var copy in to) store.Add(copy, child => Fill(home, folder, moment, definition, child));
        }
        finally
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Starts a copy, and has its guest know that it is one: randomness, host name and machine ID of its own.</summary>
    /// <param name="launcher">Starts processes.</param>
    /// <param name="store">The machines.</param>
    /// <param name="name">The copy.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">It cannot be started.</exception>
    public static async Task StartAsync(MachineLauncher launcher, MachineStore store, string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(launcher);
        ArgumentNullException.ThrowIfNull(store);
        await launcher.StartAsync(store, name, cancellationToken).ConfigureAwait(false);
        var home = store.Find(name);
        // The process has it open.
        SuspendRecord.DropForked(home);
        await TryIdentifyAsync(home, cancellationToken).ConfigureAwait(false);
    }

    private static MachineDefinition Fill(MachineHome from, string folder, Snapshot moment, MachineDefinition definition, MachineHome to)
    {
        foreach (var file in (string[])[from.Kernel, from.Initrd])
            if (File.Exists(file)) MachineDisks.LinkOrCopy(file, Path.Combine(to.Folder, Path.GetFileName(file)));
        var disks = new Dictionary<string, DiskStamp>(StringComparer.Ordinal);
        if (moment.Layer is { } layer)
        {
            MachineDisks.LayOver(from, layer, to);
            if (DiskStamp.Of(to.Disk) is { } stamp) disks[Path.Combine(moment.Machine, Path.GetFileName(to.Disk))] = stamp;
        }
        // The guest has read the first one's; its own is for its next boot.
        if (File.Exists(from.Seed)) File.WriteAllBytes(to.Seed, Seed.OfCopy(File.ReadAllBytes(from.Seed), to.Name) ?? File.ReadAllBytes(from.Seed));
        Directory.CreateDirectory(to.Forked, MachineStore.Private);
        foreach (var file in Directory.EnumerateFiles(folder)) MachineDisks.LinkOrCopy(file, Path.Combine(to.Forked, Path.GetFileName(file)));
        new SuspendRecord(moment.Taken, moment.Machine, disks) { IsFork = true }.Write(to);
        MachineFile.WriteStarted(to, OfCopy(MachineFile.ReadStarted(from), to));
        return OfCopy(definition, to);
    }

    private static MachineDefinition OfCopy(MachineDefinition definition, MachineHome to) =>
        definition with { Devices = [.. definition.Devices.Select(device => MachineCopy.Forked(device) is VsockDevice vsock ? vsock with { Path = to.Sockets } : MachineCopy.Forked(device))] };

    // Randomness first, of which the rest may be made. A guest without an agent keeps what it had.
    private static async Task TryIdentifyAsync(MachineHome home, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(AgentPatience);
        try
        {
            var seeded = await MachineControl.ReachAgentAsync(home, AgentPatience, patience.Token).ConfigureAwait(false);
            await using (seeded.ConfigureAwait(false)) await seeded.ReseedAsync(RandomNumberGenerator.GetBytes(SeedBytes), patience.Token).ConfigureAwait(false);
            var agent = await MachineControl.ReachAgentAsync(home, AgentPatience, patience.Token).ConfigureAwait(false);
            var script = await AgentProcess.StartAsync(agent, new AgentCommand { Words = ["sh", "-c", Identify, "sh", home.Name, RandomNumberGenerator.GetHexString(32, lowercase: true)] }, patience.Token).ConfigureAwait(false);
            await using (script.ConfigureAwait(false)) _ = await script.CarryAsync(null, Stream.Null, Stream.Null, patience.Token).ConfigureAwait(false);
        }
        catch (Exception none) when (none is MachineException or IOException || none is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // Said nowhere: many guests have none.
        }
    }

    // hostname(1), machine-id(5). Keys of an SSH server that runs are its own in memory; those on the disk are for its next start.
    private const string Identify =
        """
        hostname "$1"
        [ ! -f /etc/hostname ] || echo "$1" >/etc/hostname
        [ ! -s /etc/machine-id ] || echo "$2" >/etc/machine-id
        if command -v ssh-keygen >/dev/null && ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1; then rm -f /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; fi
        """;
}
