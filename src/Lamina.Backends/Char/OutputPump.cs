// Carries a queue of output to where it goes, on a thread of its own, and sees to it that the last bytes get there when
// the backend is disposed of or the process ends in order.
using Lamina.Backends.Work;

namespace Lamina.Backends.Char;

/// <summary>Takes output.</summary>
/// <returns>How many bytes were taken; 0: none just now, try again; negative: none ever again.</returns>
internal delegate int OutputSink(ReadOnlySpan<byte> data);

internal sealed class OutputPump : IDisposable
{
    /// <summary>How much output waits for a slow host before the guest does.</summary>
    internal const int DefaultCapacity = 1 << 20;

    /// <summary>A host that takes nothing for so long is held to be stopped.</summary>
    internal static readonly TimeSpan DefaultPatience = TimeSpan.FromSeconds(2);

    // Guests print byte by byte; so long a rest after each write gathers what comes, and is too short for a person to see.
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(1);

    private readonly OutputQueue _queue;
    private readonly OutputSink _sink;
    private readonly int _pieceLength;
    private readonly TimeSpan _patience;
    private readonly Thread _thread;
    private volatile bool _abandoned;
    private bool _disposed;

    internal OutputPump(string name, OutputSink sink, int pieceLength, Action<string>? failed = null, int capacity = DefaultCapacity, TimeSpan? patience = null)
    {
        _sink = sink;
        _pieceLength = pieceLength;
        _patience = patience ?? DefaultPatience;
        _queue = new OutputQueue(capacity, _patience);
        _thread = Guard.Thread(name, Run, failed);
        _thread.Start();
        AppDomain.CurrentDomain.ProcessExit += OnExit;
    }

    /// <summary>How many bytes of output were dropped.</summary>
    internal long Lost => _queue.Lost;

    internal void Write(ReadOnlySpan<byte> data) => _queue.Write(data);

    /// <summary>Waits until what was written has gone out, or the host has stopped taking it.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        AppDomain.CurrentDomain.ProcessExit -= OnExit;
        Finish();
    }

    private void OnExit(object? sender, EventArgs e) => Finish();

    private void Finish()
    {
        _queue.Close();
        long before;
        do before = _queue.Taken;
        while (!_thread.Join(_patience) && _queue.Taken != before);
        _abandoned = true;
    }

    private void Run()
    {
        var buffer = new byte[_pieceLength];
        int count;
        while ((count = _queue.Take(buffer)) != 0)
        {
            for (var done = 0; done < count && !_abandoned;)
            {
                var taken = _sink(buffer.AsSpan(done, count - done));
                if (taken < 0)
                {
                    _queue.SetWhenFull(WhenFull.DropAll);
                    break;
                }
                done += taken;
            }
            if (_queue.IsEmpty) Thread.Sleep(Rest);
        }
    }
}
