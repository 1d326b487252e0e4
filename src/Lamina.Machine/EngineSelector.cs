// Chooses the CPU engine for a machine and says why in a few words. Engines are found here and nowhere else.
using Lamina.Core.Engine;
using Lamina.Engines.Kvm;
using Lamina.Engines.Translator;

namespace Lamina;

/// <summary>An engine that was chosen.</summary>
/// <param name="Engine">The engine.</param>
/// <param name="Description">Its name and the reason, on one line.</param>
internal sealed record SelectedEngine(IEngine Engine, string Description);

/// <summary>Chooses engines.</summary>
internal static class EngineSelector
{
    /// <summary>The engine for a choice.</summary>
    /// <exception cref="MachineException">This host cannot run it.</exception>
    internal static SelectedEngine Select(EngineChoice choice) => choice switch
    {
        EngineChoice.Auto => new SelectedEngine(new TranslatorEngine(), "translator (this build does not use /dev/kvm)"),
        EngineChoice.Kvm => new SelectedEngine(new KvmEngine(), "kvm (as asked)"),
        EngineChoice.Translator => new SelectedEngine(new TranslatorEngine(), "translator (as asked)"),
        _ => throw new MachineException($"there is no engine {choice}; use auto or translator"),
    };
}
