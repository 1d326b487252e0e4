// Programs of 32 and 64 bits, of the supervisor and of users.
using Iced.Intel;
using Lamina.Core.Engine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class LongPrograms
{
    private const int DivideError = 0, InvalidOpcode = 6, GeneralProtection = 13, PageFault = 14;
    private const uint Device = Layout.Device;

    internal static GuestProgram ProtectedFaults { get; } = new(GuestMode.Protected, c =>
    {
        // EDI: the length of the instruction that faults.
        c.mov(edi, 2);
        c.ud2();
        c.mov(eax, 0x77);
        c.mov(fs, eax);
        c.xor(edx, edx);
        c.mov(eax, 1);
        c.xor(ecx, ecx);
        c.div(ecx);
        // A table entry that is not present.
        c.mov(__dword_ptr[Layout.PageTables32 + 8 * 4], 0);
        c.mov(eax, 0x10);
        c.mov(cr4, eax);
        c.mov(eax, Layout.PageTables32);
        c.mov(cr3, eax);
        c.mov(eax, cr0);
        c.or(eax, unchecked((int)0x8000_0000));
        c.mov(cr0, eax);
        c.mov(ebx, 0x0200_0010);
        c.mov(__dword_ptr[ebx], eax);
        c.mov(esi, __dword_ptr[Layout.Log]);
    }, (machine, state) =>
    {
        Assert.Equal(4ul, state.Gpr[GprIndex.Rsi]);
        Assert.Equal(new[] { InvalidOpcode, GeneralProtection, DivideError, PageFault }, Enumerable.Range(0, 4).Select(n => machine.Read<int>(Layout.Log + 8 + (ulong)n * 16)));
        Assert.Equal((0x74u, 2u, 0x0200_0010u), (machine.Read<uint>(Layout.Log + 8 + 16 + 4), machine.Read<uint>(Layout.Log + 8 + 48 + 4), machine.Read<uint>(Layout.Log + 8 + 48 + 12)));
    })
    {
        NeedsHardware = true,
        Prepare = FaultLog.Write32,
    };

    internal static GuestProgram ProtectedUser { get; } = new(GuestMode.Protected, c =>
    {
        c.push(Layout.UserData);
        c.push((int)Layout.UserStack);
        c.push(0x0202);
        c.push(Layout.UserCode32);
        c.push((int)Layout.Far64);
        c.iretd();
    }, (_, state) => Assert.Equal((0xABCDul, (ulong)Layout.UserCode32), (state.Gpr[GprIndex.Rax], state.Gpr[GprIndex.Rsi])))
    {
        // It enters the supervisor from 32-bit user code, where QEMU's translation of SVM gives up.
        FailsInQemu = "ends at this guest (invalid tss type)",
        NeedsHardware = true,
        Prepare = machine =>
        {
            FaultLog.Write32(machine);
            machine.Memory.TryWrite<uint>(Layout.Tss + 8, Layout.Data32);
            FaultLog.SetGate32(machine, 0x50, Layout.Far32, user: true);
            machine.Load(Layout.Far32, Modes.Assemble(32, Layout.Far32, c =>
            {
                var end = c.CreateLabel();
                c.inc(ebp);
                c.cmp(ebp, 3);
                c.je(end);
                c.mov(eax, 0xABCD);
                c.iretd();
                c.Label(ref end);
                c.mov(esi, __dword_ptr[esp + 4]);
                c.@out((byte)Layout.EndPort, al);
                c.hlt();
            }));
            machine.Load(Layout.Far64, Modes.Assemble(32, Layout.Far64, c =>
            {
                var again = c.CreateLabel();
                c.mov(eax, Layout.UserData);
                c.mov(ds, eax);
                c.mov(es, eax);
                c.mov(ecx, 500);
                c.xor(ebx, ebx);
                c.xor(ebp, ebp);
                c.Label(ref again);
                c.lea(ebx, __[ebx + ecx * 4 + 7]);
                c.push(ebx);
                c.pop(edx);
                c.dec(ecx);
                c.jne(again);
                c.@int(0x50);
                c.@int(0x50);
                c.@int(0x50);
            }));
        },
    };

    /// <summary>A supervisor that serves ten calls of a user, and returns to it by IRET or by SYSRET.</summary>
    internal static GuestProgram SystemCalls(bool sysret) => new(GuestMode.Long, c =>
    {
        WriteMsr(c, 0xC000_0081, ((ulong)(Layout.UserCode32 & ~3 | 3) << 48) | ((ulong)Layout.Code64 << 32));
        WriteMsr(c, 0xC000_0082, Layout.Far64);
        WriteMsr(c, 0xC000_0084, 0x200);
        c.mov(eax, Layout.UserData);
        c.mov(ds, eax);
        c.mov(es, eax);
        c.push(Layout.UserData);
        c.push((int)Layout.UserStack);
        c.push(0x0202);
        c.push(Layout.UserCode64);
        c.push((int)Layout.Far32);
        c.iretq();
    }, (_, state) => Assert.Equal((0x1000ul * 10 + 55, 11ul), (state.Gpr[8], state.Gpr[14])))
    {
        NeedsHardware = true,
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            machine.Load(Layout.Far32, Modes.Assemble(64, Layout.Far32, c =>
            {
                var again = c.CreateLabel();
                c.mov(ebx, 10);
                c.Label(ref again);
                c.mov(eax, ebx);
                c.syscall();
                c.add(r8, rax);
                c.dec(ebx);
                c.jne(again);
                c.syscall();
            }));
            machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
            {
                var end = c.CreateLabel();
                c.inc(r14);
                c.test(ebx, ebx);
                c.je(end);
                c.add(rax, 0x1000);
                ReturnToUser(c, sysret);
                c.Label(ref end);
                c.@out((byte)Layout.EndPort, al);
                c.hlt();
            }));
        },
    };

    internal static GuestProgram UserFaults { get; } = new(GuestMode.LongUser, c =>
    {
        void Step(Action<Iced.Intel.Label> fault)
        {
            var next = c.CreateLabel();
            c.lea(r15, __[next]);
            fault(next);
            c.Label(ref next);
        }
        Step(_ => c.ud2());
        Step(_ => { c.xor(edx, edx); c.xor(ecx, ecx); c.div(rcx); });
        Step(_ => { c.mov(rax, 0x1234_5678_0000); c.mov(rbx, __qword_ptr[rax]); });
        Step(_ => { c.mov(rax, 0x8000_0000_0000_0000); c.mov(rbx, __qword_ptr[rax]); });
        Step(_ => { c.mov(eax, 1); c.mov(cr3, rax); });
        Step(_ => c.int3());
        Step(_ => c.hlt());
        c.mov(rsi, __qword_ptr[Layout.Log]);
    }, (machine, state) =>
    {
        Assert.Equal(new[] { 6, 0, 14, 13, 13, 3, 13 }, Enumerable.Range(0, 7).Select(n => machine.Read<int>(Layout.Log + 8 + (ulong)n * 32)));
        Assert.Equal(7ul, state.Gpr[GprIndex.Rsi]);
        Assert.Equal((4ul, 0x1234_5678_0000ul), (machine.Read<ulong>(Layout.Log + 8 + 64 + 8), machine.Read<ulong>(Layout.Log + 8 + 64 + 24)));
    })
    {
        NeedsHardware = true,
        Prepare = FaultLog.Write64,
    };

    internal static GuestProgram Vectors { get; } = new(GuestMode.LongUser, c =>
    {
        var again = c.CreateLabel();
        c.mov(eax, 3);
        c.cvtsi2sd(xmm0, eax);
        c.mov(eax, 7);
        c.cvtsi2sd(xmm1, eax);
        c.movq(xmm4, rsp);
        c.punpcklqdq(xmm4, xmm4);
        c.mov(ecx, 41);
        c.fld1();
        c.fldpi();
        c.Label(ref again);
        c.divsd(xmm0, xmm1);
        c.addsd(xmm0, xmm1);
        c.sqrtsd(xmm2, xmm0);
        c.paddd(xmm4, xmm2);
        c.pshufd(xmm5, xmm4, 0x1B);
        c.pxor(xmm6, xmm5);
        c.fmul(st0, st1);
        c.fadd(st1, st0);
        c.dec(ecx);
        c.jne(again);
        c.movdqu(__xmmword_ptr[Layout.Data], xmm5);
        c.mov(rdx, __qword_ptr[Layout.Data]);
        c.movq(xmm15, rdx);
    }, (_, state) => Assert.NotEqual(0ul, state.Gpr[GprIndex.Rdx]))
    {
        Prepare = FaultLog.Write64,
    };

    internal static GuestProgram DeviceAccesses { get; } = new(GuestMode.Long, c =>
    {
        c.mov(ebx, Device);
        c.mov(rax, 0x1122_3344_5566_7788);
        c.mov(__byte_ptr[rbx], al);
        c.mov(__word_ptr[rbx + 2], ax);
        c.mov(__dword_ptr[rbx + 4], eax);
        c.mov(__qword_ptr[rbx + 8], rax);
        c.movzx(r12d, __byte_ptr[rbx + 8]);
        c.movsx(rdx, __word_ptr[rbx + 10]);
        c.mov(esi, __dword_ptr[rbx + 4]);
        c.mov(rdi, __qword_ptr[rbx]);
        c.mov(r8, rsi);
        c.xchg(__dword_ptr[rbx + 12], r8d);
        c.add(__dword_ptr[rbx + 4], 1);
        c.@lock.inc(__qword_ptr[rbx + 8]);
        c.cmp(__byte_ptr[rbx], 0x88);
        c.sete(r9b);
        c.cld();
        c.mov(esi, Device);
        c.mov(edi, Layout.Data);
        c.mov(ecx, 4);
        c.rep.movsd();
        c.mov(esi, Layout.Data);
        c.mov(edi, Device + 0x40);
        c.mov(ecx, 2);
        c.rep.movsq();
        c.mov(r10, __qword_ptr[Layout.Data + 8]);
        c.push(__qword_ptr[rbx + 0x40]);
        c.pop(r11);
    }, (machine, state) =>
    {
        Assert.Equal((0x88ul, 1ul), (state.Gpr[12], state.Gpr[9]));
        Assert.Equal(machine.Device.Bytes[..16].ToArray(), machine.Device.Bytes.Slice(0x40, 16).ToArray());
    });

    // x2APIC mode, its one-shot timer, an interrupt to itself; and what is refused.
    internal static GuestProgram LocalApicTimer { get; } = new(GuestMode.Long, c =>
    {
        EnterX2Apic(c);
        WriteMsr(c, 0x832, 0x60);
        WriteMsr(c, 0x83E, 0xB);
        WriteMsr(c, 0x838, 100_000);
        c.xor(ebx, ebx);
        HaltUntil(c, 1);
        WriteMsr(c, 0x83F, 0x61);
        c.sti();
        c.hlt(); // with an interrupt waiting at STI, this is the one instruction of the shadow, and is woken at once
        c.cli();
        c.mov(ecx, 0x802);
        c.rdmsr();
        c.mov(r8d, eax);
    }, (_, state) => Assert.Equal((0x1_0001ul, 0ul), (state.Gpr[GprIndex.Rbx], state.Gpr[8])))
    {
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            Handler(machine, 0x60, Layout.Far32, 1);
            Handler(machine, 0x61, Layout.Far64, 0x1_0000);
        },
    };

    internal static GuestProgram ModelSpecificRegisters { get; } = new(GuestMode.Long, c =>
    {
        void Step(Action read)
        {
            var next = c.CreateLabel();
            c.lea(r15, __[next]);
            read();
            c.shl(rdx, 32);
            c.or(rax, rdx);
            c.Label(ref next);
            c.imul(rbx, rbx, 31);
            c.add(rbx, rax);
        }
        WriteMsr(c, 0x174, 0x10);
        WriteMsr(c, 0x175, 0x7FFF_1234_0000);
        WriteMsr(c, 0x176, 0x8000);
        WriteMsr(c, 0x277, 0x0007_0406_0007_0106);
        WriteMsr(c, 0xC000_0102, 0x1234_5678_9ABC);
        WriteMsr(c, 0xC000_0100, 0x55AA);
        WriteMsr(c, 0x2FF, 0xC06);
        foreach (var index in (uint[])[0x174, 0x175, 0x176, 0x277, 0xC000_0102, 0xC000_0100, 0xC000_0080, 0x2FF, 0x1B, 0xFE, 0x4000_0000, 0x1234_5678, 0xC001_1FFF])
        {
            Step(() =>
            {
                c.mov(ecx, index);
                c.rdmsr();
            });
        }
        Step(() => WriteMsr(c, 0x1B, 1ul << 50)); // reserved
        c.mov(rsi, __qword_ptr[Layout.Log]);
    }, (_, state) => Assert.Equal(4ul, state.Gpr[GprIndex.Rsi]))
    {
        Prepare = FaultLog.Write64,
    };

    internal static GuestProgram SelfModification { get; } = new(GuestMode.Long, c =>
    {
        var (again, changed) = (c.CreateLabel(), c.CreateLabel());
        c.mov(ecx, 5);
        c.xor(eax, eax);
        c.Label(ref again);
        c.lea(rbx, __[changed]);
        c.inc(__byte_ptr[rbx + 1]);
        c.jmp(changed);
        c.nop();
        c.Label(ref changed);
        c.add(eax, 0x1000_0000); // 05 imm32
        c.dec(ecx);
        c.jne(again);
    }, (_, state) => Assert.Equal(0x5000_000Ful, state.Gpr[GprIndex.Rax]));

    // What an indirect jump leads to reads no flags at first, and then, changed, it does.
    internal static GuestProgram FlagsIntoChangedCode { get; } = new(GuestMode.Long, c =>
    {
        var (again, changed, back) = (c.CreateLabel(), c.CreateLabel(), c.CreateLabel());
        c.xor(r13d, r13d);
        c.lea(rsi, __[changed]);
        c.mov(ecx, 6);
        c.Label(ref again);
        c.mov(edx, 1);
        c.cmp(ecx, 3);
        c.jne(back);
        c.mov(__word_ptr[rsi], 0xD211); // adc edx, edx
        c.Label(ref back);
        c.stc();
        c.jmp(rsi);
        c.Label(ref changed);
        c.xor(edx, edx);
        c.add(r13d, edx);
        c.dec(ecx);
        c.jne(again);
    }, (_, state) => Assert.Equal(9ul, state.Gpr[13]));

    internal static GuestProgram TrapFlag { get; } = new(GuestMode.LongUser, c =>
    {
        c.pushfq();
        c.or(__qword_ptr[rsp], 0x100);
        c.popfq();
        for (var n = 0; n < 6; n++) c.inc(rbx);
        c.pushfq();
        c.and(__qword_ptr[rsp], ~0x100);
        c.popfq();
        c.inc(rbx);
    }, (_, state) => Assert.Equal((7ul, 9ul), (state.Gpr[GprIndex.Rbx], state.Gpr[14])))
    {
        NeedsHardware = true,
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            FaultLog.SetGate64(machine, 1, Layout.Far64);
            machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
            {
                c.inc(r14);
                c.iretq();
            }));
        },
    };

    internal static GuestProgram TaskPriority { get; } = new(GuestMode.Long, c =>
    {
        EnterX2Apic(c);
        c.mov(eax, 8);
        c.mov(cr8, rax);
        c.xor(ebx, ebx);
        c.sti();
        WriteMsr(c, 0x83F, 0x60); // class 6 is held back
        c.nop();
        c.mov(r8, rbx);
        c.mov(r9, cr8);
        c.cli();
        c.xor(eax, eax);
        c.mov(cr8, rax);
        c.sti();
        c.hlt();
        c.cli();
    }, (_, state) => Assert.Equal((0ul, 8ul, 1ul), (state.Gpr[8], state.Gpr[9], state.Gpr[GprIndex.Rbx])))
    {
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            Handler(machine, 0x60, Layout.Far32, 1);
        },
    };

    /// <summary>WRMSR.</summary>
    internal static void WriteMsr(Assembler c, uint index, ulong value)
    {
        c.mov(ecx, index);
        c.mov(eax, (uint)value);
        c.mov(edx, (uint)(value >> 32));
        c.wrmsr();
    }

    /// <summary>x2APIC mode, enabled by software too (SDM vol. 3, 11.12.1 and 11.9).</summary>
    /// <param name="c">Takes the code.</param>
    /// <param name="isBootstrap">Whether it is the first vCPU's, which says of itself that it is that.</param>
    internal static void EnterX2Apic(Assembler c, bool isBootstrap = true)
    {
        WriteMsr(c, 0x1B, isBootstrap ? 0xFEE0_0D00 : 0xFEE0_0C00);
        WriteMsr(c, 0x80F, 0x1FF);
    }

    /// <summary>Halts, taking interrupts, until their handlers have brought EBX to a value; leaves with interrupts off.</summary>
    internal static void HaltUntil(Assembler c, uint value)
    {
        var wait = c.CreateLabel();
        c.Label(ref wait);
        c.sti();
        c.hlt();
        c.cli();
        c.cmp(ebx, value);
        c.jne(wait);
    }

    /// <summary>An interrupt handler that adds to EBX and ends the interrupt.</summary>
    internal static void Handler(SmallMachine machine, int vector, uint at, int add)
    {
        FaultLog.SetGate64(machine, vector, at);
        machine.Load(at, Modes.Assemble(64, at, c =>
        {
            c.add(ebx, add);
            c.push(rax);
            c.push(rcx);
            c.push(rdx);
            WriteMsr(c, 0x80B, 0);
            c.pop(rdx);
            c.pop(rcx);
            c.pop(rax);
            c.iretq();
        }));
    }

    /// <summary>From behind SYSCALL back to the user, by SYSRET or by IRET.</summary>
    internal static void ReturnToUser(Assembler c, bool sysret)
    {
        if (sysret)
        {
            c.db(0x48, 0x0F, 0x07);
            return;
        }
        c.mov(r9, rsp);
        c.mov(esp, Layout.KernelStack);
        c.push(Layout.UserData);
        c.push(r9);
        c.push(r11);
        c.push(Layout.UserCode64);
        c.push(rcx);
        c.iretq();
    }
}
