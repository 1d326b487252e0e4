// What stands in for a BIOS where no firmware runs: interrupt vectors for real mode, and the few instructions they lead to. A kernel
// that goes back to real mode to ask the BIOS (for a video mode, a disk, the memory map) is told that there is no such service, and
// one whose real-mode code is interrupted goes on. It is no BIOS: no service does anything.
using System.Buffers.Binary;

namespace Lamina.Boot;

/// <summary>The real-mode interrupt vector table and its handlers.</summary>
internal static class RealModeServices
{
    /// <summary>The bytes of the table: 256 far pointers at address 0. SDM vol. 3, 21.1.4.</summary>
    internal const int VectorsLength = 256 * 4;

    // Vectors 10h to 1Fh are services of the BIOS. Those that a caller believes without a word of success are answered.
    private const int FirstService = 0x10, LastService = 0x1F, Equipment = 0x11, ConventionalMemory = 0x12, Disk = 0x13, System = 0x15;

    // In AH: what a disk and what INT 15h say to a function that they do not know.
    private const byte InvalidCommand = 0x01, NotSupported = 0x86;

    // Offsets in the BIOS data area.
    private const byte EquipmentWord = 0x10, MemoryWord = 0x13;

    /// <summary>The handlers, to lie at an address below 1 MiB that is a multiple of 16, and the table that leads to them.</summary>
    internal static (byte[] Vectors, byte[] Handlers) Create(ulong address)
    {
        var handlers = new List<byte>();
        byte[] vectors = new byte[VectorsLength];
        ushort Add(ReadOnlySpan<byte> code)
        {
            var at = (ushort)handlers.Count;
            handlers.AddRange(code);
            return at;
        }

        // Interrupts of devices and exceptions: back to where it was. Nobody is told that it is served (EOI), since whoever lets a
        // controller interrupt real mode has a handler of his own, and an exception or NMI at the same vector must not end another's.
        var ignore = Add([0xCF]);                                               // iret
        var refuse = Add(Refuse());
        var (equipment, memory, disk, system) = (Add(Word(EquipmentWord)), Add(Word(MemoryWord)), Add(Refuse(InvalidCommand)), Add(Refuse(NotSupported)));
        for (var vector = 0; vector < 256; vector++)
        {
            var handler = vector switch
            {
                Equipment => equipment,
                ConventionalMemory => memory,
                Disk => disk,
                System => system,
                >= FirstService and <= LastService => refuse,
                _ => ignore,
            };
            BinaryPrimitives.WriteUInt16LittleEndian(vectors.AsSpan(vector * 4), handler);
            BinaryPrimitives.WriteUInt16LittleEndian(vectors.AsSpan((vector * 4) + 2), (ushort)(address >> 4));
        }
        return (vectors, [.. handlers]);
    }

    // Returns with CF, "it failed", and ZF, which is INT 16h's "no key waits", set in the caller's FLAGS.
    private static byte[] Refuse(byte? status = null) =>
    [
        .. status is { } code ? new byte[] { 0xB4, code } : [],                 // mov ah, code
        0x55, 0x89, 0xE5,                                                       // push bp; mov bp, sp
        0x80, 0x4E, 0x06, 0x41,                                                 // or byte [bp + 6], CF | ZF
        0x5D, 0xCF,                                                             // pop bp; iret
    ];

    // Returns a word of the BIOS data area in AX.
    private static byte[] Word(byte offset) =>
    [
        0x1E, 0x6A, (byte)(BootLayout.BiosDataArea >> 4), 0x1F,                 // push ds; push 40h; pop ds
        0xA1, offset, 0x00,                                                     // mov ax, [offset]
        0x1F, 0xCF,                                                             // pop ds; iret
    ];
}
