// Chooses the CPU engine for a machine and says why in a few words. Engines are found here and nowhere else.
using Lamina.Core.Engine;
using Lamina.Engines.Kvm;
using Lamina.Engines.Translator;
using Lamina.Host;

namespace Lamina.Engines;

/// <summary>An engine that was chosen.</summary>
/// <param name="Engine">The engine.</param>
/// <param name="Description">Its name and the reason, on one line.</param>
internal sealed record SelectedEngine(IEngine Engine, string Description);

/// <summary>Chooses engines.</summary>
internal static class EngineSelector
{
    /// <summary>How many vCPUs a machine can have on the translator: each takes 3 TiB of addresses at least.</summary>
    internal const int TranslatorCpus = 32;

    /// <summary>The engine for a choice.</summary>
    /// <param name="choice">What the spec asks for.</param>
    /// <param name="cpus">How many vCPUs the machine has.</param>
    /// <param name="host">What the host's virtualization is judged by.</param>
    /// <param name="settings">How the translator works, should it be chosen.</param>
    /// <exception cref="MachineException">This host cannot run it.</exception>
    internal static SelectedEngine Select(EngineChoice choice, int cpus, KvmHost host, TranslatorSettings? settings = null) => choice switch
    {
        EngineChoice.Auto => Best(cpus, settings, host.Judge()),
        EngineChoice.Kvm => Kvm(host.Judge()),
        EngineChoice.Translator => Translator(cpus, settings, "as asked"),
        _ => throw new MachineException($"there is no engine {choice}; use auto, kvm or translator"),
    };

    private static SelectedEngine Best(int cpus, TranslatorSettings? settings, KvmVerdict verdict)
    {
        if (verdict.IsHardware) return new SelectedEngine(new KvmEngine(), $"kvm (hardware virtualization: guest kernels run at {verdict.Speed})");
        return Translator(cpus, settings, verdict.WhyNot is { } reason
            ? $"no hardware virtualization: {Problem(reason)}"
            : $"{KvmSupport.DefaultPath} is software-assisted here: it runs guest kernels at {verdict.Speed}");
    }

    // A reason says what is the matter, and then what to do; where the translator is taken anyway, the first is enough.
    private static string Problem(string reason) => reason.Split((string[])[": ", "; "], 2, StringSplitOptions.None)[0];

    private static SelectedEngine Kvm(KvmVerdict verdict)
    {
        if (verdict.WhyNot is { } reason) throw new MachineException(reason, new HostException(reason));
        return new SelectedEngine(new KvmEngine(), verdict.IsHardware
            ? $"kvm (as asked; guest kernels run at {verdict.Speed})"
            : $"kvm (as asked; it is software-assisted here and runs guest kernels at {verdict.Speed}, the translator is faster)");
    }

    private static SelectedEngine Translator(int cpus, TranslatorSettings? settings, string why) => cpus <= TranslatorCpus
        ? new SelectedEngine(new TranslatorEngine(settings), $"translator ({why})")
        : throw new MachineException($"the translator runs at most {TranslatorCpus} virtual CPUs a machine, not {cpus}; give the machine fewer, or use a host with hardware virtualization ({why})");
}
