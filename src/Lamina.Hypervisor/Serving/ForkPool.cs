// Processes that wait to be copies of a machine: started by whoever forked it last, each built as the machine is and locked as its process is, so that
// the next fork is no start of a process. The machine's process has a channel to each, and they end with it.
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;

namespace Lamina.Hypervisor.Serving;

/// <summary>A process that waits, or is about to.</summary>
/// <param name="channel">Leads to it.</param>
internal sealed class WaitingCopy(DescriptorChannel channel) : IDisposable
{
    // A process begins within this time on a busy host.
    private const int BeginMilliseconds = 60_000;

    /// <summary>Leads to it.</summary>
    internal DescriptorChannel Channel => channel;

    /// <summary>The name of its folder; null until it waits.</summary>
    internal string? Folder { get; private set; }

    /// <summary>Waits until it waits.</summary>
    /// <returns>Whether it does.</returns>
    internal bool HasBegun()
    {
        if (Folder is not null) return true;
        try
        {
            using var said = channel.Receive(BeginMilliseconds);
            if (said is null) return false;
            Folder = ForkLines.FolderIn(said.Bytes);
            return true;
        }
        catch (Exception wrong) when (wrong is IOException or MachineException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => channel.Dispose();
}

/// <summary>The processes that wait for one machine.</summary>
internal sealed class ForkPool : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<WaitingCopy> _spare = [];
    private int _expected;
    private bool _disposed;

    /// <summary>The most that wait.</summary>
    internal const int Most = 64;

    /// <summary>Held by who makes copies: one set after another.</summary>
    internal SemaphoreSlim Turn { get; } = new(1, 1);

    /// <summary>How many wait, or are about to.</summary>
    internal int Count
    {
        get
        {
            lock (_gate)
            {
                _spare.RemoveAll(HasGone);
                return _spare.Count + _expected;
            }
        }
    }

    /// <summary>Takes one in when it waits.</summary>
    internal void Expect(WaitingCopy copy)
    {
        lock (_gate) _expected++;
        _ = Task.Factory.StartNew(() => Add(copy, copy.HasBegun()), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    private void Add(WaitingCopy copy, bool waits)
    {
        lock (_gate)
        {
            _expected--;
            if (waits && !_disposed && _spare.Count < Most)
            {
                _spare.Add(copy);
                return;
            }
        }
        copy.Dispose();
    }

    /// <summary>One that waits, which is the caller's from now on; null where none does.</summary>
    internal WaitingCopy? TryTake()
    {
        lock (_gate)
        {
            _spare.RemoveAll(HasGone);
            if (_spare.Count == 0) return null;
            var copy = _spare[0];
            _spare.RemoveAt(0);
            return copy;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            foreach (var copy in _spare) copy.Dispose();
            _spare.Clear();
        }
        Turn.Dispose();
    }

    // It says nothing while it waits: what can be read is its end.
    private static bool HasGone(WaitingCopy copy)
    {
        if (!copy.Channel.HasSomething) return false;
        copy.Dispose();
        return true;
    }
}
