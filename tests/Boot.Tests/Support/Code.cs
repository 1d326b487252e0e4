// A very small assembler for guests: bytes, labels, and the few instructions whose operands are computed. What the bytes
// mean stands beside them where they are used.
using System.Buffers.Binary;

namespace Lamina.Tests.Boot.Support;

/// <summary>Machine code that is put together at a known address.</summary>
internal sealed class Code(uint origin)
{
    private readonly List<byte> _bytes = [];
    private readonly Dictionary<string, uint> _labels = [];
    private readonly List<(int At, string Label)> _relative = [];

    /// <summary>The address of the next byte.</summary>
    internal uint Here => origin + (uint)_bytes.Count;

    /// <summary>Adds bytes.</summary>
    internal Code Raw(params ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>Adds an opcode and a 32-bit operand.</summary>
    internal Code With32(ReadOnlySpan<byte> opcode, uint operand)
    {
        Raw(opcode);
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, operand);
        return Raw(bytes);
    }

    /// <summary>Adds an opcode and a 64-bit operand.</summary>
    internal Code With64(ReadOnlySpan<byte> opcode, ulong operand) => With32(opcode, (uint)operand).With32([], (uint)(operand >> 32));

    /// <summary>Adds an opcode and a 32-bit displacement to a label.</summary>
    internal Code To(ReadOnlySpan<byte> opcode, string label)
    {
        Raw(opcode);
        _relative.Add((_bytes.Count, label));
        return Raw(0, 0, 0, 0);
    }

    /// <summary>Names the next byte.</summary>
    internal Code Label(string name)
    {
        _labels.Add(name, Here);
        return this;
    }

    /// <summary>The address of a label that stands before.</summary>
    internal uint AddressOf(string label) => _labels[label];

    /// <summary>Loads ECX, EDX:EAX and executes WRMSR.</summary>
    internal Code WriteMsr(uint index, ulong value) => With32([0xB9], index).With32([0xB8], (uint)value).With32([0xBA], (uint)(value >> 32)).Raw(0x0F, 0x30);

    /// <summary>OUT of a byte.</summary>
    internal Code Out8(ushort port, byte value) => With32([0xBA], port).Raw(0xB0, value, 0xEE);

    /// <summary>A 32-bit store to a 32-bit address, in 64-bit code.</summary>
    internal Code Store32(uint address, uint value) => With32([0xC7, 0x04, 0x25], address).With32([], value);

    /// <summary>Ends the machine with (<paramref name="value"/> &lt;&lt; 1) | 1.</summary>
    internal Code Exit(byte value) => Out8(TestKernels.DebugExitPort, value).Raw(0xF4, 0xEB, 0xFD);

    /// <summary>The finished bytes.</summary>
    internal byte[] ToArray()
    {
        var bytes = _bytes.ToArray();
        foreach (var (at, label) in _relative)
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), _labels[label] - (origin + (uint)at + 4));
        return bytes;
    }
}
