// Reads and writes of one disk file that are under way without a thread each, by io_uring. Memory that a request names is
// the kernel's until the request has ended, whatever else happens; so who owns the memory waits for that. One thread begins
// requests, sleeps and ends them; others may wake it.
using Lamina.Host.Interop;

namespace Lamina.Host.Io.Ring;

/// <summary>Requests under way on a disk file.</summary>
public sealed unsafe class DiskRing : IDisposable
{
    /// <summary>The most pieces of memory that one request may have.</summary>
    public const int MostVectors = 256;

    private readonly DiskFile _file;
    private readonly IoUring _ring;
    private readonly EventDescriptor _wake;
    private readonly HostBuffer _vectors;
    private readonly int[] _counts;

    private DiskRing(DiskFile file, int depth)
    {
        _ring = new IoUring((uint)depth);
        try
        {
            _wake = new EventDescriptor();
        }
        catch
        {
            _ring.Dispose();
            throw;
        }
        (_file, Depth) = (file, depth);
        _vectors = new HostBuffer(depth * MostVectors * sizeof(IoVector));
        _counts = new int[depth];
        file.Keep();
    }

    /// <summary>How many requests can be under way.</summary>
    public int Depth { get; }

    /// <summary>Whether a request has ended that was not taken yet.</summary>
    public bool HasEnded => _ring.HasCompletions;

    /// <summary>Wakes who sleeps, when set; eventfd(2).</summary>
    public int WakeDescriptor => _wake.Descriptor;

    /// <summary>Why this host gives no ring, as half a sentence; null where it does.</summary>
    public static string? WhyNot()
    {
        try
        {
            // A seccomp filter may let a ring be made and not be used.
            _ = IoUring.Ask(Libc.IORING_OP_NOP);
            return null;
        }
        catch (HostException refused)
        {
            return refused.Message;
        }
    }

    /// <summary>Makes a ring, which keeps the file open.</summary>
    /// <param name="file">The file.</param>
    /// <param name="depth">How many requests may be under way, a power of two.</param>
    /// <exception cref="HostException">The host gives none; the message is half a sentence that says why.</exception>
    public static DiskRing Open(DiskFile file, int depth) =>
        WhyNot() is { } reason ? throw new HostException(reason) : new DiskRing(file, depth);

    /// <summary>Prepares a read or a write; it begins with <see cref="Submit"/>.</summary>
    /// <param name="isWrite">Which.</param>
    /// <param name="offset">Where in the file.</param>
    /// <param name="memory">At most <see cref="MostVectors"/> pieces; what they name stays until the request has ended.</param>
    /// <param name="slot">A number below <see cref="Depth"/> that no other request has that is under way.</param>
    public void Begin(bool isWrite, ulong offset, ReadOnlySpan<IoVector> memory, int slot)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(memory.Length, MostVectors, nameof(memory));
        _counts[slot] = memory.Length;
        // Holds: the slot's part of the buffer has room for the most vectors, and a slot of its own keeps them.
        var vectors = (IoVector*)_vectors.Address + slot * MostVectors;
        memory.CopyTo(new Span<IoVector>(vectors, memory.Length));
        // As many entries as slots: one is free.
        var entry = _ring.Next();
        entry->opcode = isWrite ? Libc.IORING_OP_WRITEV : Libc.IORING_OP_READV;
        entry->fd = _file.Descriptor;
        entry->off = offset;
        entry->addr = (ulong)vectors;
        entry->len = (uint)memory.Length;
        entry->user_data = (uint)slot;
    }

    /// <summary>Has all requests begin that were prepared.</summary>
    /// <exception cref="HostException">The host does not take them.</exception>
    public void Submit() => _ring.Submit();

    /// <summary>The memory of a slot's request.</summary>
    public ReadOnlySpan<IoVector> Memory(int slot) => new((IoVector*)_vectors.Address + slot * MostVectors, _counts[slot]);

    /// <summary>Takes a request that has ended, where there is one.</summary>
    /// <param name="slot">Which.</param>
    /// <param name="bytes">How many bytes were read or written; negative where it failed.</param>
    public bool TryEnd(out int slot, out int bytes)
    {
        var any = _ring.TryTake(out var tag, out bytes);
        slot = (int)tag;
        return any;
    }

    /// <summary>Sleeps until somebody wakes it, or did since the last time, or a request has ended.</summary>
    public void Sleep()
    {
        while (true)
        {
            var (woken, _) = HostIo.Wait((_wake.Descriptor, HostPoll.Readable), (_ring.Descriptor, HostPoll.Readable), -1);
            if (woken != HostPoll.None) _wake.Clear();
            if (woken != HostPoll.None || HasEnded) return;
        }
    }

    /// <summary>Wakes it. Any thread.</summary>
    public void Wake() => _wake.Set();

    /// <inheritdoc/>
    public void Dispose()
    {
        _ring.Dispose();
        _wake.Dispose();
        _vectors.Dispose();
        _file.Release();
    }
}
