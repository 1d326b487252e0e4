// The engines by name. A test that takes one is skipped, with the reason, where the host has not got it.
using System.Runtime.Intrinsics.X86;
using Lamina.Core.Engine;
using Lamina.Engines;
using Lamina.Engines.Kvm;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Xunit;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class EngineKind
{
    internal const string Translator = "translator", Kvm = "kvm", KvmSplit = "kvm with the kernel's local APICs", KvmKernel = "kvm with the kernel's interrupt controllers";

    private const int CodeBytes = 16 << 20;

    // Measured once for all tests.
    private static readonly Lazy<double> s_kvmSpeed = new(() => KernelModeSpeed.Measure(new KvmEngine()));

    /// <summary>All of them; only those on KVM where somebody asked for just that, as the nested test does.</summary>
    internal static IReadOnlyList<string> All { get; } = Environment.GetEnvironmentVariable("LAMINA_TEST_ENGINE") == "kvm" ? [Kvm, KvmSplit, KvmKernel] : [Translator, Kvm, KvmSplit, KvmKernel];

    /// <summary>Whether the host's kernel runs the guest.</summary>
    internal static bool IsKvm(string name) => name != Translator;

    /// <summary>Whether the host's kernel has the local APICs, too.</summary>
    internal static bool HasKernelApics(string name) => name is KvmSplit or KvmKernel;

    internal static IEngine Create(string name)
    {
        if (name == Translator) return new TranslatorEngine(new TranslatorSettings { CodeBufferBytes = CodeBytes });
        var missing = KvmSupport.WhyNot();
        Assert.SkipWhen(missing is not null, missing ?? "");
        return new KvmEngine(name switch { Kvm => KvmIrqchip.User, KvmSplit => KvmIrqchip.Split, _ => KvmIrqchip.Kernel });
    }

    /// <summary>Whether what is made pending comes at the very first instruction that lets it in: not where software plays the host's processor.</summary>
    internal static bool IsExact(string name) => !IsKvm(name) || (KvmSupport.WhyNot() is null && s_kvmSpeed.Value >= KvmSupport.SlowestHardware && !InQemu);

    /// <summary>Whether CPUID tells a guest the features of its own CPU: a software-assisted KVM tells it the host's.</summary>
    internal static bool TellsFeatures(string name) => !IsKvm(name) || (KvmSupport.WhyNot() is null && s_kvmSpeed.Value >= KvmSupport.SlowestHardware);

    /// <summary>Skips a test whose guest needs the exactness of hardware.</summary>
    internal static void SkipWhereSoftwareAssisted()
    {
        var missing = KvmSupport.WhyNot();
        Assert.SkipWhen(missing is not null, missing ?? "");
        Assert.SkipUnless(s_kvmSpeed.Value >= KvmSupport.SlowestHardware,
            $"this host's {KvmSupport.DefaultPath} is software-assisted ({s_kvmSpeed.Value / 1e6:0.0} million instructions a second) and does not carry this guest's exceptions; the nested test runs it");
    }

    /// <summary>Skips a test that needs what QEMU 7.2 does not do where it emulates the host's CPU.</summary>
    internal static void SkipInQemu(string why)
    {
        Assert.SkipWhen(InQemu, $"the host's CPU is emulated by QEMU, which {why}");
    }

    /// <summary>Skips a test of the translator alone that takes long where the processor is emulated.</summary>
    internal static void SkipWhereOnlyKvmIsAsked() => Assert.SkipUnless(All.Contains(Translator), "only the tests of KVM were asked for");

    /// <summary>Whether QEMU's translator plays the host's processor.</summary>
    internal static bool InQemu
    {
        get
        {
            const int hypervisor = 0x4000_0000, signature = 0x5447_4354; // "TCGT", of "TCGTCGTCGTCG"
            return (X86Base.CpuId(1, 0).Ecx & 1 << 31) != 0 && X86Base.CpuId(hypervisor, 0).Ebx == signature;
        }
    }
}
