// The registers as GDB knows them: names, sizes and types in the order of the target description, and where each lies in
// a vCPU's state. Feature and register names are GDB's own (GDB manual, appendix G.5.13, "x86 Features").
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Engine;

namespace Lamina.Debugging;

/// <summary>One register of the target description.</summary>
internal sealed record GdbRegister(string Feature, string Name, int Length, string Type, GdbRegister.Getter Get, GdbRegister.Setter Set)
{
    internal delegate void Getter(VcpuState state, Span<byte> value);

    internal delegate void Setter(VcpuState state, ReadOnlySpan<byte> value);

    private const string Core = "org.gnu.gdb.i386.core", Sse = "org.gnu.gdb.i386.sse", Avx = "org.gnu.gdb.i386.avx";
    private const string SegmentBases = "org.gnu.gdb.i386.segments", System = "org.lamina.system";
    private const uint KernelGsBase = 0xC000_0102;

    // The standard XSAVE format (SDM vol. 1, 13.4): legacy region, header, then the high halves of the YMM registers.
    private const int FpuControl = 0, FpuStatus = 2, FpuTags = 4, FpuOpcode = 6, FpuInstruction = 8, FpuData = 16, Mxcsr = 24, St = 32, Xmm = 160, XstateBv = 512, YmmHigh = 576;
    private const int YmmEnd = YmmHigh + (16 * 16);
    private const byte X87Component = 1, SseComponent = 2, AvxComponent = 4;

    // GDB's order is not the encoding's.
    private static readonly (string Name, int Index)[] General =
    [
        ("rax", GprIndex.Rax), ("rbx", GprIndex.Rbx), ("rcx", GprIndex.Rcx), ("rdx", GprIndex.Rdx), ("rsi", GprIndex.Rsi), ("rdi", GprIndex.Rdi), ("rbp", GprIndex.Rbp), ("rsp", GprIndex.Rsp),
        ("r8", 8), ("r9", 9), ("r10", 10), ("r11", 11), ("r12", 12), ("r13", 13), ("r14", 14), ("r15", 15),
    ];

    private static readonly (string Name, int Index)[] Selectors =
    [
        ("cs", SegmentIndex.Cs), ("ss", SegmentIndex.Ss), ("ds", SegmentIndex.Ds), ("es", SegmentIndex.Es), ("fs", SegmentIndex.Fs), ("gs", SegmentIndex.Gs),
    ];

    /// <summary>The registers that a state has.</summary>
    internal static IReadOnlyList<GdbRegister> For(VcpuState state)
    {
        var all = new List<GdbRegister>();
        foreach (var (name, index) in General)
            all.Add(Word(Core, name, index == GprIndex.Rsp || index == GprIndex.Rbp ? "data_ptr" : "int64", s => s.Gpr[index], (s, v) => s.Gpr[index] = v));
        all.Add(Word(Core, "rip", "code_ptr", s => s.Rip, (s, v) => s.Rip = v));
        all.Add(Half(Core, "eflags", "i386_eflags", s => (uint)s.Rflags, (s, v) => s.Rflags = v));
        foreach (var (name, index) in Selectors) all.Add(Half(Core, name, "int32", s => s.Segments[index].Selector, (s, v) => SetSelector(s, index, (ushort)v)));
        AddFpu(all);
        for (var i = 0; i < 16; i++) all.Add(Vector(Sse, $"xmm{i}", "vec128", Xmm + (16 * i), 16, SseComponent));
        all.Add(new GdbRegister(Sse, "mxcsr", 4, "i386_mxcsr", (s, v) => Area(s, Mxcsr, 4).CopyTo(v), (s, v) => SetArea(s, Mxcsr, v, SseComponent)));
        if (state.Xsave.Length >= YmmEnd)
            for (var i = 0; i < 16; i++) all.Add(Vector(Avx, $"ymm{i}h", "uint128", YmmHigh + (16 * i), 16, AvxComponent));
        all.Add(Word(SegmentBases, "fs_base", "int", s => s.Segments[SegmentIndex.Fs].Base, (s, v) => s.Segments[SegmentIndex.Fs].Base = v));
        all.Add(Word(SegmentBases, "gs_base", "int", s => s.Segments[SegmentIndex.Gs].Base, (s, v) => s.Segments[SegmentIndex.Gs].Base = v));
        all.Add(Word(System, "k_gs_base", "int64", s => s.Msrs.GetValueOrDefault(KernelGsBase), (s, v) => s.Msrs[KernelGsBase] = v));
        all.Add(Word(System, "cr0", "int64", s => s.Cr0, (s, v) => s.Cr0 = v));
        all.Add(Word(System, "cr2", "int64", s => s.Cr2, (s, v) => s.Cr2 = v));
        all.Add(Word(System, "cr3", "int64", s => s.Cr3, (s, v) => (s.Cr3, s.Pdptes) = (v, null)));
        all.Add(Word(System, "cr4", "int64", s => s.Cr4, (s, v) => s.Cr4 = v));
        all.Add(Word(System, "efer", "int64", s => s.Efer, (s, v) => s.Efer = v));
        return all;
    }

    /// <summary>The target description that tells GDB of these registers. GDB manual, appendix G.</summary>
    internal static string Describe(IReadOnlyList<GdbRegister> registers)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\"><architecture>i386:x86-64</architecture>");
        var feature = "";
        foreach (var register in registers)
        {
            if (register.Feature != feature)
            {
                xml.Append(feature.Length == 0 ? "" : "</feature>").Append("<feature name=\"").Append(register.Feature).Append("\">").Append(Types(register.Feature));
                feature = register.Feature;
            }
            xml.Append("<reg name=\"").Append(register.Name).Append("\" bitsize=\"").Append(register.Length * 8).Append("\" type=\"").Append(register.Type).Append('"');
            if (feature == System) xml.Append(" group=\"system\"");
            xml.Append("/>");
        }
        return xml.Append("</feature></target>").ToString();
    }

    private static void AddFpu(List<GdbRegister> all)
    {
        for (var i = 0; i < 8; i++) all.Add(Vector(Core, $"st{i}", "i387_ext", St + (16 * i), 10, X87Component));
        all.Add(Half(Core, "fctrl", "int", s => Area16(s, FpuControl), (s, v) => SetArea16(s, FpuControl, v)));
        all.Add(Half(Core, "fstat", "int", s => Area16(s, FpuStatus), (s, v) => SetArea16(s, FpuStatus, v)));
        all.Add(Half(Core, "ftag", "int", s => FullTags((byte)Area16(s, FpuTags)), (s, v) => SetArea(s, FpuTags, [ShortTags(v)], X87Component)));
        all.Add(Half(Core, "fiseg", "int", s => Area16(s, FpuInstruction + 4), (s, v) => SetArea16(s, FpuInstruction + 4, v)));
        all.Add(Half(Core, "fioff", "int", s => Area32(s, FpuInstruction), (s, v) => SetArea32(s, FpuInstruction, v)));
        all.Add(Half(Core, "foseg", "int", s => Area16(s, FpuData + 4), (s, v) => SetArea16(s, FpuData + 4, v)));
        all.Add(Half(Core, "fooff", "int", s => Area32(s, FpuData), (s, v) => SetArea32(s, FpuData, v)));
        all.Add(Half(Core, "fop", "int", s => Area16(s, FpuOpcode), (s, v) => SetArea16(s, FpuOpcode, v)));
    }

    // Types that GDB does not predefine for a feature.
    private static string Types(string feature) => feature switch
    {
        Core => "<flags id=\"i386_eflags\" size=\"4\"><field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/><field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
            + "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/><field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/><field name=\"DF\" start=\"10\" end=\"10\"/>"
            + "<field name=\"OF\" start=\"11\" end=\"11\"/><field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/><field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/></flags>",
        Sse => "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/><vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
            + "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/><union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
            + "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>"
            + "<flags id=\"i386_mxcsr\" size=\"4\"><field name=\"IE\" start=\"0\" end=\"0\"/><field name=\"DE\" start=\"1\" end=\"1\"/><field name=\"ZE\" start=\"2\" end=\"2\"/><field name=\"OE\" start=\"3\" end=\"3\"/>"
            + "<field name=\"UE\" start=\"4\" end=\"4\"/><field name=\"PE\" start=\"5\" end=\"5\"/><field name=\"DAZ\" start=\"6\" end=\"6\"/><field name=\"FZ\" start=\"15\" end=\"15\"/></flags>",
        _ => "",
    };

    private static GdbRegister Word(string feature, string name, string type, Func<VcpuState, ulong> get, Action<VcpuState, ulong> set) =>
        new(feature, name, 8, type, (s, v) => BinaryPrimitives.WriteUInt64LittleEndian(v, get(s)), (s, v) => set(s, BinaryPrimitives.ReadUInt64LittleEndian(v)));

    private static GdbRegister Half(string feature, string name, string type, Func<VcpuState, uint> get, Action<VcpuState, uint> set) =>
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

    // In real mode the base follows the selector; elsewhere a debugger's write leaves the hidden part alone.
    private static void SetSelector(VcpuState state, int index, ushort selector)
    {
        state.Segments[index].Selector = selector;
        if ((state.Cr0 & 1) == 0) state.Segments[index].Base = (ulong)selector << 4;
    }
}
