// A command as the guest wrote it (4.2): read once, and believed from then on to be what it was read as.
using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Lamina.Devices.Nvme;

/// <summary>A command.</summary>
[InlineArray(NvmeSpec.CommandLength)]
internal struct NvmeCommand
{
    private byte _first;

    internal readonly byte Opcode => this[0];

    // How data is described: 0 is by physical pages, the only way here.
    internal readonly bool IsByPages => this[1] >> 6 == 0;

    internal readonly bool IsFused => (this[1] & 3) != 0;

    internal readonly ushort Id => (ushort)(Word(0) >> 16);

    internal readonly uint Namespace => Word(1);

    internal readonly ulong Prp1 => Word(6) | (ulong)Word(7) << 32;

    internal readonly ulong Prp2 => Word(8) | (ulong)Word(9) << 32;

    /// <summary>One of the sixteen double words.</summary>
    internal readonly uint Word(int index) => BinaryPrimitives.ReadUInt32LittleEndian(((ReadOnlySpan<byte>)this)[(index * sizeof(uint))..]);
}
