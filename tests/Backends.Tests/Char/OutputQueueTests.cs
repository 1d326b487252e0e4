using System.Collections.Concurrent;
using System.Text;
using Lamina.Backends.Char;
using Xunit;

namespace Lamina.Tests.Backends.Char;

public class OutputQueueTests
{
    private static readonly OutputOptions Impatient = new() { Capacity = 4, Patience = TimeSpan.FromMilliseconds(1), HurriedPatience = TimeSpan.FromMilliseconds(1) };

    private static string Take(OutputQueue queue, int limit = 100)
    {
        var bytes = new byte[limit];
        return Encoding.ASCII.GetString(bytes, 0, Taken(queue, bytes));
    }

    private static int Taken(OutputQueue queue, Span<byte> bytes)
    {
        var count = queue.Peek(bytes);
        queue.Remove(count);
        return count;
    }

    [Fact]
    public void Bytes_come_out_in_order_however_the_ring_wraps()
    {
        var queue = new OutputQueue(7);
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
    public void A_full_queue_takes_no_more_and_tells_when_it_does_again()
    {
        var told = 0;
        var queue = new OutputQueue(8, () => told++);

        Assert.Equal(5, queue.Write("abcde"u8));
        Assert.Equal(3, queue.Write("fghij"u8));
        Assert.Equal(0, queue.Write("k"u8));
        Assert.Equal("a", Take(queue, 1));
        // A byte is not worth a call.
        Assert.Equal(0, told);
        Assert.Equal("bcdefgh", Take(queue));

        Assert.Equal(1, told);
        Assert.Equal(1, queue.Write("k"u8));
        Assert.Equal("k", Take(queue));
        Assert.Equal((1, 0L), (told, queue.Lost));
    }

    [Fact]
    public void A_writer_learns_when_its_bytes_met_an_empty_queue()
    {
        var queue = new OutputQueue(4);

        queue.Write("ab"u8, out var first);
        queue.Write("c"u8, out var second);
        Take(queue);
        queue.Write("d"u8, out var third);

        Assert.Equal((true, false, true), (first, second, third));
    }

    [Fact]
    public void Where_the_newest_gives_way_it_is_counted()
    {
        var queue = new OutputQueue(4);
        queue.SetWhenFull(WhenFull.DropNewest);

        Assert.Equal(6, queue.Write("abcdef"u8));
        Assert.Equal(2, queue.Write("gh"u8));
        Assert.Equal(4, queue.Lost);
        Assert.Equal("abcd", Take(queue));
        queue.Write("ij"u8);

        Assert.Equal("ij", Take(queue));
        Assert.Equal(4, queue.Lost);
    }

    [Theory]
    [InlineData(WhenFull.DropNewest)]
    [InlineData(WhenFull.DropOldest)]
    [InlineData(WhenFull.DropAll)]
    public void A_writer_that_was_held_back_is_told_when_the_queue_holds_no_longer(object rule)
    {
        var told = 0;
        var queue = new OutputQueue(4, () => told++);
        Assert.Equal(4, queue.Write("abcdef"u8));

        queue.SetWhenFull((WhenFull)rule);

        Assert.Equal(1, told);
        Assert.Equal(2, queue.Write("ef"u8));
    }

    [Fact]
    public void The_oldest_gives_way_where_nobody_is_to_wait()
    {
        var queue = new OutputQueue(4);
        queue.SetWhenFull(WhenFull.DropOldest);

        queue.Write("ab"u8);
        queue.Write("cdef"u8);
        Assert.Equal("cdef", Take(queue));
        queue.Write("0123456789"u8);

        Assert.Equal("6789", Take(queue));
        Assert.Equal(8, queue.Lost);
    }

    [Fact]
    public void Without_a_reader_everything_is_dropped()
    {
        var queue = new OutputQueue(4);
        queue.Write("abcd"u8);

        queue.SetWhenFull(WhenFull.DropAll);

        Assert.Equal(2, queue.Write("ij"u8));
        Assert.True(queue.IsEmpty);
        Assert.Equal(6, queue.Lost);
    }

    [Fact]
    public void A_closed_queue_gives_what_is_left_and_then_ends()
    {
        var queue = new OutputQueue(4);
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
        }, pieceLength: 16, new OutputOptions());
        var text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 1000)));
        foreach (var b in text) Assert.Equal(1, pump.Write([b]));

        pump.Dispose();

        Assert.Equal(text, received);
    }

    [Fact]
    public void A_pump_whose_sink_throws_says_so_and_ends()
    {
        using var said = new BlockingCollection<string>();
        using var pump = new OutputPump("test", _ => throw new InvalidOperationException("it broke"), pieceLength: 16, new OutputOptions { Failed = said.Add });

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
        }, pieceLength: 16, Impatient);
        pump.Write("a"u8);
        Waiting.Wait(called);

        pump.Write(new byte[1000]);
        pump.Dispose();

        Assert.True(pump.Lost > 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_pump_whose_host_takes_nothing_ends_all_the_same_and_counts_what_was_left(bool isHurried)
    {
        var pump = new OutputPump("test", _ => 0, pieceLength: 16, isHurried ? Impatient with { Patience = Timeout.InfiniteTimeSpan, IsHurried = () => true } : Impatient);
        var taken = pump.Write("abcd"u8);

        pump.Dispose();
        pump.Dispose();

        Assert.Equal(taken, pump.Lost);
    }

    [Fact]
    public void At_the_end_a_late_reader_is_waited_for()
    {
        using var reads = new ManualResetEventSlim();
        using var asked = new ManualResetEventSlim();
        var received = 0;
        var pump = new OutputPump("test", data =>
        {
            asked.Set();
            if (!reads.IsSet) return 0;
            received += data.Length;
            return data.Length;
        }, pieceLength: 16, new OutputOptions { Patience = Waiting.Limit, HurriedPatience = Waiting.Limit });
        pump.Write("abcd"u8);
        Waiting.Wait(asked);
        var ending = Waiting.Run(pump.Dispose);
        // Longer than it takes to look twice.
        Assert.False(ending.Join(3 * OutputPump.LookMilliseconds));

        reads.Set();

        Assert.True(ending.Join(Waiting.Limit));
        Assert.Equal((4, 0L), (received, pump.Lost));
    }

    [Fact]
    public void When_the_end_is_asked_for_a_reader_that_stands_still_holds_the_guest_back_no_longer()
    {
        var hurried = false;
        using var room = new ManualResetEventSlim();
        using var pump = new OutputPump("test", _ => 0, pieceLength: 1, Impatient with { IsHurried = () => Volatile.Read(ref hurried) }, room.Set);
        while (pump.Write("x"u8) == 1) Thread.Yield();
        Assert.Equal(0, pump.Write("y"u8));

        Volatile.Write(ref hurried, true);

        Waiting.Wait(room);
        Waiting.Until(() => pump.Write("y"u8) == 1);
    }
}
