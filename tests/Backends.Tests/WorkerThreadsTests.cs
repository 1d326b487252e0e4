using System.Collections.Concurrent;
using Lamina.Backends.Entropy;
using Lamina.Backends.Work;
using Lamina.Host.Io;
using Lamina.Core.Work;
using Xunit;

namespace Lamina.Tests.Backends;

public class WorkerThreadsTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Work_runs_after_every_wake_and_never_on_the_callers_thread(bool byDescriptor)
    {
        using var done = new SemaphoreSlim(0);
        Thread? thread = null;
        using var worker = new WorkerThreads(byDescriptor).Create("test", () =>
        {
            thread = Thread.CurrentThread;
            done.Release();
        });
        for (var i = 0; i < 1000; i++)
        {
            worker.Wake();
            Assert.True(done.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
        }

        Assert.NotSame(Thread.CurrentThread, thread);
        Assert.Equal("test", thread!.Name);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Wakes_during_the_work_make_it_run_once_more(bool byDescriptor)
    {
        using var begun = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        var runs = 0;
        using var worker = new WorkerThreads(byDescriptor).Create("test", () =>
        {
            runs++;
            begun.Release();
            go.Wait();
        });
        worker.Wake();
        Assert.True(begun.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
        worker.Wake();
        worker.Wake();
        worker.Wake();

        go.Release(10);
        Assert.True(begun.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
        worker.Dispose();

        Assert.Equal(2, runs);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Disposing_waits_for_work_that_has_begun(bool byDescriptor)
    {
        using var begun = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        var ended = false;
        var worker = new WorkerThreads(byDescriptor).Create("test", () =>
        {
            begun.Set();
            go.Wait();
            Volatile.Write(ref ended, true);
        });
        worker.Wake();
        Waiting.Wait(begun);
        var dispose = Waiting.Run(worker.Dispose);

        go.Set();
        Assert.True(dispose.Join(Waiting.Limit));

        Assert.True(Volatile.Read(ref ended));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Work_may_dispose_its_own_worker(bool byDescriptor)
    {
        using var done = new ManualResetEventSlim();
        IWorker? worker = null;
        worker = new WorkerThreads(byDescriptor).Create("test", () =>
        {
            worker!.Dispose();
            done.Set();
        });

        worker.Wake();

        Waiting.Wait(done);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_worker_that_never_worked_can_be_disposed(bool byDescriptor)
    {
        var worker = new WorkerThreads(byDescriptor).Create("test", () => Assert.Fail("nobody woke it"));

        worker.Dispose();
        worker.Wake();
    }

    [Fact]
    public void The_hosts_entropy_fills_everything_and_differs_each_time()
    {
        var source = new HostEntropy();
        var (first, second) = (new byte[64], new byte[64]);

        source.Fill(first);
        source.Fill(second);
        source.Fill([]);

        Assert.NotEqual(first, second);
        Assert.NotEqual(new byte[64], first);
    }

    [Fact]
    public void A_worker_runs_when_somebody_else_sets_its_descriptor()
    {
        using var ran = new SemaphoreSlim(0);
        using var worker = new WorkerThreads(byDescriptor: true).Create("test", () => ran.Release());
        var descriptor = Assert.IsAssignableFrom<IWokenByDescriptor>(worker).WakeDescriptor;

        for (var n = 0; n < 3; n++)
        {
            Assert.Equal(8, HostIo.Write(descriptor, BitConverter.GetBytes(1ul)));
            Assert.True(ran.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
        }

    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Work_that_throws_is_told_of_in_a_sentence_and_the_worker_goes_on(bool byDescriptor)
    {
        using var said = new BlockingCollection<string>();
        var runs = 0;
        using var worker = new WorkerThreads(byDescriptor, said.Add).Create("queue", () => throw new InvalidOperationException($"run {++runs} failed"));

        for (var run = 1; run <= 2; run++)
        {
            worker.Wake();
            Assert.True(said.TryTake(out var sentence, Waiting.Limit));
            Assert.Equal($"the thread queue stopped: run {run} failed", sentence);
        }
    }

    [Fact]
    public void Polled_work_sleeps_at_the_place_that_it_names()
    {
        var place = new Place();
        using var ran = new SemaphoreSlim(0);
        using (var worker = new WorkerThreads().Create("test", new PlacedWork(place, () => ran.Release())))
        {
            worker.Wake();
            Assert.True(ran.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
            place.Wake();
            Assert.True(ran.Wait(Waiting.Limit, TestContext.Current.CancellationToken));
            Assert.Equal(Place.Descriptor, Assert.IsAssignableFrom<IWokenByDescriptor>(worker).WakeDescriptor);
        }
        Assert.Equal(0, ran.CurrentCount);
    }

    private sealed class Place : IWorkerPlace
    {
        public const int Descriptor = 77;

        private readonly SemaphoreSlim _wakes = new(0);

        public int WakeDescriptor => Descriptor;

        public void Sleep() => _wakes.Wait();

        public void Wake() => _wakes.Release();
    }

    private sealed class PlacedWork(IWorkerPlace place, Action run) : IPolledWork
    {
        public bool IsWaiting => false;

        public IWorkerPlace? Place => place;

        public bool Run()
        {
            run();
            return false;
        }

        public void Tell()
        {
        }

        public bool Rest() => true;
    }
}
