// Requests of a device that found the host's disk full and wait for space. A guest sees that they take long, no more.
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Block;

/// <summary>Keeps requests until they are tried again.</summary>
/// <param name="helpers">Who tries.</param>
/// <param name="changed">Told whether there are any; with the lock held.</param>
internal sealed class StalledRequests(BlockWorkers helpers, Action<bool> changed)
{
    private readonly Lock _gate = new();

    // All that stalled and did not end since, and of those the ones that nobody tries just now.
    private readonly Dictionary<DescriptorChain, Virtqueue> _unfinished = [];
    private readonly HashSet<DescriptorChain> _waiting = [];
    private volatile bool _any;
    private bool _paused;

    /// <summary>Keeps a request.</summary>
    internal void Add(Virtqueue queue, DescriptorChain chain)
    {
        lock (_gate)
        {
            _unfinished[chain] = queue;
            _waiting.Add(chain);
            Update();
        }
    }

    /// <summary>A request ends, whether it was among these or not.</summary>
    internal void Remove(DescriptorChain chain)
    {
        if (!_any) return;
        lock (_gate)
        {
            _unfinished.Remove(chain);
            Update();
        }
    }

    /// <summary>Has all that wait tried again.</summary>
    internal void Retry()
    {
        lock (_gate)
        {
            if (_paused) return;
            foreach (var chain in _waiting) helpers.Add(_unfinished[chain], chain);
            _waiting.Clear();
        }
    }

    /// <summary>Has nothing tried again until <see cref="Resume"/>.</summary>
    internal void Pause()
    {
        lock (_gate) _paused = true;
    }

    /// <summary>Has all that wait tried again.</summary>
    internal void Resume()
    {
        lock (_gate) _paused = false;
        Retry();
    }

    /// <summary>Drops a queue's requests: it is being stopped.</summary>
    internal void Forget(int queue)
    {
        lock (_gate)
        {
            foreach (var (chain, of) in _unfinished)
            {
                if (of.Index != queue) continue;
                _unfinished.Remove(chain);
                _waiting.Remove(chain);
            }
            Update();
        }
    }

    private void Update()
    {
        if (_any == (_unfinished.Count != 0)) return;
        _any = !_any;
        changed(_any);
    }
}
