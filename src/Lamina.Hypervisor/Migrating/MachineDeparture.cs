// Sends a machine that runs to another place: says to the other side what it is, and carries what its process and that side say to each other. The process
// decides where the machine is; whatever becomes of this program or of the link, it is in one place or, in the one moment where nobody can know, in none.
using System.Net.Sockets;
using System.Text.Json;
using Lamina.Backends.Disk;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Migrating;

/// <summary>How far a machine is on its way.</summary>
/// <param name="Round">The round, from 1.</param>
/// <param name="SentBytes">What was sent, in bytes.</param>
/// <param name="LeftBytes">What is left, as far as is known by now.</param>
/// <param name="BytesPerSecond">What the link carries.</param>
/// <param name="AskedPages">Of one that runs there while its memory follows: how many pages it has asked for; null before.</param>
public sealed record DepartureProgress(int Round, ulong SentBytes, ulong LeftBytes, double BytesPerSecond, long? AskedPages);

/// <summary>How it is to go.</summary>
public sealed record DepartureOptions
{
    /// <summary>For how long the guest may stand still; null: as is usual.</summary>
    public TimeSpan? Downtime { get; init; }

    /// <summary>For how long the other side may say nothing; null: as is usual.</summary>
    public TimeSpan? Silence { get; init; }

    /// <summary>Whether it may go on there before all of its memory is there.</summary>
    public bool PostCopy { get; init; }

    /// <summary>Told of each round; or null.</summary>
    public Action<DepartureProgress>? Progress { get; init; }

    /// <summary>Told in a sentence what of this cannot be had; or null.</summary>
    public Action<string>? Notice { get; init; }
}

/// <summary>How a machine went.</summary>
/// <param name="StoodStill">For how long it stood still.</param>
/// <param name="SentBytes">What was sent, in bytes.</param>
/// <param name="Rounds">How many rounds there were.</param>
/// <param name="IsConfirmed">Whether the other side said that it runs there.</param>
/// <param name="Followed">How its memory followed; null where all was there before.</param>
public sealed record Departure(TimeSpan StoodStill, ulong SentBytes, int Rounds, bool IsConfirmed, DepartedMemory? Followed);

/// <summary>How a machine's memory followed it.</summary>
/// <param name="Pages">How many pages were missing when it was given.</param>
/// <param name="Asked">How many of them were asked for.</param>
/// <param name="Took">For how long some were missing.</param>
/// <param name="IsWhole">Whether all came there. Else the machine has ended there, and here.</param>
public sealed record DepartedMemory(long Pages, long Asked, TimeSpan Took, bool IsWhole);

/// <summary>Sends machines.</summary>
/// <param name="store">The machines.</param>
public sealed class MachineDeparture(MachineStore store)
{
    private static readonly TimeSpan Ends = TimeSpan.FromMilliseconds(20), UsualSilence = TimeSpan.FromMinutes(2);
    private const int MostWaits = 500;

    /// <summary>Sends one. When this returns it is there, and has ended here; where it throws it runs here as before.</summary>
    /// <param name="name">The machine.</param>
    /// <param name="peer">Leads to <see cref="MachineReceiver"/>.</param>
    /// <param name="place">What the place is called.</param>
    /// <param name="how">How it is to go.</param>
    /// <param name="cancellationToken">Keeps it here, as long as it is not given.</param>
    /// <exception cref="MachineException">It cannot go, or cannot be there; the sentence says why.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public async Task<Departure> SendAsync(string name, Stream peer, string place, DepartureOptions how, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(peer);
        ArgumentNullException.ThrowIfNull(how);
        var home = store.Find(name);
        var definition = MachineFile.Read(home) ?? throw new MachineException($"the machine {name} was removed just now");
        using var order = SnapshotStore.Lock(home);
        var client = await MachineControl.ConnectAsync(home, cancellationToken).ConfigureAwait(false);
        await using var owned = client.ConfigureAwait(false);
        var started = Published(MachineFile.ReadStarted(home), definition);
        await GreetAsync(new HeardStream(peer, how.Silence ?? UsualSilence), home, definition, started, cancellationToken).ConfigureAwait(false);
        var (link, socket) = await client.MigrateAsync(place, how, cancellationToken).ConfigureAwait(false);
        var departure = await CarryAsync(link, socket, peer, how, cancellationToken).ConfigureAwait(false);
        // Whoever asks next finds that it has ended.
        for (var i = 0; i < MostWaits && MachineStore.IsHeld(home); i++) await Task.Delay(Ends, CancellationToken.None).ConfigureAwait(false);
        return departure;
    }

    private static async Task GreetAsync(Stream peer, MachineHome home, MachineDefinition definition, MachineDefinition started, CancellationToken cancellationToken)
    {
        var files = CarriedBoot.FilesOf(home, started);
        var disk = File.Exists(home.Disk) ? DiskTools.Inspect(home.Disk).Size : 0;
        var head = new MigrationHead(home.Name, home.Folder, CarriedBoot.Of(definition), CarriedBoot.Of(started), [.. files.Select(file => (file.Name, new FileInfo(file.Path).Length))], disk, [.. ArrivalPlaces.Copied(started).Select(further => (further.Name, LengthOf(further)))]);
        // What the other side would refuse needs no way there.
        head.Check();
        await head.WriteAsync(peer, cancellationToken).ConfigureAwait(false);
        await MigrationHead.AnsweredAsync(peer, cancellationToken).ConfigureAwait(false);
        try
        {
            await head.WriteFilesAsync(peer, [.. files.Select(file => file.Path)], cancellationToken).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // Whoever hangs up has said why.
            await MigrationHead.AnsweredAsync(peer, cancellationToken).ConfigureAwait(false);
            throw;
        }
        await MigrationHead.AnsweredAsync(peer, cancellationToken).ConfigureAwait(false);
    }

    // Its definition says which ports lead to it by now.
    private static MachineDefinition Published(MachineDefinition started, MachineDefinition now)
    {
        var cards = now.Complete().DevicesOf<NetworkDevice>().ToDictionary(card => card.Name);
        var names = started.Complete().Devices;
        return started with
        {
            Devices = [.. started.Devices.Select((device, index) => device is NetworkDevice { Link: NetworkLink.User link } card && cards.GetValueOrDefault(names[index].Name)?.Link is NetworkLink.User known ? card with { Link = link with { Published = known.Published } } : device)],
        };
    }

    // What is no qcow2 image is not known to be written where, and cannot be copied meanwhile.
    private static ulong LengthOf(DiskDevice disk)
    {
        if (disk.Temporary) throw new MachineException($"what the machine writes to its disk {disk.Name} is forgotten at its end (temporary), and cannot go with it");
        var image = DiskTools.Inspect(disk.Path, disk.Format switch { ImageFormat.Raw => DiskFormat.Raw, ImageFormat.Qcow2 => DiskFormat.Qcow2, _ => null });
        return image.Format == DiskFormat.Qcow2 ? image.Size : throw new MachineException($"the machine writes to {disk.Path}, which is no qcow2 image and cannot be copied while it does; make it one with 'lamina disk convert', or serve it by 'lamina disk serve' to both hosts");
    }

    private static async Task<Departure> CarryAsync(Stream link, Socket socket, Stream peer, DepartureOptions how, CancellationToken cancellationToken)
    {
        byte[]? outcome = null;
        var isGiven = false;
        using var ends = new CancellationTokenSource();
        var back = Task.Run(async () =>
        {
            try
            {
                await MigrationRelay.CarryAsync(peer, link, [], static (_, _) => true, ends.Token).ConfigureAwait(false);
            }
            catch (Exception gone) when (gone is IOException or MachineException or OperationCanceledException or ObjectDisposedException)
            {
            }
            HangUp(socket);
        }, CancellationToken.None);
        // The process hears nothing any more of the other side, and says what it makes of it.
        await using var stops = cancellationToken.UnsafeRegister(_ =>
        {
            // It stays nowhere any more by that, and its memory may be on its way.
            if (how.PostCopy && Volatile.Read(ref isGiven)) return;
            HangUp(socket);
            peer.Dispose();
        }, null).ConfigureAwait(false);
        try
        {
            await MigrationRelay.CarryAsync(link, new TryingStream(peer), [MigrationLines.Progress, MigrationLines.Outcome, MigrationLines.Given], (kind, content) =>
            {
                if (kind == MigrationLines.Given)
                {
                    Volatile.Write(ref isGiven, true);
                    return true;
                }
                if (kind == MigrationLines.Outcome) outcome = content.ToArray();
                else Tell(content, how);
                return false;
            }, CancellationToken.None).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // It was killed.
        }
        await ends.CancelAsync().ConfigureAwait(false);
        await back.ConfigureAwait(false);
        if (outcome is null) throw new MachineException(MachineError.Host, "the machine's process ended on its way; 'lamina ps -a' says where the machine is");
        using var said = JsonDocument.Parse(outcome);
        if (MigrationHead.RefusalIn(said.RootElement) is { } refusal) throw cancellationToken.IsCancellationRequested ? new OperationCanceledException(cancellationToken) : refusal;
        var went = said.RootElement.GetProperty(ControlSpec.Ok);
        var followed = went.TryGetProperty("followed-pages", out var pages) ? new DepartedMemory(pages.GetInt64(), went.GetProperty("asked-pages").GetInt64(), TimeSpan.FromMilliseconds(went.GetProperty("followed-ms").GetDouble()), went.GetProperty("whole").GetBoolean()) : null;
        return new Departure(TimeSpan.FromMilliseconds(went.GetProperty("stood-still-ms").GetDouble()), went.GetProperty("sent-bytes").GetUInt64(), went.GetProperty("rounds").GetInt32(), went.GetProperty("confirmed").GetBoolean(), followed);
    }

    private static void Tell(ReadOnlyMemory<byte> content, DepartureOptions options)
    {
        using var said = JsonDocument.Parse(content);
        var how = said.RootElement.GetProperty(ControlSpec.Ok);
        if (how.TryGetProperty("notice", out var notice)) options.Notice?.Invoke(notice.GetString()!);
        else options.Progress?.Invoke(new DepartureProgress(how.GetProperty("round").GetInt32(), how.GetProperty("sent-bytes").GetUInt64(), how.GetProperty("left-bytes").GetUInt64(), how.GetProperty("bytes-per-second").GetDouble(), how.TryGetProperty("asked-pages", out var asked) ? asked.GetInt64() : null));
    }

    private static void HangUp(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
        }
    }

    // What cannot be sent any more is dropped: the process learns of it by the end of what it hears.
    private sealed class TryingStream(Stream to) : Host.Io.SequentialStream
    {
        private bool _isBroken;

        public override bool CanRead => false;

        public override bool CanWrite => true;

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException("nothing is read from it");

        public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is written to asynchronously");

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_isBroken) return;
            try
            {
                await to.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception gone) when (gone is IOException or ObjectDisposedException)
            {
                _isBroken = true;
                // The other direction ends with it.
                await to.DisposeAsync().ConfigureAwait(false);
            }
        }
    }
}
