// What real KVM gives up over, provoked: each ends the run in one sentence, with a report of the vCPU's state beside it.
using System.Text.RegularExpressions;
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed partial class KvmFailureTests
{
    public static TheoryData<string> Engines => [.. EngineKind.All.Where(EngineKind.IsKvm)];

    [Theory]
    [MemberData(nameof(Engines))]
    public void An_instruction_that_the_kernel_cannot_emulate_ends_the_run_with_a_report(string engine)
    {
        using var machine = new SmallMachine(engine);
        // A vector instruction whose operand is a device's.
        machine.Load(Layout.Code, Modes.Assemble(64, Layout.Code, c =>
        {
            c.mov(ebx, Layout.Device);
            c.pshufb(xmm0, __xmmword_ptr[rbx]);
        }));
        machine.Vcpu.SetState(machine.Start(GuestMode.Long));

        Assert.Equal(VcpuExit.Failed, machine.RunTo());

        CheckReport(machine, "the kernel's KVM cannot emulate an instruction that vCPU 0 executed; the translator can", "rip   0000000000008005");
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_state_that_no_processor_can_be_in_ends_in_a_sentence(string engine)
    {
        const uint codeOf64And32Bits = 1 << 13 | 1 << 14;
        using var machine = new SmallMachine(engine);
        machine.Load(Layout.Code, [0xF4, 0xEB, 0xFD]);
        var state = machine.Start(GuestMode.Long);
        // SDM vol. 3, 26.3.1.2; APM vol. 2, 15.5.1: KVM_EXIT_FAIL_ENTRY.
        state.Segments[SegmentIndex.Cs].Attributes |= codeOf64And32Bits;
        machine.Vcpu.SetState(state);
        using var kick = new Timer(_ => machine.Vcpu.Kick(), null, 200, 200);

        var exit = machine.RunTo();

        // A processor that is emulated may not look.
        Assert.SkipWhen(exit == VcpuExit.Kicked, "this host's CPU enters such a state all the same");
        Assert.Equal(VcpuExit.Failed, exit);
        CheckReport(machine, "the host's CPU refuses the state of vCPU 0", "cs    0018 base 0000000000000000 limit ffffffff");
    }

    private static void CheckReport(SmallMachine machine, string sentence, string line)
    {
        var failure = machine.Vcpu.Failure!;
        Assert.StartsWith(sentence, failure, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure);
        var path = ReportPattern().Match(failure).Groups[1].Value;
        try
        {
            // A guest's registers are in it.
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            var report = File.ReadAllText(path);
            Assert.StartsWith(sentence, report, StringComparison.Ordinal);
            Assert.Contains(line, report, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [GeneratedRegex("its state is in (.+)$")]
    private static partial Regex ReportPattern();
}
