using System.Collections.Concurrent;
using System.Text;
using Lamina.Backends.Char;
using Xunit;

namespace Lamina.Tests.Backends.Char;

public class OutputQueueTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(1);

    private static string Take(OutputQueue queue, int limit = 100)
    {
        var bytes = new byte[limit];
        return Encoding.ASCII.GetString(bytes, 0, queue.TryTake(bytes));
    }

    [Fact]
    public void Bytes_come_out_in_order_however_the_ring_wraps()
    {
        var queue = new OutputQueue(7, Short);
        var (written, taken) = (new StringBuilder(), new StringBuilder());
        for (var i = 0; i < 200; i++)
        {
            var piece = new string((char)('a' + i % 26), 1 + i % 5);
            queue.Write(Encoding.ASCII.GetBytes(piece));
            written.Append(piece);
            taken.Append(Take(queue, 3)).Append(Take(queue));
        }

        Assert.Equal(written.ToString(), taken.ToString());
        Assert.Equal(0, queue.Lost);
    }

    [Fact]
    public void A_full_queue_makes_the_writer_wait_for_a_reader_that_moves()
    {
        var queue = new OutputQueue(4, Waiting.Limit);
        var text = string.Concat(Enumerable.Range(0, 200));
        var writer = new Thread(() => queue.Write(Encoding.ASCII.GetBytes(text)));
        writer.Start();

        var taken = new StringBuilder();
        var buffer = new byte[3];
        while (taken.Length < text.Length) taken.Append(Encoding.ASCII.GetString(buffer, 0, queue.Take(buffer)));

        Assert.Equal(text, taken.ToString());
        Assert.True(writer.Join(Waiting.Limit));
        Assert.Equal(0, queue.Lost);
    }

    [Fact]
    public void A_writer_learns_when_its_bytes_met_an_empty_queue_even_if_it_was_not_empty_at_first()
    {
        var queue = new OutputQueue(4, Waiting.Limit);
        Assert.True(queue.Write("ab"u8));
        Assert.False(queue.Write("c"u8));
        var met = false;
        var writer = Waiting.Run(() => met = queue.Write("def"u8));
        var taken = "";
        while (taken.Length < 6) taken += Take(queue);

        Assert.True(writer.Join(Waiting.Limit));
        Assert.Equal("abcdef", taken);
        Assert.True(met);
    }

    [Fact]
    public void A_reader_that_stopped_costs_the_new_bytes_and_waits_are_over_until_it_moves()
    {
        var queue = new OutputQueue(4, Short);

        queue.Write("abcdef"u8);
        queue.Write("gh"u8);
        Assert.Equal(4, queue.Lost);
        Assert.Equal("abcd", Take(queue));
        queue.Write("ij"u8);

        Assert.Equal("ij", Take(queue));
        Assert.Equal(4, queue.Lost);
    }

    [Fact]
    public void The_oldest_gives_way_where_nobody_is_to_wait()
    {
        var queue = new OutputQueue(4, Waiting.Limit);
        queue.SetWhenFull(WhenFull.DropOldest);

        queue.Write("ab"u8);
        queue.Write("cdef"u8);
        Assert.Equal("cdef", Take(queue));
        queue.Write("0123456789"u8);

        Assert.Equal("6789", Take(queue));
        Assert.Equal(8, queue.Lost);
    }

    [Fact]
    public void Without_a_reader_everything_is_dropped_and_writers_that_wait_go_on()
    {
        var queue = new OutputQueue(4, Waiting.Limit);
        var writer = new Thread(() => queue.Write("abcdefgh"u8));
        writer.Start();
        Waiting.Until(() => !queue.IsEmpty);

        queue.SetWhenFull(WhenFull.DropAll);

        Assert.True(writer.Join(Waiting.Limit));
        queue.Write("ij"u8);
        Assert.True(queue.IsEmpty);
        Assert.Equal(10, queue.Lost);
    }

    [Fact]
    public void What_is_put_back_comes_first_again()
    {
        var queue = new OutputQueue(4, Short);
        queue.Write("abcd"u8);
        Assert.Equal("ab", Take(queue, 2));

        queue.PutBack("b"u8);

        Assert.Equal("bcd", Take(queue));
    }

    [Fact]
    public void What_is_put_back_without_room_keeps_its_latest_bytes()
    {
        var queue = new OutputQueue(4, Short);
        queue.Write("abcd"u8);
        Assert.Equal("abc", Take(queue, 3));
        queue.Write("ef"u8);

        queue.PutBack("bc"u8);

        Assert.Equal("cdef", Take(queue));
        Assert.Equal(1, queue.Lost);
    }

    [Fact]
    public void A_closed_queue_gives_what_is_left_and_then_ends()
    {
        var queue = new OutputQueue(4, Waiting.Limit);
        queue.Write("ab"u8);

        queue.Close();
        queue.Write("cdefgh"u8);

        var buffer = new byte[10];
        Assert.Equal(2, queue.Take(buffer));
        Assert.Equal(0, queue.Take(buffer));
    }

    [Fact]
    public void A_pump_delivers_the_last_byte_before_it_is_disposed()
    {
        var received = new List<byte>();
        var pump = new OutputPump("test", data =>
        {
            received.Add(data[0]);
            return 1;
        }, pieceLength: 16);
        var text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 1000)));
        foreach (var b in text) pump.Write([b]);

        pump.Dispose();

        Assert.Equal(text, received);
    }

    [Fact]
    public void A_pump_whose_sink_throws_says_so_and_ends()
    {
        using var said = new BlockingCollection<string>();
        using var pump = new OutputPump("test", _ => throw new InvalidOperationException("it broke"), pieceLength: 16, said.Add);

        pump.Write("a"u8);

        Assert.True(said.TryTake(out var sentence, Waiting.Limit));
        Assert.Equal("the thread test stopped: it broke", sentence);
    }

    [Fact]
    public void A_pump_whose_host_is_gone_drops_and_ends()
    {
        using var called = new ManualResetEventSlim();
        var pump = new OutputPump("test", _ =>
        {
            called.Set();
            return -1;
        }, pieceLength: 16, capacity: 4);
        pump.Write("a"u8);
        Waiting.Wait(called);

        pump.Write(new byte[1000]);
        pump.Dispose();

        Assert.True(pump.Lost > 0);
    }

    [Fact]
    public void A_pump_whose_host_takes_nothing_ends_all_the_same()
    {
        var pump = new OutputPump("test", _ => 0, pieceLength: 16, capacity: 4, patience: Short);
        pump.Write(new byte[1000]);

        pump.Dispose();
        pump.Dispose();

        Assert.True(pump.Lost > 0);
    }
}
