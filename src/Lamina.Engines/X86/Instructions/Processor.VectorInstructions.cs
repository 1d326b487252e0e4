// Gathers, scatters and masked moves, on the XSAVE image. Elements go from the lowest up; those that a gather or scatter
// did before a fault stay done, and their mask elements are clear, so that the instruction goes on where it was. SDM vol. 2,
// VPGATHERDD and on, VPSCATTERDD and on, MASKMOVDQU, MASKMOVQ, VMASKMOV, VPMASKMOV; vol. 1, 15.6.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private XsaveImage Vectors => new(Context->XsaveArea, _model);

    private Outcome Gather(in Instruction i)
    {
        if (!TryCheckState(i.State)) return Outcome.Fault;
        var evex = i.Encoding == EncodingKind.Evex;
        var vectors = Vectors;
        var maskRegister = evex ? (int)(i.EvexPayload >> 16 & 7) : i.Vvvv;
        // Registers must differ; EVEX needs a mask. SDM vol. 2, tables of the instructions.
        var bad = evex ? maskRegister == 0 || i.Reg == i.Index : i.Reg == i.Index || i.Reg == i.Vvvv || i.Vvvv == i.Index;
        if (bad || !i.HasMemory) return FaultOutcome(InvalidOpcode());

        var length = 16 << i.VectorLength;
        var dataSize = i.W ? 8 : 4;
        var indexSize = (i.Opcode & 1) != 0 ? 8 : 4;
        var count = length / Math.Max(dataSize, indexSize);
        var result = stackalloc byte[64];
        var indices = stackalloc byte[64];
        var mask = stackalloc byte[64];
        vectors.ReadVector(i.Reg, new Span<byte>(result, 64));
        vectors.ReadVector(i.Index, new Span<byte>(indices, 64));
        var bits = evex ? vectors.ReadMask(maskRegister) : 0;
        if (!evex) vectors.ReadVector(maskRegister, new Span<byte>(mask, 64));

        bool done = true, begun = false;
        for (var n = 0; n < count && done; n++)
        {
            var wanted = evex ? (bits >> n & 1) != 0 : (mask[n * dataSize + dataSize - 1] & 0x80) != 0;
            if (!wanted)
            {
                new Span<byte>(mask + n * dataSize, dataSize).Clear();
                continue;
            }
            // No alignment checks: SDM vol. 2, VPGATHERDD.
            ulong value = 0;
            done = TryReadMemory(i.Segment, ElementOffset(in i, indices, n, indexSize), new Span<byte>(&value, dataSize));
            if (!done) break;
            if (dataSize == 8) ((ulong*)result)[n] = value;
            else ((uint*)result)[n] = (uint)value;
            begun = true;
            bits &= ~(1UL << n);
            new Span<byte>(mask + n * dataSize, dataSize).Clear();
        }
        // What is behind the elements is zeroed with the first one that is loaded (VEX: with the last); a fault before that leaves it as it was.
        vectors.WriteVector(i.Reg, new ReadOnlySpan<byte>(result, done || (begun && evex) ? count * dataSize : 64));
        if (evex) vectors.WriteMask(maskRegister, done ? 0 : bits);
        else
        {
            if (done) new Span<byte>(mask, 64).Clear();
            vectors.WriteVector(maskRegister, new ReadOnlySpan<byte>(mask, 64));
        }
        return done ? Outcome.Next : Interrupted(begun);
    }

    // A fault in an element: traps that are pending of elements before it come in its place. SDM vol. 2, VPGATHERDD.
    private Outcome Interrupted(bool begun)
    {
        if (begun && (Context->SystemFlags & Rflags.TF) != 0) _pendingDebug |= Dr6Bs;
        if (!begun || _pendingDebug == 0) return Outcome.Fault;
        var status = _pendingDebug;
        _pendingDebug = 0;
        return FaultOutcome(Raise(Fault.Debug(status, trap: true)));
    }

    private Outcome Scatter(in Instruction i)
    {
        if (!TryCheckState(i.State)) return Outcome.Fault;
        var maskRegister = (int)(i.EvexPayload >> 16 & 7);
        if (i.Encoding != EncodingKind.Evex || maskRegister == 0 || !i.HasMemory) return FaultOutcome(InvalidOpcode());
        var vectors = Vectors;
        var length = 16 << i.VectorLength;
        var dataSize = i.W ? 8 : 4;
        var indexSize = (i.Opcode & 1) != 0 ? 8 : 4;
        var count = length / Math.Max(dataSize, indexSize);
        var source = stackalloc byte[64];
        var indices = stackalloc byte[64];
        vectors.ReadVector(i.Reg, new Span<byte>(source, 64));
        vectors.ReadVector(i.Index, new Span<byte>(indices, 64));
        var bits = vectors.ReadMask(maskRegister);
        var begun = false;
        for (var n = 0; n < count; n++)
        {
            if ((bits >> n & 1) == 0) continue;
            var value = dataSize == 8 ? ((ulong*)source)[n] : ((uint*)source)[n];
            if (!TryWriteMemory(i.Segment, ElementOffset(in i, indices, n, indexSize), new ReadOnlySpan<byte>(&value, dataSize)))
            {
                vectors.WriteMask(maskRegister, bits);
                return Interrupted(begun);
            }
            begun = true;
            bits &= ~(1UL << n);
        }
        vectors.WriteMask(maskRegister, 0);
        return Outcome.Next;
    }

    private ulong ElementOffset(in Instruction i, byte* indices, int n, int indexSize)
    {
        var index = indexSize == 8 ? ((long*)indices)[n] : ((int*)indices)[n];
        return (EffectiveOffset(in i) + (ulong)(index * i.Scale)) & MaskOf(i.AddressSize);
    }

    private Outcome MaskMoveBytes(in Instruction i)
    {
        if (!TryCheckState(i.State)) return Outcome.Fault;
        var mmx = i.State == StateClass.Mmx;
        if (mmx && HasPendingX87) return FaultOutcome(Raise(Fault.Plain(Vector.X87)));
        var count = mmx ? 8 : 16;
        var source = stackalloc byte[16];
        var mask = stackalloc byte[16];
        if (mmx)
        {
            *(ulong*)source = *MmxRegister(i.Reg);
            *(ulong*)mask = *MmxRegister(i.Rm);
        }
        else
        {
            Vectors.ReadVector(i.Reg, new Span<byte>(source, 16));
            Vectors.ReadVector(i.Rm, new Span<byte>(mask, 16));
        }
        var start = ReadGpr(GprIndex.Rdi, i.AddressSize);
        // Checked first, then written: no byte changes when another one's page faults.
        for (var n = 0; n < count; n++)
        {
            if ((mask[n] & 0x80) == 0) continue;
            if (!TryLinearize(i.Segment, (start + (ulong)n) & MaskOf(i.AddressSize), 1, write: true, out var linear) || !TryProbe(linear, 1, AccessKind.Write)) return Outcome.Fault;
        }
        for (var n = 0; n < count; n++)
            if ((mask[n] & 0x80) != 0 && !TryWriteMemory(i.Segment, (start + (ulong)n) & MaskOf(i.AddressSize), 1, source[n])) return Outcome.Fault;
        if (mmx) EnterMmxState();
        return Outcome.Next;
    }

    // What is behind the last address of an address size is the processor's choice (SDM vol. 3, 5.3). As AMD's choose: a load
    // is of consecutive bytes where all are there; otherwise, and for stores, each element has an address of its own.
    private Outcome MaskMoveElements(in Instruction i)
    {
        if (!TryCheckState(i.State)) return Outcome.Fault;
        var length = 16 << i.VectorLength;
        // Opcodes 0F38 2D and 2F: VMASKMOVPD.
        var size = i.W || i.Opcode is 0x2d or 0x2f ? 8 : 4;
        var data = stackalloc byte[32];
        var mask = stackalloc byte[32];
        Vectors.ReadVector(i.Vvvv, new Span<byte>(mask, 32));
        var start = EffectiveOffset(in i);
        if ((i.RmAccess & OperandAccess.Write) != 0)
        {
            Vectors.ReadVector(i.Reg, new Span<byte>(data, 32));
            // Checked first, then written: no element changes when another one's page faults.
            for (var at = 0; at < length; at += size)
                if (IsWanted(at) && !(TryLinearize(i.Segment, OffsetOf(in i, at), size, write: true, out var linear) && TryProbe(linear, size, AccessKind.Write))) return Outcome.Fault;
            for (var at = 0; at < length; at += size)
                if (IsWanted(at) && !TryWriteMemory(i.Segment, OffsetOf(in i, at), new ReadOnlySpan<byte>(data + at, size))) return Outcome.Fault;
            return Outcome.Next;
        }
        var whole = TryReadMemory(i.Segment, start, new Span<byte>(data, length));
        for (var at = 0; at < length; at += size)
        {
            var element = new Span<byte>(data + at, size);
            if (!IsWanted(at)) element.Clear();
            else if (!whole && !TryReadMemory(i.Segment, OffsetOf(in i, at), element)) return Outcome.Fault;
        }
        Vectors.WriteVector(i.Reg, new ReadOnlySpan<byte>(data, length));
        return Outcome.Next;

        bool IsWanted(int at) => (mask[at + size - 1] & 0x80) != 0;

        ulong OffsetOf(in Instruction i, int at) => (start + (ulong)at) & MaskOf(i.AddressSize);
    }

    /// <summary>MMn is physical x87 register n; the image is in stack order. SDM vol. 1, 9.2 and 10.5.</summary>
    private ulong* MmxRegister(int register)
    {
        Vectors.Begin(XsaveImage.X87);
        var area = Context->XsaveArea;
        var top = *(ushort*)(area + XsaveImage.StatusAt) >> 11 & 7;
        return (ulong*)(area + XsaveImage.RegistersAt + ((register - top) & 7) * 16);
    }

    /// <summary>What every MMX instruction does to the x87: TOP becomes 0 and every register valid. SDM vol. 1, 9.5.1.</summary>
    private void EnterMmxState()
    {
        var area = Context->XsaveArea;
        ref var status = ref *(ushort*)(area + XsaveImage.StatusAt);
        var top = status >> 11 & 7;
        if (top != 0)
        {
            var registers = (UInt128*)(area + XsaveImage.RegistersAt);
            var old = stackalloc UInt128[8];
            for (var n = 0; n < 8; n++) old[n] = registers[n];
            for (var n = 0; n < 8; n++) registers[n] = old[(n - top) & 7];
        }
        status = (ushort)(status & ~0x3800);
        area[XsaveImage.TagAt] = 0xff;
    }
}
