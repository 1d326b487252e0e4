// Where a user's translations lie from one run to the next.
using Lamina.Engines.Translator;

namespace Lamina;

/// <summary>The translations that are kept for a user.</summary>
public static class TranslatorArchive
{
    /// <summary>The folder for them: $XDG_CACHE_HOME/lamina/code, or ~/.cache/lamina/code; null where neither variable names a folder.</summary>
    internal static string? Folder => UserFolders.Cache is { } cache ? Path.Combine(cache, "code") : null;

    /// <summary>The user's folder, which is made if need be; null where there is none that can be used: then nothing is kept, which harms nothing but speed.</summary>
    public static string? FolderOfUser() => Folder is { } folder && TranslatorEngine.WhyNotKeptIn(folder) == null ? folder : null;
}
