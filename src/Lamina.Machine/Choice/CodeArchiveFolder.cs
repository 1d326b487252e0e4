// Where a user's archive of translated code lies. What is in it is the engine's matter (Translator/Archive).
using Lamina.Engines.Translator;

namespace Lamina.Choice;

/// <summary>The folder in which the translator's code is kept from one run to the next.</summary>
public static class CodeArchiveFolder
{
    /// <summary>$XDG_CACHE_HOME/lamina/code, or ~/.cache/lamina/code; null where neither variable names a folder.</summary>
    internal static string? Place => UserFolders.Cache is { } cache ? Path.Combine(cache, "code") : null;

    /// <summary>The user's, which is made if need be; null where there is none that can be used: then nothing is kept, which harms nothing but speed.</summary>
    public static string? OfUser() => Place is { } folder && TranslatorEngine.WhyNotKeptIn(folder) == null ? folder : null;
}
