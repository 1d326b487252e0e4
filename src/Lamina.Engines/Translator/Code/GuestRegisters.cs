// Where guest general registers live while generated code runs. Most keep their own number. The host's RSP stays a real
// stack for signal frames, so the guest's RSP lives in R9; R10 and R11 are scratch; R15 holds a constant that every access
// to memory needs. The guest's R9, R10, R11 and R15, which compilers use least, live in memory (Frame) and are loaded and
// stored around the instructions that name them.

namespace Lamina.Engines.Translator.Code;

internal static class GuestRegisters
{
    /// <summary>Scratch 0: the linear address of an access, the target of an indirect jump.</summary>
    public const int S0 = HostRegister.R10;

    /// <summary>Scratch 1: the addend of an access.</summary>
    public const int S1 = HostRegister.R11;

    /// <summary>The guest's RSP.</summary>
    public const int StackPointer = HostRegister.R9;

    /// <summary>Which bits of an address are the number of its page, as BEXTR takes it: 12 and up, <see cref="Slot.PageNumberBits"/> of them.</summary>
    public const int PageField = HostRegister.R15;

    /// <summary>The guest registers that live in memory.</summary>
    public static ReadOnlySpan<byte> Displaced => [9, 10, 11, 15];

    /// <summary>Whether a guest register lives in memory.</summary>
    public static bool IsDisplaced(int guest) => guest is >= 9 and <= 11 or 15;

    /// <summary>The host register of a guest register that is not displaced.</summary>
    public static int HostOf(int guest) => guest == 4 ? StackPointer : guest;
}
