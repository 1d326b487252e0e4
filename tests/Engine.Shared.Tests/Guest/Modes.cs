// The modes in which programs start.
using Iced.Intel;
using Lamina.Core.Engine;

namespace Lamina.Tests.Engine.Shared.Guest;

internal enum GuestMode
{
    /// <summary>16 bits, no protection.</summary>
    Real,

    /// <summary>32 bits, flat, no paging, ring 0.</summary>
    Protected,

    /// <summary>64 bits, ring 0.</summary>
    Long,

    /// <summary>64 bits, ring 3.</summary>
    LongUser,
}

internal static class Modes
{
    private const ulong Pe = 1, Et = 1 << 4, Ne = 1 << 5, Wp = 1 << 16, Pg = 1u << 31, Pae = 1 << 5, OsFxsr = 1 << 9, OsXmmExcpt = 1 << 10;
    private const ulong Sce = 1, Lme = 1 << 8, Lma = 1 << 10;

    internal static int Bits(GuestMode mode) => mode switch { GuestMode.Real => 16, GuestMode.Protected => 32, _ => 64 };

    /// <summary>Sets a state up; what the mode does not say stays as it is.</summary>
    internal static void Enter(VcpuState state, GuestMode mode)
    {
        Array.Clear(state.Gpr);
        (state.Rip, state.Rflags) = (Layout.Code, 2);
        state.Gpr[GprIndex.Rsp] = Layout.KernelStack;
        state.Activity = VcpuActivity.Running;
        state.Idtr = new DescriptorTableState { Base = mode == GuestMode.Real ? 0 : Layout.Idt, Limit = (ushort)(mode == GuestMode.Real ? 0x3FF : 0xFFF) };
        if (mode == GuestMode.Real)
        {
            foreach (ref var segment in state.Segments.AsSpan()[..6]) segment = new SegmentState { Limit = 0xFFFF, Attributes = 0x93 };
            state.Segments[SegmentIndex.Cs].Attributes = 0x9B;
            state.Cr0 = Et;
            return;
        }
        var (code, data) = mode switch
        {
            GuestMode.Protected => (Layout.Code32, Layout.Data32),
            GuestMode.Long => (Layout.Code64, Layout.Data32),
            _ => (Layout.UserCode64, Layout.UserData),
        };
        foreach (ref var segment in state.Segments.AsSpan()[..6]) segment = Layout.Segment(data);
        state.Segments[SegmentIndex.Cs] = Layout.Segment(code);
        state.Segments[SegmentIndex.Tr] = Layout.Segment(Layout.Task);
        state.Segments[SegmentIndex.Ldtr] = new SegmentState { Attributes = 1 << 16 | 0x82 };
        state.Gdtr = Layout.GdtRegister;
        state.Cr0 = Pe | Et | Ne;
        state.Cr4 = OsFxsr | OsXmmExcpt;
        if (mode == GuestMode.Protected) return;
        state.Cr0 |= Wp | Pg;
        state.Cr3 = Layout.PageTables;
        state.Cr4 |= Pae;
        state.Efer = Sce | Lme | Lma;
        if (mode == GuestMode.LongUser) state.Gpr[GprIndex.Rsp] = Layout.UserStack;
    }

    /// <summary>Assembles a piece of a program.</summary>
    internal static byte[] Assemble(int bits, ulong at, Action<Assembler> write)
    {
        var assembler = new Assembler(bits);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at);
        return stream.ToArray();
    }
}
