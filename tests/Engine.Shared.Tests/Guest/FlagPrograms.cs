// Programs about PUSHF and POPF at each privilege level and width that code of today has: which flags they change, what follows at once from those that
// they change, and which flags the code behind them finds. SDM vol. 2, PUSHF and POPF.
using Iced.Intel;
using Lamina.Core.Engine;
using Lamina.Engines.X86;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class FlagPrograms
{
    private const uint Seen = Layout.Data, Noted = Layout.Data + 0x800, LocalApic = 0xFEE0_0000;
    private const byte Vector = 0x41;
    private const int Rounds = 3;

    // All but TF, which is a matter of its own; what a higher level alone may change, and what nobody changes, is among them.
    private static readonly int[] s_values =
    [
        0, -1 & ~(int)Rflags.TF, (int)Rflags.Arithmetic, (int)Rflags.CF, (int)Rflags.OF, (int)Rflags.ZF, (int)(Rflags.SF | Rflags.PF), (int)Rflags.AF,
        (int)Rflags.DF, (int)Rflags.NT, (int)Rflags.ID, (int)Rflags.AC, (int)(Rflags.AC | Rflags.ID), (int)Rflags.IF, (int)Rflags.IOPL, (int)(Rflags.IF | Rflags.IOPL | Rflags.DF), 0x1000, 0x2000,
        (int)(Rflags.VM | Rflags.RF), 0x18_0000, 0x2, 0x28, 0x8000,
    ];

    /// <summary>Every value goes into the flags and is read back, several times each, in code that is chained.</summary>
    /// <param name="mode">Where.</param>
    /// <param name="before">The flags at the start; IOPL and IF matter.</param>
    internal static GuestProgram Values(GuestMode mode, ulong before) => new(mode, c =>
    {
        var again = c.CreateLabel();
        c.mov(ecx, Rounds);
        c.Label(ref again);
        for (var n = 0; n < s_values.Length; n++)
        {
            var clear = c.CreateLabel();
            c.push(s_values[n]);
            Pop(c);
            Push(c);
            // The arithmetic ones, as code behind it finds them.
            c.sbb(ebx, ebx);
            c.push(s_values[n]);
            Pop(c);
            c.jno(clear);
            c.or(ebx, 0x10);
            c.Label(ref clear);
            if (c.Bitness == 64) c.pop(rax);
            else c.pop(eax);
            c.mov(__dword_ptr[Seen + n * 8], eax);
            c.mov(__dword_ptr[Seen + n * 8 + 4], ebx);
        }
        c.dec(ecx);
        c.jne(again);
        c.push(0x2);
        Pop(c);
    }, (machine, state) =>
    {
        var isUser = mode == GuestMode.LongUser;
        var free = Rflags.Arithmetic | Rflags.DF | Rflags.NT | Rflags.AC | Rflags.ID | (isUser ? 0 : Rflags.IOPL) | (!isUser || (before & Rflags.IOPL) == Rflags.IOPL ? Rflags.IF : 0);
        for (var n = 0; n < s_values.Length; n++)
        {
            var value = (ulong)(uint)s_values[n];
            Assert.Equal((s_values[n], ((before | 2) & ~free) | (value & free)), (s_values[n], (ulong)machine.Read<uint>(Seen + (uint)n * 8)));
            Assert.Equal(((value & Rflags.CF) != 0 ? uint.MaxValue : 0) | ((value & Rflags.OF) != 0 ? 0x10u : 0), machine.Read<uint>(Seen + (uint)n * 8 + 4));
        }
        Assert.Equal(isUser ? Layout.UserStack : Layout.KernelStack, state.Gpr[GprIndex.Rsp]);
    })
    {
        Adjust = state => state.Rflags = before | 2,
    };

    /// <summary>An interrupt that waits comes as soon as POPF sets IF, without a shadow of one instruction.</summary>
    internal static GuestProgram Window { get; } = new(GuestMode.Protected, c =>
    {
        c.mov(__dword_ptr[LocalApic + 0xF0], 0x1FF);
        c.mov(__dword_ptr[LocalApic + 0x300], 0x4_4000 | Vector);
        c.inc(ebx);
        c.push(0x2);
        c.popfd();
        c.inc(ebx);
        c.push(0x202);
        c.popfd();
        c.mov(ebx, 0x100);
        c.cli();
        // Nothing waits: it stays with the flag, which lets in what comes, sooner or later.
        c.push(0x202);
        c.popfd();
        c.mov(__dword_ptr[LocalApic + 0x300], 0x4_4000 | Vector);
        var again = c.CreateLabel();
        c.mov(ecx, 1000);
        c.Label(ref again);
        c.dec(ecx);
        c.jne(again);
        c.cli();
    }, (machine, _) => Assert.Equal((2u, 0x100u, 2u), (machine.Read<uint>(Noted), machine.Read<uint>(Noted + 4), machine.Read<uint>(Noted + 0x80))))
    {
        Prepare = machine =>
        {
            FaultLog.Write32(machine);
            FaultLog.SetGate32(machine, Vector, Layout.Far32);
            machine.Load(Layout.Far32, Modes.Assemble(32, Layout.Far32, c =>
            {
                c.mov(eax, __dword_ptr[Noted + 0x80]);
                c.mov(__dword_ptr[eax * 4 + Noted], ebx);
                c.inc(__dword_ptr[Noted + 0x80]);
                c.mov(__dword_ptr[LocalApic + 0xB0], 0);
                c.iretd();
            }));
        },
    };

    /// <summary>TF set by POPF traps behind the next instruction, and behind each until POPF clears it.</summary>
    internal static GuestProgram Trap { get; } = new(GuestMode.Protected, c =>
    {
        c.pushfd();
        c.or(__dword_ptr[esp], 0x100);
        c.popfd();
        for (var n = 0; n < 6; n++) c.inc(ebx);
        c.pushfd();
        c.and(__dword_ptr[esp], ~0x100);
        c.popfd();
        c.inc(ebx);
    }, (machine, state) => Assert.Equal((7ul, 9u), (state.Gpr[GprIndex.Rbx], machine.Read<uint>(Noted))))
    {
        NeedsHardware = true,
        Prepare = machine =>
        {
            FaultLog.Write32(machine);
            FaultLog.SetGate32(machine, 1, Layout.Far32);
            machine.Load(Layout.Far32, Modes.Assemble(32, Layout.Far32, c =>
            {
                c.inc(__dword_ptr[Noted]);
                c.iretd();
            }));
        },
    };

    private static void Pop(Assembler c)
    {
        if (c.Bitness == 64) c.popfq();
        else c.popfd();
    }

    private static void Push(Assembler c)
    {
        if (c.Bitness == 64) c.pushfq();
        else c.pushfd();
    }
}
