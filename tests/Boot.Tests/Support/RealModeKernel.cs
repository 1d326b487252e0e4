// A Multiboot kernel that copies 16-bit code to a segment below 1 MiB and goes there in real mode, through 16-bit protected mode
// (SDM vol. 3, 10.9.2).
using System.Buffers.Binary;

namespace Lamina.Tests.Boot.Support;

internal static class RealModeKernel
{
    private const int TablesLength = 64, VectorsOffset = 32, BackOffset = 40;

    /// <summary>Makes it.</summary>
    /// <param name="segment">Where the code is entered, at offset 0.</param>
    /// <param name="real">The code.</param>
    /// <param name="before">Adds what is done in 32-bit protected mode, once the code is at its place.</param>
    internal static byte[] Make(ushort segment, byte[] real, Action<Code>? before = null)
    {
        var code = new Code(TestKernels.Origin).Raw(0xE9).With32([], (uint)(TablesLength + real.Length));
        var tables = code.Here;
        code.Raw(Tables(tables, segment)).Raw(real)
            .With32([0xBE], tables + TablesLength).With32([0xBF], (uint)segment << 4).With32([0xB9], (uint)real.Length).Raw(0xF3, 0xA4);
        before?.Invoke(code);
        return TestKernels.Protected(code
            .With32([0x0F, 0x01, 0x15], tables)                                 // lgdt
            .With32([0x0F, 0x01, 0x1D], tables + VectorsOffset)                 // lidt
            .Raw(0x66, 0xB8, 0x10, 0x00, 0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xD0)    // mov ax, 10h; mov ds, ax; mov es, ax; mov ss, ax
            .With32([0xEA], BackOffset).Raw(0x08, 0x00));                       // jmp 8:Back
    }

    // Descriptors, and behind them the way back as 16-bit code.
    private static byte[] Tables(uint address, ushort segment)
    {
        var tables = new byte[TablesLength];
        BinaryPrimitives.WriteUInt16LittleEndian(tables, 31);
        BinaryPrimitives.WriteUInt32LittleEndian(tables.AsSpan(2), address + 8);
        // Selector 8 is 16-bit code at these tables, 10h 16-bit data at the segment.
        BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(16), 0x0000_9A00_0000_FFFF | (ulong)(address & 0xFF_FFFF) << 16);
        BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(24), 0x0000_9200_0000_FFFF | (ulong)segment << 20);
        // A kernel that was booted knows where the vectors are; a CPU that is started has them there.
        BinaryPrimitives.WriteUInt16LittleEndian(tables.AsSpan(VectorsOffset), 0x3FF);
        new byte[]
        {
            0x0F, 0x20, 0xC0, 0x24, 0xFE, 0x0F, 0x22, 0xC0,                     // mov eax, cr0; and al, FEh; mov cr0, eax
            0x66, 0x31, 0xC0,                                                   // xor eax, eax
            0xEA, 0x00, 0x00, (byte)segment, (byte)(segment >> 8),              // jmp segment:0
        }.CopyTo(tables, BackOffset);
        return tables;
    }
}
