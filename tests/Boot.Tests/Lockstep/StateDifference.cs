// Where two machines of a lockstep differ. What may differ is what nobody can tell: the arithmetic flags where they are dead
// (the optimised translator does not keep those), in RFLAGS itself and in whatever is an image of it.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using Lamina.Core.Engine;
using Lamina.Core.Memory;

namespace Lamina.Tests.Boot.Lockstep;

/// <summary>Compares states and memories.</summary>
internal static class StateDifference
{
    // CF, PF, AF, ZF, SF, OF.
    private const ulong Arithmetic = 0x8d5;

    // Bits that are fixed in RFLAGS: bit 1 is set; 3, 5, 15 and what is above ID are clear (SDM vol. 1, 3.4.3).
    private const ulong FixedFlags = ~0x3f_7fd5ul, FixedFlagsValue = 2;

    private const uint Tsc = 0x10;
    private const int PageSize = 4096;

    private static readonly string[] Gpr = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
    private static readonly string[] Segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];

    /// <summary>One line for each difference of two states; empty where they agree.</summary>
    public static string Of(VcpuState plain, VcpuState optimised)
    {
        var text = new StringBuilder();
        for (var i = 0; i < 16; i++)
            if (!AreSame(plain.Gpr[i], optimised.Gpr[i])) Line(Gpr[i], plain.Gpr[i], optimised.Gpr[i]);
        Check("rip", plain.Rip, optimised.Rip);
        Check("rflags", plain.Rflags & ~Arithmetic, optimised.Rflags & ~Arithmetic);
        for (var i = 0; i < 8; i++)
        {
            var (p, o) = (plain.Segments[i], optimised.Segments[i]);
            Check($"{Segments[i]} selector", p.Selector, o.Selector);
            Check($"{Segments[i]} base", p.Base, o.Base);
            Check($"{Segments[i]} limit", p.Limit, o.Limit);
            Check($"{Segments[i]} attributes", p.Attributes, o.Attributes);
        }
        Check("gdtr base", plain.Gdtr.Base, optimised.Gdtr.Base);
        Check("gdtr limit", plain.Gdtr.Limit, optimised.Gdtr.Limit);
        Check("idtr base", plain.Idtr.Base, optimised.Idtr.Base);
        Check("idtr limit", plain.Idtr.Limit, optimised.Idtr.Limit);
        Check("cr0", plain.Cr0, optimised.Cr0);
        Check("cr2", plain.Cr2, optimised.Cr2);
        Check("cr3", plain.Cr3, optimised.Cr3);
        Check("cr4", plain.Cr4, optimised.Cr4);
        Check("efer", plain.Efer, optimised.Efer);
        Check("xcr0", plain.Xcr0, optimised.Xcr0);
        for (var i = 0; i < 8; i++) Check($"dr{i}", plain.Dr[i], optimised.Dr[i]);
        foreach (var (index, value) in plain.Msrs)
            if (index != Tsc) Check($"msr {index:x}", value, optimised.Msrs.GetValueOrDefault(index));
        Check("activity", (ulong)plain.Activity, (ulong)optimised.Activity);
        Check("interrupt shadow", (ulong)plain.Shadow, (ulong)optimised.Shadow);
        Check("nmi blocked", plain.NmiBlocked ? 1u : 0, optimised.NmiBlocked ? 1u : 0);
        var (left, right) = (Vectors(plain.Xsave), Vectors(optimised.Xsave));
        for (var at = 0; at + 8 <= left.Length; at += 8) Check($"xsave+{at}", BitConverter.ToUInt64(left, at), BitConverter.ToUInt64(right, at));
        return text.ToString();

        void Check(string what, ulong p, ulong o)
        {
            if (p != o) Line(what, p, o);
        }

        void Line(string what, ulong p, ulong o) => text.AppendLine($"  {what}: plain {p:x}, optimised {o:x}");
    }

    // An image of XSAVE without its header: a component that is in its initial state has the values of that state, whether the
    // processor has noticed it or not (SDM vol. 1, 13.4 and 13.6).
    private static byte[] Vectors(byte[] image)
    {
        const int control = 0x37f, controlLength = 24, registers = 32, xmm = 160, legacyEnd = 416, header = 512, headerEnd = 576;
        var vectors = image.ToArray();
        var inUse = BitConverter.ToUInt64(image, header);
        if ((inUse & 1) == 0)
        {
            vectors.AsSpan(0, controlLength).Clear();
            vectors.AsSpan(registers, xmm - registers).Clear();
            BitConverter.TryWriteBytes(vectors, (ushort)control);
        }
        if ((inUse & 2) == 0) vectors.AsSpan(xmm, legacyEnd - xmm).Clear();
        vectors.AsSpan(legacyEnd, headerEnd - legacyEnd).Clear();
        for (var component = 2; component < 64; component++)
        {
            var (size, offset, _, _) = X86Base.CpuId(0xd, component);
            if (size != 0 && offset + size <= vectors.Length && (inUse >> component & 1) == 0) vectors.AsSpan(offset, size).Clear();
        }
        return vectors;
    }

    /// <summary>One line for each of the first words of memory that differ; empty where they agree.</summary>
    public static string Of(GuestMemory plain, GuestMemory optimised)
    {
        const int mostLines = 24;
        var text = new StringBuilder();
        var lines = 0;
        foreach (var range in plain.Ranges)
        {
            for (var page = range.Start; page < range.End && lines < mostLines; page += PageSize)
            {
                if (!plain.TrySlice(page, PageSize, out var p) || !optimised.TrySlice(page, PageSize, out var o)) throw new InvalidOperationException("the machines' memories are not alike");
                if (p.SequenceEqual(o)) continue;
                var left = MemoryMarshal.Cast<byte, ulong>(p);
                var right = MemoryMarshal.Cast<byte, ulong>(o);
                for (var i = 0; i < left.Length && lines < mostLines; i++)
                {
                    if (AreSame(left[i], right[i])) continue;
                    text.AppendLine($"  memory {page + (ulong)i * 8:x}: plain {left[i]:x}, optimised {right[i]:x}");
                    lines++;
                }
            }
        }
        return text.ToString();
    }

    // Equal, or two images of RFLAGS that differ in arithmetic flags alone.
    private static bool AreSame(ulong plain, ulong optimised) =>
        plain == optimised || ((plain & FixedFlags) == FixedFlagsValue && (optimised & FixedFlags) == FixedFlagsValue && ((plain ^ optimised) & ~Arithmetic) == 0);
}
