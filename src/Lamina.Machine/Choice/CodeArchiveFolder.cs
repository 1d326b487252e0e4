// Where a user's archive of translated code lies. What is in it is the engine's matter (Translator/Archive).
using Lamina.Engines.Translator;
using Lamina.Folders;

namespace Lamina.Choice;

/// <summary>The folder in which the translator's code is kept from one run to the next.</summary>
public static class CodeArchiveFolder
{
    /// <summary>The word for no folder.</summary>
    public const string Off = "off";

    /// <summary>$XDG_CACHE_HOME/lamina/code, or ~/.cache/lamina/code; null where neither variable names a folder.</summary>
    internal static string? Place => UserFolders.Cache is { } cache ? Path.Combine(cache, "code") : null;

    /// <summary>The folder that a machine's definition names; null for none.</summary>
    internal static string? Of(MachineDefinition machine) => machine.CodeArchive is null or Off ? null : Path.GetFullPath(machine.CodeArchive);

    /// <summary>Refuses a folder in which no code can be kept; it is made if need be.</summary>
    /// <exception cref="MachineException">It cannot be used.</exception>
    internal static void Check(MachineDefinition machine)
    {
        if (Of(machine) is { } folder && TranslatorEngine.WhyNotKeptIn(folder) is { } reason) throw new MachineException(MachineError.File, $"code-archive: {reason}");
    }

    /// <summary>The user's, which is made if need be; null where there is none that can be used: then nothing is kept, which harms nothing but speed.</summary>
    public static string? OfUser() => Place is { } folder && TranslatorEngine.WhyNotKeptIn(folder) == null ? folder : null;
}
