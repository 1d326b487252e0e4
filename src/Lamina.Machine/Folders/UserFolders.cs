// The user's folders, as the XDG Base Directory Specification names them.
namespace Lamina.Folders;

/// <summary>Where a user's files lie.</summary>
internal static class UserFolders
{
    /// <summary>For what can be made again: images, measurements. $XDG_CACHE_HOME/lamina, or ~/.cache/lamina; null where neither variable names a folder.</summary>
    internal static string? Cache => Find("XDG_CACHE_HOME", ".cache");

    /// <summary>For what cannot: machines with their disks. $XDG_DATA_HOME/lamina, or ~/.local/share/lamina; null where neither variable names a folder.</summary>
    internal static string? Data => Find("XDG_DATA_HOME", ".local/share");

    private static string? Find(string variable, string belowHome)
    {
        // A relative path is to be ignored, says the specification.
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } folder && Path.IsPathRooted(folder)) return Path.Combine(folder, "lamina");
        return Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home && Path.IsPathRooted(home) ? Path.Combine(home, belowHome, "lamina") : null;
    }
}
