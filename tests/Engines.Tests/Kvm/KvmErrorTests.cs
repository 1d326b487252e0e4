// What is said where the kernel cannot or will not: one sentence each, with what to do.
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Engines.Kvm;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Engines.Kvm;

public sealed class KvmErrorTests
{
    [Theory]
    [InlineData(DeviceFile.NotFound, "there is no /dev/kvm: load the module")]
    [InlineData(DeviceFile.AccessDenied, "usermod -aG kvm USER")]
    [InlineData(DeviceFile.NotPermitted, "usermod -aG kvm USER")]
    [InlineData(DeviceFile.NoDevice, "firmware")]
    [InlineData(DeviceFile.Busy, "Device or resource busy")]
    public void A_device_that_does_not_open_is_told_with_the_way_out(int error, string words)
    {
        var sentence = KvmSystem.Refusal("/dev/kvm", error);

        Assert.Contains(words, sentence, StringComparison.Ordinal);
        Assert.EndsWith("use the translator", sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(11, "speaks version 11 of its interface and version 12 is needed")]
    [InlineData(-DeviceFile.NotADevice, "is not the kernel's virtualization device")]
    public void Another_version_of_the_interface_is_refused(int version, string words) =>
        Assert.Contains(words, Assert.Throws<HostException>(() => KvmSystem.CheckInterface("/dev/kvm", version, _ => 1)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(UnixFileMode.UserRead | UnixFileMode.UserWrite, "chgrp kvm FILE, chmod 660 FILE, usermod -aG kvm ann")]
    [InlineData(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite, "usermod -aG kvm ann")]
    public void Who_may_not_open_the_device_is_told_the_commands_that_mend_it(UnixFileMode mode, string commands)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.SetUnixFileMode(file, mode);

            Assert.Equal(commands.Replace("FILE", file, StringComparison.Ordinal), string.Join(", ", KvmSupport.CommandsForAccess(file, "ann")));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData(KvmIrqchip.Split, KvmApi.KVM_CAP_SPLIT_IRQCHIP)]
    [InlineData(KvmIrqchip.Kernel, KvmApi.KVM_CAP_IRQCHIP)]
    public void Interrupt_controllers_that_the_kernel_has_not_got_are_refused_where_they_were_asked_for(KvmIrqchip irqchip, int missing)
    {
        int Capability(int capability) => capability == missing ? 0 : 1;

        Assert.Equal(irqchip, KvmKernelIrqchip.Resolve(irqchip, _ => 1));
        Assert.EndsWith("use --irqchip user", Assert.Throws<HostException>(() => KvmKernelIrqchip.Resolve(irqchip, Capability)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1, KvmIrqchip.Kernel)]
    [InlineData(KvmApi.KVM_CAP_IRQCHIP, KvmIrqchip.Split)]
    [InlineData(KvmApi.KVM_CAP_SIGNAL_MSI, KvmIrqchip.User)]
    public void As_many_interrupt_controllers_are_in_the_kernel_as_it_offers(int missing, KvmIrqchip irqchip) =>
        Assert.Equal(irqchip, KvmKernelIrqchip.Resolve(KvmIrqchip.Best, capability => capability == missing ? 0 : 1));

    [Fact]
    public void A_kernel_that_lacks_something_is_told_what() =>
        Assert.Contains("MSR filters", Assert.Throws<HostException>(() => KvmSystem.CheckInterface("/dev/kvm", 12, capability => capability == KvmApi.KVM_CAP_X86_MSR_FILTER ? 0 : 1)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_device_of_another_kind_is_refused() =>
        Assert.Contains("is not the kernel's virtualization device", Assert.Throws<HostException>(() => KvmSystem.Open("/dev/null")).Message, StringComparison.Ordinal);

    [Fact]
    public void Memory_of_more_parts_than_the_kernel_has_slots_is_refused()
    {
        using var memory = new GuestMemory([new MemoryRange(0, 4096), new MemoryRange(8192, 4096), new MemoryRange(16384, 4096)]);

        var refusal = Assert.Throws<HostException>(() => KvmMachine.CheckLimits(Options(memory, 1), capability => capability == KvmApi.KVM_CAP_NR_MEMSLOTS ? 2 : 100));

        Assert.Contains("has 3 parts and the kernel's KVM maps at most 2", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_CPUs_than_the_kernel_runs_are_refused()
    {
        using var memory = new GuestMemory([new MemoryRange(0, 4096)]);

        var refusal = Assert.Throws<HostException>(() => KvmMachine.CheckLimits(Options(memory, 9), capability => capability == KvmApi.KVM_CAP_MAX_VCPUS ? 8 : 100));

        Assert.Contains("at most 8 CPUs a machine, not 9", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(KvmApi.KVM_EXIT_FAIL_ENTRY, 0u, "the host's CPU refuses the state of vCPU 3 (reason 0x7")]
    [InlineData(KvmApi.KVM_EXIT_INTERNAL_ERROR, 1u, "cannot emulate an instruction that vCPU 3 executed")]
    [InlineData(KvmApi.KVM_EXIT_INTERNAL_ERROR, 4u, "failed on vCPU 3 (internal error 4)")]
    [InlineData(77u, 0u, "does not know (exit 77)")]
    public void An_exit_that_ends_the_run_is_a_sentence(uint reason, uint suberror, string words)
    {
        var run = new kvm_run { exit_reason = reason };
        if (reason == KvmApi.KVM_EXIT_FAIL_ENTRY) run.fail_entry.hardware_entry_failure_reason = 7;
        else run.@internal.suberror = suberror;

        Assert.Contains(words, FailureReport.Sentence(run, 3), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DeviceFile.NoMemory, "the host has no memory left for vCPU 3; free some, or give the machine less")]
    [InlineData(DeviceFile.BadAddress, "the kernel stopped vCPU 3 (Bad address): a page of the machine's memory cannot be had")]
    [InlineData(DeviceFile.Invalid, "the kernel stopped vCPU 3 (Invalid argument); try again, or use the translator")]
    public void A_kernel_that_does_not_enter_the_guest_is_a_sentence(int error, string words) =>
        Assert.StartsWith(words, FailureReport.Sentence(error, 3), StringComparison.Ordinal);

    [Fact]
    public void A_report_holds_the_registers_and_what_the_kernel_said()
    {
        var state = new VcpuState { Rip = 0x1234_5678, Cr3 = 0xABC000 };
        state.Msrs[0xC000_0082] = 0xFFFF;

        var text = FailureReport.Text("it failed", state, [1, 2, 0xAB]);

        Assert.StartsWith("it failed", text, StringComparison.Ordinal);
        foreach (var words in (string[])["rip   0000000012345678", "cr3 abc000", "msr c0000082 000000000000ffff", "0000 0102AB"]) Assert.Contains(words, text, StringComparison.Ordinal);
    }

    private static EngineMachineOptions Options(GuestMemory memory, int vcpus) => new(memory, new NoClock(), vcpus);

    private sealed class NoClock : IMachineClock
    {
        public long NowNanoseconds => 0;

        public DateTimeOffset WallClock => DateTimeOffset.UnixEpoch;

        public ulong TscHz => 1_000_000_000;

        public ulong ReadTsc() => 0;

        public IDeviceTimer CreateTimer(Action expired) => throw new NotSupportedException("these guests have no timers");
    }
}
