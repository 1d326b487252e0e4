// FLDENV, FNSTENV, FRSTOR and FNSAVE: the 14- and 28-byte x87 environments. Their instruction and data pointers are
// zeros, as everywhere here. SDM vol. 1, 8.1.10, figures 8-9 to 8-12.
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Memory;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome X87Environment(in Instruction i)
    {
        if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
        if (!TryCheckState(StateClass.X87)) return Outcome.Fault;
        var width = i.OperandSize == 2 ? 2 : 4;
        var withRegisters = i.Opcode == 0xdd;
        var store = ((i.ModRm >> 3) & 7) == 6;
        var length = width * 7 + (withRegisters ? 80 : 0);
        var buffer = stackalloc byte[108];
        var span = new Span<byte>(buffer, length);
        var offset = EffectiveOffset(in i);
        Vectors.Begin(XsaveImage.X87);
        if (!store)
        {
            if (!TryReadMemory(i.Segment, offset, span)) return Outcome.Fault;
            LoadEnvironment(buffer, width);
            if (withRegisters) LoadX87Registers(buffer + width * 7);
            UpdateErrorSummary();
            return Outcome.Next;
        }
        StoreEnvironment(buffer, width);
        if (withRegisters)
            for (var n = 0; n < 8; n++) Buffer.MemoryCopy(Context->XsaveArea + XsaveImage.RegistersAt + n * 16, buffer + width * 7 + n * 10, 10, 10);
        if (!TryWriteMemory(i.Segment, offset, span)) return Outcome.Fault;
        if (withRegisters)
        {
            Vectors.Initialize(XsaveImage.X87);
            return Outcome.Next;
        }
        *(ushort*)(Context->XsaveArea + XsaveImage.ControlAt) |= 0x3f; // FNSTENV masks all exceptions
        UpdateErrorSummary();
        return Outcome.Next;
    }

    private void StoreEnvironment(byte* to, int width)
    {
        var area = Context->XsaveArea;
        var flat = IsFlatMode;
        var opcode = *(ushort*)(area + XsaveImage.OpcodeAt) & 0x7ff;
        var words = stackalloc uint[7];
        words[0] = *(ushort*)(area + XsaveImage.ControlAt);
        words[1] = *(ushort*)(area + XsaveImage.StatusAt);
        words[2] = FullTagWord();
        // Word 4 holds the opcode: in bits 0-10 in real-address formats, in the upper half of the 32-bit protected one.
        words[4] = flat ? (uint)opcode : width == 4 ? (uint)opcode << 16 : 0;
        for (var n = 0; n < 7; n++)
        {
            // The upper halves of the 32-bit format's control, status and tag words, and of the last selector, read as ones.
            if (width == 4) ((uint*)to)[n] = n < 3 || (n == 6 && !flat) ? words[n] | 0xffff_0000 : words[n];
            else ((ushort*)to)[n] = (ushort)words[n];
        }
    }

    private void LoadEnvironment(byte* from, int width)
    {
        var area = Context->XsaveArea;
        uint Word(int n) => width == 4 ? ((uint*)from)[n] : ((ushort*)from)[n];
        var status = (ushort)Word(1);
        var oldTop = *(ushort*)(area + XsaveImage.StatusAt) >> 11 & 7;
        var newTop = status >> 11 & 7;
        RotateX87(newTop - oldTop);
        // As FNINIT and FLDCW do: reserved bits of the control word read as on the processor.
        *(ushort*)(area + XsaveImage.ControlAt) = (ushort)((Word(0) & 0x1f3f) | 0x40);
        *(ushort*)(area + XsaveImage.StatusAt) = status;
        byte tags = 0;
        var full = Word(2);
        for (var n = 0; n < 8; n++)
            if ((full >> (n * 2) & 3) != 3) tags |= (byte)(1 << n);
        area[XsaveImage.TagAt] = tags;
        var opcode = IsFlatMode ? Word(4) & 0x7ff : width == 4 ? Word(4) >> 16 & 0x7ff : 0;
        *(ushort*)(area + XsaveImage.OpcodeAt) = (ushort)opcode;
        new Span<byte>(area + XsaveImage.InstructionPointerAt, 16).Clear();
    }

    /// <summary>Registers stay where they physically are when TOP changes; the image is in stack order.</summary>
    private void RotateX87(int turn)
    {
        if ((turn & 7) == 0) return;
        var registers = (UInt128*)(Context->XsaveArea + XsaveImage.RegistersAt);
        var old = stackalloc UInt128[8];
        for (var n = 0; n < 8; n++) old[n] = registers[n];
        for (var n = 0; n < 8; n++) registers[n] = old[(n + turn) & 7];
    }

    private void LoadX87Registers(byte* from)
    {
        var area = Context->XsaveArea + XsaveImage.RegistersAt;
        for (var n = 0; n < 8; n++)
        {
            Buffer.MemoryCopy(from + n * 10, area + n * 16, 10, 10);
            new Span<byte>(area + n * 16 + 10, 6).Clear();
        }
    }

    /// <summary>Two bits a physical register: 0 valid, 1 zero, 2 special, 3 empty. SDM vol. 1, 8.1.7 and table 10-3.</summary>
    private uint FullTagWord()
    {
        var area = Context->XsaveArea;
        var top = *(ushort*)(area + XsaveImage.StatusAt) >> 11 & 7;
        uint word = 0;
        for (var physical = 0; physical < 8; physical++)
        {
            uint tag = 3;
            if ((area[XsaveImage.TagAt] >> physical & 1) != 0)
            {
                var register = area + XsaveImage.RegistersAt + ((physical - top) & 7) * 16;
                var significand = *(ulong*)register;
                var exponent = *(ushort*)(register + 8) & 0x7fff;
                tag = exponent == 0x7fff ? 2u : exponent == 0 ? significand == 0 ? 1u : 2 : significand >> 63 != 0 ? 0u : 2;
            }
            word |= tag << (physical * 2);
        }
        return word;
    }
}
