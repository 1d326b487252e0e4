// What the other end of a connection causes to be said, which is not said without an end.
using Lamina.Core.Logging;

namespace Lamina.Backends.Nbd;

/// <summary>So many sentences, and no more. Any thread.</summary>
/// <param name="log">Where they go; or null.</param>
internal sealed class NbdReports(ILog? log)
{
    /// <summary>The most sentences.</summary>
    internal const int Most = 20;

    private int _count;

    /// <summary>Says one, where there may be another.</summary>
    internal void Say(string sentence)
    {
        // Nobody counts beyond it: the count would come to its end one day, and begin anew.
        if (Volatile.Read(ref _count) < Most && Interlocked.Increment(ref _count) <= Most) log.Warn(LogEvent.DiskImage, sentence);
    }
}
