// Vector accesses under a mask (EVEX opmask, VMASKMOV) touch only the elements whose mask bit is set, and fault only for
// those (SDM vol. 1, 15.6.4). The tables know nothing of masks, so such an access that misses, crosses or faults is
// made element by element here, through the bounce buffer.
using Lamina.Engines.Translator.Decode;
using Lamina.Engines.Translator.Emit;
using Lamina.Engines.X86;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private sealed record ActiveElements(int ElementSize, ulong Mask, int Count);

    private ActiveElements? _maskedStore;

    private void PrepareMaskedStore(ulong linear, int size)
    {
        if (!TryDecodeCurrent(out var instruction) || (instruction.Traits & InstructionTraits.MaskedMemory) == 0) return;
        _maskedStore = ElementsOf(instruction, size);
        _storeLinear = linear;
    }

    /// <summary>After a fault of the whole access: tries the active elements alone.</summary>
    private bool TryMaskedBounce(in Site site, ulong linear, AccessKind kind)
    {
        var fault = _processor.Fault;
        if (!TryDecodeCurrent(out var instruction) || (instruction.Traits & InstructionTraits.MaskedMemory) == 0)
        {
            _processor.RestoreFault(fault);
            return false;
        }
        var active = ElementsOf(instruction, site.Size);
        for (var i = 0; i < active.Count; i++)
        {
            if ((active.Mask >> i & 1) == 0) continue;
            var at = linear + (ulong)(i * active.ElementSize);
            var done = kind == AccessKind.Read
                ? _processor.TryReadLinear(at, new Span<byte>(_area->Bounce + i * active.ElementSize, active.ElementSize))
                : _processor.TryProbe(at, active.ElementSize, AccessKind.Write);
            if (!done) return false;
        }
        _storeLinear = linear;
        _maskedStore = kind == AccessKind.Write ? active : null;
        return true;
    }

    private void CommitMasked(ActiveElements active)
    {
        for (var i = 0; i < active.Count; i++)
        {
            if ((active.Mask >> i & 1) == 0) continue;
            var offset = i * active.ElementSize;
            _ = _processor.TryWriteLinear(_storeLinear + (ulong)offset, new ReadOnlySpan<byte>(_area->Bounce + offset, active.ElementSize));
        }
    }

    private ActiveElements ElementsOf(in Instruction instruction, int size)
    {
        if (instruction.Encoding != EncodingKind.Evex)
        {
            // VMASKMOVPS/PD, VPMASKMOVD/Q: the sign bits of the vvvv register.
            var wide = instruction.Opcode is 0x2d or 0x2f || (instruction.Opcode is 0x8c or 0x8e && instruction.W);
            var element = wide ? 8 : 4;
            var signs = 0ul;
            for (var i = 0; i < size / element; i++)
                if ((VectorByte(instruction.Vvvv, i * element + element - 1) & 0x80) != 0) signs |= 1ul << i;
            return new ActiveElements(element, signs, size / element);
        }
        var elementSize = MaskedElementSize(instruction);
        var opmask = (int)(instruction.EvexPayload >> 16) & 7;
        var count = size / elementSize;
        var mask = opmask == 0 ? ulong.MaxValue : *(ulong*)(_cpu->XsaveArea + _model.Component(5).Offset + opmask * 8);
        // Compressing stores and expanding loads use as many leading elements as there are mask bits.
        if (instruction.Map == 2 && instruction.Opcode is 0x88 or 0x89 or 0x8a or 0x8b or 0x62 or 0x63)
        {
            var bits = System.Numerics.BitOperations.PopCount(count == 64 ? mask : mask & ((1ul << count) - 1));
            mask = bits == 64 ? ulong.MaxValue : (1ul << bits) - 1;
        }
        return new ActiveElements(elementSize, mask, count);
    }

    /// <summary>Element size of a masked EVEX memory operand in bytes.</summary>
    private static int MaskedElementSize(in Instruction instruction)
    {
        var wide = instruction.W;
        return (instruction.Map, instruction.Opcode) switch
        {
            (1, 0x6f or 0x7f) when instruction.MandatoryPrefix == 0xf2 => wide ? 2 : 1,     // VMOVDQU8/16
            (2, 0x62 or 0x63) => wide ? 2 : 1,                                              // VPEXPANDB/W, VPCOMPRESSB/W
            (2, >= 0x10 and <= 0x35) when instruction.MandatoryPrefix == 0xf3 => NarrowingElement(instruction.Opcode),
            (1, 0x10 or 0x11) when instruction.MandatoryPrefix == 0xf3 => 4,                // VMOVSS
            (1, 0x10 or 0x11) when instruction.MandatoryPrefix == 0xf2 => 8,                // VMOVSD
            (3, 0x1d) => 2,                                                                 // VCVTPS2PH
            _ => wide ? 8 : 4,
        };
    }

    // VPMOV* (down-converting stores): the size of the stored element.
    private static int NarrowingElement(byte opcode) => (opcode & 0xf) switch { 0 or 1 or 2 => 1, 3 or 4 => 2, _ => 4 };

    private byte VectorByte(int register, int offset)
    {
        if (offset < 16) return _cpu->XsaveArea[160 + register * 16 + offset];
        return _cpu->XsaveArea[_model.Component(2).Offset + register * 16 + offset - 16];
    }
}
