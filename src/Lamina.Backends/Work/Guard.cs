// What stands around work of ours on a thread of ours. Work that throws has a bug; who owns the thread is told, and ends with its
// words rather than the process with a stack trace.
namespace Lamina.Backends.Work;

/// <summary>Turns an exception of a thread's work into a sentence for its owner.</summary>
public static class Guard
{
    /// <summary>Work that does not throw.</summary>
    /// <param name="name">The thread's name.</param>
    /// <param name="work">What may throw.</param>
    /// <param name="failed">Told on the thread, in a sentence; where it is null an exception ends the process.</param>
    public static Action Around(string name, Action work, Action<string>? failed) => failed is null ? work : () =>
    {
        try
        {
            work();
        }
        catch (Exception e)
        {
            failed(Sentence(name, e));
        }
    };

    /// <summary>The same for work that waits for the host without a thread; where nobody is told its task fails.</summary>
    internal static async Task AroundAsync(string name, Func<Task> work, Action<string>? failed)
    {
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (Exception e) when (failed is not null)
        {
            failed(Sentence(name, e));
        }
    }

    /// <summary>A thread, not started, that ends when its work throws.</summary>
    internal static Thread Thread(string name, Action work, Action<string>? failed) => new(() => Around(name, work, failed)()) { IsBackground = true, Name = name };

    private static string Sentence(string name, Exception e) => $"the thread {name} stopped: {e.Message}";
}
