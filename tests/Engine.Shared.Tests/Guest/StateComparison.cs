// Says where two states of a vCPU differ, in all that the architecture lets a program see. Left out is what depends on the
// moment (counters, RF, which lives for one instruction) and what the manual leaves open (the place of the last x87 instruction,
// hidden parts of unusable segments).
using System.Buffers.Binary;
using Lamina.Core.Engine;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class StateComparison
{
    private const int LegacyXsave = 512, HeaderAt = 512, InstructionPointerAt = 8, MxcsrMaskAt = 28, ComponentsAt = 576;
    private const ulong ResumeFlag = 1 << 16;
    private const uint Unusable = 1 << 16, Present = 1 << 7, CounterMsr = 0x10;

    private static readonly string[] s_segments = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"];

    /// <summary>A line for each difference.</summary>
    internal static IEnumerable<string> Differences(VcpuState a, VcpuState b)
    {
        foreach (var (name, left, right) in Values(a).Zip(Values(b), (x, y) => (x.Name, x.Value, y.Value)))
            if (left != right) yield return $"{name}: {left:x} and {right:x}";
        foreach (var index in a.Msrs.Keys.Intersect(b.Msrs.Keys))
            if (index != CounterMsr && a.Msrs[index] != b.Msrs[index]) yield return $"MSR {index:x}: {a.Msrs[index]:x} and {b.Msrs[index]:x}";
        var (vectorsA, vectorsB) = (Vectors(a.Xsave), Vectors(b.Xsave));
        for (var at = 0; at < Math.Min(vectorsA.Length, vectorsB.Length); at++)
            if (vectorsA[at] != vectorsB[at]) yield return $"XSAVE byte {at:x}: {vectorsA[at]:x2} and {vectorsB[at]:x2}";
    }

    private static IEnumerable<(string Name, ulong Value)> Values(VcpuState s)
    {
        for (var n = 0; n < 16; n++) yield return ($"GPR {n}", s.Gpr[n]);
        yield return ("RIP", s.Rip);
        yield return ("RFLAGS", s.Rflags & ~ResumeFlag);
        for (var n = 0; n < 8; n++)
        {
            var segment = s.Segments[n];
            yield return ($"{s_segments[n]} selector", segment.Selector);
            var usable = (segment.Attributes & (Unusable | Present)) == Present;
            yield return ($"{s_segments[n]} base", usable ? segment.Base : 0);
            yield return ($"{s_segments[n]} limit", usable ? segment.Limit : 0);
            yield return ($"{s_segments[n]} attributes", usable ? segment.Attributes : 0);
        }
        yield return ("GDTR", s.Gdtr.Base << 16 | s.Gdtr.Limit);
        yield return ("IDTR", s.Idtr.Base << 16 | s.Idtr.Limit);
        yield return ("CR0", s.Cr0);
        yield return ("CR2", s.Cr2);
        yield return ("CR3", s.Cr3);
        yield return ("CR4", s.Cr4);
        yield return ("EFER", s.Efer);
        yield return ("XCR0", s.Xcr0);
        foreach (var n in (int[])[0, 1, 2, 3, 6, 7]) yield return ($"DR{n}", s.Dr[n]);
        yield return ("activity", (ulong)s.Activity);
        yield return ("interrupt shadow", (ulong)s.Shadow);
        yield return ("NMI blocked", s.NmiBlocked ? 1ul : 0);
        yield return ("pending INIT", s.Pending.Init ? 1ul : 0);
        yield return ("pending start-up", s.Pending.StartUp ?? 0x100ul);
        yield return ("pending NMI", s.Pending.Nmi ? 1ul : 0);
        yield return ("pending interrupt", s.Pending.Interrupt ?? 0x100ul);
        yield return ("pending debug trap", s.Pending.DebugTrap);
        for (var n = 0; n < 4; n++) yield return ($"PDPTE {n}", s.Pdptes?[n] ?? 0);
    }

    /// <summary>The registers as a program sees them: components in their initial state have their initial bytes.</summary>
    private static byte[] Vectors(byte[] xsave)
    {
        var bytes = xsave.ToArray();
        var inUse = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(HeaderAt));
        bytes.AsSpan(InstructionPointerAt, 16).Clear();
        bytes.AsSpan(6, 2).Clear();
        bytes.AsSpan(MxcsrMaskAt, 4).Clear();
        bytes.AsSpan(416, LegacyXsave - 416).Clear();
        bytes.AsSpan(HeaderAt, 64).Clear();
        if ((inUse & 1) == 0)
        {
            bytes.AsSpan(0, 24).Clear();
            bytes.AsSpan(32, 128).Clear();
            bytes[0] = 0x7f;
            bytes[1] = 0x03;
        }
        if ((inUse & 2) == 0) bytes.AsSpan(160, 256).Clear();
        if ((inUse & ~3ul) == 0) bytes.AsSpan(ComponentsAt).Clear();
        return bytes;
    }
}
