// A virtqueue as a device uses it: take a buffer, give it back, tell the driver. Which layout the ring has, and whether
// the driver keeps to the rules, is settled behind this. A broken rule ends in DEVICE_NEEDS_RESET and a queue that
// yields nothing any more.
// Lock order: transport, then the queue's gate, then the device's lock, then the interrupt chain. Every method takes the
// gate itself, so completions may come from any thread; they are dropped when the queue was stopped since.
using System.Diagnostics.CodeAnalysis;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio;

/// <summary>One queue of a virtio device.</summary>
public sealed class Virtqueue
{
    private readonly GuestMemory _memory;
    private readonly Action<int> _signal;
    private readonly Action<string> _fail;
    private readonly Stack<DescriptorChain> _free = [];
    private volatile IRing? _ring;
    private volatile bool _paused, _heldBack;
    private int _epoch;
    private int _inFlight;

    // The buffers that were taken and not given back, in that order; from _again on those that a machine that is gone had taken, and
    // that nobody here has yet.
    private DescriptorChain? _earliest, _latest, _again;

    internal Virtqueue(int index, GuestMemory memory, Action<int> signal, Action<string> fail)
    {
        Index = index;
        _memory = memory;
        _signal = signal;
        _fail = fail;
    }

    /// <summary>The queue's index in its device.</summary>
    public int Index { get; }

    /// <summary>The number of descriptors that the driver chose; 0 while the queue is not live.</summary>
    public int Size { get; private set; }

    /// <summary>Whether buffers may be taken. A device that works on one buffer for long looks here now and then and stops.</summary>
    public bool IsLive => _ring is not null;

    /// <summary>
    /// Whether the machine stands still: no buffer may be taken, and none that a device holds may be written to. Changes under the
    /// queue's gate only, so who holds it may look and then act.
    /// </summary>
    public bool IsPaused => _paused;

    internal Lock Gate { get; } = new();

    /// <summary>
    /// Whether a limit keeps its buffers back. It yields none then and is not looked at; nor is the driver asked to notify, since who
    /// ends it wakes the worker. Buffers that were taken are given back as always.
    /// </summary>
    internal bool IsHeldBack
    {
        get => _heldBack;
        set => _heldBack = value;
    }

    /// <summary>Whether a worker looks for buffers by itself and says when it ceases to (<see cref="Rest"/>). Set before the queue is live.</summary>
    internal bool IsPolled { get; set; }

    /// <summary>Whether there may be a buffer to take.</summary>
    internal bool HasBuffers
    {
        get
        {
            lock (Gate) return !_paused && !_heldBack && _ring is { } ring && (_again is not null || ring.HasAvailable);
        }
    }

    /// <summary>Asks the driver to notify when it adds a buffer.</summary>
    /// <returns>False where there is one already.</returns>
    internal bool Rest()
    {
        lock (Gate)
        {
            if (_paused || _heldBack || _ring is not { } ring) return true;
            if (_again is not null) return false;
            ring.AskForNotification();
            return !ring.HasAvailable;
        }
    }

    /// <summary>Takes the next buffer. Where there is none, and nobody polls, the driver is asked to notify when there is.</summary>
    /// <param name="chain">The buffer; it is the caller's until it is given to <see cref="Complete(DescriptorChain, uint)"/>.</param>
    public bool TryTake([NotNullWhen(true)] out DescriptorChain? chain)
    {
        lock (Gate)
        {
            chain = null;
            if (_paused || _heldBack || _ring is not { } ring) return false;
            if (_again is not null)
            {
                (chain, _again) = (_again, _again.Later);
                return true;
            }
            var candidate = _free.TryPop(out var recycled) ? recycled : new DescriptorChain(_memory);
            candidate.Begin(_epoch);
            var result = ring.TryTake(candidate, out var reason);
            if (result == TakeResult.Empty && !IsPolled)
            {
                ring.AskForNotification();
                result = ring.TryTake(candidate, out reason);
            }
            if (result == TakeResult.Taken && _inFlight == Size)
                (result, reason) = (TakeResult.Broken, "a buffer was made available twice");
            if (result != TakeResult.Taken)
            {
                _free.Push(candidate);
                if (result == TakeResult.Broken) _fail($"queue {Index}: {reason}");
                return false;
            }
            Append(candidate);
            chain = candidate;
            return true;
        }
    }

    /// <summary>Gives a buffer back. The driver is told by the next <see cref="Signal"/>.</summary>
    /// <param name="chain">A buffer that was taken from this queue; not to be used afterwards.</param>
    /// <param name="written">How many bytes, from the start of its writable part, were written.</param>
    public void Complete(DescriptorChain chain, uint written)
    {
        lock (Gate)
        {
            if (chain.Epoch != _epoch || _ring is not { } ring) return;
            Complete(ring, chain, written, more: false);
        }
    }

    /// <summary>Gives several buffers back at once: the driver sees all of them or none.</summary>
    /// <param name="chains">Buffers that were taken from this queue, in the order in which the driver is to see them.</param>
    /// <param name="written">For each, how many bytes were written.</param>
    public void Complete(ReadOnlySpan<DescriptorChain> chains, ReadOnlySpan<uint> written)
    {
        lock (Gate)
        {
            if (_ring is not { } ring) return;
            foreach (var chain in chains)
                if (chain.Epoch != _epoch) return;
            for (var i = 0; i < chains.Length; i++) Complete(ring, chains[i], written[i], more: i + 1 < chains.Length);
        }
    }

    /// <summary>
    /// Interrupts the driver if it wants to know of what was given back. Done by itself after every
    /// <see cref="IVirtioDevice.ProcessQueue"/>; needed only after completions at other times.
    /// </summary>
    public void Signal()
    {
        lock (Gate)
        {
            if (!_paused && _ring is { } ring && ring.TakeSignal()) _signal(Index);
        }
    }

    private void Complete(IRing ring, DescriptorChain chain, uint written, bool more)
    {
        ring.Complete(chain, Math.Min(written, chain.WritableLength), more);
        Unlink(chain);
        _free.Push(chain);
    }

    private void Append(DescriptorChain chain)
    {
        (chain.Earlier, chain.Later) = (_latest, null);
        if (_latest is null) _earliest = chain;
        else _latest.Later = chain;
        _latest = chain;
        _inFlight++;
    }

    private void Unlink(DescriptorChain chain)
    {
        if (chain.Earlier is null) _earliest = chain.Later;
        else chain.Earlier.Later = chain.Later;
        if (chain.Later is null) _latest = chain.Earlier;
        else chain.Later.Earlier = chain.Earlier;
        _inFlight--;
    }

    internal void Start(IRing ring, int size)
    {
        lock (Gate)
        {
            Size = size;
            _ring = ring;
        }
    }

    /// <summary>Makes the queue yield nothing until <see cref="Resume"/>; when this returns nobody is at work on its available buffers.</summary>
    internal void Pause()
    {
        lock (Gate) _paused = true;
    }

    /// <summary>Makes it yield again, and tells the driver of what was given back while the queue came to rest.</summary>
    internal void Resume()
    {
        lock (Gate)
        {
            _paused = false;
            Signal();
        }
    }

    /// <summary>
    /// Writes where a live queue stands and which buffers are in the device's hands, or puts one that was just started there: those
    /// buffers are then yielded once more, before any other and in the order in which they were taken.
    /// </summary>
    /// <exception cref="StateException">A queue of this size cannot stand there, or a buffer is no memory of the guest's.</exception>
    internal void Exchange(SavedFields fields)
    {
        lock (Gate)
        {
            _ring!.Exchange(fields);
            IReadOnlyList<SavedChain> inHand = fields.IsLoading ? [] : [.. InHand().Select(chain => chain.ToSaved())];
            fields.List(9, ref inHand, Size, DescriptorChain.Exchange);
            if (fields.IsLoading) TakeAgain(_ring, inHand);
        }
    }

    internal void Inspect(InspectNode node)
    {
        node.Say("live", IsLive);
        node.Locked(Gate, () =>
        {
            node.Say("in hand", _inFlight);
            _ring?.Inspect(node);
        });
    }

    private void TakeAgain(IRing ring, IReadOnlyList<SavedChain> inHand)
    {
        ulong descriptors = 0;
        foreach (var saved in inHand)
        {
            var chain = new DescriptorChain(_memory);
            chain.Begin(_epoch);
            chain.Take(saved);
            SavedFields.Require(chain.Count <= Math.Max(Size, RingSpec.MinimumChainLimit) && saved.RingDescriptors >= 0 && saved.RingDescriptors <= Size,
                $"a buffer of {chain.Count} pieces in {saved.RingDescriptors} descriptors");
            Append(chain);
            descriptors += (uint)saved.RingDescriptors;
        }
        SavedFields.Require(ring.HasInHand(inHand.Count, descriptors), $"positions that do not go with {inHand.Count} buffers in hand");
        _again = _earliest;
    }

    private IEnumerable<DescriptorChain> InHand()
    {
        for (var chain = _earliest; chain is not null; chain = chain.Later) yield return chain;
    }

    /// <summary>Makes the queue yield nothing from now on, without waiting for who is at work on it.</summary>
    internal void Break() => _ring = null;

    /// <summary>Stops the queue; when this returns nobody touches its rings any more.</summary>
    internal void Stop()
    {
        // First without the gate: whoever holds it, busy with a driver that never ceases to add buffers, ends soon.
        _ring = null;
        lock (Gate)
        {
            _ring = null;
            _epoch++;
            _inFlight = 0;
            _earliest = _latest = _again = null;
            _free.Clear();
            Size = 0;
        }
    }
}
