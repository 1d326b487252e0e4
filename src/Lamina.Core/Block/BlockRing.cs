// Requests of a disk that are under way without a thread each. A disk that can do so gives out rings; whoever serves a
// queue of requests has one of its own, begins requests in it, sleeps in it, and finds there what has ended.
using System.Diagnostics.CodeAnalysis;
using Lamina.Core.Work;
using Lamina.Host.Io;

namespace Lamina.Core.Block;

/// <summary>A request that has ended.</summary>
/// <param name="Request">What the caller knows it by.</param>
/// <param name="IsWrite">Whether it wrote.</param>
/// <param name="Failure">Null where all was read or written; else a sentence, as the disk's own calls have it.</param>
public sealed record BlockEnding(object Request, bool IsWrite, IOException? Failure);

/// <summary>
/// Reads and writes under way. One thread begins, submits and ends them; others may wake it. What has begun is to be ended before
/// this is disposed: until then its memory is the host's.
/// </summary>
public interface IBlockRing : IWorkerPlace, IDisposable
{
    /// <summary>Whether a request has ended that was not taken yet.</summary>
    bool HasEnded { get; }

    /// <summary>Prepares a request; it begins with <see cref="Submit"/>, and may overtake others.</summary>
    /// <param name="isWrite">Whether it writes.</param>
    /// <param name="offset">Where, in bytes.</param>
    /// <param name="memory">From where, or where to; the list itself is copied.</param>
    /// <param name="request">What the caller knows it by.</param>
    /// <returns>False where it has to go by the disk's own calls: there is no room just now, or the request is of no fitting kind.</returns>
    bool TryBegin(bool isWrite, ulong offset, ReadOnlySpan<IoVector> memory, object request);

    /// <summary>Has all requests begin that were prepared.</summary>
    void Submit();

    /// <summary>Takes a request that has ended, where there is one.</summary>
    bool TryEnd([NotNullWhen(true)] out BlockEnding? ending);
}
