// Workers that cannot look for work by themselves: what they do with work that offers it.
using Lamina.Core.Work;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class PolledWorkTests
{
    [Fact]
    public void Each_batch_is_told_of_and_the_worker_rests_when_there_is_no_more()
    {
        var work = new Batches(3);
        using var worker = ((IWorkerFactory)new OnWake()).Create("test", work);

        worker.Wake();

        Assert.Equal(["run", "tell", "run", "tell", "run", "tell", "rest"], work.Done);
    }

    [Fact]
    public void Work_that_comes_as_the_worker_is_about_to_rest_is_done_before_it_does()
    {
        var work = new Batches(1) { Late = 2 };
        using var worker = ((IWorkerFactory)new OnWake()).Create("test", work);

        worker.Wake();

        Assert.Equal(["run", "tell", "rest", "run", "tell", "run", "tell", "rest"], work.Done);
    }

    private sealed class Batches(int count) : IPolledWork
    {
        private int _left = count;

        // Batches that are found at the first attempt to rest.
        public int Late { get; set; }

        public List<string> Done { get; } = [];

        public bool IsWaiting => _left > 0;

        public bool Run()
        {
            Done.Add("run");
            return --_left > 0;
        }

        public void Tell() => Done.Add("tell");

        public bool Rest()
        {
            Done.Add("rest");
            (_left, Late) = (Late, 0);
            return _left == 0;
        }
    }

    // Does the work on the caller's thread, as soon as it is woken.
    private sealed class OnWake : IWorkerFactory
    {
        public IWorker Create(string name, Action work) => new Worker(work);

        private sealed class Worker(Action work) : IWorker
        {
            public void Wake() => work();

            public void Dispose()
            {
            }
        }
    }
}
