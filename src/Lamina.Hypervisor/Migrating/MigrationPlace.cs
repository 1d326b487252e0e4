// Where machines go to and come from: a socket of this host's file system, a TCP port over TLS with which both ends prove who they are, another host's program by ssh, or
// the standard streams of a program that something else connects.
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Lamina.Host;
using Lamina.Host.Net;

namespace Lamina.Hypervisor.Migrating;

/// <summary>A place.</summary>
public abstract record MigrationPlace
{
    private MigrationPlace()
    {
    }

    /// <summary>A socket in the file system.</summary>
    /// <param name="Path">Its path.</param>
    public sealed record Unix(string Path) : MigrationPlace
    {
        /// <inheritdoc/>
        public override string ToString() => $"unix:{Path}";
    }

    /// <summary>A TCP port.</summary>
    /// <param name="HostName">The host's name or address.</param>
    /// <param name="Port">The port.</param>
    public sealed record Tcp(string HostName, int Port) : MigrationPlace
    {
        /// <inheritdoc/>
        public override string ToString() => HostName.Contains(':', StringComparison.Ordinal) ? $"tcp:[{HostName}]:{Port.ToString(CultureInfo.InvariantCulture)}" : $"tcp:{HostName}:{Port.ToString(CultureInfo.InvariantCulture)}";
    }

    /// <summary>Another host's program, started by ssh.</summary>
    /// <param name="Destination">As ssh takes it: a host, or user@host.</param>
    public sealed record Ssh(string Destination) : MigrationPlace
    {
        /// <inheritdoc/>
        public override string ToString() => $"ssh:{Destination}";
    }

    /// <summary>The standard streams.</summary>
    public sealed record Standard : MigrationPlace
    {
        /// <inheritdoc/>
        public override string ToString() => "-";
    }

    /// <summary>Reads one.</summary>
    /// <param name="text">It: unix:PATH, tcp:HOST:PORT, ssh:DESTINATION or -.</param>
    /// <exception cref="MachineException">It is none.</exception>
    public static MigrationPlace Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text == "-") return new Standard();
        if (text.StartsWith("unix:", StringComparison.Ordinal) && text.Length > 5) return new Unix(Path.GetFullPath(text[5..]));
        // A word that begins with a hyphen would be an option of ssh's.
        if (text.StartsWith("ssh:", StringComparison.Ordinal) && text.Length > 4 && text[4] != '-') return new Ssh(text[4..]);
        if (text.StartsWith("tcp:", StringComparison.Ordinal) && text.LastIndexOf(':') is > 4 and var colon && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= ushort.MaxValue)
            return new Tcp(text[4..colon].Trim('[', ']'), port);
        throw new MachineException($"'{text}' is no place that a machine can go to or come from; write unix:PATH, tcp:HOST:PORT (with --tls), ssh:HOST or - for the standard streams");
    }
}

/// <summary>What one end of a link proves who it is by: three files of a folder, in PEM.</summary>
/// <param name="folder">The folder: ca.pem (who vouches for both ends), cert.pem and key.pem (this end's).</param>
public sealed class MigrationIdentity(string folder)
{
    private readonly TlsIdentity _identity = Load(folder);

    /// <summary>Speaks TLS as the end that was called.</summary>
    /// <exception cref="MachineException">The other end is not who it should be.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public async Task<Stream> AnswerAsync(Stream link, CancellationToken cancellationToken)
    {
        var secure = new SslStream(link);
        await HandshakeAsync(secure, () => secure.AuthenticateAsServerAsync(_identity.ToAnswer(), cancellationToken)).ConfigureAwait(false);
        return secure;
    }

    /// <summary>Speaks TLS as the end that calls.</summary>
    /// <param name="link">Leads there.</param>
    /// <param name="name">The host's name or address, as its certificate must have it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The other end is not who it should be.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public async Task<Stream> CallAsync(Stream link, string name, CancellationToken cancellationToken)
    {
        var secure = new SslStream(link);
        await HandshakeAsync(secure, () => secure.AuthenticateAsClientAsync(_identity.ToCall(name), cancellationToken)).ConfigureAwait(false);
        return secure;
    }

    private static async Task HandshakeAsync(SslStream secure, Func<Task> shake)
    {
        try
        {
            await shake().ConfigureAwait(false);
        }
        catch (AuthenticationException refused)
        {
            await secure.DisposeAsync().ConfigureAwait(false);
            throw new MachineException(MachineError.Host, $"the other end of the link does not prove who it is, or does not take this end for who it should be ({refused.Message.TrimEnd('.')}); both need certificates by one authority (--tls), and the host's name in the one that is called", refused);
        }
    }

    private static TlsIdentity Load(string folder)
    {
        try
        {
            return TlsIdentity.OfBoth(folder);
        }
        catch (HostException wrong)
        {
            throw new MachineException(MachineError.File, wrong.Message, wrong);
        }
    }
}

/// <summary>Links to places, and from them.</summary>
public static class MigrationLink
{
    /// <summary>Connects to a place.</summary>
    /// <param name="place">The place: a socket or a port.</param>
    /// <param name="identity">Who this end is, where it is another host's port.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">Nobody listens there, or the other end is not who it should be.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public static async Task<Stream> ConnectAsync(MigrationPlace place, MigrationIdentity? identity, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(place);
        var socket = place is MigrationPlace.Unix ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (place is MigrationPlace.Tcp) Prepare(socket);
            switch (place)
            {
                case MigrationPlace.Unix at:
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(at.Path), cancellationToken).ConfigureAwait(false);
                    return new NetworkStream(socket, ownsSocket: true);
                case MigrationPlace.Tcp at:
                    await socket.ConnectAsync(at.HostName, at.Port, cancellationToken).ConfigureAwait(false);
                    var link = new NetworkStream(socket, ownsSocket: true);
                    return await Needed(identity).CallAsync(link, at.HostName, cancellationToken).ConfigureAwait(false);
                default:
                    throw new ArgumentException("it is no socket", nameof(place));
            }
        }
        catch (SocketException refused)
        {
            socket.Dispose();
            throw new MachineException(MachineError.Host, $"nobody takes machines in at {place} ({(place is MigrationPlace.Unix at && !File.Exists(at.Path) ? "there is no such socket" : refused.Message)}); start 'lamina receive {place}' there first", refused);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Listens at a place.</summary>
    /// <param name="place">The place: a socket or a port.</param>
    /// <exception cref="MachineException">It cannot be had.</exception>
    public static Socket Listen(MigrationPlace place)
    {
        ArgumentNullException.ThrowIfNull(place);
        var socket = place is MigrationPlace.Unix ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (place is MigrationPlace.Tcp port) socket.Bind(new IPEndPoint(AddressOf(port), port.Port));
            if (place is not MigrationPlace.Unix at)
            {
                socket.Listen();
                return socket;
            }
            if (Path.Exists(at.Path)) throw new MachineException(MachineError.Host, $"machines cannot be taken in at {place}: it exists already; choose another place, or remove it where nobody listens there any more");
            // It has its name when it can be connected to, and by nobody else.
            var made = at.Path + ".new";
            File.Delete(made);
            socket.Bind(new UnixDomainSocketEndPoint(made));
            File.SetUnixFileMode(made, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen();
            File.Move(made, at.Path);
            return socket;
        }
        catch (MachineException)
        {
            socket.Dispose();
            throw;
        }
        catch (Exception refused) when (refused is SocketException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            socket.Dispose();
            throw new MachineException(MachineError.Host, $"machines cannot be taken in at {place}: {(refused as SocketException)?.Message ?? HostFiles.Reason(refused, "")}; choose another place", refused);
        }
    }

    /// <summary>Waits for one who connects.</summary>
    /// <param name="listener">Where.</param>
    /// <param name="identity">Who this end is, where others come over the network.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The other end is not who it should be.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public static async Task<Stream> AcceptAsync(Socket listener, MigrationIdentity? identity, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(listener);
        return await AnswerAsync(await listener.AcceptAsync(cancellationToken).ConfigureAwait(false), identity, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Speaks with one who has connected.</summary>
    /// <param name="socket">The connection, which is the link's.</param>
    /// <param name="identity">Who this end is, where others come over the network.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The other end is not who it should be.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public static async Task<Stream> AnswerAsync(Socket socket, MigrationIdentity? identity, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(socket);
        var link = new NetworkStream(socket, ownsSocket: true);
        if (socket.AddressFamily == AddressFamily.Unix) return link;
        Prepare(socket);
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(TimeSpan.FromSeconds(20));
            return await Needed(identity).AnswerAsync(link, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException slow) when (!cancellationToken.IsCancellationRequested)
        {
            await link.DisposeAsync().ConfigureAwait(false);
            throw new MachineException(MachineError.Host, "the other end of the link did not say who it is", slow);
        }
        catch
        {
            await link.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    // Answers are short and waited for; and a host that is gone without a word is found out.
    private static void Prepare(Socket socket)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 4);
    }

    private static MigrationIdentity Needed(MigrationIdentity? identity) => identity ?? throw new MachineException("a machine's memory goes over a network only where both ends have proved who they are; give the folder with ca.pem, cert.pem and key.pem by --tls, or go by ssh:HOST");

    private static IPAddress AddressOf(MigrationPlace.Tcp place) => place.HostName is "*" or "" ? IPAddress.IPv6Any : IPAddress.TryParse(place.HostName, out var address) ? address : Dns.GetHostAddresses(place.HostName).First();
}
