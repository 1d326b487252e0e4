// lamina migrate, lamina receive: a machine goes to another host, or to another user of this one, while it runs.
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Lamina.Cli.Output;
using Lamina.Host.Io;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Migrating;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs for machines on their way.</summary>
internal static class MigrateVerbs
{
    // Of machines that come.
    private const int MostAtOnce = 8;

    private const string Places = "unix:PATH|tcp:HOST:PORT|ssh:HOST|-";

    // Two at least, so that it is worth the wait for both.
    private static readonly TimeSpan LongestDowntime = TimeSpan.FromMinutes(1);

    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> Create() => [Migrate(), Receive()];

    private static Verb Migrate()
    {
        var name = MachineNames.One("Which machine; it must run.");
        var place = new Argument<string>("place") { HelpName = Places, Description = "Where to: what \"lamina receive\" listens at there; or a host by ssh, on which that is started." };
        var downtime = new Option<string?>("--downtime") { HelpName = "TIME", Description = "For how long the guest may stand still at the end: 50ms by default. Less makes the way longer." };
        var silence = new Option<string?>("--silence") { HelpName = "TIME", Description = "For how long the other side may say nothing before the machine stays here: 2min by default." };
        var postCopy = new Option<bool>("--post-copy") { Description = "Where the guest writes faster than the link carries: let it go on there before all of its memory is there, which follows. A link that is cut by then ends it." };
        var tls = Tls();
        var remove = new Option<bool>("--remove") { Description = "Remove what is left of the machine here when it runs there." };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say how far it is, and for how long the guest stood still." };
        var (device, published, there) = (PlaceWords.Device("there"), PlaceWords.Published("that"), new Option<string?>("--name") { HelpName = "NAME", Description = "The machine's name there. Default: the one that it has." });
        var verb = new Verb("migrate", "Sends a machine to another host, or to another user of this one, while it runs: its memory, its disk and all that it is doing.")
        {
            Sections = () => [new("Examples", [("lamina migrate web ssh:other.example", ""), ("lamina migrate web ssh:other.example --device share0,path=/srv/site", "where the shared folder leads there"), ("lamina migrate web tcp:other.example:7000 --tls ~/lamina-tls", ""), ("lamina migrate --remove web unix:/srv/lamina/arrivals", "")])],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(place);
        verb.AddGroup("Options", downtime, postCopy, silence, tls, remove, verbose);
        device.CompletionSources.Add(context => SetVerb.Devices(context.ParseResult.GetValue(name)).Select(known => $"{known},"));
        verb.AddGroup("For ssh, what \"lamina receive\" is told there", there, device, published);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var (machine, to) = (parsed.GetRequiredValue(name), MigrationPlace.Parse(parsed.GetRequiredValue(place)));
            var time = parsed.GetValue(downtime) is not { } text ? (TimeSpan?)null : Duration.TryParse(text, out var read) ? read : throw new UsageException($"--downtime: '{text}' is no time; write it like 50ms or 1s");
            if (time > LongestDowntime) throw new UsageException("--downtime is a minute at most; pause the machine where it may stand still for longer");
            var patience = parsed.GetValue(silence) is not { } word ? (TimeSpan?)null : Duration.TryParse(word, out var given) && given > TimeSpan.Zero ? given : throw new UsageException($"--silence: '{word}' is no time; write it like 30s or 2min");
            var home = store.Find(machine);
            if (parsed.GetValue(remove) && SnapshotStore.List(home).Count > 0) throw new UsageException($"the machine {machine} has snapshots, which stay here and would be removed with it; leave out --remove, or remove them first ('lamina snapshot rm')");
            string[] told = [.. parsed.GetValue(there) is { } other ? (string[])["--name", other] : [], .. parsed.GetValue(device)!.SelectMany(text => (string[])["--device", text]), .. parsed.GetValue(published)!.SelectMany(text => (string[])["--publish", text])];
            if (told.Length > 0 && to is not MigrationPlace.Ssh) throw new UsageException($"what the machine is there is said there; give {told[0]} to 'lamina receive', unless that is started by ssh");
            // What is no such text is found here as well.
            _ = PlaceWords.Read(parsed, device, published);
            using var link = await OpenAsync(to, told, IdentityOf(parsed.GetValue(tls)), cancellation).ConfigureAwait(false);
            var departure = await new MachineDeparture(store).SendAsync(machine, link.Stream, to.ToString(), new DepartureOptions
            {
                Downtime = time,
                Silence = patience,
                PostCopy = parsed.GetValue(postCopy),
                Progress = parsed.GetValue(verbose) ? Say : null,
                Notice = Stderr.Say,
            }, cancellation).ConfigureAwait(false);
            if (parsed.GetValue(verbose)) Stderr.Say(string.Create(CultureInfo.InvariantCulture, $"{machine} stood still for {departure.StoodStill.TotalMilliseconds:0.0} ms; {ByteSize.Format(departure.SentBytes)} were sent in {departure.Rounds} rounds"));
            if (parsed.GetValue(verbose) && departure.Followed is { } rest) Stderr.Say(string.Create(CultureInfo.InvariantCulture, $"{ByteSize.Format((ulong)rest.Pages * 4096)} of its memory followed in {rest.Took.TotalMilliseconds:0} ms; {rest.Asked} pages were asked for"));
            if (!departure.IsConfirmed) throw new MachineException(MachineError.Host, $"the machine {machine} was given to {to}, and the link broke before that side said that it runs: look there; if it does not, 'lamina start --cold {machine}' begins anew here with its disk as it was then");
            if (departure.Followed is { IsWhole: false }) throw new MachineException(MachineError.Host, $"the machine {machine} ran at {to}, and the link broke before all of its memory was there: it has ended there, and 'lamina start --cold' there begins anew with its disk, on which nothing is lost that was written");
            if (parsed.GetValue(remove)) _ = store.Remove(machine);
            return ExitCode.Success;
        }));
        return verb;
    }

    private static Verb Receive()
    {
        var place = new Argument<string>("place") { HelpName = "unix:PATH|tcp:ADDRESS:PORT|-", Description = "Where from: a socket to make, an address and a port of this host, or the standard streams." };
        var name = new Option<string?>("--name") { HelpName = "NAME", Description = "The machine's name here. Default: the one that it has." };
        var tls = Tls();
        var keep = new Option<bool>("--keep") { Description = "Take in machine after machine, several at once, until this is ended." };
        var (device, published) = (PlaceWords.Device("here"), PlaceWords.Published("this"));
        var verb = new Verb("receive", "Takes in a machine that \"lamina migrate\" sends.")
        {
            Sections = () => [new("Examples", [("lamina receive tcp:0.0.0.0:7000 --tls ~/lamina-tls --keep", ""), ("lamina receive unix:/srv/lamina/arrivals", ""), ("lamina receive unix:/srv/lamina/arrivals --device share0,path=/srv/site --device network0,link=switch=/run/lan", "")])],
        };
        verb.Arguments.Add(place);
        verb.AddGroup("Options", name, tls, keep);
        verb.AddGroup("Where the machine leads here", device, published);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var (from, wanted) = (MigrationPlace.Parse(parsed.GetRequiredValue(place)), parsed.GetValue(name));
            if (wanted is not null) MachineStore.CheckName(wanted);
            if (from is MigrationPlace.Ssh) throw new UsageException("ssh leads to another host; say there 'lamina migrate NAME ssh:THIS-HOST'");
            var receiver = new Receiver(new MachineReceiver(LifeVerbs.Launcher, store), wanted, PlaceWords.Read(parsed, device, published));
            if (from is MigrationPlace.Standard)
            {
                if (parsed.GetValue(keep)) throw new UsageException("over the standard streams one machine comes; leave out --keep");
                using var streams = new DuplexStream(Console.OpenStandardInput(), Console.OpenStandardOutput());
                // The output is the link's.
                Stderr.Say($"{await receiver.ReceiveAsync(streams, cancellation).ConfigureAwait(false)} came");
                return ExitCode.Success;
            }
            if (wanted is not null && parsed.GetValue(keep)) throw new UsageException("machines cannot all have one name; leave out --name, or --keep");
            var identity = IdentityOf(parsed.GetValue(tls));
            if (from is MigrationPlace.Tcp && identity is null) throw new UsageException("whoever comes over the network must prove who it is; give the folder with ca.pem, cert.pem and key.pem by --tls");
            using var listener = MigrationLink.Listen(from);
            try
            {
                if (from is MigrationPlace.Tcp { Port: 0 }) Stderr.Say($"listens at {listener.LocalEndPoint}");
                return await (parsed.GetValue(keep) ? KeepReceivingAsync(receiver, listener, identity, parsed.InvocationConfiguration.Output, cancellation) : ReceiveAsync(receiver, listener, identity, parsed.InvocationConfiguration.Output, cancellation)).ConfigureAwait(false);
            }
            finally
            {
                if (from is MigrationPlace.Unix at) File.Delete(at.Path);
            }
        }));
        return verb;
    }

    private static async Task<int> ReceiveAsync(Receiver receiver, Socket listener, MigrationIdentity? identity, TextWriter output, CancellationToken cancellation)
    {
        using var peer = await MigrationLink.AcceptAsync(listener, identity, cancellation).ConfigureAwait(false);
        output.WriteLine(await receiver.ReceiveAsync(peer, cancellation).ConfigureAwait(false));
        return ExitCode.Success;
    }

    // Several at once, so that one that comes slowly, or says nothing, holds none of the others up.
    private static async Task<int> KeepReceivingAsync(Receiver receiver, Socket listener, MigrationIdentity? identity, TextWriter output, CancellationToken cancellation)
    {
        var coming = new List<Task>();
        try
        {
            while (true)
            {
                coming.RemoveAll(static one => one.IsCompleted);
                if (coming.Count == MostAtOnce) await Task.WhenAny(coming).ConfigureAwait(false);
                else coming.Add(TakeAsync(await listener.AcceptAsync(cancellation).ConfigureAwait(false)));
            }
        }
        finally
        {
            await Task.WhenAll(coming).ConfigureAwait(false);
        }

        // What does not come says so, and the next may.
        async Task TakeAsync(Socket socket)
        {
            try
            {
                using var peer = await MigrationLink.AnswerAsync(socket, identity, cancellation).ConfigureAwait(false);
                var name = await receiver.ReceiveAsync(peer, cancellation).ConfigureAwait(false);
                lock (coming) output.WriteLine(name);
            }
            catch (Exception failure) when (failure is MachineException or IOException)
            {
                lock (coming) _ = Failures.Report(failure);
            }
            catch (OperationCanceledException)
            {
                // All of it ends.
            }
        }
    }

    // What one is told of the machines that it takes in.
    private sealed record Receiver(MachineReceiver Machines, string? Name, ArrivalPlaces Places)
    {
        public Task<string> ReceiveAsync(Stream peer, CancellationToken cancellation) => Machines.ReceiveAsync(peer, Name, Places, cancellation);
    }

    private static Option<string?> Tls() => new("--tls") { HelpName = "FOLDER", Description = "Who this end is, for tcp: ca.pem, cert.pem and key.pem in this folder. Both ends have certificates by one authority." };

    private static MigrationIdentity? IdentityOf(string? folder) => folder is null ? null : new MigrationIdentity(folder);

    private static void Say(DepartureProgress progress)
    {
        if (progress.AskedPages is { } asked)
        {
            Stderr.Say(string.Create(CultureInfo.InvariantCulture, $"it runs there: {ByteSize.Format(progress.LeftBytes)} of its memory left, {asked} pages asked for"));
            return;
        }
        var (left, rate) = (ByteSize.Format(progress.LeftBytes), ByteSize.Format((ulong)progress.BytesPerSecond));
        Stderr.Say(string.Create(CultureInfo.InvariantCulture, $"round {progress.Round}: {ByteSize.Format(progress.SentBytes)} sent, {left} left, {rate} a second{(progress.BytesPerSecond > 0 ? $", {progress.LeftBytes / progress.BytesPerSecond:0.0} s" : "")}"));
    }

    private static async Task<OpenLink> OpenAsync(MigrationPlace place, IReadOnlyList<string> told, MigrationIdentity? identity, CancellationToken cancellation)
    {
        switch (place)
        {
            case MigrationPlace.Standard:
                return new OpenLink(new DuplexStream(Console.OpenStandardInput(), Console.OpenStandardOutput()), null);
            case MigrationPlace.Ssh ssh:
                var start = new ProcessStartInfo("ssh") { RedirectStandardInput = true, RedirectStandardOutput = true };
                foreach (var word in (string[])["-T", ssh.Destination, "lamina", "receive", "-", .. told.Select(Quoted)]) start.ArgumentList.Add(word);
                try
                {
                    var process = Process.Start(start) ?? throw new MachineException(MachineError.Host, "ssh does not start");
                    return new OpenLink(new DuplexStream(process.StandardOutput.BaseStream, process.StandardInput.BaseStream), process);
                }
                catch (System.ComponentModel.Win32Exception missing)
                {
                    throw new MachineException(MachineError.Host, "there is no ssh here; install it (Debian: apt-get install openssh-client), or go by tcp:HOST:PORT with --tls", missing);
                }
            default:
                return new OpenLink(await MigrationLink.ConnectAsync(place, identity, cancellation).ConfigureAwait(false), null);
        }
    }

    // The shell there splits what it is given.
    private static string Quoted(string word) => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    // With the program that carries it, if one does.
    private sealed record OpenLink(Stream Stream, Process? Program) : IDisposable
    {
        public void Dispose()
        {
            Stream.Dispose();
            Program?.WaitForExit(TimeSpan.FromSeconds(5));
            Program?.Dispose();
        }
    }
}
