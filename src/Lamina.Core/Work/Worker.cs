// How a device gets work done outside the vCPU that asked for it. A device owns no thread: it is given a factory, says
// what is to be done, and wakes the worker whenever there may be something to do. Backends provide threads; tests run
// the work where and when they like.
using Lamina.Host.Io;

namespace Lamina.Core.Work;

/// <summary>Runs one piece of work again whenever it is woken.</summary>
public interface IWorker : IDisposable
{
    /// <summary>
    /// Makes the work run at least once more, beginning after this call. Wakes that come before it begins are one wake.
    /// Any thread may call, with locks held: the work never runs on the caller's thread.
    /// </summary>
    void Wake();
}

/// <summary>Work that comes from somebody who can be spared telling of it while the worker looks by itself. Called on one thread.</summary>
public interface IPolledWork
{
    /// <summary>Whether there is something to do; cheap.</summary>
    bool IsWaiting { get; }

    /// <summary>Does what there is to do, but no more than a batch.</summary>
    /// <returns>Whether there is more.</returns>
    bool Run();

    /// <summary>Lets the other side know of what was done since the last time.</summary>
    void Tell();

    /// <summary>Asks the other side to wake the worker when there is something to do.</summary>
    /// <returns>False where there is already.</returns>
    bool Rest();

    /// <summary>Where the worker sleeps, if more than its wakes is to end its sleep; else null. Lives longer than the worker.</summary>
    IWorkerPlace? Place => null;
}

/// <summary>Where a worker sleeps that is woken by more than who knows of the worker.</summary>
public interface IWorkerPlace : IWokenByDescriptor
{
    /// <summary>Sleeps until it is woken, or was since the last time, or what it sleeps beside has happened. Only ever one thread.</summary>
    void Sleep();

    /// <summary>Wakes who sleeps, or the next one to sleep. Any thread.</summary>
    void Wake();
}

/// <summary>Creates workers.</summary>
public interface IWorkerFactory
{
    /// <summary>
    /// Creates a sleeping worker. The work never runs twice at once. Disposing the worker waits for a run that has begun,
    /// unless it is disposed by its own work.
    /// </summary>
    /// <param name="name">What it does, for a person who looks at the process's threads.</param>
    /// <param name="work">What to do; must not throw.</param>
    IWorker Create(string name, Action work);

    /// <summary>Creates a worker for work that it may look for by itself. One that never does is right, too, where the work names no place.</summary>
    IWorker Create(string name, IPolledWork work) => Create(name, () =>
    {
        do
        {
            var more = true;
            while (more)
            {
                more = work.Run();
                work.Tell();
            }
        }
        while (!work.Rest());
    });
}
