// A viewer that speaks RFB as the specification has it, and knows every encoding that the server does.
using System.Buffers.Binary;
using System.IO.Compression;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using JpegLibrary;
using Lamina.Core.Display;
using Lamina.Core.Input;

namespace Lamina.Tests.Backends.Display;

/// <summary>A picture that a test changes.</summary>
internal sealed class TestScreen(int width, int height) : IScreen
{
    private readonly Lock _gate = new();
    private ScreenPicture _picture = new(width, height, new uint[width * height]);
    private long _changes;
    private int _looks;

    internal int Looks => Volatile.Read(ref _looks);

    public string Mode => "test";

    internal void Show(ScreenPicture picture)
    {
        lock (_gate) (_picture, _changes) = (picture, _changes + 1);
    }

    internal void Touch()
    {
        lock (_gate) _changes++;
    }

    public ScreenPicture Look(ScreenPicture? reuse = null)
    {
        lock (_gate)
        {
            _looks++;
            return _picture with { Pixels = [.. _picture.Pixels] };
        }
    }

    public ScreenText? Read() => null;

    public IScreenWatch Watch() => new Follower(this);

    private sealed class Follower(TestScreen screen) : IScreenWatch
    {
        private long _seen = -1;

        public bool HasChanged()
        {
            lock (screen._gate)
            {
                var changed = _seen != screen._changes;
                _seen = screen._changes;
                return changed;
            }
        }

        public void Dispose()
        {
        }
    }
}

/// <summary>Keys and pointers that came.</summary>
internal sealed class RecordingInput : IKeyboardInput, IScreenPointer
{
    private readonly Lock _gate = new();
    private readonly List<string> _seen = [];

    public KeyboardLights Lights { get; set; }

    public bool IsReady => true;

    internal string[] Seen
    {
        get
        {
            lock (_gate) return [.. _seen];
        }
    }

    public void Press(KeyCode key) => Note('+', key);

    public void Release(KeyCode key) => Note('-', key);

    private void Note(char sign, KeyCode key)
    {
        lock (_gate) _seen.Add($"{sign}{key.Code | (key.Extended ? 0x80 : 0):x2}");
    }

    public void Point(int x, int y, int width, int height, PointerButtons buttons, int wheel)
    {
        lock (_gate) _seen.Add($"{x},{y} of {width}x{height} {buttons} {wheel}");
    }
}

internal sealed class TestViewer : IAsyncDisposable
{
    private Stream _stream;
    private readonly Inflater _zrle = new();
    private readonly Inflater[] _tight = [new(), new(), new(), new()];

    internal TestViewer(Stream stream) => _stream = stream;

    internal ScreenPicture Picture { get; private set; } = new(1, 1, [0]);

    internal string Name { get; private set; } = "";

    internal List<int> Encodings { get; } = [];

    /// <summary>How many pixels the last update brought.</summary>
    internal int Pixels { get; private set; }

    /// <summary>How many it had elsewhere, and how many rectangles came as JPEG.</summary>
    internal int Copied { get; private set; }

    internal int Jpegs { get; private set; }

    internal int Bytes { get; set; } = 4;

    public async ValueTask DisposeAsync() => await _stream.DisposeAsync();

    internal static async Task<TestViewer> ConnectAsync(string address, CancellationToken cancellation)
    {
        EndPoint place = IPEndPoint.TryParse(address, out var port) ? port : new UnixDomainSocketEndPoint(address);
        var socket = new Socket(place.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(place, cancellation);
        return new TestViewer(new NetworkStream(socket, ownsSocket: true));
    }

    internal async Task GreetAsync(CancellationToken cancellation, Func<byte[], byte[]>? password = null, string version = "RFB 003.008\n", bool shared = true)
    {
        if (Encoding.ASCII.GetString(await ReadAsync(12, cancellation)) != "RFB 003.008\n") throw new InvalidOperationException("not RFB 3.8");
        await SendAsync(Encoding.ASCII.GetBytes(version), cancellation);
        byte security;
        if (version == "RFB 003.003\n") security = (await ReadAsync(4, cancellation))[3];
        else
        {
            security = (await ReadAsync((await ReadAsync(1, cancellation))[0], cancellation))[0];
            await SendAsync([security], cancellation);
        }
        var isSecured = security == 19;
        if (isSecured) security = await SecureAsync(cancellation);
        if (security == 2) await SendAsync(password!(await ReadAsync(16, cancellation)), cancellation);
        if ((security == 2 || isSecured || version == "RFB 003.008\n") && (await ReadAsync(4, cancellation))[3] != 0)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(await ReadAsync(4, cancellation));
            throw new UnauthorizedAccessException(Encoding.UTF8.GetString(await ReadAsync(length, cancellation)));
        }
        await SendAsync([(byte)(shared ? 1 : 0)], cancellation);
        var init = await ReadAsync(24, cancellation);
        Resize(BinaryPrimitives.ReadUInt16BigEndian(init), BinaryPrimitives.ReadUInt16BigEndian(init.AsSpan(2)));
        Name = Encoding.UTF8.GetString(await ReadAsync(BinaryPrimitives.ReadInt32BigEndian(init.AsSpan(20)), cancellation));
    }

    /// <summary>Which TLS it speaks.</summary>
    internal System.Security.Authentication.SslProtocols Protocol => (_stream as SslStream)?.SslProtocol ?? default;

    /// <summary>The subject of the certificate that the server had.</summary>
    internal string? Certificate { get; private set; }

    // VeNCrypt 0.2; which security follows.
    private async Task<byte> SecureAsync(CancellationToken cancellation)
    {
        if (await ReadAsync(2, cancellation) is not [0, 2]) throw new InvalidOperationException("not VeNCrypt 0.2");
        await SendAsync([0, 2], cancellation);
        if (await ReadAsync(2, cancellation) is not [0, 1]) throw new InvalidOperationException("not one subtype");
        var subtype = await ReadAsync(4, cancellation);
        await SendAsync(subtype, cancellation);
        if (await ReadAsync(1, cancellation) is not [1]) throw new InvalidOperationException("subtype refused");
        await UpgradeAsync(cancellation);
        return subtype is [0, 0, 1, 4] ? (byte)1 : subtype is [0, 0, 1, 5] ? (byte)2 : throw new InvalidOperationException("neither X509None nor X509Vnc");
    }

    /// <summary>Goes on by TLS.</summary>
    internal async Task UpgradeAsync(CancellationToken cancellation)
    {
        var secure = new SslStream(_stream);
        _stream = secure;
        await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "screen", RemoteCertificateValidationCallback = (_, certificate, _, _) => (Certificate = certificate?.Subject) is not null }, cancellation);
    }

    internal Task SetEncodingsAsync(CancellationToken cancellation, params int[] encodings)
    {
        var message = new byte[4 + (4 * encodings.Length)];
        message[0] = 2;
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), (ushort)encodings.Length);
        for (var i = 0; i < encodings.Length; i++) BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(4 + (4 * i)), encodings[i]);
        return SendAsync(message, cancellation);
    }

    internal Task RequestAsync(bool incremental, CancellationToken cancellation) => SendAsync([3, (byte)(incremental ? 1 : 0), 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], cancellation);

    internal async Task SendAsync(byte[] bytes, CancellationToken cancellation) => await _stream.WriteAsync(bytes, cancellation);

    /// <summary>Reads a message: of an update the whole; of others the type.</summary>
    internal async Task<byte[]> ReadMessageAsync(CancellationToken cancellation)
    {
        var type = (await ReadAsync(1, cancellation))[0];
        switch (type)
        {
            case 0:
                Encodings.Clear();
                Pixels = Copied = Jpegs = 0;
                var count = BinaryPrimitives.ReadUInt16BigEndian((await ReadAsync(3, cancellation)).AsSpan(1));
                for (var i = 0; i < count; i++) await ReadPartAsync(cancellation);
                return [0];
            case 150:
                return [150];
            case 248:
                var head = await ReadAsync(8, cancellation);
                return [248, .. head, .. await ReadAsync(head[7], cancellation)];
            default:
                throw new InvalidOperationException($"message {type}");
        }
    }

    /// <summary>Whether the server hangs up, whatever it says before.</summary>
    internal async Task<bool> IsHungUpAsync(CancellationToken cancellation)
    {
        await ReadToEndAsync(cancellation);
        return true;
    }

    /// <summary>All that the server says until it hangs up.</summary>
    internal async Task<byte[]> ReadToEndAsync(CancellationToken cancellation)
    {
        var (bytes, buffer) = (new MemoryStream(), new byte[4096]);
        try
        {
            for (int count; (count = await _stream.ReadAsync(buffer, cancellation)) > 0;) bytes.Write(buffer, 0, count);
        }
        catch (IOException)
        {
        }
        return bytes.ToArray();
    }

    private async Task<byte[]> ReadAsync(int length, CancellationToken cancellation)
    {
        var bytes = new byte[length];
        await _stream.ReadExactlyAsync(bytes, cancellation);
        return bytes;
    }

    private void Resize(int width, int height) => Picture = new ScreenPicture(width, height, new uint[width * height]);

    private async Task ReadPartAsync(CancellationToken cancellation)
    {
        var head = await ReadAsync(12, cancellation);
        var (x, y, width, height) = (U16(head, 0), U16(head, 2), U16(head, 4), U16(head, 6));
        var encoding = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(8));
        Encodings.Add(encoding);
        switch (encoding)
        {
            case 0:
                Put(x, y, width, height, await ReadAsync(width * height * Bytes, cancellation), Bytes);
                break;
            case 1:
                var from = await ReadAsync(4, cancellation);
                Copied += width * height;
                var block = new uint[width * height];
                for (var i = 0; i < block.Length; i++) block[i] = Picture.Pixels[((U16(from, 2) + (i / width)) * Picture.Width) + U16(from, 0) + (i % width)];
                for (var i = 0; i < block.Length; i++) Picture.Pixels[((y + (i / width)) * Picture.Width) + x + (i % width)] = block[i];
                break;
            case 16:
                UnpackZrle(x, y, width, height, await ReadAsync(BinaryPrimitives.ReadInt32BigEndian(await ReadAsync(4, cancellation)), cancellation));
                break;
            case 7:
                await ReadTightAsync(x, y, width, height, cancellation);
                break;
            case -223:
                Resize(width, height);
                break;
            case -308:
                var screens = await ReadAsync(4, cancellation);
                _ = await ReadAsync(screens[0] * 16, cancellation);
                if ((x, y) == (0, 0)) Resize(width, height);
                else Encodings[^1] = -308 * 1000 - (10 * x) - y;
                break;
            case -307:
                Name = "renamed: " + Encoding.UTF8.GetString(await ReadAsync(BinaryPrimitives.ReadInt32BigEndian(await ReadAsync(4, cancellation)), cancellation));
                break;
            case -258:
                break;
            case -261:
                Encodings[^1] = -261_000 - (await ReadAsync(1, cancellation))[0];
                break;
            default:
                throw new InvalidOperationException($"encoding {encoding}");
        }
    }

    private static int U16(byte[] bytes, int at) => BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(at));

    private void Put(int x, int y, int width, int height, byte[] data, int bytes)
    {
        Pixels += width * height;
        for (var i = 0; i < width * height; i++)
        {
            uint pixel = 0;
            for (var n = 0; n < Math.Min(bytes, 3); n++) pixel |= (uint)data[(i * bytes) + n] << (8 * n);
            Picture.Pixels[((y + (i / width)) * Picture.Width) + x + (i % width)] = pixel;
        }
    }

    private void UnpackZrle(int left, int top, int width, int height, byte[] packed)
    {
        var data = _zrle.Take(packed);
        var at = 0;
        for (var y = 0; y < height; y += 64)
            for (var x = 0; x < width; x += 64)
            {
                var (tileWidth, tileHeight) = (Math.Min(64, width - x), Math.Min(64, height - y));
                var kind = data[at++];
                var pixels = new byte[tileWidth * tileHeight * 3];
                if (kind == 0)
                {
                    data.AsSpan(at, pixels.Length).CopyTo(pixels);
                    at += pixels.Length;
                }
                else
                {
                    if (kind > 16) throw new InvalidOperationException($"tile {kind}");
                    var palette = data.AsSpan(at, kind * 3).ToArray();
                    at += palette.Length;
                    var bits = kind == 1 ? 0 : kind == 2 ? 1 : kind <= 4 ? 2 : 4;
                    for (var row = 0; row < tileHeight; row++)
                    {
                        for (var i = 0; i < tileWidth; i++)
                        {
                            var index = bits == 0 ? 0 : data[at + (i * bits / 8)] >> (8 - bits - (i * bits % 8)) & ((1 << bits) - 1);
                            palette.AsSpan(index * 3, 3).CopyTo(pixels.AsSpan(((row * tileWidth) + i) * 3));
                        }
                        at += ((tileWidth * bits) + 7) / 8;
                    }
                }
                Put(left + x, top + y, tileWidth, tileHeight, pixels, 3);
            }
        if (at != data.Length) throw new InvalidOperationException($"{data.Length - at} bytes are over");
    }

    private async Task ReadTightAsync(int x, int y, int width, int height, CancellationToken cancellation)
    {
        var control = (await ReadAsync(1, cancellation))[0];
        if (control == 0x80)
        {
            var colour = await ReadAsync(3, cancellation);
            Put(x, y, width, height, [.. Enumerable.Range(0, width * height).SelectMany(_ => new[] { colour[2], colour[1], colour[0] })], 3);
            return;
        }
        if (control == 0x90)
        {
            Jpegs++;
            Put(x, y, width, height, UnpackJpeg(width, height, await ReadAsync(await ReadLengthAsync(cancellation), cancellation)), 3);
            return;
        }
        var palette = Array.Empty<byte>();
        if ((control & 0x40) != 0)
        {
            if ((await ReadAsync(1, cancellation))[0] != 1) throw new InvalidOperationException("filter");
            palette = await ReadAsync(((await ReadAsync(1, cancellation))[0] + 1) * 3, cancellation);
        }
        var colours = palette.Length / 3;
        var length = colours == 0 ? width * height * 3 : colours == 2 ? (width + 7) / 8 * height : width * height;
        var data = length < 12 ? await ReadAsync(length, cancellation) : _tight[control >> 4 & 3].Take(await ReadAsync(await ReadLengthAsync(cancellation), cancellation));
        if (data.Length != length) throw new InvalidOperationException($"{data.Length} bytes and not {length}");
        var pixels = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            var index = colours == 0 ? i : colours == 2 ? data[(i / width * ((width + 7) / 8)) + (i % width / 8)] >> (7 - (i % width % 8)) & 1 : data[i];
            var from = colours == 0 ? data : palette;
            (pixels[i * 3], pixels[(i * 3) + 1], pixels[(i * 3) + 2]) = (from[(index * 3) + 2], from[(index * 3) + 1], from[index * 3]);
        }
        Put(x, y, width, height, pixels, 3);
    }

    // Blue, green and red of each pixel.
    private static byte[] UnpackJpeg(int width, int height, byte[] data)
    {
        var decoder = new JpegDecoder();
        decoder.SetInput(data);
        decoder.Identify();
        if ((decoder.Width, decoder.Height, decoder.NumberOfComponents) != (width, height, 3)) throw new InvalidOperationException("not the rectangle's size");
        var planes = new Planes(width, height);
        decoder.SetOutputWriter(planes);
        decoder.Decode();
        var pixels = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            var (luminance, blue, red) = (planes.Values[0][i], planes.Values[1][i] - 128, planes.Values[2][i] - 128);
            (pixels[i * 3], pixels[(i * 3) + 1], pixels[(i * 3) + 2]) = (Byte(luminance + (1.772 * blue)), Byte(luminance - (0.344136 * blue) - (0.714136 * red)), Byte(luminance + (1.402 * red)));
        }
        return pixels;

        static byte Byte(double value) => (byte)Math.Clamp(Math.Round(value), 0, 255);
    }

    private sealed class Planes(int width, int height) : JpegBlockOutputWriter
    {
        internal int[][] Values { get; } = [new int[width * height], new int[width * height], new int[width * height]];

        public override void WriteBlock(ref short blockRef, int componentIndex, int x, int y)
        {
            for (var i = 0; i < 64; i++)
                if (x + (i % 8) < width && y + (i / 8) < height) Values[componentIndex][((y + (i / 8)) * width) + x + (i % 8)] = System.Runtime.CompilerServices.Unsafe.Add(ref blockRef, i);
        }
    }

    private async Task<int> ReadLengthAsync(CancellationToken cancellation)
    {
        var length = 0;
        for (var shift = 0; shift < 21; shift += 7)
        {
            var part = (await ReadAsync(1, cancellation))[0];
            length |= shift == 14 ? part << 14 : (part & 0x7f) << shift;
            if ((part & 0x80) == 0) break;
        }
        return length;
    }

    // A zlib stream that comes in pieces.
    private sealed class Inflater
    {
        private readonly MemoryStream _packed = new();
        private ZLibStream? _stream;

        internal byte[] Take(byte[] packed)
        {
            _packed.SetLength(0);
            _packed.Write(packed);
            _packed.Position = 0;
            _stream ??= new ZLibStream(_packed, CompressionMode.Decompress);
            var (data, buffer) = (new MemoryStream(), new byte[1 << 16]);
            for (int count; (count = _stream.Read(buffer)) > 0;) data.Write(buffer, 0, count);
            return data.ToArray();
        }
    }
}
