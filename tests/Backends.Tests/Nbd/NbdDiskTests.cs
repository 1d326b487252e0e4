// A disk that is an NBD export: against our own server, and against servers that do not keep to the protocol, are slow, or go.
using System.Diagnostics;
using Lamina.Backends.Disk;
using Lamina.Backends.Nbd;
using Lamina.Backends.Nbd.Client;
using Lamina.Backends.Nbd.Server;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Tests.Backends.Disk;
using Xunit;

namespace Lamina.Tests.Backends.Nbd;

public sealed class NbdDiskTests : IDisposable
{
    private const int Size = 8 << 20;

    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1), Short = TimeSpan.FromMilliseconds(200);

    private readonly TestFolder _folder = new();
    private readonly MemoryDisk _disk = new(Size);

    public void Dispose() => _folder.Dispose();

    private ServedDisk Serve(NbdServerOptions? options = null, IBlockBackend? disk = null) => new(_folder["s"], disk ?? _disk, options);

    private static IBlockBackend Open(string uri, DiskOptions? options = null) => DiskImages.Open((options ?? new DiskOptions { Path = "" }) with { Path = uri });

    private static InspectNode Look(IBlockBackend disk)
    {
        var node = new InspectNode("disk");
        ((IInspected)disk).Inspect(node);
        return node;
    }

    [Fact]
    public void What_is_written_is_there_and_what_is_there_is_read()
    {
        using var served = Serve();
        using var disk = Open(served.Uri);
        var content = new byte[Size];
        new Random(1).NextBytes(content);

        disk.Write(0, content);
        disk.WriteZeroes(4096, 8192, mayUnmap: false);
        disk.Discard(1 << 20, 4096);
        content.AsSpan(4096, 8192).Clear();
        content.AsSpan(1 << 20, 4096).Clear();
        disk.Flush();

        Assert.Equal(((ulong)Size, false, 512), (disk.Length, disk.IsReadOnly, disk.Limits.LogicalBlockSize));
        Assert.Equal(content, _disk.Content);
        Assert.Equal(content, disk.Read(0, Size));
        Assert.Equal(content[512..5120], disk.Read(512, 4608));
        Assert.Equal(1, _disk.Flushes);
        Assert.Equal((true, 8192ul), (disk.Extent(4096).IsZero, disk.Extent(4096).Length));
        Assert.False(disk.Extent(0).IsZero);
        Assert.True(disk.Extent(1 << 20).IsZero);
    }

    [Fact]
    public void Many_threads_ask_at_once_over_several_connections_and_each_gets_its_own()
    {
        using var served = Serve();
        using var disk = Open(served.Uri);
        Waiting.Until(() => Look(disk)["connections"] is 4ul);

        var threads = Enumerable.Range(0, 12).Select(thread => Waiting.Run(() =>
        {
            var random = new Random(thread);
            for (var i = 0; i < 50; i++)
            {
                var (at, sectors) = ((ulong)(thread * 128 + random.Next(64)) * 512, random.Next(1, 64));
                disk.Write(at, DiskModel.Filled(sectors, (uint)(thread * 100 + i + 1)));
                Assert.Equal(DiskModel.Filled(sectors, (uint)(thread * 100 + i + 1)), disk.Read(at, sectors * 512));
            }
        })).ToList();

        foreach (var thread in threads) Assert.True(thread.Join(Waiting.Limit));
        Assert.Equal(0ul, Look(disk)["requests sent again"]);
    }

    [Fact]
    public void Writes_that_are_to_be_durable_each_are_and_need_no_flush()
    {
        using var served = Serve();
        using var disk = Open(served.Uri, new DiskOptions { Path = "", Cache = DiskCache.WriteThrough });

        disk.Write(0, new byte[512]);
        disk.Flush();
        Assert.Equal(1, _disk.Flushes);
        using (var fast = Open(served.Uri, new DiskOptions { Path = "", Cache = DiskCache.Unsafe })) fast.Flush();
        Assert.Equal(1, _disk.Flushes);
    }

    [Fact]
    public void What_cannot_be_is_refused_in_a_sentence()
    {
        using var served = Serve(new NbdServerOptions { Export = "work" }, new MemoryDisk(Size, readOnly: true));

        Refused<DiskImageException>("served to be read only", new DiskOptions { Path = served.Uri });
        Refused<NbdException>("no export 'other'", new DiskOptions { Path = served.UriOf("nbd", "other") });
        Refused<DiskImageException>("who the server", new DiskOptions { Path = served.UriOf("nbds", "") });
        Refused<DiskImageException>("format=qcow2", new DiskOptions { Path = served.Uri, Format = DiskFormat.Qcow2 });
        Refused<DiskImageException>("direct", new DiskOptions { Path = served.Uri, Direct = true });
        Refused<DiskImageException>("aio=io_uring", new DiskOptions { Path = served.Uri, Aio = DiskAio.IoUring });
        Refused<DiskImageException>("no backing file", new DiskOptions { Path = served.Uri, Backing = ["x"] });
        Refused<DiskImageException>("without TLS", new DiskOptions { Path = served.Uri, TlsFolder = _folder["x"] });
        Refused<DiskImageException>("no connection", new DiskOptions { Path = _folder["x"], Patience = Long });
        Refused<NbdException>("there is no socket", new DiskOptions { Path = $"nbd+unix:///?socket={_folder["none"]}" });
        Assert.Throws<DiskImageException>(() => DiskTools.Check(served.Uri, repair: false));
        Assert.Throws<DiskImageException>(() => DiskTools.Resize(new DiskOptions { Path = served.Uri }, 1, shrink: true));

        using var disk = Open(served.UriOf("nbd", "work"), new DiskOptions { Path = "", ReadOnly = true });
        Assert.True(disk.IsReadOnly);
        Assert.Equal((ulong)Size, DiskTools.Inspect(served.Uri).Size);
    }

    private static void Refused<T>(string sentence, DiskOptions options) where T : IOException => Assert.Contains(sentence, Assert.Throws<T>(() => DiskImages.Open(options)).Message, StringComparison.Ordinal);

    [Fact]
    public void What_a_server_refuses_is_an_error_of_the_request_and_full_is_full()
    {
        using var served = Serve();
        using var disk = Open(served.Uri);

        _disk.Failure = new IOException("no");
        Assert.Throws<NbdRefusedException>(() => disk.Read(0, 512));
        _disk.Failure = new HostException("full") { IsDiskFull = true };
        Assert.True(Assert.Throws<HostException>(() => disk.Write(0, new byte[512])).IsDiskFull);
        _disk.Failure = null;
        Assert.Equal(new byte[512], disk.Read(0, 512));
    }

    [Fact]
    public void A_disk_is_copied_into_an_export_and_out_of_it_without_its_holes()
    {
        _disk.Fill(0, Size, 7);
        using var served = Serve();
        var content = new byte[Size / 2];
        new Random(2).NextBytes(content.AsSpan(1 << 20, 100_000));
        File.WriteAllBytes(_folder["from.raw"], content);

        DiskTools.CopyInto(new DiskOptions { Path = _folder["from.raw"], Format = DiskFormat.Raw }, new DiskOptions { Path = served.Uri }, null, CancellationToken.None);
        DiskTools.Convert(new DiskOptions { Path = served.Uri }, new DiskCreation { Path = _folder["to.raw"], Format = DiskFormat.Raw }, null, CancellationToken.None);

        Assert.Equal(content, _disk.Content[..content.Length]);
        Assert.All(_disk.Content[content.Length..], value => Assert.Equal(7, value));
        Assert.Equal(_disk.Content, File.ReadAllBytes(_folder["to.raw"]));
        File.WriteAllBytes(_folder["long.raw"], new byte[Size + 512]);
        Assert.Throws<DiskImageException>(() => DiskTools.CopyInto(new DiskOptions { Path = _folder["long.raw"], Format = DiskFormat.Raw }, new DiskOptions { Path = served.Uri }, null, CancellationToken.None));
    }

    [Fact]
    public void A_server_that_comes_back_is_found_and_what_was_asked_meanwhile_is_done()
    {
        using var served = Serve();
        var lines = new List<string>();
        var log = Log.To(line =>
        {
            lock (lines) lines.Add(line.Message);
        }, LogLevel.Warning).CreateLog("disk");
        using var disk = Open(served.Uri, new DiskOptions { Path = "", Patience = Long, Log = log });
        disk.Write(0, DiskModel.Filled(1, 5));

        served.Stop();
        Waiting.Until(() => Look(disk)["connections"] is 0ul);
        var written = Waiting.Run(() => disk.Write(512, DiskModel.Filled(1, 6)));
        Assert.False(written.Join(TimeSpan.FromMilliseconds(50)));
        served.Start();

        Assert.True(written.Join(Waiting.Limit));
        Assert.Equal([.. DiskModel.Filled(1, 5), .. DiskModel.Filled(1, 6)], disk.Read(0, 1024));
        Waiting.Until(() =>
        {
            lock (lines) return lines.Count >= 2 && lines[0].Contains("is lost", StringComparison.Ordinal) && lines[^1].Contains("reached again", StringComparison.Ordinal);
        });
    }

    [Fact]
    public void Of_connections_that_a_server_breaks_so_many_are_told()
    {
        const int breaks = NbdReports.Most + 5;
        using var server = new ScriptedServer(_folder["s"], (peer, connection) =>
        {
            peer.Serve(Size);
            if (connection > breaks)
            {
                peer.IsGone();
                return;
            }
            // An answer, so that the next connection is made at once.
            peer.Writer.WriteU32(NbdSpec.SimpleReplyMagic);
            peer.Writer.WriteU32(0);
            peer.Writer.WriteU64(peer.Next().Cookie);
            peer.Writer.Write(new byte[512]);
            peer.Writer.Flush();
        });
        var lines = new List<string>();
        var log = Log.To(line =>
        {
            lock (lines) lines.Add(line.Message);
        }, LogLevel.Warning).CreateLog("disk");
        using var disk = Open(server.Uri, new DiskOptions { Path = "", Patience = Long, Log = log });

        for (var i = 0; i < breaks; i++) _ = disk.Read(0, 512);
        Waiting.Until(() => server.Connections > breaks && Look(disk)["connections"] is 1ul);

        lock (lines) Assert.Equal((NbdReports.Most, NbdReports.Most), (lines.Count, lines.Count(line => line.Contains("is lost", StringComparison.Ordinal) || line.Contains("reached again", StringComparison.Ordinal))));
    }

    [Fact]
    public void Requests_under_way_when_a_connection_breaks_are_sent_again()
    {
        using var server = new ScriptedServer(_folder["s"], (peer, connection) =>
        {
            peer.Serve(Size, NbdFlags.HasFlags | NbdFlags.Flush);
            var request = peer.Next();
            // The first breaks in the middle of an answer.
            peer.Writer.WriteU32(NbdSpec.SimpleReplyMagic);
            peer.Writer.WriteU32(0);
            peer.Writer.WriteU64(request.Cookie);
            peer.Writer.Write(Enumerable.Repeat((byte)connection, connection == 1 ? 100 : 512).ToArray());
            peer.Writer.Flush();
            if (connection > 1) peer.IsGone();
        });
        using var disk = Open(server.Uri, new DiskOptions { Path = "", Patience = Long });

        Assert.Equal([.. Enumerable.Repeat((byte)2, 512)], disk.Read(0, 512));
        Assert.Equal(1ul, Look(disk)["requests sent again"]);
    }

    [Fact]
    public void A_server_that_stays_away_fails_requests_after_the_stated_time_and_others_at_once()
    {
        using var served = Serve();
        using var disk = Open(served.Uri, new DiskOptions { Path = "", Patience = Short });
        _ = disk.Read(0, 512);

        served.Stop();
        Waiting.Until(() => Look(disk)["connections"] is 0ul);
        Assert.Contains("cannot be reached", Assert.Throws<NbdException>(() => disk.Read(0, 512)).Message, StringComparison.Ordinal);
        var clock = Stopwatch.StartNew();
        Assert.Throws<NbdException>(() => disk.Flush());
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, Long);
        served.Start();

        Waiting.Until(() => Look(disk)["connections"] is not 0ul);
        _ = disk.Read(0, 512);
    }

    [Fact]
    public void A_server_that_answers_nothing_is_given_up()
    {
        using var server = new ScriptedServer(_folder["s"], (peer, _) =>
        {
            peer.Serve(Size);
            peer.Next();
            peer.IsGone();
        });
        using var client = NbdClient.Open(NbdUri.Parse(server.Uri), new NbdClientOptions { Silence = Short, Patience = Short });
        using var buffer = new HostBuffer(512);

        Assert.Throws<NbdException>(() => client.Carry(NbdCommand.Read, NbdCommandFlags.None, 0, 512, [buffer.Vector]));
        Assert.InRange(server.Connections, 1, 1000);
    }

    [Fact]
    public void Another_export_than_it_was_is_not_gone_on_with()
    {
        using var server = new ScriptedServer(_folder["s"], (peer, connection) =>
        {
            peer.Serve(connection == 1 ? Size : (ulong)Size / 2, NbdFlags.HasFlags | NbdFlags.Flush);
            if (connection > 1) peer.IsGone();
        });
        using var disk = Open(server.Uri, new DiskOptions { Path = "", Patience = Short });

        var failure = Assert.Throws<NbdException>(() => disk.Flush());
        Assert.Contains("cannot be reached", failure.Message, StringComparison.Ordinal);
        Waiting.Until(() => Look(disk)["last failure"] is string why && why.Contains("another one than it was", StringComparison.Ordinal));
    }

    public static TheoryData<string, byte[]> Lies => new()
    {
        { "no reply", new byte[16] },
        { "an unknown cookie", [.. NbdPeer.Big(NbdSpec.SimpleReplyMagic, 4), .. NbdPeer.Big(0, 4), .. NbdPeer.Big(99, 8)] },
        { "a simple reply to a read", [.. NbdPeer.Big(NbdSpec.SimpleReplyMagic, 4), .. NbdPeer.Big(0, 4), .. NbdPeer.Big(1, 8), .. new byte[512]] },
        { "a chunk of an unknown kind", Chunk(1, 99, 1, new byte[8]) },
        { "a chunk of 4 GiB", [.. NbdPeer.Big(NbdSpec.ChunkMagic, 4), 0, 1, 0, 1, .. NbdPeer.Big(1, 8), 255, 255, 255, 255] },
        { "data before the request", Chunk(1, 1, 1, [.. NbdPeer.Big(0, 8), .. new byte[512]]) },
        { "data behind the request", Chunk(1, 1, 1, [.. NbdPeer.Big(1024, 8), .. new byte[513]]) },
        { "data far away", Chunk(1, 1, 1, [.. NbdPeer.Big(ulong.MaxValue, 8), .. new byte[512]]) },
        { "a hole of nothing", Chunk(1, 2, 1, [.. NbdPeer.Big(1024, 8), 0, 0, 0, 0]) },
        { "a hole of 4 GiB", Chunk(1, 2, 1, [.. NbdPeer.Big(1024, 8), 255, 255, 255, 255]) },
        { "the same twice", [.. Chunk(0, 2, 1, [.. NbdPeer.Big(1024, 8), .. NbdPeer.Big(512, 4)]), .. Chunk(1, 2, 1, [.. NbdPeer.Big(1024, 8), .. NbdPeer.Big(512, 4)])] },
        { "less than was asked", Chunk(1, 2, 1, [.. NbdPeer.Big(1024, 8), .. NbdPeer.Big(511, 4)]) },
        { "nothing", Chunk(1, 0, 1, []) },
        { "an end that is none", Chunk(0, 0, 1, []) },
        { "block status of a read", Chunk(1, 5, 1, new byte[12]) },
        { "an error that is too long", [.. NbdPeer.Big(NbdSpec.ChunkMagic, 4), 0, 1, 0x80, 1, .. NbdPeer.Big(1, 8), .. NbdPeer.Big(NbdSpec.MostErrorBytes + 1, 4)] },
        { "an error whose text is longer than it", Chunk(1, 0x8001, 1, [0, 0, 0, 5, 0, 1]) },
        { "the end", [] },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public void A_server_that_lies_costs_its_connection_and_the_request_an_error(string lie, byte[] answer)
    {
        using var server = new ScriptedServer(_folder["s"], (peer, _) =>
        {
            peer.Serve(Size, isStructured: true);
            peer.Next();
            peer.Stream.Write(answer);
            if (lie == "the end") return;
            // It is the client that hangs up.
            Assert.True(peer.IsGone(), lie);
        });
        using var disk = Open(server.Uri, new DiskOptions { Path = "", Patience = Short });

        Assert.Contains("cannot be reached", Assert.Throws<NbdException>(() => disk.Read(1024, 512)).Message, StringComparison.Ordinal);
    }

    private static byte[] Chunk(ushort flags, ushort type, ulong cookie, byte[] data) =>
        [.. NbdPeer.Big(NbdSpec.ChunkMagic, 4), .. NbdPeer.Big(flags, 2), .. NbdPeer.Big(type, 2), .. NbdPeer.Big(cookie, 8), .. NbdPeer.Big((uint)data.Length, 4), .. data];

    [Fact]
    public void Chunks_come_in_any_order_and_an_error_among_them_fails_the_read()
    {
        using var server = new ScriptedServer(_folder["s"], (peer, _) =>
        {
            peer.Serve(Size, isStructured: true);
            peer.Stream.Write([.. Chunk(0, 2, peer.Next().Cookie, [.. NbdPeer.Big(1536, 8), .. NbdPeer.Big(512, 4)]), .. Chunk(1, 1, 1, [.. NbdPeer.Big(1024, 8), .. Enumerable.Repeat((byte)3, 512)])]);
            peer.Stream.Write([.. Chunk(0, 0x8002, peer.Next().Cookie, [0, 0, 0, 5, 0, 3, (byte)'b', 27, (byte)'d', .. NbdPeer.Big(0, 8)]), .. Chunk(1, 0, 2, [])]);
            peer.IsGone();
        });
        using var disk = Open(server.Uri);
        using var buffer = new HostBuffer(1024);
        buffer.Span.Fill(9);

        disk.Read(1024, [buffer.Vector]);
        Assert.Equal([.. Enumerable.Repeat((byte)3, 512), .. new byte[512]], buffer.Span.ToArray());
        Assert.Contains("b?d", Assert.Throws<NbdRefusedException>(() => disk.Read(0, [buffer.Vector])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3u, 4096u, 65536u)]
    [InlineData(131072u, 131072u, 1u << 25)]
    [InlineData(4096u, 512u, 1u << 25)]
    [InlineData(4096u, 4096u, 4095u)]
    public void Block_sizes_that_cannot_be_are_refused(uint minimum, uint preferred, uint most)
    {
        using var server = new ScriptedServer(_folder["s"], (peer, _) => peer.Serve(Size, blocks: (minimum, preferred, most)));

        Assert.Contains("block sizes", Assert.Throws<NbdException>(() => Open(server.Uri)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Blocks_that_are_larger_than_disks_have_are_refused_and_a_tail_that_is_no_block_is_left_out()
    {
        using (var server = new ScriptedServer(_folder["a"], (peer, _) => peer.Serve(Size, blocks: (8192, 8192, 1 << 25)))) Assert.Throws<DiskImageException>(() => Open(server.Uri));
        using (var server = new ScriptedServer(_folder["b"], (peer, _) =>
        {
            peer.Serve(10_000, blocks: (4096, 4096, 1 << 20));
            peer.IsGone();
        }))
        {
            using var disk = Open(server.Uri);
            Assert.Equal((8192ul, 4096), (disk.Length, disk.Limits.LogicalBlockSize));
        }
        using var huge = new ScriptedServer(_folder["c"], (peer, _) => peer.Serve(ulong.MaxValue));
        Assert.Throws<DiskImageException>(() => Open(huge.Uri));
    }

    [Fact]
    public void A_server_whose_answers_have_no_end_or_are_too_long_is_no_server()
    {
        using (var server = new ScriptedServer(_folder["a"], (peer, _) =>
        {
            Begin(peer);
            for (var i = 0; i <= NbdSpec.MostOptions; i++) peer.Reply(NbdOption.StructuredReply, NbdReply.Info, new byte[8]);
        })) Assert.Contains("no end", Assert.Throws<NbdException>(() => Open(server.Uri)).Message, StringComparison.Ordinal);
        using (var server = new ScriptedServer(_folder["b"], (peer, _) =>
        {
            Begin(peer);
            peer.Writer.WriteU64(NbdSpec.OptionReplyMagic);
            peer.Writer.WriteU32((uint)NbdOption.StructuredReply);
            peer.Writer.WriteU32((uint)NbdReply.Ack);
            peer.Writer.WriteU32(NbdSpec.MostOptionBytes + 1);
            peer.Writer.Flush();
            peer.IsGone();
        })) Assert.Contains("the most", Assert.Throws<NbdException>(() => Open(server.Uri)).Message, StringComparison.Ordinal);
        foreach (var bytes in (byte[][])["HTTP/1.0 400 Bad Request\r\n"u8.ToArray(), [.. NbdPeer.Big(NbdSpec.Magic, 8), .. NbdPeer.Big(NbdSpec.OldMagic, 8), .. new byte[136]], NbdPeer.Big(NbdSpec.Magic, 8), []])
        {
            using var server = new ScriptedServer(_folder[$"{bytes.Length}"], (peer, _) => peer.Stream.Write(bytes));
            Assert.Throws<NbdException>(() => Open(server.Uri));
        }

        static void Begin(NbdPeer peer)
        {
            peer.Writer.WriteU64(NbdSpec.Magic);
            peer.Writer.WriteU64(NbdSpec.OptionMagic);
            peer.Writer.WriteU16(3);
            peer.Writer.Flush();
            peer.Reader.Skip(4 + 16);
        }
    }

    [Fact]
    public void Random_answers_of_a_server_end_in_data_or_in_an_error()
    {
        for (var seed = FuzzLength.Seed; seed < FuzzLength.Seed + FuzzLength.CasesOr(60); seed++)
        {
            var random = new Random(seed);
            using var server = new ScriptedServer(_folder[$"r{seed}"], (peer, _) =>
            {
                peer.Serve(Size, NbdFlags.HasFlags | NbdFlags.Flush, isStructured: random.Next(2) == 0);
                while (true)
                {
                    var request = peer.Next();
                    var answer = Chunk((ushort)random.Next(2), (ushort)(random.Next(2) == 0 ? random.Next(7) : random.Next(65536)), request.Cookie, [.. NbdPeer.Big(request.Offset + (ulong)random.Next(3), 8), .. new byte[random.Next(520)]]);
                    if (random.Next(2) == 0) answer[random.Next(answer.Length)] = (byte)random.Next(256);
                    peer.Stream.Write(answer);
                }
            });
            using var disk = Open(server.Uri, new DiskOptions { Path = "", Patience = TimeSpan.FromMilliseconds(20) });
            var threads = Enumerable.Range(0, 3).Select(_ => Waiting.Run(() =>
            {
                try
                {
                    disk.Read(1024, 512);
                }
                catch (IOException)
                {
                    // That is one of the two.
                }
            })).ToList();
            // A server that answers a part only is waited for; here nobody wants to.
            if (!threads.TrueForAll(thread => thread.Join(Short))) disk.Dispose();
            foreach (var thread in threads) Assert.True(thread.Join(Waiting.Limit), $"seed {seed}");
        }
    }
}
