// Carries a queue of output to where it goes, on a thread of its own, and sees to it that the last bytes get there when
// the backend is disposed of or the process ends in order. How long readers are waited for is settled here for all of them.
using System.Diagnostics;
using Lamina.Backends.Work;

namespace Lamina.Backends.Char;

/// <summary>Takes output.</summary>
/// <returns>How many bytes were taken; 0: none just now, try again; negative: none ever again.</returns>
internal delegate int OutputSink(ReadOnlySpan<byte> data);

/// <summary>What a backend does where its reader takes nothing, and whom it tells.</summary>
public record OutputOptions
{
    /// <summary>Whether output for which there is no room is dropped, and the guest goes on.</summary>
    public bool Drops { get; init; }

    /// <summary>Whether the machine's end was asked for, by somebody who waits for it: a reader that stands still is then waited for no longer than a moment.</summary>
    public Func<bool> IsHurried { get; init; } = static () => false;

    /// <summary>Told in a sentence that a thread of the backend's has ended because its work threw; without it that ends the process.</summary>
    public Action<string>? Failed { get; init; }

    /// <summary>Whether what asks a terminal something is taken out of the output.</summary>
    internal bool DropsQueries { get; init; }

    /// <summary>How long a reader that takes nothing is waited for at the end.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The same where the end was asked for.</summary>
    internal TimeSpan HurriedPatience { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How much output waits for its reader before the guest does.</summary>
    internal int Capacity { get; init; } = 1 << 20;

    /// <summary>The most bytes that wait in either direction.</summary>
    public long MostBytes => Capacity + StdioCharBackend.InputCapacity;

    /// <summary>What a queue with a reader does when it is full.</summary>
    internal WhenFull Rule => Drops ? WhenFull.DropNewest : WhenFull.Hold;
}

/// <summary>Watches whether a reader moves, from the first look on. Used by one thread.</summary>
internal sealed class Progress(OutputQueue queue, OutputOptions options)
{
    private long _taken = -1, _since;

    /// <summary>Whether the reader has taken nothing for as long as it is waited for.</summary>
    internal bool HasStopped(bool isHurried)
    {
        var taken = queue.Taken;
        if (taken != _taken) (_taken, _since) = (taken, Stopwatch.GetTimestamp());
        return Stopwatch.GetElapsedTime(_since) >= (isHurried ? options.HurriedPatience : options.Patience);
    }
}

internal sealed class OutputPump : IDisposable
{
    // How often it is looked whether a reader has moved.
    internal const int LookMilliseconds = 50;

    // Guests print byte by byte; so long a rest after each write gathers what comes, and is too short for a person to see.
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(1);

    private readonly OutputOptions _options;
    private readonly OutputQueue _queue;
    private readonly OutputSink _sink;
    private readonly int _pieceLength;
    private readonly Thread _thread;
    private volatile bool _abandoned;
    private bool _disposed;

    /// <summary>Starts the thread.</summary>
    /// <param name="name">The thread's name.</param>
    /// <param name="sink">Where the output goes.</param>
    /// <param name="pieceLength">The most that is given to it at once.</param>
    /// <param name="options">What happens where it takes nothing.</param>
    /// <param name="room">Told on the thread that a writer who was refused may write again.</param>
    internal OutputPump(string name, OutputSink sink, int pieceLength, OutputOptions options, Action? room = null)
    {
        (_sink, _pieceLength, _options) = (sink, pieceLength, options);
        _queue = new OutputQueue(options.Capacity, room);
        _queue.SetWhenFull(options.Rule);
        _thread = Guard.Thread(name, Run, options.Failed);
        _thread.Start();
        AppDomain.CurrentDomain.ProcessExit += OnExit;
    }

    /// <summary>How many bytes of output were dropped.</summary>
    internal long Lost => _queue.Lost;

    internal int Write(ReadOnlySpan<byte> data) => _queue.Write(data);

    /// <summary>Counts bytes as dropped that the sink took and could not bring on.</summary>
    internal void Lose(int count) => _queue.Lose(count);

    /// <summary>Waits until what was written has gone out, or the host has stopped taking it.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        AppDomain.CurrentDomain.ProcessExit -= OnExit;
        Finish(isExit: false);
    }

    private void OnExit(object? sender, EventArgs e) => Finish(isExit: true);

    private void Finish(bool isExit)
    {
        _queue.Close();
        var progress = new Progress(_queue, _options);
        while (!_thread.Join(LookMilliseconds))
        {
            if (!progress.HasStopped(isExit || _options.IsHurried())) continue;
            _abandoned = true;
            // It counts what is left, unless the host never lets go of it.
            _thread.Join(TimeSpan.FromSeconds(1));
            return;
        }
    }

    private void Run()
    {
        var filter = _options.DropsQueries ? new QueryFilter() : null;
        var buffer = new byte[filter is null ? _pieceLength : _pieceLength - QueryFilter.LongestQuery];
        var filtered = new byte[filter is null ? 0 : _pieceLength];
        var progress = new Progress(_queue, _options);
        int count;
        while ((count = _queue.Take(buffer)) != 0)
        {
            if (filter is null) Put(buffer.AsSpan(0, count), progress);
            else Put(filtered.AsSpan(0, filter.Filter(buffer.AsSpan(0, count), filtered)), progress);
            if (_queue.IsEmpty) Thread.Sleep(Rest);
        }
        if (filter is not null) Put(filter.Pending, progress);
    }

    private void Put(ReadOnlySpan<byte> piece, Progress progress)
    {
        while (!piece.IsEmpty && !_abandoned)
        {
            var taken = _sink(piece);
            if (taken < 0)
            {
                _queue.SetWhenFull(WhenFull.DropAll);
                break;
            }
            // A guest that is asked to end must be able to say what it has to say.
            if (taken == 0 && _options.IsHurried() && progress.HasStopped(isHurried: true)) _queue.SetWhenFull(WhenFull.DropNewest);
            piece = piece[taken..];
        }
        _queue.Lose(piece.Length);
    }
}
