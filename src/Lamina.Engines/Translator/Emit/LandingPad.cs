// What the jump cache leads to: a few instructions for one block at one linear address, which make sure that the jump
// is for this address (the cache is a hash), that nobody wants the vCPU out, and then make flags and the code page what
// the block expects.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal static unsafe class LandingPad
{
    /// <summary>The most bytes a pad takes.</summary>
    private const int MaxBytes = 128;

    /// <summary>
    /// Emits the way from a direct jump within a page, or from where a call returns to, to a block through the jump cache: to one
    /// that reaches into the next page, and so depends on two translations of addresses, or that wants flags that are
    /// <paramref name="parked"/>. Returns the executable address, or 0.
    /// </summary>
    public static ulong EmitDetour(CodeBuffer buffer, Block target, ulong linear, bool parked)
    {
        if (!buffer.HasRoom(MaxBytes)) return 0;
        var asm = buffer.Begin();
        var start = asm.Here;
        if (!parked) asm.ParkFlags();
        if ((target.Key & ModeKey.PositionIndependent) != 0)
        {
            asm.Frame(Op.MovLoad, S0, Frame.CodePage);
            asm.Rm(Op.Lea, S0, S0, (int)(linear & 0xfff));
        }
        else
        {
            asm.MovImmediate(S0, linear);
        }
        asm.JumpThroughCache();
        buffer.End(asm.Cursor);
        return start;
    }

    /// <summary>Emits a pad; returns its executable address.</summary>
    public static ulong Emit(CodeBuffer buffer, Block block, ulong linear, StubAddresses stubs)
    {
        if (!buffer.HasRoom(MaxBytes)) return stubs.JumpMiss;
        var asm = buffer.Begin();
        var start = asm.Here;
        if ((long)linear == (int)linear)
        {
            asm.RegImmediate(7, S0, (int)linear);
        }
        else
        {
            asm.MovImmediate(S1, linear);
            asm.Rr(Op.Cmp, S1, S0);
        }
        asm.Jcc(Cond.NE, stubs.JumpSecond);
        asm.GsCompare8(Slot.ExitRequest, 0);
        asm.Jcc(Cond.NE, stubs.JumpMiss);
        if ((block.Key & ModeKey.PositionIndependent) != 0)
        {
            asm.RegImmediate(4, S0, -4096);
            asm.Frame(Op.MovStore, S0, Frame.CodePage);
        }
        if (block.LiveIn != Flags.None) asm.UnparkFlags();
        asm.Jmp(buffer.Executable(block.HostStart));
        buffer.End(asm.Cursor);
        return start;
    }

    /// <summary>
    /// Emits the way from a direct jump to a block in another page: valid as long as the jump's own page is where it was
    /// and the jump cache leads from the target's address to its pad. Returns its offset in the buffer, or 0.
    /// </summary>
    /// <param name="buffer">Where.</param>
    /// <param name="fromPage">Linear page of the jump (position-independent code only).</param>
    /// <param name="target">The block.</param>
    /// <param name="linear">Its linear address.</param>
    /// <param name="pad">Its pad there.</param>
    /// <param name="slow">The jump's own way through the jump cache.</param>
    public static int EmitFarLink(CodeBuffer buffer, ulong fromPage, Block target, ulong linear, ulong pad, ulong slow)
    {
        if (!buffer.HasRoom(MaxBytes)) return 0;
        var asm = buffer.Begin();
        var start = buffer.OffsetOf(asm.Cursor);
        var independent = (target.Key & ModeKey.PositionIndependent) != 0;
        if (independent)
        {
            asm.MovImmediate(S0, fromPage);
            asm.Frame(Op.CmpLoad, S0, Frame.CodePage);
            asm.Jcc(Cond.NE, slow);
        }
        // All pads lie in one buffer: half of the address tells them apart.
        asm.GsImmediate(0x81, 7, Slot.JumpCache + Slot.JumpCacheHash(linear) * 2, (int)pad);
        asm.Jcc(Cond.NE, slow);
        if (independent)
        {
            asm.MovImmediate(S0, linear & ~0xffful);
            asm.Frame(Op.MovStore, S0, Frame.CodePage);
        }
        if (target.LiveIn != Flags.None) asm.UnparkFlags();
        asm.Jmp(buffer.Executable(target.HostStart));
        buffer.End(asm.Cursor);
        return start;
    }
}
