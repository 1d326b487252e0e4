// What generated code keeps on the host's stack rather than at GS: processors rename stores and loads at [rsp + constant]
// (measured on Zen 4: a read-modify-write loop through such a slot runs at a register's speed, 0.27 against 1.46 ns
// through GS). RSP does not move while blocks run; a stub that was called sees the slots one word higher.
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Code;

/// <summary>Offsets from RSP.</summary>
internal static class Frame
{
    /// <summary>Arithmetic flags parked by generated code: SETO in bits 0-7, LAHF in bits 8-15.</summary>
    public const int ParkedFlags = 32;

    /// <summary>Linear address of the page that position-independent code runs in; its page offsets are added to it.</summary>
    public const int CodePage = 40;

    /// <summary>Values between the steps of one instruction.</summary>
    public const int Temporary0 = 48, Temporary1 = 56, Temporary2 = 64;

    /// <summary>The addend of a group of accesses; void outside it.</summary>
    public const int Addend = 72;

    /// <summary>Bytes in all.</summary>
    public const int Size = 80;

    /// <summary>Where a guest register that lives in memory is.</summary>
    public static int Of(int guest) => Displaced.IndexOf((byte)guest) * 8;

    /// <summary>Each slot with its place in the vCPU's area while generated code does not run.</summary>
    public static IEnumerable<(int Offset, int Slot)> Slots =>
    [
        (Of(9), Slot.GprSlot(9)), (Of(10), Slot.GprSlot(10)), (Of(11), Slot.GprSlot(11)), (Of(15), Slot.GprSlot(15)),
        (ParkedFlags, Slot.ParkedFlags), (CodePage, Slot.CodePage),
        (Temporary0, Slot.Temporary0), (Temporary1, Slot.Temporary1), (Temporary2, Slot.Temporary2),
    ];
}
