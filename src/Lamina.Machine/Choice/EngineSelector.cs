// Chooses the CPU engine for a machine and says why in a few words. Engines are found here and nowhere else.
using Lamina.Core.Engine;
using Lamina.Engines.Kvm;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Lamina.Host;

namespace Lamina.Choice;

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
    /// <param name="spec">What is asked for.</param>
    /// <param name="host">What the host's virtualization is judged by.</param>
    /// <param name="measuresTime">Whether the engine measures where the vCPUs' time goes.</param>
    /// <exception cref="MachineException">This host cannot run it.</exception>
    internal static SelectedEngine Select(MachineDefinition spec, KvmHost host, bool measuresTime = false)
    {
        var engine = spec.Engine switch
        {
            EngineChoice.Auto => Best(spec, host.Judge(), measuresTime),
            EngineChoice.Kvm => Kvm(spec, host.Judge()),
            EngineChoice.Translator => Translator(spec, "as asked", measuresTime),
            _ => throw new MachineException($"there is no engine {spec.Engine}; use auto, kvm or translator"),
        };
        if (spec.Irqchip is IrqchipChoice.Kernel or IrqchipChoice.Split && engine.Engine is not KvmEngine)
            throw new MachineException("the host's kernel has interrupt controllers for CPUs that it runs itself, and the engine is the translator; use --irqchip user or auto, or --engine kvm");
        return engine;
    }

    private static SelectedEngine Best(MachineDefinition spec, KvmVerdict verdict, bool measuresTime)
    {
        if (verdict.IsHardware) return new SelectedEngine(CreateKvm(spec), $"kvm (hardware virtualization: guest kernels run at {verdict.Speed})");
        return Translator(spec, verdict.WhyNot is { } reason
            ? $"no hardware virtualization: {Problem(reason)}"
            : $"{KvmSupport.DefaultPath} is software-assisted here: it runs guest kernels at {verdict.Speed}", measuresTime);
    }

    // A reason says what is the matter, and then what to do; where the translator is taken anyway, the first is enough.
    private static string Problem(string reason) => reason.Split((string[])[": ", "; "], 2, StringSplitOptions.None)[0];

    private static KvmEngine CreateKvm(MachineDefinition spec) => new(spec.Irqchip switch
    {
        IrqchipChoice.Auto => KvmIrqchip.Best,
        IrqchipChoice.Kernel => KvmIrqchip.Kernel,
        IrqchipChoice.Split => KvmIrqchip.Split,
        IrqchipChoice.User => KvmIrqchip.User,
        _ => throw new MachineException($"there is no place {spec.Irqchip} for interrupt controllers; use auto, kernel, split or user"),
    });

    private static SelectedEngine Kvm(MachineDefinition spec, KvmVerdict verdict)
    {
        if (verdict.WhyNot is { } reason) throw new MachineException(MachineError.Host, reason, new HostException(reason));
        return new SelectedEngine(CreateKvm(spec), verdict.IsHardware
            ? $"kvm (as asked; guest kernels run at {verdict.Speed})"
            : $"kvm (as asked; it is software-assisted here and runs guest kernels at {verdict.Speed}, the translator is faster)");
    }

    private static SelectedEngine Translator(MachineDefinition spec, string why, bool measuresTime) => spec.Cpus <= TranslatorCpus
        ? new SelectedEngine(new TranslatorEngine(Settings(spec, measuresTime)), $"translator ({why})")
        : throw new MachineException($"the translator runs at most {TranslatorCpus} virtual CPUs a machine, not {spec.Cpus}; give the machine fewer, or use a host with hardware virtualization ({why})");

    private static TranslatorSettings Settings(MachineDefinition spec, bool measuresTime)
    {
        var settings = new TranslatorSettings { MeasureTime = measuresTime, ArchiveFolder = CodeArchiveFolder.Of(spec) };
        return spec.CodeCacheBytes is { } bytes ? settings with { CodeBufferBytes = (int)bytes } : settings;
    }
}
