// What a vCPU was doing when the kernel gave it up, as a text file for whoever looks into it.
using System.Globalization;
using System.Text;
using Lamina.Core.Engine;
using Lamina.Host;

namespace Lamina.Engines.Kvm;

/// <summary>Writes reports.</summary>
internal static class FailureReport
{
    private static readonly string[] s_registers = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
    private static readonly string[] s_segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];

    /// <summary>Why a vCPU cannot go on after an exit, as a sentence.</summary>
    internal static string Sentence(in kvm_run run, int index) => run.exit_reason switch
    {
        KvmApi.KVM_EXIT_FAIL_ENTRY => $"the host's CPU refuses the state of vCPU {index} (reason 0x{run.fail_entry.hardware_entry_failure_reason:x}); the translator may run this guest",
        KvmApi.KVM_EXIT_INTERNAL_ERROR when run.@internal.suberror == KvmApi.KVM_INTERNAL_ERROR_EMULATION =>
            $"the kernel's KVM cannot emulate an instruction that vCPU {index} executed; the translator can",
        KvmApi.KVM_EXIT_INTERNAL_ERROR => $"the kernel's KVM failed on vCPU {index} (internal error {run.@internal.suberror}); try again, or use the translator",
        _ => $"the kernel left vCPU {index} for a reason that this version does not know (exit {run.exit_reason}); use the translator",
    };

    /// <summary>Why a vCPU cannot go on where the kernel does not even enter it, as a sentence.</summary>
    /// <param name="error">The error number of KVM_RUN.</param>
    /// <param name="index">The vCPU.</param>
    internal static string Sentence(int error, int index) => error switch
    {
        DeviceFile.NoMemory => $"the host has no memory left for vCPU {index}; free some, or give the machine less",
        DeviceFile.BadAddress => $"the kernel stopped vCPU {index} ({DeviceFile.Describe(error)}): a page of the machine's memory cannot be had; look for memory errors in the host's log, or give the machine less",
        _ => $"the kernel stopped vCPU {index} ({DeviceFile.Describe(error)}); try again, or use the translator",
    };

    /// <summary>Writes a report to the folder for temporary files.</summary>
    /// <returns>Its path; null where it cannot be written.</returns>
    internal static string? TryWrite(string sentence, VcpuState state, ReadOnlySpan<byte> shared)
    {
        var path = Path.Combine(Path.GetTempPath(), $"lamina-vcpu-{Environment.ProcessId}-{DateTime.UtcNow.Ticks:x}.txt");
        try
        {
            using var file = new StreamWriter(HostFiles.CreatePrivate(path, FileMode.CreateNew));
            file.Write(Text(sentence, state, shared));
            return path;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The report's text.</summary>
    internal static string Text(string sentence, VcpuState state, ReadOnlySpan<byte> shared)
    {
        var text = new StringBuilder();
        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
        Line($"{sentence}");
        for (var n = 0; n < s_registers.Length; n++) Line($"{s_registers[n],-5} {state.Gpr[n]:x16}");
        Line($"rip   {state.Rip:x16}");
        Line($"flags {state.Rflags:x16}");
        for (var n = 0; n < s_segments.Length; n++)
        {
            var segment = state.Segments[n];
            Line($"{s_segments[n],-5} {segment.Selector:x4} base {segment.Base:x16} limit {segment.Limit:x8} attributes {segment.Attributes:x5}");
        }
        Line($"gdtr  {state.Gdtr.Base:x16} {state.Gdtr.Limit:x4}");
        Line($"idtr  {state.Idtr.Base:x16} {state.Idtr.Limit:x4}");
        Line($"cr0 {state.Cr0:x} cr2 {state.Cr2:x} cr3 {state.Cr3:x} cr4 {state.Cr4:x} efer {state.Efer:x} xcr0 {state.Xcr0:x}");
        foreach (var (index, value) in state.Msrs) Line($"msr {index:x8} {value:x16}");
        Line($"shadow {state.Shadow} nmi blocked {state.NmiBlocked} activity {state.Activity} {state.Pending}");
        Line($"struct kvm_run:");
        for (var at = 0; at < shared.Length; at += 16) Line($"{at:x4} {Convert.ToHexString(shared[at..Math.Min(at + 16, shared.Length)])}");
        return text.ToString();
    }
}
