// "lamina disk serve": serves an image to other programs and hosts by the NBD protocol, until a signal ends it.
using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Disk;
using Lamina.Backends.Nbd.Server;
using Lamina.Cli.Output;
using Lamina.Host;
using Lamina.Host.Net;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "disk serve".</summary>
internal static class DiskServeVerb
{
    private const int UsualPort = 10809;

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var path = DiskVerb.PathArgument();
        var export = new Option<string?>("--export") { HelpName = "NAME", Description = "The export's name. Default: none; a client that asks for no name gets the disk in any case." };
        var readOnly = new Option<bool>("--read-only", "-r") { Description = "Take no writes; the image is only read." };
        var unix = new Option<string?>("--unix") { HelpName = "PATH", Description = "Listen at a socket in the file system, which is made for this user alone." };
        var listen = new Option<string?>("--listen") { HelpName = "HOST:PORT", Description = "Listen at an address and port of this host; port 0 is any that is free. Default: 127.0.0.1:10809." };
        var tls = new Option<string?>("--tls") { HelpName = "FOLDER", Description = "Speak TLS, and nothing else: cert.pem and key.pem in this folder say who this end is, and clients need certificates by the authority in ca.pem." };
        var anyone = new Option<bool>("--anyone") { Description = "Serve whoever comes: beyond this host without TLS, or with --tls clients without a certificate." };
        var connections = new Option<string?>("--connections") { HelpName = "N", Description = $"The most clients at once. Default: {NbdServerOptions.UsualClients}." };
        var once = new Option<bool>("--once") { Description = "End when the first client has left, and all that came beside it." };
        var format = DiskVerb.FormatOption("--format", "The image's format, where it is not to be found out: raw or qcow2.");
        var backing = DiskVerb.BackingOption();
        var verb = new Verb("serve", "Serves an image to other programs and hosts (NBD), as their disk.")
        {
            Sections = () => [new("Examples", [("lamina disk serve work.qcow2", ""), ("lamina disk serve work.qcow2 --read-only --unix /tmp/work.sock", ""), ("lamina disk serve work.qcow2 --listen 0.0.0.0:10809 --tls ~/lamina-tls --export work", ""), ("qemu-img info nbd://127.0.0.1", "what another program sees of it")])],
        };
        verb.Arguments.Add(path);
        verb.AddGroup("Options", export, readOnly, unix, listen, tls, anyone, connections, once, format, backing);
        verb.SetAction(parsed =>
        {
            var (socket, place, folder, isOpen) = (parsed.GetValue(unix), parsed.GetValue(listen), parsed.GetValue(tls), parsed.GetValue(anyone));
            if (socket is not null && place is not null) throw new UsageException("a disk is served at one place; leave out --unix or --listen");
            var name = parsed.GetValue(export) ?? "";
            if (System.Text.Encoding.UTF8.GetByteCount(name) > 4096) throw new UsageException("--export: a name has 4096 bytes at most");
            var image = parsed.GetRequiredValue(path);
            var options = new NbdServerOptions
            {
                Export = name,
                Clients = ReadCount(parsed.GetValue(connections)),
                EndsWhenLeft = parsed.GetValue(once),
                Identity = folder is null ? null : isOpen ? TlsIdentity.OfAnyonesServer(folder) : TlsIdentity.OfBoth(folder),
                Log = ProgramLog.Of(null).CreateLog(image),
            };
            var endpoint = socket is null ? EndpointOf(place, folder is not null || isOpen) : null;
            using var signals = new EndingSignals();
            using var disk = DiskImages.Open(DiskVerb.Source(parsed, image, backing, format) with { ReadOnly = parsed.GetValue(readOnly) });
            using var server = new NbdServer(disk, options);
            using var listener = socket is null ? Listen(endpoint!) : Listen(Path.GetFullPath(socket));
            try
            {
                var uri = UriOf(listener, socket is null ? null : Path.GetFullPath(socket), folder is not null, name);
                parsed.InvocationConfiguration.Output.WriteLine($"serves {DiskVerb.Printable(image)} at {uri}");
                server.Serve(listener, signals.Token);
            }
            finally
            {
                if (socket is not null) File.Delete(socket);
            }
            return ExitCode.Success;
        });
        return verb;
    }

    private static int ReadCount(string? text) => text is null ? NbdServerOptions.UsualClients
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count is > 0 and <= NbdServerOptions.MostClients ? count
        : throw new UsageException($"--connections: '{text}' is not possible; use a number from 1 to {NbdServerOptions.MostClients}");

    private static IPEndPoint EndpointOf(string? text, bool mayBeReached)
    {
        var (name, port) = ("127.0.0.1", UsualPort);
        if (text is not null)
        {
            var colon = text.LastIndexOf(':');
            if (colon <= 0 || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port > ushort.MaxValue)
                throw new UsageException($"--listen: '{text}' is no address with a port; write it like 127.0.0.1:{UsualPort} or [::1]:{UsualPort}");
            name = text[..colon].Trim('[', ']');
        }
        IPAddress address;
        try
        {
            address = name == "*" ? IPAddress.IPv6Any : IPAddress.TryParse(name, out var literal) ? literal : Dns.GetHostAddresses(name).First();
        }
        catch (Exception unknown) when (unknown is SocketException or ArgumentException or InvalidOperationException)
        {
            throw new UsageException($"--listen: there is no host '{name}'; write an address of this one");
        }
        return mayBeReached || IPAddress.IsLoopback(address)
            ? new IPEndPoint(address, port)
            : throw new UsageException($"--listen: at {name} other hosts could read and write the disk unseen and unasked; add --tls FOLDER, or --anyone where that is meant");
    }

    private static Socket Listen(IPEndPoint place)
    {
        var socket = new Socket(place.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (place.Address.Equals(IPAddress.IPv6Any)) socket.DualMode = true;
            socket.Bind(place);
            socket.Listen();
            return socket;
        }
        catch (SocketException refused)
        {
            socket.Dispose();
            throw new HostException($"nothing can be served at {place}: {refused.Message}; choose another place", refused);
        }
    }

    // It has its name when it can be connected to, and by nobody else.
    private static Socket Listen(string path)
    {
        if (Path.Exists(path)) throw new UsageException($"--unix: {path} exists already; choose another place, or remove it where nobody listens there any more");
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            var made = path + ".new";
            File.Delete(made);
            socket.Bind(new UnixDomainSocketEndPoint(made));
            File.SetUnixFileMode(made, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen();
            File.Move(made, path);
            return socket;
        }
        catch (Exception refused) when (refused is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            socket.Dispose();
            throw new HostException($"nothing can be served at {path}: {(refused as SocketException)?.Message ?? HostFiles.Reason(refused, "")}; choose another place", refused);
        }
    }

    private static string UriOf(Socket listener, string? socket, bool isSecure, string export)
    {
        var (scheme, name) = (isSecure ? "nbds" : "nbd", Uri.EscapeDataString(export));
        return socket is null ? $"{scheme}://{listener.LocalEndPoint}/{name}".TrimEnd('/') : $"{scheme}+unix:///{name}?socket={Uri.EscapeDataString(socket).Replace("%2F", "/", StringComparison.Ordinal)}";
    }
}
