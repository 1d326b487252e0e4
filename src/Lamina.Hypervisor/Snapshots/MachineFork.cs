// Copies of a machine that runs, each of which goes on by itself where it is, while the first one goes on too: they share its memory and what
// stands on its disk until one of them writes there. A copy is a machine like any other: only its beginning differs. Of a machine that runs, its process
// gives the copies' processes what they go on from (ForkSession), which are started and wait before (WaitingProcess); of one that is suspended they
// go on from its files. Guests are told that they are other machines, where there is an agent.
using System.Text.Json;
using Lamina.Host;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Running;
using Lamina.Hypervisor.Stored;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Hypervisor.Snapshots;

/// <summary>A copy that was to be made.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Refusal">Why there is none; null: it runs.</param>
public sealed record ForkedCopy(string Name, MachineException? Refusal)
{
    /// <summary>How long after the machine was asked the copy's guest went on; null where nobody measured it.</summary>
    public TimeSpan? RunsAfter { get; init; }

    /// <summary>How long after that its agent had answered; null where none did.</summary>
    public TimeSpan? AnswersAfter { get; init; }

    /// <summary>Whether its cards on networks with others have no cable, since its guest could not be given addresses of its own.</summary>
    public bool IsPulled { get; init; }
}

/// <summary>What became of a fork.</summary>
/// <param name="Copies">The copies.</param>
/// <param name="StoodStill">For how long the machine stood still; nothing for one that was suspended.</param>
public sealed record ForkOutcome(IReadOnlyList<ForkedCopy> Copies, TimeSpan StoodStill);

/// <summary>Forks machines.</summary>
/// <param name="launcher">Starts processes.</param>
/// <param name="store">The machines.</param>
public sealed class MachineFork(MachineLauncher launcher, MachineStore store)
{
    /// <summary>The most copies that are made at once.</summary>
    public const int Most = ControlSpec.MostCopies;

    /// <summary>The most processes that wait for the next fork.</summary>
    public const int MostSpare = Serving.ForkPool.Most;

    /// <summary>Names for copies of a machine that no machine has.</summary>
    /// <param name="name">The machine.</param>
    /// <param name="count">How many.</param>
    public IReadOnlyList<string> NamesFor(string name, int count)
    {
        var taken = store.Names.ToHashSet(StringComparer.Ordinal);
        return [.. Enumerable.Range(1, int.MaxValue).Select(number => $"{name}-{number}").Where(free => !taken.Contains(free)).Take(count)];
    }

    /// <summary>Makes copies of a machine that runs or is suspended, and lets them run. One that runs stands still for a moment.</summary>
    /// <param name="name">The machine.</param>
    /// <param name="to">The copies' names.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">It cannot be copied so, or a name is taken; there are no copies then.</exception>
    /// <exception cref="IOException">The host refuses it.</exception>
    public async Task<ForkOutcome> MakeAsync(string name, IReadOnlyList<string> to, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(to);
        if (to.Count is 0 or > Most) throw new MachineException($"{to.Count} copies cannot be made at once; up to {Most} can");
        var home = store.Find(name);
        var definition = MachineFile.Read(home) ?? throw new MachineException($"the machine {name} was removed just now");
        SnapshotStore.RequireOwnDisks(home, definition);
        CopiedCards.Check(name, definition.Complete());
        foreach (var copy in to)
            if (File.Exists(store.HomeOf(copy).Definition)) throw new MachineException(MachineError.Busy, $"there is a machine {copy} already; choose another name, or remove that one with 'lamina rm {copy}'");
        using var order = SnapshotStore.Lock(home);
        SnapshotStore.Clear(home);
        store.ClearWaiting();
        var client = await MachineControl.TryConnectAsync(home, cancellationToken).ConfigureAwait(false);
        if (client is null) return await OfSuspendedAsync(home, definition, to, cancellationToken).ConfigureAwait(false);
        await using (client.ConfigureAwait(false)) return await OfRunningAsync(client, home, definition, to, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Has processes wait for the next fork of a machine that runs, so that it takes no start of a process. They end with the machine, or when there is none for ten minutes.</summary>
    /// <param name="name">The machine.</param>
    /// <param name="count">How many are to wait, with those that do.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">It does not run, or the host makes no processes.</exception>
    /// <exception cref="IOException">The host refuses it.</exception>
    public async Task HaveWaitAsync(string name, int count, CancellationToken cancellationToken = default)
    {
        var home = store.Find(name);
        var definition = MachineFile.Read(home) ?? throw new MachineException($"the machine {name} was removed just now");
        var client = await MachineControl.ConnectAsync(home, cancellationToken).ConfigureAwait(false);
        await using var owned = client.ConfigureAwait(false);
        _ = await client.ForkAsync([], count, null, (_, channels) =>
        {
            foreach (var channel in channels)
            {
                var waits = store.AddWaiting(copy => Fill(home, definition, copy));
                launcher.StartWaiting(store, waits, Whole(waits, definition), channel);
            }
            return Task.CompletedTask;
        }, static () => { }, cancellationToken).ConfigureAwait(false);
    }

    private async Task<ForkOutcome> OfRunningAsync(MachineClient client, MachineHome home, MachineDefinition definition, IReadOnlyList<string> to, CancellationToken cancellationToken)
    {
        var hasDisk = File.Exists(home.Disk);
        var layer = hasDisk ? MachineDisks.NextLayer(home) : null;
        var made = new List<MachineHome>();
        using var reserved = Reserve(definition, to);
        try
        {
            var answer = await client.ForkAsync(to, 0, layer, (waiting, channels) => StartAsync(home, definition, to, waiting, channels, made, cancellationToken), () =>
            {
                MachineDisks.Exchange(home, layer!, home.SnapshotDisk);
                foreach (var copy in made) MachineDisks.LayOver(home, layer!, copy);
            }, cancellationToken).ConfigureAwait(false);
            if (hasDisk && HostProcess.IsRoot) ConfinedProcess.Give(home.Disk, 0);
            var (copies, stood) = Read(answer, to);
            foreach (var copy in copies.Where(copy => copy.Refusal is not null)) await store.RemoveUnfinishedAsync(store.HomeOf(copy.Name)).ConfigureAwait(false);
            return new ForkOutcome(copies, stood);
        }
        catch
        {
            // Their processes end when the machine's hangs up on them.
            await client.DisposeAsync().ConfigureAwait(false);
            foreach (var copy in made) await store.RemoveUnfinishedAsync(copy).ConfigureAwait(false);
            throw;
        }
    }

    // Folders first, of those that wait already and of those that are started now.
    private async Task StartAsync(MachineHome home, MachineDefinition definition, IReadOnlyList<string> to, IReadOnlyList<string> waiting, IReadOnlyList<SafeFileHandle> channels, List<MachineHome> made, CancellationToken cancellationToken)
    {
        for (var i = 0; i < waiting.Count; i++) made.Add(store.Adopt(waiting[i], to[i], copy => FillSeed(home, copy), copy => Forked(definition, copy)));
        for (var i = waiting.Count; i < to.Count; i++)
        {
            store.Add(to[i], copy => Fill(home, definition, copy));
            made.Add(store.HomeOf(to[i]));
        }
        await Task.WhenAll(made.Skip(waiting.Count).Select((copy, index) => launcher.StartWaitingAsync(store, copy, Whole(copy, definition), channels[index], cancellationToken))).ConfigureAwait(false);
    }

    private async Task<ForkOutcome> OfSuspendedAsync(MachineHome home, MachineDefinition definition, IReadOnlyList<string> to, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(home.Snapshots, $"{SnapshotStore.Unfinished}fork-{Guid.NewGuid():N}");
        MachineDefinition saved;
        try
        {
            var moment = SnapshotStore.TakeOff(home, folder, new Snapshot("", DateTimeOffset.UtcNow, null, home.Folder, null, false, ""), File.Exists(home.Disk), diskOnly: false);
            if (!moment.HasMemory) throw new MachineException(MachineError.State, $"the machine {home.Name} does not run; start it first, or copy it as it is with 'lamina clone {home.Name} NEW'");
            saved = Machine.DefinitionOf(folder);
            foreach (var copy in to) store.Add(copy, child => Fill(home, folder, moment, definition, child));
        }
        finally
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
        return new ForkOutcome(await Task.WhenAll(to.Select(async copy =>
        {
            try
            {
                await launcher.StartAsync(store, copy, cancellationToken).ConfigureAwait(false);
            }
            catch (MachineException refusal)
            {
                return new ForkedCopy(copy, refusal);
            }
            var started = store.Find(copy);
            // The process has it open.
            SuspendRecord.DropForked(started);
            var cards = CopiedCards.Between(saved, MachineFile.ReadStarted(started));
            var isGiven = await GuestIdentity.TryGiveAsync(cancellation => MachineControl.ReachAgentAsync(started, GuestIdentity.Patience, cancellation), copy, cards, null, cancellationToken).ConfigureAwait(false);
            return new ForkedCopy(copy, null) { IsPulled = cards.Count > 0 && !(isGiven && await MachineChanges.TryTakeAsync(started, cancellationToken).ConfigureAwait(false)) };
        })).ConfigureAwait(false), TimeSpan.Zero);
    }

    // What the first copy reserves; the next ones are seen to by what the host has.
    private IDisposable? Reserve(MachineDefinition definition, IReadOnlyList<string> to) =>
        Reservations.Take(store, new Reserving(to[0], definition), definition.Pool is { } pool ? new PoolStore(store).WithParents(pool) : []);

    // What the process says of other machines than those that were asked for is nothing to go by.
    private static (List<ForkedCopy> Copies, TimeSpan StoodStill) Read(JsonElement answer, IReadOnlyList<string> to)
    {
        try
        {
            var copies = answer.GetProperty("copies").EnumerateArray().Select(Read).ToList();
            if (copies.Select(copy => copy.Name).Order(StringComparer.Ordinal).SequenceEqual(to.Order(StringComparer.Ordinal))) return (copies, TimeSpan.FromMilliseconds(answer.GetProperty("stood-still-ms").GetDouble()));
        }
        catch (Exception none) when (none is InvalidOperationException or KeyNotFoundException or FormatException or ArgumentException or OverflowException)
        {
            // As it is when names are others.
        }
        throw new MachineException(MachineError.Host, "the machine's process does not say what became of the copies");
    }

    private static ForkedCopy Read(JsonElement said)
    {
        var name = said.GetProperty("name").GetString()!;
        if (said.TryGetProperty(ControlSpec.Error, out var error)) return new ForkedCopy(name, ControlErrors.ToException(error.GetString() ?? "", said.GetProperty(ControlSpec.Message).GetString() ?? ""));
        return new ForkedCopy(name, null) { RunsAfter = Time("runs-after-ms"), AnswersAfter = Time("answers-after-ms"), IsPulled = said.TryGetProperty("pulled", out var pulled) && pulled.GetBoolean() };

        TimeSpan? Time(string what) => said.TryGetProperty(what, out var milliseconds) ? TimeSpan.FromMilliseconds(milliseconds.GetDouble()) : null;
    }

    // The whole definition, by which its process is confined.
    private static MachineDefinition Whole(MachineHome home, MachineDefinition definition) => MachineDisks.Whole(home, Forked(definition, home));

    // What lies in a copy's folder before its first machine stands still.
    private static MachineDefinition Fill(MachineHome from, MachineDefinition definition, MachineHome to)
    {
        foreach (var file in (string[])[from.Kernel, from.Initrd])
            if (File.Exists(file)) MachineDisks.LinkOrCopy(file, Path.Combine(to.Folder, Path.GetFileName(file)));
        // A place for its disk, which its process may write: what stands on it comes later.
        if (File.Exists(from.Disk)) HostFiles.CreatePrivate(to.Disk, FileMode.CreateNew).Dispose();
        FillSeed(from, to);
        MachineFile.WriteStarted(to, Forked(definition, to));
        return Forked(definition, to);
    }

    // The guest has read the first one's; its own is for its next boot.
    private static void FillSeed(MachineHome from, MachineHome to)
    {
        if (File.Exists(from.Seed)) File.WriteAllBytes(to.Seed, Seed.OfCopy(File.ReadAllBytes(from.Seed), to.Name) ?? File.ReadAllBytes(from.Seed));
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
        FillSeed(from, to);
        MachineVariables.Copy(from, to);
        Directory.CreateDirectory(to.Forked, MachineStore.Private);
        foreach (var file in Directory.EnumerateFiles(folder)) MachineDisks.LinkOrCopy(file, Path.Combine(to.Forked, Path.GetFileName(file)));
        new SuspendRecord(moment.Taken, moment.Machine, disks) { IsFork = true, Placed = moment.Placed }.Write(to);
        MachineFile.WriteStarted(to, Forked(MachineFile.ReadStarted(from), to));
        return Forked(definition, to);
    }

    private static MachineDefinition Forked(MachineDefinition definition, MachineHome to)
    {
        var forked = MachineCopy.Forked(definition, to);
        return forked with { Devices = [.. forked.Devices.Select(device => device is VsockDevice vsock ? vsock with { Path = to.Sockets } : device)] };
    }
}
