// One viewer: its greeting, and what it says from then on. What is on the screen goes out by VncUpdates, at the same time.
using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Core.Inspection;

namespace Lamina.Backends.Display;

/// <summary>A connection of a viewer's.</summary>
internal sealed class VncConnection : IDisposable
{
    private readonly VncServer _server;
    private readonly ViewerLink _link;
    private readonly bool _isWebSocket;
    private readonly VncOptions _options;
    private readonly VncUpdates _updates;
    private readonly CancellationTokenSource _ends = new();
    private readonly HashSet<int> _keys = [];
    private readonly byte[] _buffer = new byte[RfbSpec.MostEncodings * sizeof(int)];
    private readonly string _peer;
    private int _wheel;

    internal VncConnection(VncServer server, Socket socket, bool isWebSocket, IScreen screen, VncOptions options)
    {
        (_server, _isWebSocket, _options) = (server, isWebSocket, options);
        _link = new ViewerLink(socket, options.Patience);
        _peer = socket.RemoteEndPoint is System.Net.IPEndPoint from ? from.ToString() : "a socket of this host's";
        _updates = new VncUpdates(_link, screen, options);
    }

    /// <summary>Whether it has passed the greeting.</summary>
    internal bool IsGreeted { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _link.Dispose();
        _updates.Dispose();
        _ends.Dispose();
    }

    /// <summary>Has it end.</summary>
    internal void End() => _ends.Cancel();

    internal void Inspect(InspectNode node)
    {
        node.Say("from", _peer);
        node.Say("over", _link.Carrier);
        node.Say("greeted", IsGreeted);
        node.Say("updates", _updates.Sent);
        node.Say("bytes", _link.Bytes);
    }

    /// <summary>Serves it to its end.</summary>
    /// <exception cref="RfbException">It says what it must not.</exception>
    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ends.Token);
        using (var patience = CancellationTokenSource.CreateLinkedTokenSource(ends.Token))
        {
            patience.CancelAfter(_options.Patience);
            if (_isWebSocket && _options.Certificate is { } certificate) await _link.SecureAsync(certificate, SslProtocols.Tls12 | SslProtocols.Tls13, patience.Token).ConfigureAwait(false);
            if (_isWebSocket) await _link.UpgradeAsync(_options.WebSocketOrigin, patience.Token).ConfigureAwait(false);
            await GreetAsync(patience.Token).ConfigureAwait(false);
        }
        IsGreeted = true;
        var updates = _updates.RunAsync(ends.Token);
        var listening = ListenAsync(ends.Token);
        try
        {
            await (await Task.WhenAny(updates, listening).ConfigureAwait(false)).ConfigureAwait(false);
        }
        finally
        {
            await ends.CancelAsync().ConfigureAwait(false);
            // Nobody holds them any more.
            foreach (var key in _keys.ToArray()) Press(key, isDown: false);
            await Task.WhenAll(updates, listening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task GreetAsync(CancellationToken cancellationToken)
    {
        await SendAsync(RfbSpec.Version.ToArray(), cancellationToken).ConfigureAwait(false);
        await ReadAsync(RfbSpec.VersionLength, cancellationToken).ConfigureAwait(false);
        var version = Encoding.ASCII.GetString(_buffer, 0, RfbSpec.VersionLength);
        var minor = version switch
        {
            "RFB 003.008\n" => 8,
            "RFB 003.007\n" => 7,
            // What it does not know is taken for the oldest.
            _ when version.StartsWith("RFB 003.", StringComparison.Ordinal) && version[^1] == '\n' => 3,
            _ => throw new RfbException("it does not speak RFB"),
        };
        var security = _options.Password is null ? RfbSpec.NoSecurity : RfbSpec.PasswordSecurity;
        // A browser's link is secure already, and browsers' viewers know no VeNCrypt.
        var secures = _options.Certificate is not null && !_isWebSocket;
        var offered = secures ? RfbSpec.VeNCrypt : security;
        if (minor == 3)
        {
            if (secures) await RefuseAsync([0, 0, 0, 0], "this screen is served over TLS alone, by VeNCrypt, of which RFB 3.3 knows nothing", cancellationToken).ConfigureAwait(false);
            await SendAsync([0, 0, 0, security], cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await SendAsync([1, offered], cancellationToken).ConfigureAwait(false);
            await ReadAsync(1, cancellationToken).ConfigureAwait(false);
            if (_buffer[0] != offered) throw new RfbException("it chose a security type that was not offered");
        }
        if (secures) await SecureAsync(security, cancellationToken).ConfigureAwait(false);
        if (security == RfbSpec.PasswordSecurity) await AuthenticateAsync(minor, cancellationToken).ConfigureAwait(false);
        else if (minor == 8 || secures) await SendAsync([0, 0, 0, (byte)RfbSpec.Accepted], cancellationToken).ConfigureAwait(false);
        // ClientInit.
        await ReadAsync(1, cancellationToken).ConfigureAwait(false);
        if (_buffer[0] == 0) _server.EndOthers(this);
        await _updates.SendInitAsync(cancellationToken).ConfigureAwait(false);
    }

    // VeNCrypt, version 0.2 ("VeNCrypt"): one subtype is offered, what follows it is said over TLS. Those with the prefix TLS have no certificate,
    // so whoever is between could read all; .NET has no such TLS.
    private async Task SecureAsync(byte security, CancellationToken cancellationToken)
    {
        await SendAsync([0, 2], cancellationToken).ConfigureAwait(false);
        await ReadAsync(2, cancellationToken).ConfigureAwait(false);
        if ((_buffer[0], _buffer[1]) != (0, 2))
        {
            await SendAsync([RfbSpec.VersionRefused], cancellationToken).ConfigureAwait(false);
            throw new RfbException("it speaks another version of VeNCrypt");
        }
        var subtype = security == RfbSpec.PasswordSecurity ? RfbSpec.X509Password : RfbSpec.X509None;
        byte[] offer = [RfbSpec.VersionAccepted, 1, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32BigEndian(offer.AsSpan(2), subtype);
        await SendAsync(offer, cancellationToken).ConfigureAwait(false);
        await ReadAsync(sizeof(uint), cancellationToken).ConfigureAwait(false);
        if (U32(0) != subtype)
        {
            await SendAsync([RfbSpec.SubtypeRefused], cancellationToken).ConfigureAwait(false);
            throw new RfbException("it chose a subtype of VeNCrypt that was not offered");
        }
        await SendAsync([RfbSpec.SubtypeAccepted], cancellationToken).ConfigureAwait(false);
        // Not 1.3, whose server sends tickets behind its handshake: TigerVNC 1.12 goes on waiting where what it waits for comes together with one.
        await _link.SecureAsync(_options.Certificate!, SslProtocols.Tls12, cancellationToken).ConfigureAwait(false);
    }

    private async Task RefuseAsync(byte[] head, string sentence, CancellationToken cancellationToken)
    {
        var why = Encoding.UTF8.GetBytes(sentence);
        await SendAsync([.. head, 0, 0, 0, (byte)why.Length, .. why], cancellationToken).ConfigureAwait(false);
        throw new RfbException($"it was told that {sentence}");
    }

    private async Task AuthenticateAsync(int minor, CancellationToken cancellationToken)
    {
        var challenge = RandomNumberGenerator.GetBytes(RfbSpec.ChallengeLength);
        await SendAsync(challenge, cancellationToken).ConfigureAwait(false);
        await ReadAsync(RfbSpec.ChallengeLength, cancellationToken).ConfigureAwait(false);
        if (await _server.CheckAsync(challenge, _buffer[..RfbSpec.ChallengeLength], cancellationToken).ConfigureAwait(false))
        {
            await SendAsync([0, 0, 0, (byte)RfbSpec.Accepted], cancellationToken).ConfigureAwait(false);
            return;
        }
        byte[] why = [.. "this is not the password"u8];
        await SendAsync([0, 0, 0, (byte)RfbSpec.Refused, .. minor == 8 ? (byte[])[0, 0, 0, (byte)why.Length, .. why] : []], cancellationToken).ConfigureAwait(false);
        throw new RfbException("it does not know the password");
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await ReadAsync(1, cancellationToken).ConfigureAwait(false);
            switch (_buffer[0])
            {
                case RfbSpec.SetPixelFormat:
                    await ReadAsync(3 + RfbSpec.FormatLength, cancellationToken).ConfigureAwait(false);
                    _updates.Format = PixelFormat.Read(_buffer.AsSpan(3)) ?? throw new RfbException("it asks for pixels of a form that there is not");
                    break;
                case RfbSpec.SetEncodings:
                    await ReadAsync(3, cancellationToken).ConfigureAwait(false);
                    var count = U16(1);
                    if (count > RfbSpec.MostEncodings) throw new RfbException($"it lists {count} encodings");
                    await ReadAsync(count * sizeof(int), cancellationToken).ConfigureAwait(false);
                    _updates.SetEncodings([.. Enumerable.Range(0, count).Select(i => (int)U32(i * sizeof(int)))]);
                    break;
                case RfbSpec.UpdateRequest:
                    await ReadAsync(9, cancellationToken).ConfigureAwait(false);
                    _updates.Request(_buffer[0] != 0);
                    break;
                case RfbSpec.KeyEvent:
                    await ReadAsync(7, cancellationToken).ConfigureAwait(false);
                    Press(Keysyms.Find(U32(3)), _buffer[0] != 0);
                    break;
                case RfbSpec.PointerEvent:
                    await ReadAsync(5, cancellationToken).ConfigureAwait(false);
                    Point(_buffer[0], U16(1), U16(3));
                    break;
                case RfbSpec.ClientCutText:
                    await ReadAsync(7, cancellationToken).ConfigureAwait(false);
                    await SkipAsync(U32(3), cancellationToken).ConfigureAwait(false);
                    break;
                case RfbSpec.EnableContinuousUpdates:
                    await ReadAsync(9, cancellationToken).ConfigureAwait(false);
                    _updates.SetContinuous(_buffer[0] != 0);
                    break;
                case RfbSpec.ClientFence:
                    await ReadAsync(8, cancellationToken).ConfigureAwait(false);
                    var (flags, length) = (U32(3), _buffer[7]);
                    if (length > RfbSpec.LongestFence) throw new RfbException($"it sends a fence of {length} bytes");
                    await ReadAsync(length, cancellationToken).ConfigureAwait(false);
                    if ((flags & RfbSpec.FenceRequest) != 0) _updates.AnswerFence(flags & RfbSpec.FenceKnown, _buffer[..length]);
                    break;
                case RfbSpec.SetDesktopSize:
                    await ReadAsync(7, cancellationToken).ConfigureAwait(false);
                    await ReadAsync(_buffer[5] * RfbSpec.ScreenLength, cancellationToken).ConfigureAwait(false);
                    _updates.RefuseResize();
                    break;
                case RfbSpec.QemuMessage:
                    await ReadAsync(11, cancellationToken).ConfigureAwait(false);
                    if (_buffer[0] != RfbSpec.QemuExtendedKey) throw new RfbException($"it sends QEMU's message {_buffer[0]}");
                    // By its place where that is said, else by what stands on it.
                    Press(U32(7) is > 0 and <= 0xff and var code ? (int)code : Keysyms.Find(U32(3)), U16(1) != 0);
                    break;
                default:
                    throw new RfbException($"it sends the message {_buffer[0]}");
            }
        }
    }

    private void Press(int key, bool isDown)
    {
        if (KeyCode.FromRfb((uint)key) is not { } code) return;
        if (isDown) _keys.Add(key);
        else _keys.Remove(key);
        if (isDown) _options.Keyboard?.Press(code);
        else _options.Keyboard?.Release(code);
    }

    // Buttons 4 and 5 are the wheel's steps: each is pressed and released.
    private void Point(byte buttons, int x, int y)
    {
        const int Left = 1, Middle = 2, Right = 4, Up = 8, Down = 16;
        var steps = ((buttons & Down) > (_wheel & Down) ? 1 : 0) - ((buttons & Up) > (_wheel & Up) ? 1 : 0);
        _wheel = buttons;
        var (width, height) = _updates.Size;
        var pressed = ((buttons & Left) != 0 ? PointerButtons.Left : PointerButtons.None) | ((buttons & Middle) != 0 ? PointerButtons.Middle : PointerButtons.None) | ((buttons & Right) != 0 ? PointerButtons.Right : PointerButtons.None);
        _options.Pointer?.Point(Math.Min(x, width - 1), Math.Min(y, height - 1), width, height, pressed, steps);
    }

    private int U16(int at) => BinaryPrimitives.ReadUInt16BigEndian(_buffer.AsSpan(at));

    private uint U32(int at) => BinaryPrimitives.ReadUInt32BigEndian(_buffer.AsSpan(at));

    private async Task SkipAsync(uint length, CancellationToken cancellationToken)
    {
        // The extended clipboard counts below zero; it was not offered.
        if (length > RfbSpec.LongestCutText) throw new RfbException("it sends a clipboard that is too long");
        for (var left = (int)length; left > 0; left -= Math.Min(left, _buffer.Length)) await ReadAsync(Math.Min(left, _buffer.Length), cancellationToken).ConfigureAwait(false);
    }

    private async Task ReadAsync(int length, CancellationToken cancellationToken)
    {
        for (var done = 0; done < length;)
        {
            var count = await _link.ReceiveAsync(_buffer.AsMemory(done, length - done), cancellationToken).ConfigureAwait(false);
            if (count == 0) throw new IOException("the viewer went");
            done += count;
        }
    }

    private Task SendAsync(byte[] bytes, CancellationToken cancellationToken) => _link.SendAsync(bytes, cancellationToken);
}
