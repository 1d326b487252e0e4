// What the tests of NBD share: a disk in memory that notes what is done with it, a server of it at a socket of the file system, and a peer that speaks the protocol byte
// by byte, rightly or wrongly.
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Lamina.Backends.Nbd;
using Lamina.Backends.Nbd.Server;
using Lamina.Core.Block;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Tests.Backends.Nbd;

/// <summary>A disk in memory.</summary>
internal sealed class MemoryDisk(int length, bool readOnly = false) : IBlockBackend
{
    private readonly byte[] _bytes = new byte[length];
    private int _flushes, _under, _mostUnder;

    public ulong Length => (ulong)_bytes.Length;

    public BlockLimits Limits => new(512, 4096, 0, 4096);

    public bool IsReadOnly => readOnly;

    public int Flushes => Volatile.Read(ref _flushes);

    /// <summary>The most requests that were carried out at once.</summary>
    public int MostUnder => Volatile.Read(ref _mostUnder);

    /// <summary>What every read waits for; or null.</summary>
    public Func<ulong, bool>? BeforeRead { get; set; }

    public IOException? Failure { get; set; }

    public byte[] Content
    {
        get
        {
            lock (_bytes) return [.. _bytes];
        }
    }

    public void Fill(int at, int count, byte value)
    {
        lock (_bytes) _bytes.AsSpan(at, count).Fill(value);
    }

    public void Read(ulong offset, ReadOnlySpan<IoVector> into)
    {
        Check(offset, into);
        lock (_bytes) _mostUnder = Math.Max(_mostUnder, ++_under);
        _ = BeforeRead?.Invoke(offset);
        lock (_bytes)
        {
            _under--;
            foreach (var vector in into)
            {
                _bytes.AsSpan((int)offset, vector.Length).CopyTo(vector.Span);
                offset += (uint)vector.Length;
            }
        }
    }

    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into) => false;

    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        Check(offset, from);
        lock (_bytes)
        {
            foreach (var vector in from)
            {
                vector.Span.CopyTo(_bytes.AsSpan((int)offset));
                offset += (uint)vector.Length;
            }
        }
    }

    public void Flush()
    {
        if (Failure is { } failure) throw failure;
        Interlocked.Increment(ref _flushes);
    }

    public void Discard(ulong offset, ulong length) => WriteZeroes(offset, length, true);

    public void WriteZeroes(ulong offset, ulong length, bool mayUnmap)
    {
        Range(offset, length);
        lock (_bytes) _bytes.AsSpan((int)offset, (int)length).Clear();
    }

    public BlockExtent Extent(ulong offset)
    {
        Range(offset, 512);
        lock (_bytes)
        {
            var isZero = IsZero(offset);
            var end = offset;
            while (end < Length && IsZero(end) == isZero) end += 4096 - end % 4096;
            return new BlockExtent(isZero, Math.Min(end, Length) - offset);
        }

        bool IsZero(ulong at) => _bytes.AsSpan((int)(at / 4096 * 4096), (int)Math.Min(4096, Length - at / 4096 * 4096)).IndexOfAnyExcept((byte)0) < 0;
    }

    public void Dispose()
    {
    }

    private void Check(ulong offset, ReadOnlySpan<IoVector> vectors)
    {
        if (Failure is { } failure) throw failure;
        ulong sum = 0;
        foreach (var vector in vectors) sum += (uint)vector.Length;
        Range(offset, sum);
    }

    // What callers make sure of.
    private void Range(ulong offset, ulong length)
    {
        if ((offset | length) % 512 != 0 || length == 0 || offset + length > Length) throw new InvalidOperationException($"{length} bytes at {offset} are no sectors of a disk of {Length}");
    }
}

/// <summary>A server at a socket.</summary>
internal sealed class ServedDisk : IDisposable
{
    private readonly NbdServerOptions _options;
    private readonly IBlockBackend _disk;
    private readonly string _path;
    private CancellationTokenSource _ending = new();
    private Thread? _thread;

    public ServedDisk(string path, IBlockBackend disk, NbdServerOptions? options = null)
    {
        (_path, _disk, _options) = (path, disk, options ?? new NbdServerOptions());
        Start();
    }

    public string Uri => UriOf("nbd", "");

    public string UriOf(string scheme, string export) => $"{scheme}+unix:///{export}?socket={_path}";

    public void Start()
    {
        File.Delete(_path);
        _ending = new CancellationTokenSource();
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(_path));
        listener.Listen();
        var server = new NbdServer(_disk, _options);
        _thread = Waiting.Run(() =>
        {
            using (server) server.Serve(listener, _ending.Token);
        });
    }

    /// <summary>Waits for its end.</summary>
    public bool HasEnded => _thread!.Join(Waiting.Limit);

    public void Stop()
    {
        _ending.Cancel();
        Xunit.Assert.True(HasEnded, "the server did not end");
        File.Delete(_path);
    }

    public NbdPeer Connect() => new(NbdPeer.SocketAt(_path));

    public void Dispose() => Stop();
}

/// <summary>One end of a connection, byte by byte.</summary>
internal sealed class NbdPeer : IDisposable
{
    private readonly NetworkStream _stream;

    public NbdPeer(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true) { ReadTimeout = (int)Waiting.Limit.TotalMilliseconds, WriteTimeout = (int)Waiting.Limit.TotalMilliseconds };
        (Reader, Writer) = (new NbdReader(_stream), new NbdWriter(_stream));
    }

    public NbdReader Reader { get; }

    public NbdWriter Writer { get; }

    public Stream Stream => _stream;

    public static Socket SocketAt(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    /// <summary>The client's side up to its flags.</summary>
    public NbdPeer Greet(uint flags = 3)
    {
        Xunit.Assert.Equal(NbdSpec.Magic, Reader.ReadU64());
        Xunit.Assert.Equal(NbdSpec.OptionMagic, Reader.ReadU64());
        Xunit.Assert.Equal(3, Reader.ReadU16());
        Writer.WriteU32(flags);
        Writer.Flush();
        return this;
    }

    /// <summary>Sends an option and takes its answers.</summary>
    public List<(NbdReply Type, byte[] Data)> Ask(NbdOption option, byte[] data)
    {
        Send(option, data);
        var answers = new List<(NbdReply, byte[])>();
        while (true)
        {
            Xunit.Assert.Equal(NbdSpec.OptionReplyMagic, Reader.ReadU64());
            Xunit.Assert.Equal((uint)option, Reader.ReadU32());
            var type = (NbdReply)Reader.ReadU32();
            answers.Add((type, Reader.ReadBytes((int)Reader.ReadU32())));
            if (type == NbdReply.Ack || ((uint)type & NbdSpec.ReplyError) != 0) return answers;
        }
    }

    public void Send(NbdOption option, byte[] data)
    {
        Writer.WriteU64(NbdSpec.OptionMagic);
        Writer.WriteU32((uint)option);
        Writer.WriteU32((uint)data.Length);
        Writer.Write(data);
        Writer.Flush();
    }

    public void Request(NbdCommand command, ulong cookie, ulong offset, uint length, byte[]? data = null, NbdCommandFlags flags = NbdCommandFlags.None)
    {
        Writer.WriteU32(NbdSpec.RequestMagic);
        Writer.WriteU16((ushort)flags);
        Writer.WriteU16((ushort)command);
        Writer.WriteU64(cookie);
        Writer.WriteU64(offset);
        Writer.WriteU32(length);
        if (data is not null) Writer.Write(data);
        Writer.Flush();
    }

    /// <summary>A simple reply's error and cookie.</summary>
    public (NbdError Error, ulong Cookie) Simple()
    {
        Xunit.Assert.Equal(NbdSpec.SimpleReplyMagic, Reader.ReadU32());
        return ((NbdError)Reader.ReadU32(), Reader.ReadU64());
    }

    /// <summary>A chunk.</summary>
    public (bool IsLast, NbdChunk Type, ulong Cookie, byte[] Data) Chunk()
    {
        Xunit.Assert.Equal(NbdSpec.ChunkMagic, Reader.ReadU32());
        var (flags, type, cookie) = (Reader.ReadU16(), (NbdChunk)Reader.ReadU16(), Reader.ReadU64());
        return ((flags & NbdSpec.Done) != 0, type, cookie, Reader.ReadBytes((int)Reader.ReadU32()));
    }

    /// <summary>Whether the other end has hung up.</summary>
    public bool IsGone()
    {
        try
        {
            return !Reader.WaitForMore();
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>The server's side of a handshake, for a disk that is as long as said, with simple replies.</summary>
    public void Serve(ulong size, NbdFlags flags = NbdFlags.HasFlags, bool isStructured = false, (uint, uint, uint)? blocks = null)
    {
        Writer.WriteU64(NbdSpec.Magic);
        Writer.WriteU64(NbdSpec.OptionMagic);
        Writer.WriteU16(3);
        Writer.Flush();
        _ = Reader.ReadU32();
        while (true)
        {
            Xunit.Assert.Equal(NbdSpec.OptionMagic, Reader.ReadU64());
            var option = (NbdOption)Reader.ReadU32();
            _ = Reader.ReadBytes((int)Reader.ReadU32());
            switch (option)
            {
                case NbdOption.StructuredReply when isStructured:
                    Reply(option, NbdReply.Ack, []);
                    break;
                case NbdOption.SetMetaContext:
                    Reply(option, NbdReply.MetaContext, [0, 0, 0, 7, .. Encoding.ASCII.GetBytes(NbdSpec.Allocation)]);
                    Reply(option, NbdReply.Ack, []);
                    break;
                case NbdOption.Go:
                    Reply(option, NbdReply.Info, [0, 0, .. Big(size, 8), .. Big((ushort)flags, 2)]);
                    if (blocks is { } sizes) Reply(option, NbdReply.Info, [0, 3, .. Big(sizes.Item1, 4), .. Big(sizes.Item2, 4), .. Big(sizes.Item3, 4)]);
                    Reply(option, NbdReply.Ack, []);
                    return;
                default:
                    Reply(option, NbdReply.Unsupported, []);
                    break;
            }
        }
    }

    public void Reply(NbdOption option, NbdReply type, byte[] data)
    {
        Writer.WriteU64(NbdSpec.OptionReplyMagic);
        Writer.WriteU32((uint)option);
        Writer.WriteU32((uint)type);
        Writer.WriteU32((uint)data.Length);
        Writer.Write(data);
        Writer.Flush();
    }

    /// <summary>The server's side: a request.</summary>
    public (NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length) Next()
    {
        Xunit.Assert.Equal(NbdSpec.RequestMagic, Reader.ReadU32());
        return ((NbdCommandFlags)Reader.ReadU16(), (NbdCommand)Reader.ReadU16(), Reader.ReadU64(), Reader.ReadU64(), Reader.ReadU32());
    }

    public static byte[] Big(ulong value, int length) => [.. Enumerable.Range(0, length).Select(i => (byte)(value >> 8 * (length - 1 - i)))];

    /// <summary>The data of NBD_OPT_GO.</summary>
    public static byte[] Name(string export, params NbdInfo[] wanted) =>
        [.. Big((ulong)Encoding.UTF8.GetByteCount(export), 4), .. Encoding.UTF8.GetBytes(export), .. Big((ulong)wanted.Length, 2), .. wanted.SelectMany(info => Big((ushort)info, 2))];

    /// <summary>The data of NBD_OPT_SET_META_CONTEXT.</summary>
    public static byte[] Contexts(string export, params string[] queries) =>
        [.. Big((ulong)export.Length, 4), .. Encoding.ASCII.GetBytes(export), .. Big((ulong)queries.Length, 4), .. queries.SelectMany(query => (byte[])[.. Big((ulong)query.Length, 4), .. Encoding.ASCII.GetBytes(query)])];

    public void Dispose() => _stream.Dispose();
}

/// <summary>A server that does what a test says, one connection after another.</summary>
internal sealed class ScriptedServer : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Thread _thread;
    private int _connections;

    public ScriptedServer(string path, Action<NbdPeer, int> serve)
    {
        Uri = $"nbd+unix:///?socket={path}";
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen();
        _thread = Waiting.Run(() =>
        {
            try
            {
                while (true)
                {
                    using var peer = new NbdPeer(_listener.Accept());
                    try
                    {
                        serve(peer, Interlocked.Increment(ref _connections));
                    }
                    catch (Exception gone) when (gone is IOException or ObjectDisposedException)
                    {
                        // The client hung up on it.
                    }
                }
            }
            catch (Exception closed) when (closed is SocketException or ObjectDisposedException)
            {
                // That is its end.
            }
        });
    }

    public string Uri { get; }

    public int Connections => Volatile.Read(ref _connections);

    public void Dispose()
    {
        _listener.Dispose();
        _thread.Join(Waiting.Limit);
    }
}

/// <summary>Certificates by one authority.</summary>
internal static class TestCertificates
{
    public static void Make(params string[] folders)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Lamina test authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        foreach (var folder in folders)
        {
            Directory.CreateDirectory(folder);
            using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var wanted = new CertificateRequest("CN=Lamina test", own, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddIpAddress(IPAddress.Loopback);
            names.AddDnsName("localhost");
            wanted.CertificateExtensions.Add(names.Build());
            using var certificate = wanted.Create(authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1), RandomNumberGenerator.GetBytes(8));
            File.WriteAllText(Path.Combine(folder, "ca.pem"), authority.ExportCertificatePem());
            File.WriteAllText(Path.Combine(folder, "cert.pem"), certificate.ExportCertificatePem());
            File.WriteAllText(Path.Combine(folder, "key.pem"), own.ExportPkcs8PrivateKeyPem());
        }
    }
}
