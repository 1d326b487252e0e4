// What this process's memory was at one moment, while the process goes on: a child made by clone(2) without CLONE_VM, which shares every page
// until one of the two writes to it. The child executes nothing but the few instructions below: no code of the runtime's, which knows nothing
// of it. It hands out pieces of its memory through a pipe, and ends when the pipe that asks for them is closed, so with its parent, too.
// Reservations are left out of it (HostReservation) unless they ask to be in. Source: clone(2), close_range(2).
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Processes;

/// <summary>A copy of this process's memory as it was when it was made.</summary>
public sealed class MemoryTwin : IDisposable
{
    private const string Gone = "the process that holds a copy of the machine's memory is gone";

    private const int LookMilliseconds = 10;

    private readonly FileStream _orders, _answers;
    private readonly SafeFileHandle _itsOrders, _itsAnswers;
    private bool _isAsked, _hasEnded;

    internal MemoryTwin(int child, (SafeFileHandle Its, SafeFileHandle Own) orders, (SafeFileHandle Own, SafeFileHandle Its) answers)
    {
        (ProcessId, _itsOrders, _itsAnswers) = (child, orders.Its, answers.Its);
        (_orders, _answers) = (new FileStream(orders.Own, FileAccess.Write, bufferSize: 0), new FileStream(answers.Own, FileAccess.Read, bufferSize: 0));
    }

    /// <summary>Its process.</summary>
    public int ProcessId { get; }

    /// <summary>Reads what was at an address. Calls do not overlap.</summary>
    /// <param name="address">An address of this process's, in a part that is in the twin.</param>
    /// <param name="into">Where to.</param>
    /// <exception cref="HostException">The twin is gone.</exception>
    public void Read(nint address, Span<byte> into)
    {
        if (into.IsEmpty) return;
        WaitForItsOwn();
        Span<ulong> order = [(ulong)address, (ulong)into.Length];
        try
        {
            _orders.Write(MemoryMarshal.AsBytes(order));
            while (!into.IsEmpty)
            {
                var count = _answers.Read(into);
                if (count == 0) throw new HostException(Gone);
                into = into[count..];
            }
        }
        catch (IOException gone) when (gone is not HostException)
        {
            throw new HostException(Gone, gone);
        }
    }

    /// <summary>Ends it.</summary>
    public unsafe void Dispose()
    {
        if (!_orders.CanWrite) return;
        WaitForItsOwn();
        _orders.Dispose();
        _answers.Dispose();
        if (!_hasEnded) _ = Libc.waitpid(ProcessId, null, Libc.__WALL);
    }

    // Until it says that it has descriptors of its own, the ends of its pipes are open here.
    private unsafe void WaitForItsOwn()
    {
        if (_isAsked) return;
        _isAsked = true;
        while (!HostIo.Wait(((int)_answers.SafeFileHandle.DangerousGetHandle(), HostPoll.Readable), (-1, HostPoll.None), LookMilliseconds).First.HasFlag(HostPoll.Readable))
        {
            if (_hasEnded = Libc.waitpid(ProcessId, null, Libc.__WALL | Libc.WNOHANG) != 0) break;
        }
        if (!_hasEnded) _ = _answers.ReadByte();
        _itsOrders.Dispose();
        _itsAnswers.Dispose();
    }
}

/// <summary>Makes copies of this process's memory. It has the code for that, since a process that is locked by then gets no more of any.</summary>
public sealed unsafe class TwinMaker : IDisposable
{
    // What a pipe holds at once, where the host lets it.
    private const int PipeBytes = 1 << 20;

    // A child is given 0 and 1 for its pipes.
    private const int FirstFree = 3;

    // rdi: the orders. Returns what clone returned.
    private static ReadOnlySpan<byte> Code =>
    [
        0x53, 0x41, 0x54, 0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0xfb,  // push rbx, r12; sub rsp, 24; mov rbx, rdi
        // No handler of the parent's runs in the child: rt_sigprocmask(SIG_SETMASK, all, former).
        0x48, 0xc7, 0x04, 0x24, 0xff, 0xff, 0xff, 0xff,              // mov qword [rsp], -1
        0xbf, 2, 0, 0, 0, 0x48, 0x89, 0xe6,                          // mov edi, 2; mov rsi, rsp
        0x48, 0x8d, 0x54, 0x24, 0x08, 0x41, 0xba, 8, 0, 0, 0,        // lea rdx, [rsp+8]; mov r10d, 8
        0xb8, 14, 0, 0, 0, 0x0f, 5,                                  // mov eax, 14; syscall
        // clone(CLONE_FILES, 0, 0, 0, 0): nobody gets a signal when it ends, and no descriptor is copied yet.
        0xbf, 0, 4, 0, 0, 0x31, 0xf6, 0x31, 0xd2,                    // mov edi, 0x400; xor esi, esi; xor edx, edx
        0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0,                          // xor r10d, r10d; xor r8d, r8d
        0xb8, 56, 0, 0, 0, 0x0f, 5,                                  // mov eax, 56; syscall
        0x48, 0x85, 0xc0, 0x74, 0x27, 0x49, 0x89, 0xc4,              // test rax, rax; jz child; mov r12, rax
        // rt_sigprocmask(SIG_SETMASK, former, 0)
        0xbf, 2, 0, 0, 0, 0x48, 0x8d, 0x74, 0x24, 0x08,              // mov edi, 2; lea rsi, [rsp+8]
        0x31, 0xd2, 0x41, 0xba, 8, 0, 0, 0,                          // xor edx, edx; mov r10d, 8
        0xb8, 14, 0, 0, 0, 0x0f, 5,                                  // mov eax, 14; syscall
        0x4c, 0x89, 0xe0, 0x48, 0x83, 0xc4, 0x18,                    // mov rax, r12; add rsp, 24
        0x41, 0x5c, 0x5b, 0xc3,                                      // pop r12, rbx; ret
        // child: descriptors of its own, of which it leaves out all behind its pipes; those become 0 and 1, and the others go, so that no lock
        // of a file and no end of a socket is with it, but for the moment between.
        0x48, 0x8b, 0x7b, 0x20, 0xbe, 0xff, 0xff, 0xff, 0xff,        // mov rdi, [rbx+32]; mov esi, -1
        0xba, 2, 0, 0, 0, 0xb8, 0xb4, 1, 0, 0, 0x0f, 5,              // mov edx, CLOSE_RANGE_UNSHARE; mov eax, 436; syscall (close_range)
        0x48, 0x85, 0xc0, 0x75, 0x7e,                                // test rax, rax; jnz end
        0x48, 0x8b, 0x3b, 0x31, 0xf6, 0xb8, 33, 0, 0, 0, 0x0f, 5,    // mov rdi, [rbx]; xor esi, esi; mov eax, 33; syscall (dup2)
        0x48, 0x8b, 0x7b, 0x08, 0xbe, 1, 0, 0, 0,                    // mov rdi, [rbx+8]; mov esi, 1
        0xb8, 33, 0, 0, 0, 0x0f, 5,                                  // mov eax, 33; syscall (dup2)
        0xbf, 2, 0, 0, 0, 0xbe, 0xff, 0xff, 0xff, 0xff, 0x31, 0xd2,  // mov edi, 2; mov esi, -1; xor edx, edx
        0xb8, 0xb4, 1, 0, 0, 0x0f, 5,                                // mov eax, 436; syscall (close_range)
        // It says that its parent may close its ends of them.
        0xbf, 1, 0, 0, 0, 0x48, 0x89, 0xde, 0xba, 1, 0, 0, 0,        // mov edi, 1; mov rsi, rbx; mov edx, 1
        0xb8, 1, 0, 0, 0, 0x0f, 5,                                   // mov eax, 1; syscall (write)
        // next: reads an address and a length.
        0x31, 0xff, 0x48, 0x8d, 0x73, 0x10, 0xba, 16, 0, 0, 0,       // xor edi, edi; lea rsi, [rbx+16]; mov edx, 16
        0x31, 0xc0, 0x0f, 5, 0x48, 0x83, 0xf8, 16, 0x75, 0x26,       // xor eax, eax; syscall (read); cmp rax, 16; jne end
        0x4c, 0x8b, 0x63, 0x18, 0x48, 0x8b, 0x73, 0x10,              // mov r12, [rbx+24]; mov rsi, [rbx+16]
        // piece: writes as much of it as the pipe takes.
        0xbf, 1, 0, 0, 0, 0x4c, 0x89, 0xe2,                          // mov edi, 1; mov rdx, r12
        0xb8, 1, 0, 0, 0, 0x0f, 5,                                   // mov eax, 1; syscall (write)
        0x48, 0x85, 0xc0, 0x7e, 0x0a,                                // test rax, rax; jle end
        0x48, 0x01, 0xc6, 0x49, 0x29, 0xc4, 0x75, 0xe4, 0xeb, 0xc5,  // add rsi, rax; sub r12, rax; jnz piece; jmp next
        0x31, 0xff, 0xb8, 231, 0, 0, 0, 0x0f, 5,                     // end: xor edi, edi; mov eax, 231; syscall (exit_group)
    ];

    // proc_pid_oom_score_adj(5): where the host runs out of memory, in the process's control group too, a copy goes first.
    private const string OomAdjustment = "/proc/self/oom_score_adj";

    private readonly HostReservation _page;
    private readonly SafeFileHandle? _oom;
    private readonly byte[] _own = [];

    /// <summary>Makes the code.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public TwinMaker()
    {
        using var memory = SharedMemory.Create("lamina-twin", HostReservation.PageSize);
        _page = HostReservation.Reserve(HostReservation.PageSize, isInTwins: true);
        try
        {
            _page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
            Code.CopyTo(_page.Slice(0, Code.Length));
            _page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);
        }
        catch
        {
            _page.Dispose();
            throw;
        }
        try
        {
            _own = File.ReadAllBytes(OomAdjustment);
            _oom = File.OpenHandle(OomAdjustment, access: FileAccess.Write);
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            // Then whoever is largest goes.
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Orders
    {
        public long In, Out;
        public ulong Address, Length;
        public long BehindPipes;
    }

    /// <summary>Makes one, of this moment. The host's memory that it takes is what this process writes to from then on.</summary>
    /// <exception cref="HostException">The host makes no process, or promises no memory for one.</exception>
    public MemoryTwin Make()
    {
        var orders = Pipe();
        (SafeFileHandle Read, SafeFileHandle Write) answers = default;
        try
        {
            answers = Pipe();
            _ = Libc.fcntl((int)answers.Read.DangerousGetHandle(), Libc.F_SETPIPE_SZ, PipeBytes);
            Adjust("1000"u8);
            var child = Run((int)orders.Read.DangerousGetHandle(), (int)answers.Write.DangerousGetHandle());
            Adjust(_own);
            if (child > 0) return new MemoryTwin(child, orders, answers);
            Marshal.SetLastPInvokeError(-child);
            throw HostException.FromErrno("the host makes no copy of this process");
        }
        catch
        {
            foreach (var end in (SafeFileHandle?[])[orders.Read, orders.Write, answers.Read, answers.Write]) end?.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _oom?.Dispose();
        _page.Dispose();
    }

    // A child has its parent's.
    private void Adjust(ReadOnlySpan<byte> value)
    {
        if (_oom is null) return;
        try
        {
            RandomAccess.Write(_oom, value, 0);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // It stays as it is.
        }
    }

    private int Run(int orders, int answers)
    {
        var given = (Orders*)NativeMemory.AllocZeroed((nuint)sizeof(Orders));
        (given->In, given->Out, given->BehindPipes) = (orders, answers, Math.Max(orders, answers) + 1);
        var child = (int)((delegate* unmanaged<Orders*, nint>)_page.Address)(given);
        NativeMemory.Free(given);
        return child;
    }

    private static (SafeFileHandle Read, SafeFileHandle Write) Pipe()
    {
        var ends = stackalloc int[2];
        if (Libc.pipe2(ends, Libc.O_CLOEXEC) != 0) throw HostException.FromErrno("cannot make a pipe");
        SafeFileHandle? read = null;
        try
        {
            read = Moved(ends[0]);
            return (read, Moved(ends[1]));
        }
        catch
        {
            read?.Dispose();
            throw;
        }
    }

    private static SafeFileHandle Moved(int end)
    {
        using var former = new SafeFileHandle(end, ownsHandle: true);
        var moved = Libc.fcntl(end, Libc.F_DUPFD_CLOEXEC, FirstFree);
        return moved >= 0 ? new SafeFileHandle(moved, ownsHandle: true) : throw HostException.FromErrno("cannot make a pipe");
    }
}
