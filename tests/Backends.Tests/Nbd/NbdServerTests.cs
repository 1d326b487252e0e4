// The server, byte by byte: what the specification has it answer, and what it does with peers that do not keep to it.
using System.Text;
using Lamina.Backends.Nbd;
using Lamina.Backends.Nbd.Server;
using Lamina.Core.Logging;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Nbd;

public sealed class NbdServerTests : IDisposable
{
    private const int Size = 4 << 20;

    private readonly TestFolder _folder = new();
    private readonly MemoryDisk _disk = new(Size);
    private ServedDisk? _served;

    public void Dispose()
    {
        _served?.Dispose();
        _folder.Dispose();
    }

    private ServedDisk Serve(NbdServerOptions? options = null, MemoryDisk? disk = null) => _served = new ServedDisk(_folder["s"], disk ?? _disk, options);

    private NbdPeer Begin(bool structured = true, NbdServerOptions? options = null, MemoryDisk? disk = null)
    {
        var peer = (_served ?? Serve(options, disk)).Connect().Greet();
        if (structured)
        {
            Assert.Equal(NbdReply.Ack, peer.Ask(NbdOption.StructuredReply, [])[0].Type);
            Assert.Equal([NbdReply.MetaContext, NbdReply.Ack], peer.Ask(NbdOption.SetMetaContext, NbdPeer.Contexts("", NbdSpec.Allocation)).Select(answer => answer.Type));
        }
        Assert.Equal(NbdReply.Ack, peer.Ask(NbdOption.Go, NbdPeer.Name(""))[^1].Type);
        return peer;
    }

    [Fact]
    public void An_export_is_listed_told_and_given()
    {
        using var peer = Serve(new NbdServerOptions { Export = "work", Description = "a disk" }).Connect().Greet();

        var listed = peer.Ask(NbdOption.List, []);
        var told = peer.Ask(NbdOption.Info, NbdPeer.Name("work", NbdInfo.BlockSize, NbdInfo.Name, NbdInfo.Description));
        var unknown = peer.Ask(NbdOption.Info, NbdPeer.Name("other"));
        var given = peer.Ask(NbdOption.Go, NbdPeer.Name("work"));

        Assert.Equal([.. NbdPeer.Big(4, 4), .. "work"u8], listed[0].Data);
        Assert.Equal([.. NbdPeer.Big(0, 2), .. NbdPeer.Big(Size, 8), 1, 0x6d], told[0].Data);
        Assert.Contains(told, answer => answer.Data.AsSpan().SequenceEqual((byte[])[.. NbdPeer.Big(3, 2), .. NbdPeer.Big(1, 4), .. NbdPeer.Big(4096, 4), .. NbdPeer.Big(NbdSpec.MostPayload, 4)]));
        Assert.Contains(told, answer => answer.Data.AsSpan().SequenceEqual((byte[])[0, 1, .. "work"u8]));
        Assert.Contains(told, answer => answer.Data.AsSpan().SequenceEqual((byte[])[0, 2, .. "a disk"u8]));
        Assert.Equal(NbdReply.Unknown, Assert.Single(unknown).Type);
        Assert.Equal([NbdReply.Info, NbdReply.Ack], given.Select(answer => answer.Type));
        peer.Request(NbdCommand.Flush, 9, 0, 0);
        Assert.Equal((NbdError.None, 9ul), peer.Simple());
    }

    [Theory]
    [InlineData(0u, true)]
    [InlineData(1u, true)]
    [InlineData(3u, false)]
    public void A_client_that_knows_no_options_gets_the_disk(uint flags, bool isPadded)
    {
        _disk.Fill(0, 512, 7);
        using var peer = Serve().Connect().Greet(flags);
        peer.Send(NbdOption.ExportName, []);

        Assert.Equal((ulong)Size, peer.Reader.ReadU64());
        Assert.Equal(0x16d, peer.Reader.ReadU16());
        if (isPadded) Assert.Equal(new byte[NbdSpec.Padding], peer.Reader.ReadBytes(NbdSpec.Padding));
        peer.Request(NbdCommand.Read, 1, 0, 512);

        Assert.Equal((NbdError.None, 1ul), peer.Simple());
        Assert.Equal([.. Enumerable.Repeat((byte)7, 512)], peer.Reader.ReadBytes(512));
    }

    [Fact]
    public void What_is_no_option_is_refused_and_the_next_is_answered()
    {
        using var peer = Serve().Connect().Greet();

        Assert.Equal(NbdReply.Unsupported, peer.Ask((NbdOption)77, new byte[100])[0].Type);
        Assert.Equal(NbdReply.Invalid, peer.Ask(NbdOption.List, [1])[0].Type);
        Assert.Equal(NbdReply.Invalid, peer.Ask(NbdOption.StructuredReply, [1])[0].Type);
        Assert.Equal(NbdReply.Policy, peer.Ask(NbdOption.StartTls, [])[0].Type);
        Assert.Equal(NbdReply.Invalid, peer.Ask(NbdOption.Info, [0, 0, 0, 200, 1])[0].Type);
        Assert.Equal(NbdReply.Invalid, peer.Ask(NbdOption.Info, [0, 0, 0, 0, 0, 9])[0].Type);
        Assert.Equal(NbdReply.Invalid, peer.Ask(NbdOption.SetMetaContext, NbdPeer.Contexts("", NbdSpec.Allocation))[0].Type);
        Assert.Equal(NbdReply.Ack, peer.Ask(NbdOption.StructuredReply, [])[0].Type);
        Assert.Equal(NbdReply.Invalid, peer.Ask(NbdOption.SetMetaContext, [0, 0, 0, 0, 255, 255, 255, 255])[0].Type);
        Assert.Equal(NbdReply.Ack, Assert.Single(peer.Ask(NbdOption.SetMetaContext, NbdPeer.Contexts("", "base:", "x-other:y"))).Type);
        Assert.Equal([NbdReply.MetaContext, NbdReply.Ack], peer.Ask(NbdOption.ListMetaContext, NbdPeer.Contexts("")).Select(answer => answer.Type));
        Assert.Equal(NbdReply.Ack, peer.Ask(NbdOption.Abort, [])[0].Type);
        Assert.True(peer.IsGone());
    }

    [Fact]
    public void What_is_written_is_read_whole_or_not_and_the_rest_stays()
    {
        _disk.Fill(0, Size, 9);
        using var peer = Begin();
        byte[] data = [.. Enumerable.Range(0, 3000).Select(i => (byte)i)];

        peer.Request(NbdCommand.Write, 1, 1000, 3000, data);
        Assert.Equal(NbdChunk.None, peer.Chunk().Type);
        peer.Request(NbdCommand.WriteZeroes, 2, 1500, 1);
        Assert.Equal(NbdChunk.None, peer.Chunk().Type);
        peer.Request(NbdCommand.WriteZeroes, 3, 8191, 4097);
        Assert.Equal(NbdChunk.None, peer.Chunk().Type);
        peer.Request(NbdCommand.Read, 4, 999, 3002);
        var (isLast, type, cookie, read) = peer.Chunk();

        data[500] = 0;
        Assert.Equal((true, NbdChunk.Data, 4ul), (isLast, type, cookie));
        Assert.Equal([.. NbdPeer.Big(999, 8), 9, .. data, 9], read);
        var expected = new byte[Size];
        expected.AsSpan().Fill(9);
        data.CopyTo(expected, 1000);
        expected.AsSpan(8191, 4097).Clear();
        Assert.Equal(expected, _disk.Content);
    }

    [Fact]
    public void Holes_are_told_and_cost_no_bytes()
    {
        _disk.Fill(1 << 20, 4096, 5);
        using var peer = Begin();

        peer.Request(NbdCommand.Read, 1, 0, 3 << 20);
        (bool IsLast, NbdChunk Type, ulong Cookie, byte[] Data)[] chunks = [peer.Chunk(), peer.Chunk(), peer.Chunk()];
        peer.Request(NbdCommand.BlockStatus, 2, 4096, Size - 4096);
        var status = peer.Chunk();
        peer.Request(NbdCommand.BlockStatus, 3, 4097, 100, flags: NbdCommandFlags.One);
        var one = peer.Chunk();

        Assert.Equal([(false, NbdChunk.Hole), (false, NbdChunk.Data), (true, NbdChunk.Hole)], chunks.Select(chunk => (chunk.IsLast, chunk.Type)));
        Assert.Equal([.. NbdPeer.Big(0, 8), .. NbdPeer.Big(1 << 20, 4)], chunks[0].Data);
        Assert.Equal(8 + 4096, chunks[1].Data.Length);
        Assert.Equal([.. NbdPeer.Big(1, 4), .. NbdPeer.Big((1 << 20) - 4096, 4), .. NbdPeer.Big(3, 4), .. NbdPeer.Big(4096, 4), .. NbdPeer.Big(0, 4), .. NbdPeer.Big(Size - (1 << 20) - 4096, 4), .. NbdPeer.Big(3, 4)], status.Data);
        Assert.Equal([.. NbdPeer.Big(1, 4), .. NbdPeer.Big(100, 4), .. NbdPeer.Big(3, 4)], one.Data);
    }

    [Fact]
    public void A_long_answer_comes_whole_without_chunks()
    {
        var content = new byte[Size];
        new Random(1).NextBytes(content);
        using var peer = Begin(structured: false);

        peer.Request(NbdCommand.Write, 1, 0, Size, content);
        Assert.Equal((NbdError.None, 1ul), peer.Simple());
        peer.Request(NbdCommand.Read, 2, 3, Size - 3);
        Assert.Equal((NbdError.None, 2ul), peer.Simple());

        Assert.Equal(content[3..], peer.Reader.ReadBytes(Size - 3));
    }

    [Fact]
    public void A_flush_and_a_durable_write_reach_the_disk_before_their_answers()
    {
        using var peer = Begin();

        peer.Request(NbdCommand.Write, 1, 0, 512, new byte[512]);
        peer.Chunk();
        Assert.Equal(0, _disk.Flushes);
        peer.Request(NbdCommand.Write, 2, 0, 512, new byte[512], NbdCommandFlags.Fua);
        peer.Chunk();
        Assert.Equal(1, _disk.Flushes);
        peer.Request(NbdCommand.Flush, 3, 0, 0);
        peer.Chunk();
        Assert.Equal(2, _disk.Flushes);
        peer.Request(NbdCommand.Write, 4, 0, 2 << 20, new byte[2 << 20], NbdCommandFlags.Fua);
        peer.Chunk();
        Assert.Equal(3, _disk.Flushes);
        peer.Request(NbdCommand.WriteZeroes, 5, 0, 4096, flags: NbdCommandFlags.Fua | NbdCommandFlags.NoHole);
        peer.Chunk();
        Assert.Equal(4, _disk.Flushes);
    }

    [Theory]
    [InlineData(NbdCommand.Read, 0ul, Size + 1u, NbdCommandFlags.None, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, ulong.MaxValue, 2u, NbdCommandFlags.None, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, 0ul, 1u, NbdCommandFlags.NoHole, NbdError.Invalid)]
    [InlineData(NbdCommand.Read, 0ul, 2u << 20, NbdCommandFlags.DontFragment, NbdError.TooLarge)]
    [InlineData(NbdCommand.Write, Size - 1ul, 2u, NbdCommandFlags.None, NbdError.NoSpace)]
    [InlineData(NbdCommand.Write, ulong.MaxValue - 1, 512u, NbdCommandFlags.None, NbdError.NoSpace)]
    [InlineData(NbdCommand.Write, 0ul, 512u, NbdCommandFlags.One, NbdError.Invalid)]
    [InlineData(NbdCommand.Trim, 1ul, uint.MaxValue, NbdCommandFlags.None, NbdError.Invalid)]
    [InlineData(NbdCommand.WriteZeroes, 1ul, uint.MaxValue, NbdCommandFlags.None, NbdError.NoSpace)]
    [InlineData(NbdCommand.BlockStatus, 0ul, 0u, NbdCommandFlags.None, NbdError.Invalid)]
    [InlineData(NbdCommand.BlockStatus, Size, 1u, NbdCommandFlags.None, NbdError.Invalid)]
    [InlineData(NbdCommand.Flush, 1ul, 0u, NbdCommandFlags.None, NbdError.Invalid)]
    [InlineData((NbdCommand)99, 0ul, 0u, NbdCommandFlags.None, NbdError.Invalid)]
    internal void A_request_that_cannot_be_is_an_error_and_the_next_is_answered(NbdCommand command, ulong offset, uint length, NbdCommandFlags flags, NbdError error)
    {
        using var peer = Begin();

        peer.Request(command, 5, offset, length, command == NbdCommand.Write ? new byte[length] : null, flags);
        var (isLast, type, cookie, data) = peer.Chunk();
        peer.Request(NbdCommand.Flush, 6, 0, 0);

        Assert.Equal((true, NbdChunk.Error, 5ul), (isLast, type, cookie));
        Assert.Equal([.. NbdPeer.Big((uint)error, 4), 0, 0], data);
        Assert.Equal(6ul, peer.Chunk().Cookie);
        Assert.All(_disk.Content, value => Assert.Equal(0, value));
    }

    [Fact]
    public void What_the_host_refuses_is_an_error_without_the_hosts_words()
    {
        using var peer = Begin();
        _disk.Failure = new HostException("/srv/secret cannot be written") { IsDiskFull = true };
        peer.Request(NbdCommand.Write, 1, 0, 2 << 20, new byte[2 << 20]);
        Assert.Equal([.. NbdPeer.Big((uint)NbdError.NoSpace, 4), 0, 0], peer.Chunk().Data);
        _disk.Failure = new IOException("/srv/secret cannot be read");
        peer.Request(NbdCommand.Read, 2, 0, 512);
        Assert.Equal([.. NbdPeer.Big((uint)NbdError.Io, 4), 0, 0], peer.Chunk().Data);
        peer.Request(NbdCommand.Flush, 3, 0, 0);
        Assert.Equal(NbdChunk.Error, peer.Chunk().Type);
        _disk.Failure = null;
        peer.Request(NbdCommand.Flush, 4, 0, 0);
        Assert.Equal(NbdChunk.None, peer.Chunk().Type);
    }

    [Fact]
    public void A_disk_that_is_only_read_takes_no_writes()
    {
        using var peer = Begin(disk: new MemoryDisk(Size, readOnly: true));

        foreach (var command in (NbdCommand[])[NbdCommand.Write, NbdCommand.Trim, NbdCommand.WriteZeroes])
        {
            peer.Request(command, 1, 0, 512, command == NbdCommand.Write ? new byte[512] : null);
            Assert.Equal([.. NbdPeer.Big((uint)NbdError.NotPermitted, 4), 0, 0], peer.Chunk().Data);
        }
    }

    [Fact]
    public void Requests_are_carried_out_at_once_as_many_as_may_be_and_answered_as_they_end()
    {
        using var peer = Begin();
        using var gate = new ManualResetEventSlim();
        _disk.BeforeRead = offset => offset == 0 || gate.Wait(Waiting.Limit);

        for (var i = 1; i <= 2 * NbdSession.MostRequests; i++) peer.Request(NbdCommand.Read, (ulong)i, 4096ul * (ulong)i, 512);
        Waiting.Until(() => _disk.MostUnder == NbdSession.MostRequests);
        gate.Set();
        var cookies = Enumerable.Range(0, 2 * NbdSession.MostRequests).Select(_ => peer.Chunk().Cookie).Order();

        Assert.Equal(Enumerable.Range(1, 2 * NbdSession.MostRequests).Select(i => (ulong)i), cookies);
        Assert.Equal(NbdSession.MostRequests, _disk.MostUnder);
    }

    [Fact]
    public void Of_a_disk_in_many_pieces_so_many_are_told_at_once()
    {
        for (var at = 0; at < Size; at += 8192) _disk.Fill(at, 1, 1);
        using var peer = Begin();

        peer.Request(NbdCommand.BlockStatus, 1, 0, Size);

        Assert.Equal(4 + 8 * Size / 4096, peer.Chunk().Data.Length);
        Assert.InRange(Size / 4096, 1, NbdSession.MostExtents);
    }

    [Fact]
    public void What_is_no_request_costs_the_connection()
    {
        foreach (var bytes in (byte[][])[new byte[28], [.. NbdPeer.Big(NbdSpec.RequestMagic, 4), 0, 0, 0, 1, .. new byte[16], .. NbdPeer.Big(NbdSpec.MostPayload + 1, 4)]])
        {
            using var peer = Begin();
            peer.Writer.Write(bytes);
            peer.Writer.Flush();
            Assert.True(peer.IsGone());
        }
        using var other = Begin();
        other.Request(NbdCommand.Flush, 1, 0, 0);
        Assert.Equal(NbdChunk.None, other.Chunk().Type);
    }

    [Fact]
    public void An_option_that_is_too_long_and_options_without_an_end_cost_the_connection()
    {
        using (var peer = Serve().Connect().Greet())
        {
            peer.Writer.WriteU64(NbdSpec.OptionMagic);
            peer.Writer.WriteU32((uint)NbdOption.List);
            peer.Writer.WriteU32(NbdSpec.MostOptionBytes + 1);
            peer.Writer.Flush();
            Assert.True(peer.IsGone());
        }
        using (var peer = _served!.Connect().Greet())
        {
            for (var i = 0; i < NbdSpec.MostOptions; i++) Assert.Equal(NbdReply.Unsupported, peer.Ask((NbdOption)77, [])[0].Type);
            Assert.True(peer.IsGone());
        }
    }

    [Fact]
    public void A_client_that_says_nothing_is_hung_up_on()
    {
        using var peer = Serve(new NbdServerOptions { Handshake = TimeSpan.FromMilliseconds(50) }).Connect();
        peer.Reader.Skip(18);

        Assert.True(peer.IsGone());
    }

    [Fact]
    public void There_are_so_many_clients_and_one_more_is_hung_up_on()
    {
        using var first = Begin(options: new NbdServerOptions { Clients = 2 });
        using var second = Begin();
        using (var third = _served!.Connect()) Assert.True(third.IsGone());
        second.Request(NbdCommand.Disconnect, 0, 0, 0);
        Assert.True(second.IsGone());

        // Its place is free when its session has ended.
        Waiting.Until(() =>
        {
            using var next = _served!.Connect();
            return !next.IsGone();
        });
    }

    [Fact]
    public void Of_what_clients_cause_so_many_sentences_are_said_and_all_are_answered()
    {
        var lines = new List<string>();
        var log = Log.To(line =>
        {
            lock (lines) lines.Add(line.Message);
        }, LogLevel.Warning).CreateLog("disk");
        _disk.Failure = new IOException("no");
        using var first = Begin(options: new NbdServerOptions { Clients = 2, Log = log });

        for (var i = 1; i <= NbdReports.Most; i++) Fail(first);
        var said = Said();

        // Whatever they cause, and whoever it is.
        using (var second = Begin())
        {
            for (var i = 1; i <= NbdReports.Most; i++) Fail(second);
            using (var third = _served!.Connect()) Assert.True(third.IsGone());
            second.Writer.Write(new byte[28]);
            second.Writer.Flush();
            Assert.True(second.IsGone());
        }
        _disk.Failure = null;

        Assert.Equal(Enumerable.Repeat("a client got an error: no", NbdReports.Most), said);
        Assert.Equal(said, Said());

        static void Fail(NbdPeer peer)
        {
            peer.Request(NbdCommand.Read, 1, 0, 512);
            Assert.Equal(NbdChunk.Error, peer.Chunk().Type);
        }

        string[] Said()
        {
            lock (lines) return [.. lines];
        }
    }

    [Fact]
    public void It_ends_when_the_last_has_left_where_that_is_wanted()
    {
        using (var first = Begin(options: new NbdServerOptions { EndsWhenLeft = true }))
        {
            using var second = Begin();
            first.Request(NbdCommand.Disconnect, 0, 0, 0);
            Assert.True(first.IsGone());
            second.Request(NbdCommand.Flush, 1, 0, 0);
            Assert.Equal(1ul, second.Chunk().Cookie);
        }

        Assert.True(_served!.HasEnded);
    }

    [Fact]
    public void What_was_asked_before_the_end_is_answered()
    {
        using var peer = Begin();
        using var gate = new ManualResetEventSlim();
        _disk.BeforeRead = _ => gate.Wait(Waiting.Limit);
        peer.Request(NbdCommand.Read, 1, 0, 512);
        Waiting.Until(() => _disk.MostUnder > 0);

        var ending = Waiting.Run(_served!.Stop);
        gate.Set();
        Assert.Equal(1ul, peer.Chunk().Cookie);
        Assert.True(ending.Join(Waiting.Limit));
        Assert.Equal(1, _disk.Flushes);
    }

    [Fact]
    public void Random_bytes_and_mutated_conversations_end_in_answers_or_in_the_end_of_the_connection()
    {
        var cases = FuzzLength.CasesOr(300);
        Serve(new NbdServerOptions { Handshake = TimeSpan.FromSeconds(1), Clients = 64 });
        for (var seed = FuzzLength.Seed; seed < FuzzLength.Seed + cases; seed++)
        {
            var random = new Random(seed);
            var conversation = Conversation(random);
            for (var mutation = random.Next(6); mutation > 0; mutation--) conversation[random.Next(conversation.Length)] = (byte)random.Next(256);
            using var peer = _served!.Connect();
            try
            {
                peer.Stream.Write(conversation.AsSpan(0, random.Next(4) == 0 ? random.Next(conversation.Length) : conversation.Length));
                peer.Stream.Socket().Shutdown(System.Net.Sockets.SocketShutdown.Send);
                var buffer = new byte[65536];
                while (peer.Stream.Read(buffer) > 0)
                {
                }
            }
            catch (IOException)
            {
                // It was hung up on.
            }
        }
        using var sound = Begin();
        sound.Request(NbdCommand.Flush, 1, 0, 0);
        Assert.Equal(NbdChunk.None, sound.Chunk().Type);
    }

    // A client's bytes from the first to the last, for a server that answers what it should.
    private static byte[] Conversation(Random random)
    {
        using var bytes = new MemoryStream();
        var writer = new NbdWriter(bytes);
        writer.WriteU32(3);
        Option(NbdOption.StructuredReply, []);
        if (random.Next(2) == 0) Option(NbdOption.SetMetaContext, NbdPeer.Contexts("", NbdSpec.Allocation));
        if (random.Next(2) == 0) Option(NbdOption.Info, NbdPeer.Name("", NbdInfo.BlockSize));
        Option(random.Next(3) == 0 ? NbdOption.ExportName : NbdOption.Go, random.Next(3) == 0 ? [] : NbdPeer.Name(""));
        for (var i = 0; i < 20; i++)
        {
            var command = (NbdCommand)random.Next(9);
            var length = (uint)random.Next(1, 20_000);
            writer.WriteU32(NbdSpec.RequestMagic);
            writer.WriteU16((ushort)(random.Next(3) == 0 ? random.Next(32) : 0));
            writer.WriteU16((ushort)command);
            writer.WriteU64((ulong)i);
            writer.WriteU64((ulong)random.Next(Size));
            writer.WriteU32(length);
            if (command == NbdCommand.Write) writer.Write(new byte[length]);
        }
        writer.Flush();
        return bytes.ToArray();

        void Option(NbdOption option, byte[] data)
        {
            writer.WriteU64(NbdSpec.OptionMagic);
            writer.WriteU32((uint)option);
            writer.WriteU32((uint)data.Length);
            writer.Write(data);
        }
    }
}

file static class Streams
{
    internal static System.Net.Sockets.Socket Socket(this Stream stream) => ((System.Net.Sockets.NetworkStream)stream).Socket;
}
