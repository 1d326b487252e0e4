// Programs about what the translator does for supervisors without leaving generated code, or leaves out: vector state that it loads only when
// code uses it, what CPUID has answered, translations that go.
using Iced.Intel;
using Lamina.Core.Engine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class KernelPrograms
{
    private const int Osxsave = 1 << 18, ApicEnabled = 1 << 11;
    private const ulong NoExecute = 1 << 11;
    private const uint Window = 0x4000_0000, Entry = Layout.PageTables + 0x3000;

    /// <summary>A supervisor and a user compute with the same registers, and there is code between that does not, and that leaves the engine.</summary>
    internal static GuestProgram VectorsAcrossRings(bool sysret) => new(GuestMode.Long, c =>
    {
        LongPrograms.WriteMsr(c, 0xC000_0081, ((ulong)(Layout.UserCode32 & ~3 | 3) << 48) | ((ulong)Layout.Code64 << 32));
        LongPrograms.WriteMsr(c, 0xC000_0082, Layout.Far64);
        LongPrograms.WriteMsr(c, 0xC000_0084, 0x200);
        c.mov(eax, 5);
        c.movd(xmm0, eax);
        c.fld1();
        Leave(c);
        c.mov(eax, 7);
        c.movd(xmm1, eax);
        c.@in(al, (byte)Layout.LogPort);
        c.paddd(xmm1, xmm0);
        Leave(c);
        c.mov(eax, Layout.UserData);
        c.mov(ds, eax);
        c.mov(es, eax);
        c.push(Layout.UserData);
        c.push((int)Layout.UserStack);
        c.push(0x0202);
        c.push(Layout.UserCode64);
        c.push((int)Layout.Far32);
        c.iretq();
    }, (machine, state) => Assert.Equal((5ul + 12 * 10 + 55, 1024u, 11ul), (state.Gpr[8], machine.Read<uint>(Layout.Data), state.Gpr[14])))
    {
        NeedsHardware = true,
        Adjust = state => state.Efer |= NoExecute,
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            machine.Load(Layout.Far32, Modes.Assemble(64, Layout.Far32, c =>
            {
                var again = c.CreateLabel();
                c.mov(ebx, 10);
                c.Label(ref again);
                c.paddd(xmm0, xmm1);
                c.syscall();
                c.dec(ebx);
                c.jne(again);
                c.syscall();
            }));
            machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
            {
                var end = c.CreateLabel();
                c.inc(r14);
                Leave(c);
                c.test(ebx, ebx);
                c.je(end);
                c.movd(xmm2, ebx);
                c.paddd(xmm3, xmm2);
                c.fadd(st0, st0);
                Leave(c);
                LongPrograms.ReturnToUser(c, sysret);
                c.Label(ref end);
                c.paddd(xmm3, xmm0);
                c.movd(r8d, xmm3);
                c.fistp(__dword_ptr[Layout.Data]);
                c.@out((byte)Layout.EndPort, al);
                c.hlt();
            }));
        },
    };

    /// <summary>CR8 goes up and down, and what it holds back comes when it lets it. SDM vol. 3, 11.8.3.</summary>
    internal static GuestProgram TaskPriorityMoves { get; } = new(GuestMode.Long, c =>
    {
        const uint priority = 0x808, self = 0x83F;
        void Set(int value)
        {
            c.mov(eax, value);
            c.mov(cr8, rax);
        }
        // R8 gets two digits: how many interrupts came so far, and CR8.
        void Note()
        {
            c.nop();
            c.shl(r8, 4);
            c.or(r8, rbx);
            c.mov(rax, cr8);
            c.shl(r8, 4);
            c.or(r8, rax);
        }
        void Await(int interrupts)
        {
            var wait = c.CreateLabel();
            c.Label(ref wait);
            c.@in(al, (byte)Layout.LogPort); // KVM on a host without hardware for it looks at CR8 when it leaves the guest
            c.cmp(ebx, interrupts);
            c.jne(wait);
        }
        LongPrograms.EnterX2Apic(c);
        c.xor(ebx, ebx);
        c.xor(r8d, r8d);
        c.sti();
        foreach (var value in (ReadOnlySpan<int>)[0, 3, 8, 5]) Set(value);
        LongPrograms.WriteMsr(c, self, 0x60);
        Await(1);
        Note();
        Set(9);
        LongPrograms.WriteMsr(c, self, 0x60);
        Note();
        Set(10);
        Set(6);
        Note();
        Set(5);
        Await(2);
        Note();
        Set(7);
        c.mov(ecx, priority);
        c.rdmsr();
        c.mov(r9d, eax);
        LongPrograms.WriteMsr(c, priority, 0x20);
        Note();
        Set(2);
        c.mov(ecx, priority);
        c.rdmsr();
        c.shl(r9, 8);
        c.or(r9, rax);
        c.cli();
    }, (_, state) => Assert.Equal((0x15_19_16_25_22ul, 0x7020ul), (state.Gpr[8], state.Gpr[9])))
    {
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            LongPrograms.Handler(machine, 0x60, Layout.Far32, 1);
        },
    };

    /// <summary>CPUID's answers follow what they depend on. SDM vol. 2, CPUID: leaf 1, ECX[27] and EDX[9].</summary>
    internal static GuestProgram Identification { get; } = new(GuestMode.Long, c =>
    {
        var without = c.CreateLabel();
        // R8 gets a digit for each question.
        void Ask(bool apic)
        {
            c.mov(eax, 1);
            c.xor(ecx, ecx);
            c.cpuid();
            c.shr(ecx, 27);
            c.shr(edx, 9);
            c.mov(eax, apic ? edx : ecx);
            c.and(eax, 1);
            c.shl(r8, 4);
            c.or(r8, rax);
        }
        void SetCr4(int value)
        {
            c.mov(rax, cr4);
            c.and(eax, ~Osxsave);
            c.or(eax, value);
            c.mov(cr4, rax);
        }
        void EnableApic(bool enabled)
        {
            c.mov(ecx, 0x1B);
            c.rdmsr();
            c.and(eax, ~ApicEnabled);
            if (enabled) c.or(eax, ApicEnabled);
            c.wrmsr();
        }
        c.xor(r8d, r8d);
        for (var round = 0; round < 2; round++) Ask(apic: true);
        EnableApic(false);
        for (var round = 0; round < 2; round++) Ask(apic: true);
        EnableApic(true);
        Ask(apic: true);
        c.mov(eax, 1);
        c.cpuid();
        c.bt(ecx, 26); // XSAVE
        c.jnc(without);
        for (var round = 0; round < 2; round++) Ask(apic: false);
        SetCr4(Osxsave);
        for (var round = 0; round < 2; round++) Ask(apic: false);
        // The size of the area for what is enabled: leaf 0xD, EBX.
        foreach (var (components, size) in (ReadOnlySpan<(int, AssemblerRegister64)>)[(1, r9), (7, r10)])
        {
            c.mov(eax, 0xD);
            c.xor(ecx, ecx);
            c.cpuid();
            c.and(eax, components);
            c.mov(r11d, eax);
            c.xor(ecx, ecx);
            c.xor(edx, edx);
            c.xsetbv();
            c.mov(eax, 0xD);
            c.xor(ecx, ecx);
            c.cpuid();
            c.mov(size, rbx);
        }
        SetCr4(0);
        Ask(apic: false);
        c.Label(ref without);
        // What else the processors say is their own.
        c.xor(ebx, ebx);
        c.xor(ecx, ecx);
        c.xor(edx, edx);
    }, (_, state) =>
    {
        if (state.Gpr[8] == 0x11001) return; // a processor without XSAVE
        Assert.Equal((0x11001_00110ul, 576ul, (state.Gpr[11] & 4) != 0 ? 832ul : 576), (state.Gpr[8], state.Gpr[9], state.Gpr[10]));
    })
    {
        FailsInQemu = "lets a guest's XSETBV pass without telling its hypervisor",
        Prepare = FaultLog.Write64,
    };

    /// <summary>2 MiB of addresses lead elsewhere from INVLPG on: data there, if there is any, and code that was run. SDM vol. 3, 4.10.4.1.</summary>
    /// <param name="withData">There is data, too.</param>
    /// <param name="entry">The bits of the entry of the page directory: present, writable, large, and accessed and dirty or not.</param>
    internal static GuestProgram LargePage(bool withData, int entry) => new(GuestMode.Long, c =>
    {
        void Use()
        {
            foreach (var target in (uint[])[Layout.Far32, Layout.Far64, Layout.Far32])
            {
                c.mov(eax, Window + target);
                c.call(rax);
            }
            if (!withData) return;
            c.add(r8d, __dword_ptr[Window + Layout.Data]);
            c.inc(__dword_ptr[Window + Layout.Data + 8]);
        }
        c.mov(__dword_ptr[Layout.Data], 1);
        c.mov(__dword_ptr[Layout.Data + 0x20_0000], 0x10000);
        foreach (var physical in (int[])[0, 0, 0x20_0000, 0x20_0000, 0, 0x20_0000])
        {
            c.mov(eax, physical | entry);
            c.mov(__qword_ptr[Entry], rax);
            c.invlpg(__byte_ptr[Window + 0x12345]);
            Use();
        }
    }, (machine, state) =>
    {
        Assert.Equal(3ul * 12 + 3 * 2100, state.Gpr[GprIndex.Rbx]);
        if (!withData) return;
        Assert.Equal(3ul + 3 * 0x10000, state.Gpr[8]);
        Assert.Equal((3u, 3u), (machine.Read<uint>(Layout.Data + 8), machine.Read<uint>(Layout.Data + 0x20_0008)));
    })
    {
        FailsInQemu = "goes on in the code of before where INVLPG drops a large page",
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            foreach (var (at, number) in (ReadOnlySpan<(uint, int)>)[(Layout.Far32, 1), (Layout.Far64, 10), (Layout.Far32 + 0x20_0000, 50), (Layout.Far64 + 0x20_0000, 2000)])
            {
                machine.Load(at, Modes.Assemble(64, at, c =>
                {
                    c.add(rbx, number);
                    c.ret();
                }));
            }
        },
    };

    /// <summary>Addresses in a large page are invalidated over and over, of which nothing is changed, and code in it is called.</summary>
    internal static GuestProgram UnchangedPage { get; } = new(GuestMode.Long, c =>
    {
        c.mov(eax, 0xE7);
        c.mov(__qword_ptr[Entry], rax);
        c.mov(ecx, UnchangedTurns);
        var again = c.CreateLabel();
        c.Label(ref again);
        c.invlpg(__byte_ptr[Window + 0x12345]);
        c.mov(eax, Window + Layout.Far32);
        c.call(rax);
        c.dec(ecx);
        c.jnz(again);
    }, (_, state) => Assert.Equal((ulong)UnchangedTurns, state.Gpr[GprIndex.Rbx]))
    {
        Prepare = machine =>
        {
            FaultLog.Write64(machine);
            machine.Load(Layout.Far32, Modes.Assemble(64, Layout.Far32, c =>
            {
                c.inc(rbx);
                c.ret();
            }));
        },
    };

    internal const int UnchangedTurns = 1000;

    // Through two blocks that have nothing to do with vector state and leave the engine's code.
    private static void Leave(Assembler c)
    {
        for (var n = 0; n < 2; n++)
        {
            var next = c.CreateLabel();
            c.jmp(next);
            c.Label(ref next);
            c.@in(al, (byte)Layout.LogPort);
        }
        var last = c.CreateLabel();
        c.jmp(last);
        c.Label(ref last);
    }
}
