// FXSAVE, FXRSTOR and the XSAVE family, between guest memory and the vCPU's image, with every architectural check.
// The x87 instruction and data pointers are written as zeros: what the host recorded are addresses of the engine.
// SDM vol. 1, 10.5 and chapter 13.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const int FxsaveLength = 512;
    private const ulong CompactedFormat = 1UL << 63;

    private int VisibleVectors => Is64Bit ? 16 : 8;

    private Outcome StateInstruction(in Instruction i)
    {
        if (i.Id is InstructionId.Fxsave or InstructionId.Fxrstor)
        {
            if (!i.HasMemory) return FaultOutcome(InvalidOpcode());
            if (!TryCheckState(StateClass.X87)) return Outcome.Fault;
            if (!TryLinearize(i.Segment, EffectiveOffset(in i), FxsaveLength, i.Id == InstructionId.Fxsave, out var at)) return Outcome.Fault;
            if ((at & 15) != 0) return FaultOutcome(GeneralProtection());
            return FaultOutcome(i.Id == InstructionId.Fxsave ? TryFxsave(at) : TryFxrstor(at));
        }
        // XSAVES and XRSTORS are in no CPU model.
        if (i.Id is InstructionId.Xsaves or InstructionId.Xrstors || !i.HasMemory || (Context->Cr4 & Cr4.OSXSAVE) == 0) return FaultOutcome(InvalidOpcode());
        if ((Context->Cr0 & Cr0.TS) != 0) return FaultOutcome(DeviceNotAvailable());
        var requested = Context->Xcr0 & ((uint)Context->Gpr[GprIndex.Rax] | Context->Gpr[GprIndex.Rdx] << 32);
        if (!TryLinearize(i.Segment, EffectiveOffset(in i), XsaveImage.HeaderEnd, i.Id != InstructionId.Xrstor, out var linear)) return Outcome.Fault;
        if ((linear & 63) != 0) return FaultOutcome(GeneralProtection());
        return FaultOutcome(i.Id switch
        {
            InstructionId.Xrstor => TryXrstor(linear, requested),
            InstructionId.Xsavec => TryXsaveCompacted(linear, requested),
            _ => TryXsave(linear, requested, skipInitial: i.Id == InstructionId.Xsaveopt),
        });
    }

    /// <summary>Copies the x87 part (without MXCSR) as a guest may see it.</summary>
    private void ExportX87(byte* to)
    {
        var vectors = Vectors;
        vectors.Begin(XsaveImage.X87);
        Buffer.MemoryCopy(vectors.Area, to, XsaveImage.InstructionPointerAt, XsaveImage.InstructionPointerAt);
        new Span<byte>(to + XsaveImage.InstructionPointerAt, 16).Clear();
        Buffer.MemoryCopy(vectors.Area + XsaveImage.RegistersAt, to + XsaveImage.RegistersAt, 128, 128);
    }

    private void ExportXmm(byte* to)
    {
        var vectors = Vectors;
        for (var n = 0; n < VisibleVectors; n++) vectors.ReadVector(n, new Span<byte>(to + XsaveImage.XmmAt + n * 16, 16));
    }

    private bool TryFxsave(ulong at)
    {
        // What FXSAVE leaves alone (the high registers outside 64-bit mode, the end) is written back as it is.
        var buffer = stackalloc byte[FxsaveLength];
        var span = new Span<byte>(buffer, FxsaveLength);
        if (!TryProbe(at, FxsaveLength, AccessKind.Write) || !TryReadLinear(at, span, AccessMode.Current)) return false;
        var wasInUse = Vectors.InUse(XsaveImage.X87);
        ExportX87(buffer);
        if (!wasInUse) Vectors.StateBits &= ~1UL;
        *(uint*)(buffer + XsaveImage.MxcsrAt) = Vectors.Mxcsr;
        *(uint*)(buffer + XsaveImage.MxcsrMaskAt) = Vectors.MxcsrMask;
        ExportXmm(buffer);
        return TryWriteLinear(at, span[..(Is64Bit ? XsaveImage.LegacyEnd : XsaveImage.XmmAt + 128)], AccessMode.Current);
    }

    private bool TryFxrstor(ulong at)
    {
        var buffer = stackalloc byte[FxsaveLength];
        if (!TryReadLinear(at, new Span<byte>(buffer, FxsaveLength), AccessMode.Current)) return false;
        var mxcsr = *(uint*)(buffer + XsaveImage.MxcsrAt);
        var sse = (Context->Cr4 & Cr4.OSFXSR) != 0;
        if (sse && (mxcsr & ~Vectors.MxcsrMask) != 0) return GeneralProtection();
        ImportX87(buffer);
        if (!sse) return true;
        Vectors.Mxcsr = mxcsr;
        ImportXmm(buffer + XsaveImage.XmmAt);
        return true;
    }

    private void ImportX87(byte* from)
    {
        var vectors = Vectors;
        vectors.Begin(XsaveImage.X87);
        Buffer.MemoryCopy(from, vectors.Area, XsaveImage.MxcsrAt, XsaveImage.MxcsrAt);
        var registers = new Span<byte>(vectors.Area + XsaveImage.RegistersAt, 128);
        new ReadOnlySpan<byte>(from + XsaveImage.RegistersAt, 128).CopyTo(registers);
        // The pointers would be host addresses' place: they stay zero. Reserved bytes of the registers too.
        new Span<byte>(vectors.Area + XsaveImage.InstructionPointerAt, 16).Clear();
        for (var n = 0; n < 8; n++) registers.Slice(n * 16 + 10, 6).Clear();
        vectors.Area[XsaveImage.TagAt + 1] = 0;
        UpdateErrorSummary();
    }

    /// <summary>FSW.ES and B say whether an exception is pending unmasked.</summary>
    private void UpdateErrorSummary()
    {
        var area = Context->XsaveArea;
        var control = *(ushort*)(area + XsaveImage.ControlAt);
        ref var status = ref *(ushort*)(area + XsaveImage.StatusAt);
        var pending = (status & ~control & 0x3f) != 0;
        status = (ushort)(pending ? status | 0x8080 : status & ~0x8080);
    }

    private void ImportXmm(byte* from)
    {
        var vectors = Vectors;
        vectors.Begin(XsaveImage.Sse);
        var length = VisibleVectors * 16;
        Buffer.MemoryCopy(from, vectors.Area + XsaveImage.XmmAt, length, length);
    }

    /// <summary>How many bytes of a component from 2 on exist in the current mode: half the registers outside 64-bit mode.</summary>
    private int VisibleLength(int component)
    {
        var size = (int)_model.Component(component).Size;
        if (Is64Bit) return size;
        return component switch { XsaveImage.Avx or XsaveImage.ZmmHigh256 => size / 2, XsaveImage.High16Zmm => 0, _ => size };
    }

    private bool TryXsave(ulong at, ulong requested, bool skipInitial)
    {
        var length = (int)_model.StandardSize(requested);
        if (!TryLinearWriteRange(at, length)) return false;
        var vectors = Vectors;
        if (!TryReadLinear(at + XsaveImage.HeaderAt, 8, out var oldBits)) return false;
        for (var n = 0; n < 64; n++)
        {
            if ((requested >> n & 1) == 0 || (skipInitial && !vectors.InUse(n))) continue;
            if (!TryStoreComponent(n, at, n < 2 ? at : at + _model.Component(n).Offset)) return false;
        }
        if ((requested & 6) != 0 && !TryStoreMxcsr(at)) return false;
        return TryWriteLinear(at + XsaveImage.HeaderAt, 8, (oldBits & ~requested) | (vectors.StateBits & requested));
    }

    private bool TryXsaveCompacted(ulong at, ulong requested)
    {
        if (!TryLinearWriteRange(at, (int)_model.CompactedSize(requested))) return false;
        var vectors = Vectors;
        var inUse = vectors.StateBits;
        if (vectors.Mxcsr != XsaveImage.InitialMxcsr) inUse |= 1 << XsaveImage.Sse;
        var offset = (uint)XsaveImage.HeaderEnd;
        for (var n = 0; n < 64; n++)
        {
            if ((requested >> n & 1) == 0) continue;
            var target = n < 2 ? at : at + CompactedOffset(n, ref offset);
            if ((inUse >> n & 1) != 0 && !TryStoreComponent(n, at, target)) return false;
        }
        if ((requested & inUse & (1 << XsaveImage.Sse)) != 0 && !TryStoreMxcsr(at)) return false;
        return TryWriteLinear(at + XsaveImage.HeaderAt, 8, requested & inUse)
            && TryWriteLinear(at + XsaveImage.HeaderAt + 8, 8, requested | CompactedFormat);
    }

    private uint CompactedOffset(int component, ref uint offset)
    {
        var (_, size, aligned) = _model.Component(component);
        if (aligned) offset = (offset + 63) & ~63u;
        var at = offset;
        offset += size;
        return at;
    }

    private bool TryStoreMxcsr(ulong at) =>
        TryWriteLinear(at + XsaveImage.MxcsrAt, 4, Vectors.Mxcsr) && TryWriteLinear(at + XsaveImage.MxcsrMaskAt, 4, Vectors.MxcsrMask);

    private bool TryStoreComponent(int component, ulong legacyAt, ulong at)
    {
        var vectors = Vectors;
        var inUse = vectors.InUse(component);
        if (!inUse) vectors.Initialize(component);
        if (component == XsaveImage.X87)
        {
            var buffer = stackalloc byte[XsaveImage.XmmAt];
            ExportX87(buffer);
            if (!inUse) vectors.StateBits &= ~1UL;
            return TryWriteLinear(legacyAt, new ReadOnlySpan<byte>(buffer, XsaveImage.MxcsrAt), AccessMode.Current)
                && TryWriteLinear(legacyAt + XsaveImage.RegistersAt, new ReadOnlySpan<byte>(buffer + XsaveImage.RegistersAt, 128), AccessMode.Current);
        }
        if (component == XsaveImage.Sse)
            return TryWriteLinear(legacyAt + XsaveImage.XmmAt, new ReadOnlySpan<byte>(vectors.Area + XsaveImage.XmmAt, VisibleVectors * 16), AccessMode.Current);
        var length = VisibleLength(component);
        return length == 0 || TryWriteLinear(at, new ReadOnlySpan<byte>(vectors.Component(component), length), AccessMode.Current);
    }

    /// <summary>Checks that a range of up to a few KiB can be written, before any of it is.</summary>
    private bool TryLinearWriteRange(ulong at, int length)
    {
        for (var done = 0; done < length; done += PageSize)
            if (!TryProbe(at + (ulong)done, Math.Min(PageSize, length - done), AccessKind.Write)) return false;
        return true;
    }

    private bool TryXrstor(ulong at, ulong requested)
    {
        var image = stackalloc byte[XsaveImage.HeaderEnd];
        if (!TryReadLinear(at, new Span<byte>(image, XsaveImage.HeaderEnd), AccessMode.Current)) return false;
        var header = (ulong*)(image + XsaveImage.HeaderAt);
        var (bits, format) = (header[0], header[1]);
        var compacted = (format & CompactedFormat) != 0;
        ulong rest = 0;
        for (var n = 2; n < (compacted ? 8 : 3); n++) rest |= header[n];
        var known = compacted ? format & ~CompactedFormat : Context->Xcr0;
        if (rest != 0 || (bits & ~known) != 0 || (compacted ? !_model.HasXsavec || (known & ~Context->Xcr0) != 0 : format != 0)) return GeneralProtection();
        var mxcsr = *(uint*)(image + XsaveImage.MxcsrAt);
        // The standard format loads MXCSR whatever XSTATE_BV says; the compacted one with the SSE state only. SDM vol. 1, 13.8.
        var loadsMxcsr = compacted ? (requested & bits & 2) != 0 : (requested & 6) != 0;
        if (loadsMxcsr && (mxcsr & ~Vectors.MxcsrMask) != 0) return GeneralProtection();

        // Everything is read before anything is loaded: a fault leaves the state as it was.
        var extended = stackalloc byte[4096];
        var offset = (uint)XsaveImage.HeaderEnd;
        for (var n = 2; n < 64; n++)
        {
            if ((known >> n & 1) == 0) continue;
            var source = compacted ? CompactedOffset(n, ref offset) : _model.Component(n).Offset;
            if ((requested & bits & (1UL << n)) == 0 || VisibleLength(n) == 0) continue;
            if (!TryReadLinear(at + source, new Span<byte>(extended + _model.Component(n).Offset, VisibleLength(n)), AccessMode.Current)) return false;
        }
        LoadComponents(image, extended, requested, bits);
        if (loadsMxcsr) Vectors.Mxcsr = mxcsr;
        else if (compacted && (requested & 2) != 0) Vectors.Mxcsr = XsaveImage.InitialMxcsr;
        return true;
    }

    private void LoadComponents(byte* legacy, byte* extended, ulong requested, ulong bits)
    {
        var vectors = Vectors;
        for (var n = 0; n < 64; n++)
        {
            if ((requested >> n & 1) == 0) continue;
            var present = (bits >> n & 1) != 0;
            var partial = n >= 1 && !Is64Bit && n != XsaveImage.Opmask;
            if (!present && !partial)
            {
                vectors.Initialize(n);
                vectors.StateBits &= ~(1UL << n);
                continue;
            }
            vectors.Begin(n);
            if (n == XsaveImage.X87) ImportX87(legacy);
            else if (n == XsaveImage.Sse)
            {
                if (!present) new Span<byte>(legacy + XsaveImage.XmmAt, VisibleVectors * 16).Clear();
                ImportXmm(legacy + XsaveImage.XmmAt);
            }
            else
            {
                var target = new Span<byte>(vectors.Component(n), VisibleLength(n));
                if (present) new ReadOnlySpan<byte>(extended + _model.Component(n).Offset, target.Length).CopyTo(target);
                else target.Clear();
            }
        }
    }
}
