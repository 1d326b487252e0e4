// The bytes between the server and one viewer, whatever carries them: a socket; TLS over it; WebSocket (RFC 6455) over either. Of TLS and
// of WebSocket's frames the work is .NET's.
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Authentication;

namespace Lamina.Backends.Display;

/// <summary>A link to a viewer: one reader, and any number of writers, whose bytes do not mix.</summary>
/// <param name="socket">Carries it, and is disposed of with it.</param>
/// <param name="patience">How long a viewer may take for a piece of what it was sent.</param>
internal sealed class ViewerLink(Socket socket, TimeSpan patience) : IDisposable
{
    // So much has to be taken within the patience; in a WebSocket's stream it is a message.
    private const int Piece = 64 << 10;

    private readonly SemaphoreSlim _sending = new(1, 1);
    private Stream _stream = new NetworkStream(socket, ownsSocket: true);
    private WebSocket? _webSocket;
    private long _bytes;

    /// <summary>How many bytes were sent.</summary>
    internal long Bytes => Volatile.Read(ref _bytes);

    /// <summary>What carries the bytes.</summary>
    internal string Carrier => (_stream is SslStream, _webSocket is not null) switch
    {
        (false, false) => "socket",
        (true, false) => "TLS",
        (false, true) => "WebSocket",
        _ => "WebSocket over TLS",
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        _webSocket?.Dispose();
        _stream.Dispose();
        _sending.Dispose();
    }

    /// <summary>Goes on by TLS, as the end that has a certificate.</summary>
    /// <exception cref="AuthenticationException">The viewer does not, or will not.</exception>
    internal async Task SecureAsync(SslStreamCertificateContext certificate, SslProtocols protocols, CancellationToken cancellationToken)
    {
        var secure = new SslStream(_stream);
        _stream = secure;
        await secure.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificate,
            EnabledSslProtocols = protocols,
        }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Goes on by WebSocket, when the viewer has asked for it.</summary>
    /// <param name="origin">The page's origin from which viewers may come beside this host's own; or null.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="RfbException">It has not; it was told so.</exception>
    internal async Task UpgradeAsync(string? origin, CancellationToken cancellationToken)
    {
        var protocol = await WebSocketUpgrade.AnswerAsync(_stream, origin, cancellationToken).ConfigureAwait(false);
        _webSocket = WebSocket.CreateFromStream(_stream, new WebSocketCreationOptions { IsServer = true, SubProtocol = protocol, KeepAliveInterval = Timeout.InfiniteTimeSpan });
    }

    /// <summary>Reads some bytes, at least one.</summary>
    /// <returns>How many; 0 where the viewer has ended.</returns>
    internal async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_webSocket is null) return await _stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            var received = await _webSocket.ReceiveAsync(buffer, cancellationToken).ConfigureAwait(false);
            if (received.MessageType == WebSocketMessageType.Text) throw new RfbException("it sends text where there are bytes (WebSocket)");
            if (received.MessageType == WebSocketMessageType.Close)
            {
                await _webSocket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancellationToken).ConfigureAwait(false);
                return 0;
            }
            // A message may be empty.
            if (received.Count > 0) return received.Count;
        }
    }

    /// <summary>Sends bytes; a viewer that does not take them loses its connection.</summary>
    internal async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            while (!bytes.IsEmpty)
            {
                ends.CancelAfter(patience);
                var piece = bytes[..Math.Min(Piece, bytes.Length)];
                if (_webSocket is null) await _stream.WriteAsync(piece, ends.Token).ConfigureAwait(false);
                else await _webSocket.SendAsync(piece, WebSocketMessageType.Binary, endOfMessage: true, ends.Token).ConfigureAwait(false);
                Interlocked.Add(ref _bytes, piece.Length);
                bytes = bytes[piece.Length..];
            }
        }
        finally
        {
            _sending.Release();
        }
    }
}
