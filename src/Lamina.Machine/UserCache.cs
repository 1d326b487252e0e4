// The user's folder for what can be made again: images, measurements.
namespace Lamina;

/// <summary>The cache folder.</summary>
internal static class UserCache
{
    /// <summary>$XDG_CACHE_HOME/lamina, or ~/.cache/lamina; null where neither variable names a folder.</summary>
    internal static string? Folder
    {
        get
        {
            // The XDG Base Directory Specification: a relative path is to be ignored.
            var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            if (string.IsNullOrEmpty(cache) || !Path.IsPathRooted(cache))
            {
                var home = Environment.GetEnvironmentVariable("HOME");
                if (string.IsNullOrEmpty(home) || !Path.IsPathRooted(home)) return null;
                cache = Path.Combine(home, ".cache");
            }
            return Path.Combine(cache, "lamina");
        }
    }
}
