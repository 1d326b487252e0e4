// Where a case's memory lies, on the host and in the guest alike, and how one case is laid out in the memory that the
// oracle's process shares with the test. Everything of a case is within 64 KiB of Base, so that 16-bit segments reach it.
using System.Runtime.InteropServices;

namespace Lamina.Tests.Engine.Conformance.Oracle;

/// <summary>Addresses of a case.</summary>
internal static class CaseLayout
{
    public const int PageSize = 4096;

    /// <summary>Linear address that 16-bit and based 32-bit segments start at. Not mapped itself.</summary>
    public const uint Base = 0x1000_0000;

    /// <summary>Three pages of data, then one that can only be read; unmapped before and behind.</summary>
    public const uint Data = Base + 0x1000;

    /// <summary>Bytes of data that may be written.</summary>
    public const int WritableData = 3 * PageSize;

    /// <summary>Bytes of data, the read-only page included.</summary>
    public const int DataSize = 4 * PageSize;

    /// <summary>Two pages of code, writable; unmapped before and behind.</summary>
    public const uint Code = Base + 0x8000;

    /// <summary>Bytes of code.</summary>
    public const int CodeSize = 2 * PageSize;

    /// <summary>Bytes of a case's memory image: data, then code.</summary>
    public const int ImageSize = DataSize + CodeSize;

    /// <summary>Where code starts in the image.</summary>
    public const int CodeInImage = DataSize;

    /// <summary>Room for an XSAVE image.</summary>
    public const int XsaveRoom = 3072;

    /// <summary>Linear address of a byte of the image.</summary>
    public static uint LinearOf(int imageOffset) => imageOffset < CodeInImage ? Data + (uint)imageOffset : Code + (uint)(imageOffset - CodeInImage);
}

/// <summary>Selectors, the same on the host (Linux's GDT, a local LDT) and in the guest.</summary>
internal static class Selectors
{
    public const ushort Code64 = 0x33, Code32 = 0x23, Data = 0x2b;

    /// <summary>LDT entry 1: 16-bit code at <see cref="CaseLayout.Base"/>, limit 0xFFFF.</summary>
    public const ushort Code16 = 0x0f;

    /// <summary>LDT entry 2: data at <see cref="CaseLayout.Base"/>, 16-bit stack, limit 0xFFFF.</summary>
    public const ushort Data16 = 0x17;

    /// <summary>LDT entry 3: data at <see cref="CaseLayout.Base"/>, 32-bit, limit in the middle of the third data page.</summary>
    public const ushort DataShort = 0x1f;

    /// <summary>LDT entry 4: 32-bit code at <see cref="CaseLayout.Base"/>, limit 0xFFFF.</summary>
    public const ushort Code32Based = 0x27;

    /// <summary>Limit of <see cref="DataShort"/>.</summary>
    public const uint ShortLimit = 0x37ff;
}

/// <summary>What the oracle is told and what it answers, one after another in shared memory.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
internal unsafe struct CaseRecord
{
    public const int FrameAt = 128, FsBaseAt = 168, GsBaseAt = 176, SegmentsAt = 184, XsaveAt = 256, MemoryAt = 4096;
    public const int OutAt = MemoryAt + CaseLayout.ImageSize, OutXsaveAt = OutAt + 256, OutMemoryAt = OutAt + 4096;
    public const int Size = OutMemoryAt + CaseLayout.ImageSize;

    /// <summary>Offset of the general registers (mcontext_t.gregs) in a Linux ucontext_t, and of the pointer to the XSAVE image.</summary>
    public const int ContextRegisters = 40, ContextVectors = 224, ContextRegisterCount = 23;

    /// <summary>RAX to R15 in encoding order; RSP's place is not used.</summary>
    [FieldOffset(0)] public fixed ulong Gpr[16];

    /// <summary>IRETQ's frame: RIP, CS, RFLAGS, RSP, SS.</summary>
    [FieldOffset(FrameAt)] public fixed ulong Frame[5];

    [FieldOffset(FsBaseAt)] public ulong FsBase;

    [FieldOffset(GsBaseAt)] public ulong GsBase;

    /// <summary>DS, ES, FS, GS.</summary>
    [FieldOffset(SegmentsAt)] public fixed ushort Segments[4];

    [FieldOffset(XsaveAt)] public fixed byte Xsave[CaseLayout.XsaveRoom];

    [FieldOffset(MemoryAt)] public fixed byte Memory[CaseLayout.ImageSize];

    /// <summary>gregs as the kernel saved them.</summary>
    [FieldOffset(OutAt)] public fixed ulong Out[ContextRegisterCount];

    /// <summary>The signal's number.</summary>
    [FieldOffset(OutAt + ContextRegisterCount * 8)] public ulong Signal;

    [FieldOffset(OutXsaveAt)] public fixed byte OutXsave[CaseLayout.XsaveRoom];

    [FieldOffset(OutMemoryAt)] public fixed byte OutMemory[CaseLayout.ImageSize];
}

/// <summary>Indices into <see cref="CaseRecord.Out"/> (Linux, asm/ucontext: REG_R8 and so on).</summary>
internal static class ContextRegister
{
    public const int Rip = 16, Flags = 17, Error = 19, Vector = 20, Cr2 = 22;

    /// <summary>Indices of RAX to R15.</summary>
    public static ReadOnlySpan<byte> Gpr => [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];
}
