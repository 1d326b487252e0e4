// GDB itself on a guest of each engine: few breakpoints, which KVM puts into debug registers; more of them than there are such
// registers; single steps, also over HLT; registers and memory that it changes; memory that it watches; code of 32 and of 16 bits.
using System.Globalization;
using Lamina.Engines.Kvm;
using Lamina.Tests.Boot.Support;
using Lamina.Tests.Machines.Debugging;
using Xunit;

namespace Lamina.Tests.Boot.Debugging;

public sealed class RealGdbTests
{
    private const byte Done = 9;
    private const int Few = 1, Many = 6;
    private const uint Data = 0x30_0000;

    public static TheoryData<EngineChoice, IrqchipChoice, int> Cases
    {
        get
        {
            var data = new TheoryData<EngineChoice, IrqchipChoice, int>();
            foreach (var breakpoints in (int[])[Few, Many])
            {
                data.Add(EngineChoice.Kvm, IrqchipChoice.User, breakpoints);
                data.Add(EngineChoice.Kvm, IrqchipChoice.Split, breakpoints);
                data.Add(EngineChoice.Kvm, IrqchipChoice.Kernel, breakpoints);
                if (TestEngine.Only is null) data.Add(EngineChoice.Translator, IrqchipChoice.Auto, breakpoints);
            }
            return data;
        }
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Breakpoints_steps_and_changes_are_what_the_debugger_asked_for(EngineChoice engine, IrqchipChoice irqchip, int breakpoints)
    {
        Gdb.SkipWithout();
        var missing = engine == EngineChoice.Kvm ? KvmSupport.WhyNot() : null;
        Assert.SkipWhen(missing is not null, missing ?? "");
        var code = new Code(TestKernels.Origin).With32([0xB9], 3).Raw(0x31, 0xC0)   // mov ecx, 3; xor eax, eax
            .Label("again").Raw(0xFF, 0xC0)                                         // inc eax
            .Label("middle").Raw(0x90, 0xFF, 0xC9, 0x75, 0xF9)                      // nop; dec ecx; jnz again
            .Label("behind").With32([0xBA], 0x1234)                                 // mov edx, 0x1234
            .Label("halt").Raw(0xFA, 0xF4)                                          // cli; hlt
            .Label("end");
        var (middle, behind, end) = (code.AddressOf("middle"), code.AddressOf("behind"), code.AddressOf("end"));
        using var kernel = new KernelFile(TestKernels.Long(code.Exit(Done)));
        await using var machine = Machine.Create(GuestRun.Spec(kernel.Path) with { Engine = engine, Irqchip = irqchip, GdbPort = 0, Timeout = TimeSpan.FromMinutes(1) });
        var run = machine.RunAsync(Token);

        var others = Enumerable.Range(1, breakpoints - 1).Select(n => Of($"break *{0x30_0000 + n}"));
        var output = await Gdb.RunAsync([
            Of($"target remote 127.0.0.1:{machine.GdbPort!.Value}"), Of($"break *{middle}"), .. others,
            "continue", Told("first"), "continue", Told("second"), "set $rax = 40", "stepi", Told("stepped"), "stepi", "stepi", Told("round"),
            "continue", Told("third"), "delete", Of($"hbreak *{behind}"), "continue", Told("behind"),
            "stepi", Of($"printf \"edx %lx\\n\", $rdx"), "stepi", "stepi", Told("halted"), Of($"set *(char*){end} = 0x90"), Of($"x/1xb {end}"), "delete", "kill"]);

        foreach (var line in (string[])[
            Of($"first {middle:x} 1 3"), Of($"second {middle:x} 2 2"), Of($"stepped {middle + 1:x} 40 2"), Of($"round {middle - 2:x} 40 1"),
            Of($"third {middle:x} 41 1"), Of($"behind {behind:x} 41 0"), "edx 1234", Of($"halted {end:x} 41 0"), "0x90"])
            Assert.Contains(line, output, StringComparison.Ordinal);
        Assert.DoesNotContain("rror", output, StringComparison.Ordinal);
        Assert.Equal(MachineEnd.Stopped, (await run).End);
    }

    public static TheoryData<EngineChoice> Engines => TestEngine.Only is null ? [EngineChoice.Kvm, EngineChoice.Translator] : [EngineChoice.Kvm];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Watchpoints_stop_behind_the_accesses_that_they_are_for(EngineChoice engine)
    {
        var code = new Code(TestKernels.Origin).With32([0xBB], Data).With32([0xB9], 3)  // mov ebx, Data; mov ecx, 3
            .Label("again").Raw(0x89, 0x0B)                                             // mov [rbx], ecx
            .Label("stored").Raw(0x8B, 0x13)                                            // mov edx, [rbx]
            .Label("loaded").Raw(0xFF, 0xC9, 0x75, 0xF8);                               // dec ecx; jnz again
        var (stored, loaded) = (code.AddressOf("stored"), code.AddressOf("loaded"));

        var output = await DebugAsync(engine, GdbArchitecture.X64, TestKernels.Long(code.Exit(Done)), [
            Of($"watch *(int*){Data}"), "continue", Told("first"), "continue", Told("second"), "delete",
            Of($"rwatch *(int*){Data}"), "continue", Told("third"), "delete",
            Of($"awatch *(int*){Data}"), "continue", Told("fourth"), "delete", "kill"]);

        foreach (var line in (string[])[
            "Hardware watchpoint 1", "Old value = 0\nNew value = 3\n", Of($"first {stored:x} "), "Old value = 3\nNew value = 2\n", Of($"second {stored:x} "),
            "Hardware read watchpoint 2", "Value = 2\n", Of($"third {loaded:x} "),
            "Hardware access (read/write) watchpoint 3", "Old value = 2\nNew value = 1\n", Of($"fourth {stored:x} ")])
            Assert.Contains(line, output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Code_of_32_bits_has_its_own_registers(EngineChoice engine)
    {
        var code = new Code(TestKernels.Origin).With32([0xB9], 3).Raw(0x31, 0xC0)       // mov ecx, 3; xor eax, eax
            .Label("again").Raw(0x40)                                                   // inc eax, a prefix in 64-bit code
            .Label("middle").Raw(0x49, 0x75, 0xFC)                                      // dec ecx; jnz again
            .Label("behind").With32([0xA3], Data)                                       // mov [Data], eax
            .Label("stored");
        var (middle, behind, stored) = (code.AddressOf("middle"), code.AddressOf("behind"), code.AddressOf("stored"));

        var output = await DebugAsync(engine, GdbArchitecture.I386, TestKernels.Protected(code.Exit(Done)), [
            "show architecture", Of($"break *{middle}"), "continue", Of($"x/2i {middle - 1}"), Told32("first"), "continue", Told32("second"), "set $eax = 0xfffffff0", "stepi", Told32("stepped"),
            "delete", "p $xmm7.uint128", "p $st0", "p $cs_base", "p $cr0 & 1", Of($"watch *(int*){Data}"), "continue", Told32("stored"), Of($"x/1xw {Data}"), "info registers", "kill"]);

        foreach (var line in (string[])[
            "\"i386\"", "inc    %eax", "dec    %ecx", Of($"first {middle:x} 1 3"), Of($"second {middle:x} 2 2"), Of($"stepped {middle + 1:x} fffffff0 1"),
            "$1 = 0", "$2 = 0", "$3 = 0", "$4 = 1", "Hardware watchpoint 2", "New value = -15", Of($"stored {stored:x} fffffff1 0"), "0xfffffff1", "ebx "])
            Assert.Contains(line, output, StringComparison.Ordinal);
        Assert.DoesNotContain("rax", output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Code_of_16_bits_is_shown_as_such_in_real_mode_too(EngineChoice engine)
    {
        const ushort segment = 0x7000, data = 0x100;
        var code = new Code(0).Raw(0x8C, 0xC8, 0x8E, 0xD8)                              // mov ax, cs; mov ds, ax
            .Raw(0xB8, 0x34, 0x12)                                                      // mov ax, 1234h
            .Label("inc").Raw(0x40, 0xA3, data & 0xFF, data >> 8)                       // inc ax; mov [data], ax
            .Label("stored").Raw(0xFA, 0xF4);                                           // cli; hlt
        const uint page = segment << 4;
        var (inc, stored) = (code.AddressOf("inc"), code.AddressOf("stored"));

        var output = await DebugAsync(engine, GdbArchitecture.I8086, RealModeKernel.Make(segment, code.ToArray()), [
            "show architecture", Of($"break *{page + inc}"), "continue", Told32("first"), "printf \"cs %x base %x\\n\", $cs, $cs_base", "x/2i $cs_base + $eip",
            "stepi", Told32("stepped"), "delete", Of($"watch *(short*){page + data}"), "continue", Told32("stored"), "set $ax = 7", "p/x $eax", "kill"]);

        foreach (var line in (string[])[
            "\"i8086\"", Of($"first {inc:x} 1234 "), Of($"cs {segment:x} base {page:x}"), "inc    %ax", "mov    %ax,0x100", Of($"stepped {inc + 1:x} 1235 "),
            "New value = 4661", Of($"stored {stored:x} 1235 "), "0x7\n"])
            Assert.Contains(line, output, StringComparison.Ordinal);
    }

    // All that GDB says; none of it is an error.
    private static async Task<string> DebugAsync(EngineChoice engine, GdbArchitecture architecture, byte[] image, string[] commands)
    {
        Gdb.SkipWithout();
        var missing = engine == EngineChoice.Kvm ? KvmSupport.WhyNot() : null;
        Assert.SkipWhen(missing is not null, missing ?? "");
        GuestRun.SkipWhereSoftwareAssisted(engine, "tells of no data breakpoint, and of none in real mode");
        using var kernel = new KernelFile(image);
        await using var machine = Machine.Create(GuestRun.Spec(kernel.Path) with { Engine = engine, GdbPort = 0, GdbArchitecture = architecture, Timeout = TimeSpan.FromMinutes(1) });
        var run = machine.RunAsync(Token);
        var output = await Gdb.RunAsync([Of($"target remote 127.0.0.1:{machine.GdbPort!.Value}"), .. commands]);
        Assert.DoesNotContain("rror", output, StringComparison.Ordinal);
        Assert.Equal(MachineEnd.Stopped, (await run).End);
        return output;
    }

    private static string Told32(string name) => $"printf \"{name} %x %x %x\\n\", $eip, $eax, $ecx";

    private static string Told(string name) => $"printf \"{name} %lx %ld %ld\\n\", $rip, $rax, $rcx";

    private static string Of(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
