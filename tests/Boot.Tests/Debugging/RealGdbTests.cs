// GDB itself on a guest of each engine: few breakpoints, which KVM puts into debug registers; more of them than there are such
// registers; single steps, also over HLT; registers and memory that it changes.
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

    private static string Told(string name) => $"printf \"{name} %lx %ld %ld\\n\", $rip, $rax, $rcx";

    private static string Of(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
