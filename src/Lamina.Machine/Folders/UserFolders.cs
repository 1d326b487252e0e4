// The user's folders: one root for all of it where LAMINA_HOME names one, else as the XDG Base Directory Specification names them.
namespace Lamina.Folders;

/// <summary>Where a user's files lie.</summary>
public static class UserFolders
{
    /// <summary>The variable that names one root for everything.</summary>
    public const string RootVariable = "LAMINA_HOME";

    /// <summary>For what can be made again: images, measurements. $LAMINA_HOME/cache, $XDG_CACHE_HOME/lamina, or ~/.cache/lamina; null where no variable names a folder.</summary>
    public static string? Cache => Root is { } root ? Path.Combine(root, "cache") : Find("XDG_CACHE_HOME", ".cache");

    /// <summary>For what cannot: machines with their disks. $LAMINA_HOME, $XDG_DATA_HOME/lamina, or ~/.local/share/lamina; null where no variable names a folder.</summary>
    public static string? Data => Root ?? Find("XDG_DATA_HOME", ".local/share");

    private static string? Root => Environment.GetEnvironmentVariable(RootVariable) is { Length: > 0 } folder && Path.IsPathRooted(folder) ? folder : null;

    private static string? Find(string variable, string belowHome)
    {
        // A relative path is to be ignored, says the specification.
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } folder && Path.IsPathRooted(folder)) return Path.Combine(folder, "lamina");
        return Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home && Path.IsPathRooted(home) ? Path.Combine(home, belowHome, "lamina") : null;
    }
}
