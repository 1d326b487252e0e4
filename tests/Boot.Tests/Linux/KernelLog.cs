// What must not stand in a guest kernel's log.
using System.Text.RegularExpressions;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

internal static partial class KernelLog
{
    // What is told of a complaint: what stands behind it as well.
    private const int Behind = 40;

    private static readonly string[] Complaints =
    [
        "WARNING:", "BUG:", "Call Trace", "general protection", "ACPI Error", "ACPI Warning", "ACPI BIOS", "Firmware Bug", "unchecked MSR",
        "clocksource: Long readout", "rcu: INFO", "hung task", "blocked for more than", "soft lockup", "hard LOCKUP", "Oops", "Kernel panic", "segfault",
        "traps:", "invalid opcode", "stack-protector", "Marking TSC unstable", "Marking clocksource", "clock skew", "spurious", "nobody cared", "IRQ#",
        "APIC error", "not functional", "MP-BIOS bug", "unable to handle", "scheduling while atomic", "x86/fpu: Unexpected", "xstate: inconsistent",
        "failed with error", "probe of", "Spectre V2 : Vulnerable", "corrupt", "mismatch", "Mismatch", "timed out", "can't find IRQ", "No irq",
    ];

    // There is no PCI in this machine; the same kernel says the same on QEMU 7.2's microvm.
    private static readonly string[] Expected = ["PCI: Fatal: No config space access function found"];

    /// <summary>Fails where a line complains, and says what stands behind it.</summary>
    internal static void AssertNoComplaints(string log)
    {
        if (ComplaintsIn(log) is not [var first, ..]) return;
        var lines = log.Split('\n');
        Assert.Fail(string.Join('\n', lines.Skip(Array.IndexOf(lines, first)).Take(Behind)));
    }

    /// <summary>The lines that complain.</summary>
    internal static IReadOnlyList<string> ComplaintsIn(string log) =>
        [.. (TestEngine.Only is EngineChoice.Kvm ? HiddenXsetbv().Replace(log, "") : log).Split('\n').Where(line => Complaints.Any(complaint => line.Contains(complaint, StringComparison.Ordinal)) && !Expected.Any(expected => line.Contains(expected, StringComparison.Ordinal)))];

    /// <summary>The lines of priority error or worse in the output of <c>dmesg -r</c>.</summary>
    internal static IReadOnlyList<string> ErrorsIn(string rawLog) =>
        [.. rawLog.Split('\n').Where(line => line.Length > 2 && line[0] == '<' && line[1] is >= '0' and <= '3' && line[2] == '>' && !Expected.Any(expected => line.Contains(expected, StringComparison.Ordinal)))];

    // Where only KVM is tested the processor may be QEMU's, which lets a nested guest's XSETBV pass without telling its hypervisor; that does not know the size of the guest's XSAVE area then.
    [GeneratedRegex(@"(?m)^\[[^\n]* cut here (?:(?!end trace)[^\n]*\n)*?[^\n]*WARNING: [^\n]*fpu__init_system_xstate(?:(?!.*end trace)[^\n]*\n)*[^\n]*end trace[^\n]*$")]
    private static partial Regex HiddenXsetbv();
}
