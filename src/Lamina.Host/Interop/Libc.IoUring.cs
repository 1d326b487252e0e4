// Declarations for io_uring (io_uring_setup(2), io_uring_enter(2), linux/io_uring.h); see Libc.cs. glibc has no functions for it.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const nint SYS_io_uring_setup = 425, SYS_io_uring_enter = 426, SYS_io_uring_register = 427;
    internal const int MAP_POPULATE = 0x8000;
    internal const uint IORING_FEAT_SINGLE_MMAP = 1 << 0, IORING_FEAT_NODROP = 1 << 1, IORING_FEAT_SUBMIT_STABLE = 1 << 2, IORING_FEAT_NATIVE_WORKERS = 1 << 9;
    internal const uint IORING_ENTER_GETEVENTS = 1;
    internal const long IORING_OFF_SQ_RING = 0, IORING_OFF_SQES = 0x10000000;
    internal const uint IORING_SETUP_R_DISABLED = 1 << 6, IORING_REGISTER_RESTRICTIONS = 11, IORING_REGISTER_ENABLE_RINGS = 12;
    internal const ushort IORING_RESTRICTION_SQE_OP = 1;
    internal const byte IORING_OP_NOP = 0, IORING_OP_READV = 1, IORING_OP_WRITEV = 2;

    /// <summary>struct io_sqring_offsets.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct IoSqringOffsets
    {
        internal uint head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
        internal ulong user_addr;
    }

    /// <summary>struct io_cqring_offsets.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct IoCqringOffsets
    {
        internal uint head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
        internal ulong user_addr;
    }

    /// <summary>struct io_uring_params.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct IoUringParams
    {
        internal uint sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd;
        internal fixed uint resv[3];
        internal IoSqringOffsets sq_off;
        internal IoCqringOffsets cq_off;
    }

    /// <summary>struct io_uring_sqe, as far as vectored reads and writes use it.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    internal struct IoUringSqe
    {
        internal byte opcode;
        internal byte flags;
        internal ushort ioprio;
        internal int fd;
        internal ulong off;
        internal ulong addr;
        internal uint len;
        internal uint rw_flags;
        internal ulong user_data;
    }

    /// <summary>struct io_uring_cqe.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct IoUringCqe
    {
        internal ulong user_data;
        internal int res;
        internal uint flags;
    }

    /// <summary>struct io_uring_restriction.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 16)]
    internal struct IoUringRestriction
    {
        internal ushort kind;
        internal byte operation;
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint io_uring_register(nint number, uint fd, uint operation, void* argument, uint count);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint io_uring_setup(nint number, uint entries, IoUringParams* p);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint io_uring_enter(nint number, uint fd, uint to_submit, uint min_complete, uint flags, nint sig, nuint sigsz);
}
