// Programs that arm debug registers: what their breakpoints hit, and what they let pass.
using Iced.Intel;
using Lamina.Core.Engine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class DebugPrograms
{
    /// <summary>A function that returns at once, in a page of its own.</summary>
    internal const uint WatchedFunction = 0xF000, OtherFunction = 0xE000;

    /// <summary>Stores to four bytes here are watched by DR0, every access to one byte by DR1.</summary>
    internal const uint WatchedStores = Layout.Data + 0x10, WatchedByte = Layout.Data + 0x100;

    // IA32_EFER.NXE: without it no page walk is machine code's.
    private const ulong NoExecute = 1 << 11;

    /// <summary>The loop's turns.</summary>
    internal const int Turns = 1000;

    // SDM vol. 3, 18.2.4: L0 to L2; DR0 stores, 4 bytes; DR1 reads and writes, 1 byte; DR2 instructions.
    private const int Control = 0x400 | 0x15 | 0xd << 16 | 3 << 20;

    /// <summary>
    /// Handlers count the hits of DR0 to DR2 in R12 to R14, and return with RF set, as an instruction breakpoint asks for; it must be gone
    /// when the next one comes.
    /// </summary>
    internal static GuestProgram Breakpoints { get; } = new(GuestMode.Long, c =>
    {
        Arm(c);
        Turn(c, () =>
        {
            c.mov(__dword_ptr[Layout.Data + 0x800], ecx);
            c.mov(eax, __dword_ptr[WatchedStores]);
            c.mov(eax, WatchedFunction);
            c.call(rax);
        }, turns: 10);
        c.mov(__byte_ptr[WatchedStores + 3], al);
        c.mov(__byte_ptr[WatchedStores + 4], al);                   // just behind
        c.mov(al, __byte_ptr[WatchedByte]);
        c.movdqu(__xmmword_ptr[WatchedStores - 15], xmm0);          // its last byte
        c.@lock.inc(__dword_ptr[WatchedStores - 2]);
        c.mov(rbp, rsp);
        c.mov(esp, WatchedStores + 8);
        c.push(rax);                                                // just above
        c.push(rax);
        c.pop(rax);
        c.mov(rsp, rbp);
        c.mov(eax, WatchedFunction);
        c.call(rax);
        c.mov(eax, 0x400);
        c.mov(dr7, rax);
        c.mov(__dword_ptr[WatchedStores], eax);
        c.mov(eax, WatchedFunction);
        c.call(rax);
    }, (_, state) => Assert.Equal((4ul, 1ul, 11ul), (state.Gpr[12], state.Gpr[13], state.Gpr[14])))
    {
        NeedsHardware = true,
        FailsInQemu = "does not arm the debug registers of its guests",
        Prepare = Prepare,
    };

    /// <summary>Nothing is hit, and most is done in pages where nothing is watched.</summary>
    internal static GuestProgram Elsewhere { get; } = new(GuestMode.Long, c =>
    {
        Arm(c);
        Turn(c, () =>
        {
            c.mov(__dword_ptr[Layout.Data + 0x2000], ecx);
            c.add(ebx, __dword_ptr[Layout.Data + 0x2000]);
            c.mov(eax, OtherFunction);
            c.call(rax);
        }, Turns);
    }, (_, state) => Assert.Equal((Turns * (Turns + 1ul) / 2, 0ul, 0ul, 0ul), (state.Gpr[GprIndex.Rbx], state.Gpr[12], state.Gpr[13], state.Gpr[14])))
    {
        NeedsHardware = true,
        FailsInQemu = "does not arm the debug registers of its guests",
        Prepare = Prepare,
    };

    /// <summary>Accesses of all sizes around what is watched, in its page: those that touch a byte of it are hits, and no others.</summary>
    internal static GuestProgram Around { get; } = new(GuestMode.Long, c =>
    {
        Arm(c);
        foreach (var size in Sizes)
        {
            for (var at = -size - 2; at < 6; at++)
            {
                Access(c, size, (int)WatchedStores + at, write: true);
                Access(c, size, (int)WatchedStores + at, write: false);
                Access(c, size, (int)WatchedByte + at, write: false);
            }
        }
        c.mov(eax, 0x400);
        c.mov(dr7, rax);
    }, (_, state) => Assert.Equal(((ulong)Sizes.Sum(size => size + 3), (ulong)Sizes.Sum()), (state.Gpr[12], state.Gpr[13])))
    {
        NeedsHardware = true,
        FailsInQemu = "does not arm the debug registers of its guests",
        Prepare = Prepare,
        Adjust = state => state.Efer |= NoExecute,
    };

    /// <summary>Stores and loads in the page of what is watched, none of which touches it.</summary>
    internal static GuestProgram Beside { get; } = new(GuestMode.Long, c =>
    {
        Arm(c);
        Turn(c, () =>
        {
            c.mov(__dword_ptr[Layout.Data + 0x800], ecx);
            c.add(ebx, __dword_ptr[Layout.Data + 0x800]);
            c.inc(__qword_ptr[Layout.Data + 0x900]);
        }, Turns);
    }, (machine, state) => Assert.Equal((Turns * (Turns + 1ul) / 2, 0ul, 0ul, (ulong)Turns), (state.Gpr[GprIndex.Rbx], state.Gpr[12], state.Gpr[13], machine.Read<ulong>(Layout.Data + 0x900))))
    {
        NeedsHardware = true,
        FailsInQemu = "does not arm the debug registers of its guests",
        Prepare = Prepare,
        Adjust = state => state.Efer |= NoExecute,
    };

    /// <summary>
    /// A breakpoint is in the page of the code that runs, at each of the places where one comes by there: in the middle of what has no jump,
    /// where a jump leads, where a call leads and where it returns to; before and after that in the same page, where nobody comes by.
    /// </summary>
    internal static GuestProgram SamePage { get; } = new(GuestMode.Long, c =>
    {
        foreach (var place in (ReadOnlySpan<uint>)[LoopNobody, LoopMiddle, LoopStart, LoopNobody, LoopMiddle, LoopReturn, LoopCallee, LoopMiddle])
        {
            ArmCode(c, place);
            c.mov(eax, LoopFunction);
            c.call(rax);
        }
        c.mov(eax, 0x400);
        c.mov(dr7, rax);
        c.mov(eax, LoopFunction);
        c.call(rax);
    }, (_, state) => Assert.Equal((9ul * LoopTurns, 9ul * LoopTurns, 6ul * LoopTurns), (state.Gpr[GprIndex.Rbx], state.Gpr[GprIndex.Rdx], state.Gpr[14])))
    {
        NeedsHardware = true,
        FailsInQemu = "does not arm the debug registers of its guests",
        Prepare = machine => PrepareLoop(machine, LoopTurns),
    };

    /// <summary>The same loop for long, beside a breakpoint where nobody comes by.</summary>
    internal static GuestProgram BesideCode { get; } = new(GuestMode.Long, c =>
    {
        ArmCode(c, LoopNobody);
        c.mov(eax, LoopFunction);
        c.call(rax);
    }, (_, state) => Assert.Equal(((ulong)Turns, (ulong)Turns, 0ul), (state.Gpr[GprIndex.Rbx], state.Gpr[GprIndex.Rdx], state.Gpr[14])))
    {
        NeedsHardware = true,
        FailsInQemu = "does not arm the debug registers of its guests",
        Prepare = machine => PrepareLoop(machine, Turns),
    };

    // Within WatchedFunction's page.
    private const uint LoopFunction = WatchedFunction, LoopStart = LoopFunction + 5, LoopMiddle = LoopFunction + 8, LoopReturn = LoopFunction + 15,
        LoopCallee = LoopFunction + 0x20, LoopNobody = LoopFunction + 0x800;

    private const int LoopTurns = 20;

    private static void ArmCode(Assembler c, uint place)
    {
        c.mov(eax, place);
        c.mov(dr2, rax);
        c.mov(eax, 0x400 | 0x10);
        c.mov(dr7, rax);
    }

    private static void PrepareLoop(SmallMachine machine, int turns)
    {
        Prepare(machine);
        machine.Load(LoopFunction, Modes.Assemble(64, LoopFunction, c =>
        {
            c.mov(ecx, turns);
            c.inc(rbx);                                             // LoopStart
            c.add(esi, ebx);                                        // LoopMiddle
            c.call(LoopCallee);
            c.dec(ecx);                                             // LoopReturn
            c.jne(LoopStart);
            c.ret();
        }));
        machine.Load(LoopCallee, Modes.Assemble(64, LoopCallee, c =>
        {
            c.inc(rdx);
            c.ret();
        }));
    }

    private static int[] Sizes => [1, 2, 4, 8, 16];

    private static void Access(Assembler c, int size, int at, bool write)
    {
        switch (size, write)
        {
            case (1, true): c.mov(__byte_ptr[at], al); break;
            case (1, false): c.mov(al, __byte_ptr[at]); break;
            case (2, true): c.mov(__word_ptr[at], ax); break;
            case (2, false): c.mov(ax, __word_ptr[at]); break;
            case (4, true): c.mov(__dword_ptr[at], eax); break;
            case (4, false): c.mov(eax, __dword_ptr[at]); break;
            case (8, true): c.mov(__qword_ptr[at], rax); break;
            case (8, false): c.mov(rax, __qword_ptr[at]); break;
            case (_, true): c.movdqu(__xmmword_ptr[at], xmm0); break;
            default: c.movdqu(xmm0, __xmmword_ptr[at]); break;
        }
    }

    private static void Arm(Assembler c)
    {
        c.mov(eax, WatchedStores);
        c.mov(dr0, rax);
        c.mov(eax, WatchedByte);
        c.mov(dr1, rax);
        c.mov(eax, WatchedFunction);
        c.mov(dr2, rax);
        c.mov(eax, Control);
        c.mov(dr7, rax);
    }

    private static void Turn(Assembler c, Action body, int turns)
    {
        var again = c.CreateLabel();
        c.mov(ecx, turns);
        c.Label(ref again);
        body();
        c.dec(ecx);
        c.jnz(again);
    }

    private static void Prepare(SmallMachine machine)
    {
        FaultLog.Write64(machine);
        FaultLog.SetGate64(machine, 1, Layout.Far64);
        machine.Load(WatchedFunction, [0xc3]);
        machine.Load(OtherFunction, [0xc3]);
        machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
        {
            c.push(rax);
            c.mov(rax, dr6);
            foreach (var (bit, counter) in (ReadOnlySpan<(byte, AssemblerRegister64)>)[(0, r12), (1, r13), (2, r14)])
            {
                c.bt(eax, bit);
                c.adc(counter, 0);
            }
            c.xor(eax, eax);
            c.mov(dr6, rax);
            c.or(__dword_ptr[rsp + 24], 0x10000);
            c.pop(rax);
            c.iretq();
        }));
    }
}
