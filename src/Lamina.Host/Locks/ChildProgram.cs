// What a process does between its making and the program that it becomes, as a list of system calls. The child that carries it out shares
// its parent's memory until then (as by vfork(2)), so that a large parent costs nothing, and it executes nothing but the few instructions
// below: no code of the runtime's, which knows nothing of that child. It is made by clone(2), whose flags give it namespaces of its own:
// unshare(2) would need a process of one thread. Source: clone(2), namespaces(7).
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Host.Interop;

namespace Lamina.Host.Locks;

/// <summary>A list of system calls for a child, and the memory that they point to.</summary>
internal sealed unsafe class ChildProgram : IDisposable
{
    private const int StackBytes = 4096;
    private const nint LastError = -4095, End = -1;

    // rdi: the list; rsi: clone's flags; rdx: the top of a stack. Returns what clone returned.
    private static ReadOnlySpan<byte> Code =>
    [
        0x53, 0x41, 0x54, 0x41, 0x55, 0x48, 0x83, 0xec, 0x20,  // push rbx, r12, r13; sub rsp, 32
        0x48, 0x89, 0xfb, 0x49, 0x89, 0xf4, 0x49, 0x89, 0xd5,  // mov rbx, rdi; mov r12, rsi; mov r13, rdx
        // No handler of the parent's runs in the child: rt_sigprocmask(SIG_SETMASK, all, former).
        0x48, 0xc7, 0x04, 0x24, 0xff, 0xff, 0xff, 0xff,        // mov qword [rsp], -1
        0xbf, 2, 0, 0, 0, 0x48, 0x89, 0xe6,                    // mov edi, 2; mov rsi, rsp
        0x48, 0x8d, 0x54, 0x24, 0x08, 0x41, 0xba, 8, 0, 0, 0,  // lea rdx, [rsp+8]; mov r10d, 8
        0xb8, 14, 0, 0, 0, 0x0f, 5,                            // mov eax, 14; syscall
        // clone(flags, stack, 0, 0, 0)
        0x4c, 0x89, 0xe7, 0x4c, 0x89, 0xee, 0x31, 0xd2,        // mov rdi, r12; mov rsi, r13; xor edx, edx
        0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0,                    // xor r10d, r10d; xor r8d, r8d
        0xb8, 56, 0, 0, 0, 0x0f, 5,                            // mov eax, 56; syscall
        0x48, 0x85, 0xc0, 0x74, 0x29,                          // test rax, rax; jz child
        0x49, 0x89, 0xc4,                                      // mov r12, rax
        // rt_sigprocmask(SIG_SETMASK, former, 0)
        0xbf, 2, 0, 0, 0, 0x48, 0x8d, 0x74, 0x24, 0x08,        // mov edi, 2; lea rsi, [rsp+8]
        0x31, 0xd2, 0x41, 0xba, 8, 0, 0, 0,                    // xor edx, edx; mov r10d, 8
        0xb8, 14, 0, 0, 0, 0x0f, 5,                            // mov eax, 14; syscall
        0x4c, 0x89, 0xe0, 0x48, 0x83, 0xc4, 0x20,              // mov rax, r12; add rsp, 32
        0x41, 0x5d, 0x41, 0x5c, 0x5b, 0xc3,                    // pop r13, r12, rbx; ret
        // child: the call's number and arguments
        0x48, 0x8b, 0x03, 0x48, 0x8b, 0x7b, 0x08,              // mov rax, [rbx]; mov rdi, [rbx+8]
        0xf6, 0x43, 0x38, 0x02, 0x74, 0x03, 0x4c, 0x89, 0xe7,  // test byte [rbx+56], UsesKept; jz +3; mov rdi, r12
        0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b, 0x53, 0x18,        // mov rsi, [rbx+16]; mov rdx, [rbx+24]
        0x4c, 0x8b, 0x53, 0x20, 0x4c, 0x8b, 0x43, 0x28,        // mov r10, [rbx+32]; mov r8, [rbx+40]
        0x4c, 0x8b, 0x4b, 0x30, 0x0f, 5,                       // mov r9, [rbx+48]; syscall
        0x48, 0x89, 0x43, 0x40,                                // mov [rbx+64], rax
        0xf6, 0x43, 0x38, 0x01, 0x74, 0x03, 0x49, 0x89, 0xc4,  // test byte [rbx+56], Keeps; jz +3; mov r12, rax
        // An error ends it, with exit code 127, unless it may be one.
        0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x72, 0x12,        // cmp rax, -4095; jb next
        0xf6, 0x43, 0x38, 0x04, 0x75, 0x0c,                    // test byte [rbx+56], MayFail; jnz next
        0xbf, 127, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 5,       // mov edi, 127; mov eax, 231; syscall
        0x48, 0x83, 0xc3, 0x48, 0xeb, 0xad,                    // next: add rbx, 72; jmp child
    ];

    private readonly List<Call> _calls = [];
    private readonly List<ConfinementParts> _parts = [];
    private readonly List<nint> _memory = [];

    /// <summary>What becomes of a call's result.</summary>
    [Flags]
    internal enum Result
    {
        /// <summary>An error ends the child.</summary>
        None = 0,

        /// <summary>It is kept for calls behind.</summary>
        Keeps = 1,

        /// <summary>The first argument is the one that was kept last.</summary>
        UsesKept = 2,

        /// <summary>An error does not matter.</summary>
        MayFail = 4,
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Call
    {
        public nint Number, A, B, C, D, E, F, Flags, Result;
    }

    /// <summary>For what the calls are that are added from now on: told where one of them fails.</summary>
    internal ConfinementParts For { get; set; }

    /// <summary>Adds a call.</summary>
    internal void Add(SystemCall call, nint a = 0, nint b = 0, nint c = 0, nint d = 0, nint e = 0, Result result = Result.None)
    {
        _calls.Add(new Call { Number = (nint)call, A = a, B = b, C = c, D = d, E = e, Flags = (nint)result });
        _parts.Add(For);
    }

    /// <summary>Writes to a file of the kernel's, which takes it whole or not at all.</summary>
    internal void Write(string path, string text)
    {
        Add(SystemCall.open, Text(path), Libc.O_WRONLY | Libc.O_CLOEXEC, result: Result.Keeps);
        Add(SystemCall.write, 0, Text(text), Encoding.UTF8.GetByteCount(text), result: Result.UsesKept);
        Add(SystemCall.close, result: Result.UsesKept);
    }

    /// <summary>Zeroed memory that is there as long as this is.</summary>
    internal nint Memory(int bytes)
    {
        var at = (nint)NativeMemory.AllocZeroed((nuint)bytes);
        _memory.Add(at);
        return at;
    }

    /// <summary>A text in such memory, with a zero behind it.</summary>
    internal nint Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var at = Memory(bytes.Length + 1);
        bytes.CopyTo(new Span<byte>((void*)at, bytes.Length));
        return at;
    }

    /// <summary>An array of pointers in such memory, with a null behind it.</summary>
    internal nint Array(IReadOnlyList<nint> pointers)
    {
        var at = Memory((pointers.Count + 1) * sizeof(nint));
        for (var i = 0; i < pointers.Count; i++) ((nint*)at)[i] = pointers[i];
        return at;
    }

    /// <summary>Makes a child that carries it out; the last call must be one that replaces or ends it.</summary>
    /// <param name="namespaces">Flags of clone(2).</param>
    /// <param name="failure">Where no child is left: what failed.</param>
    /// <returns>The child's number as its parent sees it; 0 where none is left.</returns>
    internal int Run(nint namespaces, out ChildFailure failure)
    {
        var list = (Call*)Memory((_calls.Count + 1) * sizeof(Call));
        for (var i = 0; i < _calls.Count; i++) list[i] = _calls[i];
        list[_calls.Count] = new Call { Number = End };
        using var memory = SharedMemory.Create("lamina-child", HostReservation.PageSize);
        using var page = HostReservation.Reserve(HostReservation.PageSize);
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
        Code.CopyTo(page.Slice(0, Code.Length));
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);
        var run = (delegate* unmanaged<Call*, nint, nint, nint>)page.Address;
        var child = run(list, Libc.CLONE_VM | Libc.CLONE_VFORK | Libc.SIGCHLD | namespaces, Memory(StackBytes) + StackBytes);
        failure = default;
        if (child < 0)
        {
            failure = new ChildFailure(ConfinementParts.None, null, (int)-child);
            return 0;
        }
        for (var i = 0; i < _calls.Count; i++)
        {
            if (list[i].Result is >= 0 or < LastError || ((Result)list[i].Flags).HasFlag(Result.MayFail)) continue;
            failure = new ChildFailure(_parts[i], (SystemCall)list[i].Number, (int)-list[i].Result);
            _ = Libc.waitpid((int)child, null, 0);
            return 0;
        }
        return (int)child;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var at in _memory) NativeMemory.Free((void*)at);
        _memory.Clear();
    }
}

/// <summary>Why there is no child.</summary>
/// <param name="For">What the call that failed was for.</param>
/// <param name="Call">Which it was; null: the one that makes the child.</param>
/// <param name="Errno">The error.</param>
internal readonly record struct ChildFailure(ConfinementParts For, SystemCall? Call, int Errno)
{
    private const int NoSpace = 28;

    /// <inheritdoc/>
    public override string ToString() => Call is { } call ? $"{call}: {new Win32Exception(Errno).Message}"
        : Errno == NoSpace ? "the host gives no more namespaces (sysctl user.max_user_namespaces)"
        : $"the host makes no process in namespaces: {new Win32Exception(Errno).Message}";
}
