// Faults of generated code (a division by zero, a non-canonical address, an unmasked floating-point exception) arrive as
// signals. The handler is machine code that touches only the saved context: it claims the signal if RIP lies in a
// registered range, notes RIP and the signal in the faulting thread's GS-based state, and sends the thread to a stub.
// Everything else goes on to the handler that was there before (the runtime's own). Where a thread has lost its GS base to the kernel,
// it gets it back and tries again. Signal handlers belong to the
// process, so this is the one piece of process-wide state; it is written under a lock and read by the handler only.
using System.Runtime.CompilerServices;
using Lamina.Host.Interop;

namespace Lamina.Host;

/// <summary>Displacements from GS, in the state of whichever thread runs generated code.</summary>
/// <param name="Address">Takes the faulting RIP.</param>
/// <param name="Signal">Takes the signal number in bits 0 to 7 and the processor's exception vector above; the next eight bytes take the address of a page fault.</param>
/// <param name="LostBase">What the GS base is where the kernel has set it back to what it keeps; 0: the kernel does no such thing.</param>
/// <param name="Base">What it should be then.</param>
/// <param name="Losses">Counts how often it was brought back.</param>
public readonly record struct FaultSlots(int Address, int Signal, int LostBase, int Base, int Losses);

/// <summary>A range of generated code whose faults are claimed. Dispose when no thread runs there any more.</summary>
public sealed unsafe class GeneratedCodeFaults : IDisposable
{
    private const int SIGILL = 4, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11;
    private const int MaxRanges = 128;

    // Layout of the handler's data page: ranges (start, end, stub), a zero start ends them; then old handlers by signal.
    private const int OldHandlers = 4096 - 32 * 8;

    private static readonly Lock Gate = new();
    private static HostReservation? _data, _code;

    private readonly ulong* _entry;

    private GeneratedCodeFaults(ulong* entry) => _entry = entry;

    /// <summary>Claims faults in [start, end).</summary>
    /// <param name="start">First executable address.</param>
    /// <param name="end">The address behind the last.</param>
    /// <param name="stub">Where to send the thread.</param>
    /// <param name="slots">Where the handler notes what it sees; the same for all ranges of the process.</param>
    public static GeneratedCodeFaults Claim(ulong start, ulong end, ulong stub, in FaultSlots slots)
    {
        lock (Gate)
        {
            if (_code == null) Install(slots);
            var entry = (ulong*)_data!.Address;
            for (var i = 0; i < MaxRanges; i++, entry += 3)
            {
                if (entry[1] != 0) continue;
                entry[2] = stub;
                entry[1] = end;
                Volatile.Write(ref entry[0], start);
                return new GeneratedCodeFaults(entry);
            }
            throw new HostException("too many machines run in this process; stop one first");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (Gate)
        {
            // A start of ~0 matches nothing and does not end the list.
            Volatile.Write(ref _entry[0], ulong.MaxValue);
            _entry[1] = 0;
        }
    }

    private static void Install(in FaultSlots slots)
    {
        var data = HostReservation.Reserve(4096);
        data.MapAnonymous(0, 4096);
        using var memory = SharedMemory.Create("lamina-signal", 4096);
        var writable = HostReservation.Reserve(4096);
        writable.MapShared(0, 4096, memory, 0, MappingAccess.ReadWrite);
        Emit(writable.Slice(0, 4096), (ulong)data.Address, slots);
        writable.Dispose();
        var code = HostReservation.Reserve(4096);
        code.MapShared(0, 4096, memory, 0, MappingAccess.ReadExecute);
        foreach (var signal in (ReadOnlySpan<int>)[SIGILL, SIGBUS, SIGFPE, SIGSEGV])
        {
            Libc.SigAction action;
            if (Libc.sigaction(signal, null, &action) != 0) throw HostException.FromErrno("cannot read a signal handler");
            ((ulong*)(data.Address + OldHandlers))[signal] = (ulong)action.Handler;
            action.Handler = code.Address;
            action.Flags |= Libc.SA_SIGINFO;
            if (Libc.sigaction(signal, &action, null) != 0) throw HostException.FromErrno("cannot set a signal handler");
        }
        (_data, _code) = (data, code);
    }

    private static void Emit(Span<byte> code, ulong data, in FaultSlots slots)
    {
        var at = 0;
        Put(code, ref at, [0x48, 0x8b, 0x82, 0xa8, 0, 0, 0]);                 // mov rax, [rdx + 0xa8]: RIP in the ucontext
        Put(code, ref at, [0x49, 0xb8]);                                      // mov r8, data
        PutInt64(code, ref at, data);
        var loop = at;
        Put(code, ref at, [0x49, 0x8b, 0x08, 0x48, 0x85, 0xc9]);              // mov rcx, [r8]; test rcx, rcx
        Put(code, ref at, [0x0f, 0x84]);                                      // jz chain
        PutInt32(code, ref at, 0);
        var chainJump = at;
        Put(code, ref at, [0x48, 0x39, 0xc8, 0x72, 0]);                       // cmp rax, rcx; jb next
        var next1 = at;
        Put(code, ref at, [0x49, 0x3b, 0x40, 0x08, 0x73, 0]);                 // cmp rax, [r8 + 8]; jae next
        var next2 = at;
        Put(code, ref at, [0x65, 0x48, 0x8b, 0x0c, 0x25]);                    // mov rcx, gs:[LostBase]
        PutInt32(code, ref at, slots.LostBase);
        Put(code, ref at, [0x48, 0x85, 0xc9, 0x74, 34]);                      // test rcx, rcx; jz claim
        Put(code, ref at, [0xf3, 0x49, 0x0f, 0xae, 0xc9]);                    // rdgsbase r9
        Put(code, ref at, [0x4c, 0x39, 0xc9, 0x75, 24]);                      // cmp rcx, r9; jne claim
        Put(code, ref at, [0x65, 0x48, 0xff, 0x04, 0x25]);                    // inc qword gs:[Losses]
        PutInt32(code, ref at, slots.Losses);
        Put(code, ref at, [0x65, 0x48, 0x8b, 0x0c, 0x25]);                    // mov rcx, gs:[Base]
        PutInt32(code, ref at, slots.Base);
        Put(code, ref at, [0xf3, 0x48, 0x0f, 0xae, 0xd9, 0xc3]);              // wrgsbase rcx; ret: tries again
        Put(code, ref at, [0x65, 0x48, 0x89, 0x04, 0x25]);                    // claim: mov gs:[Address], rax
        PutInt32(code, ref at, slots.Address);
        Put(code, ref at, [0x48, 0x8b, 0x8a, 0xc8, 0, 0, 0]);                 // mov rcx, [rdx + 0xc8]: the trap's number
        Put(code, ref at, [0x48, 0xc1, 0xe1, 0x08, 0x48, 0x09, 0xcf]);        // shl rcx, 8; or rdi, rcx
        Put(code, ref at, [0x65, 0x48, 0x89, 0x3c, 0x25]);                    // mov gs:[Signal], rdi
        PutInt32(code, ref at, slots.Signal);
        Put(code, ref at, [0x48, 0x8b, 0x8a, 0xd8, 0, 0, 0]);                 // mov rcx, [rdx + 0xd8]: CR2
        Put(code, ref at, [0x65, 0x48, 0x89, 0x0c, 0x25]);                    // mov gs:[Signal + 8], rcx
        PutInt32(code, ref at, slots.Signal + 8);
        Put(code, ref at, [0x49, 0x8b, 0x48, 0x10]);                          // mov rcx, [r8 + 16]
        Put(code, ref at, [0x48, 0x89, 0x8a, 0xa8, 0, 0, 0, 0xc3]);           // mov [rdx + 0xa8], rcx; ret
        code[next1 - 1] = (byte)checked((sbyte)(at - next1));
        code[next2 - 1] = (byte)checked((sbyte)(at - next2));
        Put(code, ref at, [0x49, 0x83, 0xc0, 24, 0xe9]);                      // add r8, 24; jmp loop
        PutInt32(code, ref at, loop - (at + 4));
        Unsafe.WriteUnaligned(ref code[chainJump - sizeof(int)], at - chainJump);
        Put(code, ref at, [0x49, 0xb8]);                                      // mov r8, old handlers
        PutInt64(code, ref at, data + OldHandlers);
        Put(code, ref at, [0x48, 0x63, 0xcf, 0x49, 0x8b, 0x04, 0xc8]);        // movsxd rcx, edi; mov rax, [r8 + rcx * 8]
        Put(code, ref at, [0x48, 0x83, 0xf8, 1, 0x76, 2, 0xff, 0xe0]);        // cmp rax, 1; jbe default; jmp rax
        Put(code, ref at, [0xb8, 231, 0, 0, 0, 0xbf, 139, 0, 0, 0, 0x0f, 0x05]); // default: exit_group(139)
    }

    private static void Put(Span<byte> code, ref int at, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(code[at..]);
        at += bytes.Length;
    }

    private static void PutInt32(Span<byte> code, ref int at, int value)
    {
        Unsafe.WriteUnaligned(ref code[at], value);
        at += 4;
    }

    private static void PutInt64(Span<byte> code, ref int at, ulong value)
    {
        Unsafe.WriteUnaligned(ref code[at], value);
        at += 8;
    }
}
