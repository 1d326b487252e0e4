// Programs of 16 bits, and those that go from one mode to another.
using Iced.Intel;
using Lamina.Core.Engine;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class RealPrograms
{
    private const ushort Data = 0x5000, GdtPointer = 0x5C00;

    internal static GuestProgram Arithmetic { get; } = new(GuestMode.Real, c =>
    {
        var again = c.CreateLabel();
        c.xor(eax, eax);
        c.mov(cx, 1000);
        c.Label(ref again);
        c.add(ax, cx);
        c.adc(dx, 0);
        c.rol(bx, 3);
        c.xor(bx, ax);
        c.dec(cx);
        c.jne(again);
        c.mov(si, 1234);
        c.mul(si);
        c.mov(si, 0x7FF);
        c.div(si);
        c.imul(di, ax, 77);
        c.push(ax);
        // Defines all flags: after MUL, DIV, IMUL, SHLD and BSR processors differ in some.
        c.cmp(di, ax);
        c.pushf();
        c.pop(bp);
        c.neg(bx);
        c.sbb(di, bx);
        c.shld(ecx, edx, 5);
        c.bsr(si, di);
        c.cwd();
        c.cmp(dx, ax);
    }, (_, state) => Assert.Equal(0x6FFEul, state.Gpr[GprIndex.Rsp]));

    internal static GuestProgram Strings { get; } = new(GuestMode.Real, c =>
    {
        c.cld();
        c.mov(di, Data);
        c.mov(ax, 0xBEEF);
        c.mov(cx, 64);
        c.rep.stosw();
        c.mov(si, Data);
        c.mov(di, Data + 0x101);
        c.mov(cx, 100);
        c.rep.movsb();
        c.mov(si, Data);
        c.mov(di, Data + 0x101);
        c.mov(cx, 0x80);
        c.repe.cmpsb();
        c.mov(bx, cx);
        c.std();
        c.mov(si, Data + 9);
        c.lodsw();
        c.mov(di, Data + 0x150);
        c.mov(cx, 0x40);
        c.repne.scasb();
        c.cld();
        c.mov(dx, Layout.LogPort);
        c.mov(si, Data);
        c.mov(cx, 5);
        c.rep.outsb();
        c.mov(di, Data + 0x200);
        c.mov(cx, 6);
        c.rep.insb();
        c.@in(ax, dx);
        c.mov(di, __word_ptr[Data + 0x200]);
    }, (machine, state) =>
    {
        Assert.Equal([0x1000_00EFu, 0x1000_00BEu, 0x1000_00EFu, 0x1000_00BEu, 0x1000_00EFu], machine.PortLog);
        Assert.Equal(0x2211ul, state.Gpr[GprIndex.Rdi]);
        Assert.Equal(0x8877ul, state.Gpr[GprIndex.Rax]);
    });

    internal static GuestProgram Interrupts { get; } = new(GuestMode.Real, c =>
    {
        c.mov(bx, 0);
        c.@int(0x60);
        c.@int(0x60);
        c.xor(dx, dx);
        c.mov(ax, 100);
        c.mov(cx, 0);
        // Two bytes; the handler of the division goes on behind them.
        c.div(cx);
        c.mov(si, bx);
    }, (_, state) => Assert.Equal(0x102ul, state.Gpr[GprIndex.Rsi]))
    {
        Prepare = machine =>
        {
            machine.Memory.TryWrite(0x60 * 4, Layout.Handlers);
            machine.Memory.TryWrite(0, Layout.Handlers + 0x40);
            machine.Load(Layout.Handlers, Modes.Assemble(16, Layout.Handlers, c =>
            {
                c.inc(bx);
                c.iret();
            }));
            machine.Load(Layout.Handlers + 0x40, Modes.Assemble(16, Layout.Handlers + 0x40, c =>
            {
                c.add(bx, 0x100);
                c.mov(bp, sp);
                c.add(__word_ptr[bp], 2);
                c.iret();
            }));
        },
    };

    // The 8259 pair, edge triggered, vectors from 0x20; the timer at 1 kHz; five of its interrupts wake the halted CPU.
    internal static GuestProgram Timer { get; } = new(GuestMode.Real, c =>
    {
        var wait = c.CreateLabel();
        foreach (var (port, value) in ((byte, byte)[])[(0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, 0x01), (0x21, 0xFE), (0x43, 0x34), (0x40, 0xA9), (0x40, 0x04)])
        {
            c.mov(al, value);
            c.@out(port, al);
        }
        c.xor(bx, bx);
        c.Label(ref wait);
        c.sti();
        c.hlt();
        c.cli();
        c.cmp(bx, 5);
        c.jb(wait);
        c.mov(al, 0xFF);
        c.@out(0x21, al);
        // How often it came by now, and with it the flags, is a matter of time.
        c.mov(bx, 5);
        c.test(bx, bx);
    }, (_, state) => Assert.Equal(5ul, state.Gpr[GprIndex.Rbx]))
    {
        Prepare = machine =>
        {
            machine.Memory.TryWrite(0x20 * 4, Layout.Handlers);
            machine.Load(Layout.Handlers, Modes.Assemble(16, Layout.Handlers, c =>
            {
                c.inc(bx);
                c.push(ax);
                c.mov(al, 0x20);
                c.@out(0x20, al);
                c.pop(ax);
                c.iret();
            }));
        },
    };

    // Real → protected → long → compatibility → protected: a value grows in each.
    internal static GuestProgram ModeSwitches { get; } = new(GuestMode.Real, c =>
    {
        c.lgdt(__fword_ptr[GdtPointer]);
        c.mov(ebx, 1);
        c.mov(eax, cr0);
        c.or(al, 1);
        c.mov(cr0, eax);
        c.db([0xEA, .. BitConverter.GetBytes((ushort)Layout.Far32), .. BitConverter.GetBytes(Layout.Code32)]);
    }, (_, state) => Assert.Equal(0x1Ful, state.Gpr[GprIndex.Rbx]))
    {
        Prepare = machine =>
        {
            machine.Load(GdtPointer, [0x5F, 0, .. BitConverter.GetBytes(Layout.Gdt)]);
            machine.Load(Layout.Far32, Modes.Assemble(32, Layout.Far32, c =>
            {
                c.mov(eax, Layout.Data32);
                c.mov(ds, eax);
                c.mov(es, eax);
                c.mov(ss, eax);
                c.mov(esp, Layout.KernelStack);
                c.or(ebx, 2);
                c.mov(eax, 0x20);
                c.mov(cr4, eax);
                c.mov(eax, Layout.PageTables);
                c.mov(cr3, eax);
                c.mov(ecx, 0xC000_0080);
                c.rdmsr();
                c.or(eax, 0x100);
                c.wrmsr();
                c.mov(eax, cr0);
                c.or(eax, unchecked((int)0x8000_0000));
                c.mov(cr0, eax);
                c.db([0xEA, .. BitConverter.GetBytes(Layout.Far64), .. BitConverter.GetBytes(Layout.Code64)]);
            }));
            machine.Load(Layout.Far64, Modes.Assemble(64, Layout.Far64, c =>
            {
                c.or(ebx, 4);
                c.mov(rax, 0x1234_5678_9ABC_DEF0);
                c.mov(r9, rax);
                c.push(Layout.Code32);
                c.push((int)Layout.FarCompatibility);
                c.db(0x48, 0xCB); // retfq
            }));
            machine.Load(Layout.FarCompatibility, Modes.Assemble(32, Layout.FarCompatibility, c =>
            {
                c.or(ebx, 8);
                c.mov(eax, cr0);
                c.and(eax, 0x7FFF_FFFF);
                c.mov(cr0, eax);
                c.mov(ecx, 0xC000_0080);
                c.rdmsr();
                c.and(eax, ~0x100);
                c.wrmsr();
                c.or(ebx, 0x10);
                c.@out((byte)Layout.EndPort, al);
                c.hlt();
            }));
        },
    };
}
