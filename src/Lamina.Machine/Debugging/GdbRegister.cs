// One register as GDB knows it: its name, size and type, and where it lies in a vCPU's state. Which of them a debugger is told of, and in
// which order, is GdbRegisterSet.
using System.Buffers.Binary;
using Lamina.Core.Engine;

namespace Lamina.Debugging;

/// <summary>One register of the target description.</summary>
internal sealed record GdbRegister(string Feature, string Name, int Length, string Type, GdbRegister.Getter Get, GdbRegister.Setter Set)
{
    internal delegate void Getter(VcpuState state, Span<byte> value);

    internal delegate void Setter(VcpuState state, ReadOnlySpan<byte> value);

    // The standard XSAVE format (SDM vol. 1, 13.4): legacy region, header, then the high halves of the YMM registers.
    private const int FpuControl = 0, FpuStatus = 2, FpuTags = 4, FpuOpcode = 6, FpuInstruction = 8, FpuData = 16, Mxcsr = 24, St = 32, Xmm = 160, XstateBv = 512, YmmHigh = 576;
    private const int YmmEnd = YmmHigh + (16 * 16);
    private const byte X87Component = 1, SseComponent = 2, AvxComponent = 4;

    /// <summary>Whether a state has the high halves of vector registers.</summary>
    internal static bool HasYmm(VcpuState state) => state.Xsave.Length >= YmmEnd;

    /// <summary>The x87 registers.</summary>
    internal static IEnumerable<GdbRegister> Fpu(string feature)
    {
        for (var i = 0; i < 8; i++) yield return Vector(feature, $"st{i}", "i387_ext", St + (16 * i), 10, X87Component);
        yield return Half(feature, "fctrl", "int", s => Area16(s, FpuControl), (s, v) => SetArea16(s, FpuControl, v));
        yield return Half(feature, "fstat", "int", s => Area16(s, FpuStatus), (s, v) => SetArea16(s, FpuStatus, v));
        yield return Half(feature, "ftag", "int", s => FullTags((byte)Area16(s, FpuTags)), (s, v) => SetArea(s, FpuTags, [ShortTags(v)], X87Component));
        yield return Half(feature, "fiseg", "int", s => Area16(s, FpuInstruction + 4), (s, v) => SetArea16(s, FpuInstruction + 4, v));
        yield return Half(feature, "fioff", "int", s => Area32(s, FpuInstruction), (s, v) => SetArea32(s, FpuInstruction, v));
        yield return Half(feature, "foseg", "int", s => Area16(s, FpuData + 4), (s, v) => SetArea16(s, FpuData + 4, v));
        yield return Half(feature, "fooff", "int", s => Area32(s, FpuData), (s, v) => SetArea32(s, FpuData, v));
        yield return Half(feature, "fop", "int", s => Area16(s, FpuOpcode), (s, v) => SetArea16(s, FpuOpcode, v));
    }

    /// <summary>XMM registers from 0 on, and MXCSR.</summary>
    internal static IEnumerable<GdbRegister> Sse(string feature, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Vector(feature, $"xmm{i}", "vec128", Xmm + (16 * i), 16, SseComponent)),
            new GdbRegister(feature, "mxcsr", 4, "i386_mxcsr", (s, v) => Area(s, Mxcsr, 4).CopyTo(v), (s, v) => SetArea(s, Mxcsr, v, SseComponent))];

    /// <summary>The high halves of YMM registers from 0 on.</summary>
    internal static IEnumerable<GdbRegister> YmmHighs(string feature, int count) =>
        Enumerable.Range(0, count).Select(i => Vector(feature, $"ymm{i}h", "uint128", YmmHigh + (16 * i), 16, AvxComponent));

    /// <summary>A segment's selector. In real mode the base follows it; elsewhere a debugger's write leaves the hidden part alone.</summary>
    internal static GdbRegister Selector(string feature, string name, int index) => Half(feature, name, "int32", s => s.Segments[index].Selector, (s, v) =>
    {
        s.Segments[index].Selector = (ushort)v;
        if ((s.Cr0 & 1) == 0) s.Segments[index].Base = (ulong)(ushort)v << 4;
    });

    /// <summary>64 bits.</summary>
    internal static GdbRegister Word(string feature, string name, string type, Func<VcpuState, ulong> get, Action<VcpuState, ulong> set) =>
        new(feature, name, 8, type, (s, v) => BinaryPrimitives.WriteUInt64LittleEndian(v, get(s)), (s, v) => set(s, BinaryPrimitives.ReadUInt64LittleEndian(v)));

    /// <summary>The lower half of 64 bits, of which the upper half stays.</summary>
    internal static GdbRegister Lower(string feature, string name, string type, Func<VcpuState, ulong> get, Action<VcpuState, ulong> set) =>
        Half(feature, name, type, s => (uint)get(s), (s, v) => set(s, (get(s) & ~(ulong)uint.MaxValue) | v));

    /// <summary>32 bits.</summary>
    internal static GdbRegister Half(string feature, string name, string type, Func<VcpuState, uint> get, Action<VcpuState, uint> set) =>
        new(feature, name, 4, type, (s, v) => BinaryPrimitives.WriteUInt32LittleEndian(v, get(s)), (s, v) => set(s, BinaryPrimitives.ReadUInt32LittleEndian(v)));

    // A component that XSTATE_BV does not name is in its initial state, which is zero for these.
    private static GdbRegister Vector(string feature, string name, string type, int offset, int length, byte component) => new(feature, name, length, type,
        (s, v) =>
        {
            if (s.Xsave.Length > XstateBv && (s.Xsave[XstateBv] & component) == 0) v.Clear();
            else Area(s, offset, length).CopyTo(v);
        },
        (s, v) => SetArea(s, offset, v, component));

    private static ReadOnlySpan<byte> Area(VcpuState state, int offset, int length) =>
        offset + length <= state.Xsave.Length ? state.Xsave.AsSpan(offset, length) : new byte[length];

    private static void SetArea(VcpuState state, int offset, ReadOnlySpan<byte> value, byte component)
    {
        if (offset + value.Length > state.Xsave.Length) return;
        value.CopyTo(state.Xsave.AsSpan(offset));
        if (state.Xsave.Length > XstateBv) state.Xsave[XstateBv] |= component;
    }

    private static ushort Area16(VcpuState state, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(Area(state, offset, 2));

    private static uint Area32(VcpuState state, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(Area(state, offset, 4));

    private static void SetArea16(VcpuState state, int offset, uint value) => SetArea(state, offset, [(byte)value, (byte)(value >> 8)], X87Component);

    private static void SetArea32(VcpuState state, int offset, uint value) =>
        SetArea(state, offset, [(byte)value, (byte)(value >> 8), (byte)(value >> 16), (byte)(value >> 24)], X87Component);

    // FXSAVE keeps one bit a register (in use); GDB wants the two bits of the full tag word, 3 for empty.
    private static uint FullTags(byte inUse)
    {
        var tags = 0u;
        for (var i = 0; i < 8; i++)
            if ((inUse >> i & 1) == 0) tags |= 3u << (2 * i);
        return tags;
    }

    private static byte ShortTags(uint tags)
    {
        byte inUse = 0;
        for (var i = 0; i < 8; i++)
            if ((tags >> (2 * i) & 3) != 3) inUse |= (byte)(1 << i);
        return inUse;
    }
}
