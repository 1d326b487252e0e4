// Takes a machine in that comes from another place: makes its folder, starts a process for it, and carries what that and the other side say to each other. The
// machine is there from the moment in which all of it is, and not to be started until its process was given it.
using System.Text;
using Lamina.Backends.Disk;
using Lamina.Host.Io;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Running;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Migrating;

/// <summary>Takes machines in.</summary>
/// <param name="launcher">Starts their processes.</param>
/// <param name="store">Where they come to.</param>
public sealed class MachineReceiver(MachineLauncher launcher, MachineStore store)
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(20), HeadWithin = TimeSpan.FromSeconds(30);
    private const int MostLooks = 500;

    /// <summary>Takes one in. It runs when this returns; where it throws nothing of it is left.</summary>
    /// <param name="peer">Leads to <see cref="MachineDeparture"/>.</param>
    /// <param name="name">Its name here; null: the one that it has.</param>
    /// <param name="places">Where what leads to a host leads on this one; null: nothing does.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Its name.</returns>
    /// <exception cref="MachineException">It cannot be here, or was not given in the end.</exception>
    /// <exception cref="IOException">The link is broken, or the host refuses.</exception>
    public async Task<string> ReceiveAsync(Stream peer, string? name, ArrivalPlaces? places = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(peer);
        MigrationHead head;
        MachineHome home;
        try
        {
            head = (await ReadHeadAsync(peer, cancellationToken).ConfigureAwait(false)).At(places ?? ArrivalPlaces.None);
            home = await store.AddArrivingAsync(name ?? head.Name, to => FillAsync(head, peer, to, cancellationToken)).ConfigureAwait(false);
        }
        catch (Exception refusal) when (refusal is MachineException or IOException or UnauthorizedAccessException)
        {
            await TrySayAsync(peer, ControlLines.Refusal(null, refusal)).ConfigureAwait(false);
            throw;
        }
        try
        {
            await peer.WriteAsync(ControlLines.Answer(null, null), cancellationToken).ConfigureAwait(false);
            await TakeInAsync(peer, head, home, cancellationToken).ConfigureAwait(false);
            return home.Name;
        }
        catch
        {
            if (await store.RemoveUnfinishedAsync(home).ConfigureAwait(false))
                foreach (var disk in ArrivalPlaces.Copied(head.Started)) File.Delete(disk.Path);
            throw;
        }
    }

    private static async Task<MigrationHead> ReadHeadAsync(Stream peer, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(HeadWithin);
        try
        {
            return await MigrationHead.ReadAsync(peer, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException slow) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MachineException(MachineError.Host, $"whoever connected did not say within {HeadWithin.TotalSeconds:0} s which machine comes", slow);
        }
    }

    private static async Task FillAsync(MigrationHead head, Stream peer, MachineHome home, CancellationToken cancellationToken)
    {
        RequireFreePlaces(head);
        // Its name is free here.
        await peer.WriteAsync(ControlLines.Answer(null, null), cancellationToken).ConfigureAwait(false);
        await head.ReceiveFilesAsync(peer, home, cancellationToken).ConfigureAwait(false);
        if (head.DiskBytes > 0)
        {
            DiskTools.Create(new DiskCreation { Path = home.Base, Size = head.DiskBytes });
            DiskTools.Create(new DiskCreation { Path = home.Disk, Backing = Path.GetFileName(home.Base) });
        }
        MakeDisks(head);
    }

    // What there is of them was made here.
    private static void MakeDisks(MigrationHead head)
    {
        var made = new Stack<string>();
        try
        {
            foreach (var disk in ArrivalPlaces.Copied(head.Started))
            {
                DiskTools.Create(new DiskCreation { Path = disk.Path, Size = head.Disks.First(known => known.Name == disk.Name).Bytes, Format = DiskFormat.Qcow2 });
                made.Push(disk.Path);
            }
        }
        catch
        {
            while (made.TryPop(out var path)) File.Delete(path);
            throw;
        }
    }

    // Before any of it is sent.
    private static void RequireFreePlaces(MigrationHead head)
    {
        if (ArrivalPlaces.Copied(head.Started).FirstOrDefault(disk => Path.Exists(disk.Path)) is { } there) throw new MachineException(MachineError.File, $"the disk {there.Name} is copied to {there.Path}, and there is such a file already; name one that is not there yet");
    }

    private async Task TakeInAsync(Stream peer, MigrationHead head, MachineHome home, CancellationToken cancellationToken)
    {
        var (definition, started) = (Placed(home, head.Definition), Placed(home, head.Started));
        var (link, other) = SocketPair.Make();
        await using var owned = link.ConfigureAwait(false);
        // On one line: what it holds has no line's end of its own.
        await link.WriteAsync((byte[])[.. ForkLines.Welcome(head.Folder, started), (byte)'\n'], cancellationToken).ConfigureAwait(false);
        using var ends = new CancellationTokenSource();
        MachineException? refusal = null;
        // A machine that was given has nothing but this link by which the rest of its memory comes.
        var isGiven = false;
        await using var stops = cancellationToken.UnsafeRegister(_ =>
        {
            if (!Volatile.Read(ref isGiven)) ends.Cancel();
        }, null).ConfigureAwait(false);
        var toProcess = Task.Run(() => CarryInAsync(peer, link, () => Volatile.Write(ref isGiven, true), ends.Token), CancellationToken.None);
        var starting = StartAsync(home, started, other, cancellationToken);
        var fromProcess = MigrationRelay.CarryAsync(link, peer, [MigrationLines.Loaded, MigrationLines.Refused], (kind, content) =>
        {
            if (kind == MigrationLines.Refused) refusal ??= new MachineException(MachineError.Host, Encoding.UTF8.GetString(content.Span));
            else store.Complete(home, definition, started);
            return true;
        }, ends.Token);
        try
        {
            await starting.ConfigureAwait(false);
            await fromProcess.ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is MachineException or IOException or OperationCanceledException)
        {
            await TrySayAsync(peer, MigrationLines.Frame(MigrationLines.Refused, Encoding.UTF8.GetBytes(failure.Message))).ConfigureAwait(false);
            // One that was given runs, whatever became of the link.
            if (!Runs(home)) throw refusal ?? failure;
        }
        finally
        {
            await ends.CancelAsync().ConfigureAwait(false);
            await link.DisposeAsync().ConfigureAwait(false);
            await toProcess.ConfigureAwait(false);
        }
        for (var i = 0; i < MostLooks && !Runs(home) && MachineStore.IsHeld(home); i++) await Task.Delay(LookAgain, CancellationToken.None).ConfigureAwait(false);
        if (!Runs(home)) throw refusal ?? new MachineException(MachineError.Host, "the machine did not come; it is where it was");
    }

    private async Task StartAsync(MachineHome home, MachineDefinition started, Microsoft.Win32.SafeHandles.SafeFileHandle other, CancellationToken cancellationToken)
    {
        using (other) await launcher.StartArrivingAsync(store, home, MachineDisks.Whole(home, started), other, cancellationToken).ConfigureAwait(false);
    }

    private static async Task CarryInAsync(Stream peer, System.Net.Sockets.NetworkStream link, Action given, CancellationToken cancellationToken)
    {
        try
        {
            await MigrationRelay.CarryAsync(peer, link, [MigrationLines.Given], (_, _) =>
            {
                given();
                return true;
            }, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or MachineException or OperationCanceledException or ObjectDisposedException)
        {
            // The process hears that nothing more comes.
        }
        try
        {
            link.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        }
        catch (Exception gone) when (gone is System.Net.Sockets.SocketException or ObjectDisposedException)
        {
        }
    }

    private static bool Runs(MachineHome home) => RunRecord.Read(home.Run) is not null || EndRecord.Read(home.End) is not null;

    private static MachineDefinition Placed(MachineHome home, MachineDefinition definition) => definition.MapPaths(path => Path.GetFullPath(path, home.Folder));

    private static async Task TrySayAsync(Stream peer, byte[] line)
    {
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            await peer.WriteAsync(line, patience.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Nobody hears it.
        }
    }
}
