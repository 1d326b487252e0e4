// The two rings of io_uring (io_uring(7)) in memory that is shared with the kernel: entries go in at the tail of one, and
// what became of them comes out at the head of the other. One thread submits and takes completions. The kernel opens files and makes sockets
// for a ring, past every filter of system calls: so each ring is bound to what disks need before it can be used, and that cannot be undone.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Io.Ring;

/// <summary>A submission ring and its completion ring.</summary>
internal sealed unsafe class IoUring : IDisposable
{
    // NATIVE_WORKERS (Linux 5.12) brings all before it: what waits in the kernel is then a thread of this process's own.
    private const uint Needed = Libc.IORING_FEAT_SINGLE_MMAP | Libc.IORING_FEAT_NODROP | Libc.IORING_FEAT_SUBMIT_STABLE | Libc.IORING_FEAT_NATIVE_WORKERS;

    // All that an entry may ask for.
    private static readonly byte[] Operations = [Libc.IORING_OP_NOP, Libc.IORING_OP_READV, Libc.IORING_OP_WRITEV];

    private readonly nuint _ringsLength, _entriesLength;
    private readonly uint* _submissionHead, _submissionTail, _completionHead, _completionTail;
    private readonly uint _submissionMask, _completionMask, _count;
    private readonly Libc.IoUringCqe* _completions;
    private nint _rings = Libc.MAP_FAILED, _entries = Libc.MAP_FAILED;
    private uint _tail, _submitted;

    /// <summary>Makes rings.</summary>
    /// <param name="entries">How many entries may be under way, a power of two.</param>
    /// <exception cref="HostException">The host has none, or gives none; the message is half a sentence that says why.</exception>
    internal IoUring(uint entries)
    {
        var parameters = new Libc.IoUringParams { flags = Libc.IORING_SETUP_R_DISABLED };
        Descriptor = (int)Libc.io_uring_setup(Libc.SYS_io_uring_setup, entries, &parameters);
        if (Descriptor < 0) throw Refused();
        try
        {
            if ((parameters.features & Needed) != Needed) throw new HostException("the kernel's io_uring is older than Linux 5.12");
            _count = parameters.sq_entries;
            _ringsLength = Math.Max(parameters.sq_off.array + parameters.sq_entries * sizeof(uint), parameters.cq_off.cqes + parameters.cq_entries * (uint)sizeof(Libc.IoUringCqe));
            _entriesLength = parameters.sq_entries * (uint)sizeof(Libc.IoUringSqe);
            _rings = Map(_ringsLength, Libc.IORING_OFF_SQ_RING);
            _entries = Map(_entriesLength, Libc.IORING_OFF_SQES);

            // Holds: the kernel's offsets lie in what was mapped, which lives as long as this.
            var rings = (byte*)_rings;
            _submissionHead = (uint*)(rings + parameters.sq_off.head);
            _submissionTail = (uint*)(rings + parameters.sq_off.tail);
            _completionHead = (uint*)(rings + parameters.cq_off.head);
            _completionTail = (uint*)(rings + parameters.cq_off.tail);
            (_submissionMask, _completionMask) = (parameters.sq_entries - 1, parameters.cq_entries - 1);
            _completions = (Libc.IoUringCqe*)(rings + parameters.cq_off.cqes);
            // The ring holds indices into the entries; they are used in order.
            var array = (uint*)(rings + parameters.sq_off.array);
            for (var i = 0u; i < parameters.sq_entries; i++) array[i] = i;
            _tail = _submitted = *_submissionTail;
            Restrict();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What an operation without arguments ends with, on a ring of its own: as its system call would, an error negative.</summary>
    /// <exception cref="HostException">The host has no ring, or gives none, or lets it not be used.</exception>
    internal static int Ask(byte operation)
    {
        using var ring = new IoUring(1);
        ring.Next()->opcode = operation;
        ring.Submit();
        int result;
        while (!ring.TryTake(out _, out result)) Thread.Yield();
        return result;
    }

    /// <summary>The rings' descriptor, readable while there are completions; poll(2).</summary>
    internal int Descriptor { get; private set; } = -1;

    /// <summary>Whether a completion can be taken.</summary>
    internal bool HasCompletions => Volatile.Read(ref *_completionTail) != *_completionHead;

    /// <summary>The next entry to fill; it goes to the kernel with <see cref="Submit"/>. Null where the ring is full.</summary>
    internal Libc.IoUringSqe* Next()
    {
        if (_tail - Volatile.Read(ref *_submissionHead) == _count) return null;
        var entry = (Libc.IoUringSqe*)_entries + (_tail++ & _submissionMask);
        *entry = default;
        return entry;
    }

    /// <summary>Gives the kernel all entries that were filled; what they point to may change afterwards.</summary>
    /// <exception cref="HostException">The kernel does not take them.</exception>
    internal void Submit()
    {
        Volatile.Write(ref *_submissionTail, _tail);
        while (_submitted != _tail)
        {
            var taken = Libc.io_uring_enter(Libc.SYS_io_uring_enter, (uint)Descriptor, _tail - _submitted, 0, 0, 0, 0);
            if (taken > 0) _submitted += (uint)taken;
            // A signal, or no memory for the moment.
            else if (taken < 0 && Marshal.GetLastPInvokeError() is not (Libc.EINTR or Libc.EAGAIN or Libc.EBUSY)) throw Refused();
            else Thread.Yield();
        }
    }

    /// <summary>Takes a completion, where there is one.</summary>
    /// <param name="tag">What the entry had as its user data.</param>
    /// <param name="result">What the system call that it stands for would have returned, or an error number, negative.</param>
    internal bool TryTake(out ulong tag, out int result)
    {
        (tag, result) = (0, 0);
        var head = *_completionHead;
        if (Volatile.Read(ref *_completionTail) == head) return false;
        var completion = _completions + (head & _completionMask);
        (tag, result) = (completion->user_data, completion->res);
        Volatile.Write(ref *_completionHead, head + 1);
        return true;
    }

    /// <summary>Gives the rings back. Nothing may be under way.</summary>
    public void Dispose()
    {
        if (_rings != Libc.MAP_FAILED) _ = Libc.munmap(_rings, _ringsLength);
        if (_entries != Libc.MAP_FAILED) _ = Libc.munmap(_entries, _entriesLength);
        if (Descriptor >= 0) _ = Libc.close(Descriptor);
        (_rings, _entries, Descriptor) = (Libc.MAP_FAILED, Libc.MAP_FAILED, -1);
    }

    // Nothing can be registered with the ring from then on, either: that is not among what is allowed.
    private void Restrict()
    {
        var restrictions = stackalloc Libc.IoUringRestriction[Operations.Length];
        for (var i = 0; i < Operations.Length; i++) restrictions[i] = new Libc.IoUringRestriction { kind = Libc.IORING_RESTRICTION_SQE_OP, operation = Operations[i] };
        if (Libc.io_uring_register(Libc.SYS_io_uring_register, (uint)Descriptor, Libc.IORING_REGISTER_RESTRICTIONS, restrictions, (uint)Operations.Length) != 0
            || Libc.io_uring_register(Libc.SYS_io_uring_register, (uint)Descriptor, Libc.IORING_REGISTER_ENABLE_RINGS, null, 0) != 0) throw Refused();
    }

    private nint Map(nuint length, long offset)
    {
        var address = Libc.mmap(0, length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED | Libc.MAP_POPULATE, Descriptor, offset);
        return address == Libc.MAP_FAILED ? throw HostException.FromErrno("the host does not map io_uring's rings") : address;
    }

    private static HostException Refused() => Marshal.GetLastPInvokeError() switch
    {
        Libc.ENOSYS => new HostException("the kernel has no io_uring"),
        Libc.EPERM => new HostException("the host forbids io_uring (kernel.io_uring_disabled, or a container's seccomp filter)"),
        _ => HostException.FromErrno("the host refuses io_uring"),
    };
}
