// Where a user's translations lie from one run to the next.
using Lamina.Engines.Translator;

namespace Lamina;

/// <summary>The translations that are kept for a user.</summary>
public static class TranslatorArchive
{
    /// <summary>The folder for them: $XDG_CACHE_HOME/lamina/code, or ~/.cache/lamina/code. Null where there is none that can be used: then nothing is kept.</summary>
    public static string? FolderOfUser() =>
        UserFolders.Cache is { } cache && Path.Combine(cache, "code") is var folder && TranslatorEngine.WhyNotKeptIn(folder) == null ? folder : null;
}
