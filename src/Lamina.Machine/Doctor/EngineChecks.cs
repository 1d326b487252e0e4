// The engines: whether each can be used here, and how fast it runs a guest's kernel.
using Lamina.Choice;
using Lamina.Engines.Kvm;
using Lamina.Host;

namespace Lamina.Doctor;

/// <summary>Checks of engines.</summary>
internal static class EngineChecks
{
    internal static HostCheck Kvm(KvmVerdict verdict, HostFacts facts)
    {
        const string name = "kvm";
        if (verdict.WhyNot is { } reason)
        {
            var error = facts.OpenDevice(KvmSupport.DefaultPath);
            if (ResourceChecks.IsKept(facts, error, "kvm")) return new HostCheck(name, HostCheckStatus.Missing, $"the host has {KvmSupport.DefaultPath}, and it is not given to this container", $"docker run --device {KvmSupport.DefaultPath}");
            var remedy = error switch
            {
                DeviceFile.NotFound when facts.Read("/proc/cpuinfo") is { } cpu && Words(cpu, "svm") => "modprobe kvm_amd",
                DeviceFile.NotFound when facts.Read("/proc/cpuinfo") is { } cpu && Words(cpu, "vmx") => "modprobe kvm_intel",
                DeviceFile.AccessDenied => string.Join(" && ", KvmSupport.CommandsForAccess(KvmSupport.DefaultPath, "$USER").Select(command => $"sudo {command}")) + ", then log in again",
                _ => null,
            };
            return new HostCheck(name, HostCheckStatus.Missing, reason, remedy);
        }
        return verdict.IsHardware
            ? new HostCheck(name, HostCheckStatus.Good, $"hardware virtualization; guest kernels run at {verdict.Speed}", Value: verdict.InstructionsPerSecond)
            : new HostCheck(name, HostCheckStatus.Limited, $"{KvmSupport.DefaultPath} is software-assisted: guest kernels run at {verdict.Speed}",
                "use the translator, or a host with hardware virtualization", verdict.InstructionsPerSecond);
    }

    internal static HostCheck Translator(HostFacts facts)
    {
        const string name = "translator";
        if (facts.WhyNoTranslator() is { } reason) return new HostCheck(name, HostCheckStatus.Missing, reason);
        try
        {
            var speed = facts.MeasureTranslator();
            return new HostCheck(name, HostCheckStatus.Good, $"works; a loop of guest kernel code runs at {KvmVerdict.SpeedOf(speed)}", Value: speed);
        }
        catch (IOException refused)
        {
            return new HostCheck(name, HostCheckStatus.Missing, refused.Message);
        }
    }

    private static bool Words(string text, string word) => text.Split((char[])[' ', '\n', '\t']).Contains(word);
}
