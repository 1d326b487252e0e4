// The registers that a debugger works with, and the description by which it is told of them: all 64-bit ones, or the 32-bit ones that 32-
// and 16-bit code has. Feature and register names are GDB's own, and so is their order (GDB manual, appendix G.5.13, "x86 Features").
using System.Text;
using Lamina.Core.Engine;

namespace Lamina.Debugging;

/// <summary>What one debugger sees of a vCPU.</summary>
/// <param name="architecture">Its name as GDB has it.</param>
/// <param name="registers">In the order of the "g" packet.</param>
internal sealed class GdbRegisterSet(string architecture, IReadOnlyList<GdbRegister> registers)
{
    private const string Core = "org.gnu.gdb.i386.core", Sse = "org.gnu.gdb.i386.sse", Avx = "org.gnu.gdb.i386.avx";
    private const string SegmentBases = "org.gnu.gdb.i386.segments", System = "org.lamina.system";
    private const uint KernelGsBase = 0xC000_0102;

    // IA32_EFER.LMA (SDM vol. 3, 2.2.1); L and D/B of a code segment as VcpuState has them.
    private const ulong LongModeActive = 1 << 10;
    private const uint Long = 1 << 13, Default32 = 1 << 14;

    // GDB's order of the 64-bit registers is not the encoding's, that of the 32-bit ones is.
    private static readonly (string Name, int Index)[] General64 =
    [
        ("rax", GprIndex.Rax), ("rbx", GprIndex.Rbx), ("rcx", GprIndex.Rcx), ("rdx", GprIndex.Rdx), ("rsi", GprIndex.Rsi), ("rdi", GprIndex.Rdi), ("rbp", GprIndex.Rbp), ("rsp", GprIndex.Rsp),
        ("r8", 8), ("r9", 9), ("r10", 10), ("r11", 11), ("r12", 12), ("r13", 13), ("r14", 14), ("r15", 15),
    ];

    private static readonly string[] General32 = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];

    private static readonly (string Name, int Index)[] Selectors =
    [
        ("cs", SegmentIndex.Cs), ("ss", SegmentIndex.Ss), ("ds", SegmentIndex.Ds), ("es", SegmentIndex.Es), ("fs", SegmentIndex.Fs), ("gs", SegmentIndex.Gs),
    ];

    /// <summary>The registers, in the order of the "g" packet.</summary>
    internal IReadOnlyList<GdbRegister> Registers => registers;

    /// <summary>The registers that a state has.</summary>
    /// <param name="state">The first vCPU's.</param>
    /// <param name="architecture">What the debugger is to see.</param>
    internal static GdbRegisterSet For(VcpuState state, GdbArchitecture architecture) => (architecture == GdbArchitecture.Auto ? ModeOf(state) : architecture) switch
    {
        GdbArchitecture.I386 => new("i386", Narrow(state)),
        GdbArchitecture.I8086 => new("i8086", Narrow(state)),
        _ => new("i386:x86-64", Wide(state)),
    };

    /// <summary>The target description that tells GDB of these registers. GDB manual, appendix G.</summary>
    internal string Describe()
    {
        var xml = new StringBuilder($"<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\"><architecture>{architecture}</architecture>");
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

    private static GdbArchitecture ModeOf(VcpuState state)
    {
        var code = state.Segments[SegmentIndex.Cs].Attributes;
        if ((state.Efer & LongModeActive) != 0 && (code & Long) != 0) return GdbArchitecture.X64;
        return (code & Default32) != 0 ? GdbArchitecture.I386 : GdbArchitecture.I8086;
    }

    private static List<GdbRegister> Wide(VcpuState state)
    {
        var all = new List<GdbRegister>();
        foreach (var (name, index) in General64)
            all.Add(GdbRegister.Word(Core, name, TypeOf(index, "int64"), s => s.Gpr[index], (s, v) => s.Gpr[index] = v));
        all.Add(GdbRegister.Word(Core, "rip", "code_ptr", s => s.Rip, (s, v) => s.Rip = v));
        AddCommon(all, state, vectors: 16);
        all.Add(GdbRegister.Word(SegmentBases, "fs_base", "int", s => s.Segments[SegmentIndex.Fs].Base, (s, v) => s.Segments[SegmentIndex.Fs].Base = v));
        all.Add(GdbRegister.Word(SegmentBases, "gs_base", "int", s => s.Segments[SegmentIndex.Gs].Base, (s, v) => s.Segments[SegmentIndex.Gs].Base = v));
        all.Add(GdbRegister.Word(System, "k_gs_base", "int64", s => s.Msrs.GetValueOrDefault(KernelGsBase), (s, v) => s.Msrs[KernelGsBase] = v));
        AddControl(all);
        return all;
    }

    // The pointers are offsets in CS and SS, while GDB's addresses are linear: the bases are there to add.
    private static List<GdbRegister> Narrow(VcpuState state)
    {
        var all = new List<GdbRegister>();
        for (var i = 0; i < General32.Length; i++)
        {
            var index = i;
            all.Add(GdbRegister.Lower(Core, General32[i], TypeOf(index, "int32"), s => s.Gpr[index], (s, v) => s.Gpr[index] = v));
        }
        all.Add(GdbRegister.Lower(Core, "eip", "code_ptr", s => s.Rip, (s, v) => s.Rip = v));
        AddCommon(all, state, vectors: 8);
        foreach (var (name, index) in Selectors)
            all.Add(GdbRegister.Lower(System, $"{name}_base", "uint32", s => s.Segments[index].Base, (s, v) => s.Segments[index].Base = v));
        AddControl(all);
        return all;
    }

    private static string TypeOf(int index, string other) => index is GprIndex.Rsp or GprIndex.Rbp ? "data_ptr" : other;

    private static void AddCommon(List<GdbRegister> all, VcpuState state, int vectors)
    {
        all.Add(GdbRegister.Half(Core, "eflags", "i386_eflags", s => (uint)s.Rflags, (s, v) => s.Rflags = v));
        foreach (var (name, index) in Selectors) all.Add(GdbRegister.Selector(Core, name, index));
        all.AddRange(GdbRegister.Fpu(Core));
        all.AddRange(GdbRegister.Sse(Sse, vectors));
        if (GdbRegister.HasYmm(state)) all.AddRange(GdbRegister.YmmHighs(Avx, vectors));
    }

    private static void AddControl(List<GdbRegister> all)
    {
        all.Add(GdbRegister.Word(System, "cr0", "int64", s => s.Cr0, (s, v) => s.Cr0 = v));
        all.Add(GdbRegister.Word(System, "cr2", "int64", s => s.Cr2, (s, v) => s.Cr2 = v));
        all.Add(GdbRegister.Word(System, "cr3", "int64", s => s.Cr3, (s, v) => (s.Cr3, s.Pdptes) = (v, null)));
        all.Add(GdbRegister.Word(System, "cr4", "int64", s => s.Cr4, (s, v) => s.Cr4 = v));
        all.Add(GdbRegister.Word(System, "efer", "int64", s => s.Efer, (s, v) => s.Efer = v));
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
}
