using Lamina.Host.Threads;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public class ThreadSignalTests
{
    private sealed class Ball
    {
        public int Place;
    }

    [Fact]
    public void What_holds_already_is_not_waited_for()
    {
        new ThreadSignal().WaitUntil(static of => of, true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Many_threads_that_wait_for_their_turn_get_it_in_order(bool plainChanges)
    {
        const int threads = 4, rounds = 5_000;
        var (signal, ball) = (new ThreadSignal(plainChanges), new Ball());
        var all = Enumerable.Range(0, threads).Select(number => new Thread(() =>
        {
            for (var turn = number; turn < threads * rounds; turn += threads)
            {
                signal.WaitUntil(static of => Volatile.Read(ref of.ball.Place) == of.turn, (ball, turn));
                if (plainChanges) Volatile.Write(ref ball.Place, turn + 1);
                else Interlocked.Increment(ref ball.Place);
                signal.Signal();
            }
        })).ToList();

        all.ForEach(thread => thread.Start());
        all.ForEach(thread => thread.Join());

        Assert.Equal(threads * rounds, ball.Place);
        Assert.Equal(0, signal.Waiting);
    }

    [Fact]
    public void Whoever_waits_for_long_sleeps()
    {
        var (signal, ball) = (new ThreadSignal(), new Ball());
        var status = "";
        var thread = new Thread(() =>
        {
            Volatile.Write(ref status, $"/proc/self/task/{Path.GetFileName(File.ResolveLinkTarget("/proc/thread-self", false)!.FullName)}/status");
            signal.WaitUntil(static of => Volatile.Read(ref of.Place) == 1, ball);
        });
        thread.Start();
        while (signal.Waiting == 0 || !File.ReadAllText(status).Contains("State:\tS", StringComparison.Ordinal)) { }

        // It is not seen to run any more, nor does it sleep anew.
        var sleeps = Sleeps();
        for (var i = 0; i < 500; i++) Assert.Equal(sleeps, Sleeps());

        Interlocked.Increment(ref ball.Place);
        signal.Signal();
        thread.Join();

        string Sleeps() => File.ReadLines(status).First(line => line.StartsWith("voluntary_ctxt_switches", StringComparison.Ordinal));
    }
}
