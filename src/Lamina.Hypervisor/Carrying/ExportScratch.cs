// A folder for what an export makes on its way, beside where its file goes to: the file until it is whole, and disks while they are copied. A
// lock says that somebody is at it; what a killed export left is known by that, and goes with the next export to the same place.
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Carrying;

/// <summary>The folder; gone when it is disposed of.</summary>
public sealed class ExportScratch : IDisposable
{
    private const string Prefix = ".lamina-export-", Lock = "lock", Archive = "archive";

    // One that has just been made may have no lock yet.
    private static readonly TimeSpan Making = TimeSpan.FromMinutes(1);

    private readonly HostLock _lock;

    private ExportScratch(string path, HostLock held) => (Path, _lock) = (path, held);

    /// <summary>Its path.</summary>
    public string Path { get; }

    /// <summary>The file until it is whole.</summary>
    public string Unfinished => System.IO.Path.Combine(Path, Archive);

    /// <summary>Makes one, and removes what killed exports left beside it.</summary>
    /// <param name="folder">Where.</param>
    /// <exception cref="IOException">There can be none.</exception>
    public static ExportScratch Make(string folder)
    {
        RemoveLeftovers(folder);
        var path = Directory.CreateDirectory(System.IO.Path.Combine(folder, $"{Prefix}{Guid.NewGuid():n}"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        return new ExportScratch(path, HostLock.TryTake(System.IO.Path.Combine(path, Lock)) ?? throw new IOException($"{path} is another's"));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Directory.Delete(Path, recursive: true);
        _lock.Dispose();
    }

    private static void RemoveLeftovers(string folder)
    {
        try
        {
            foreach (var path in Directory.EnumerateDirectories(folder, $"{Prefix}*").ToList())
            {
                var file = System.IO.Path.Combine(path, Lock);
                if (!File.Exists(file) && DateTime.UtcNow - Directory.GetLastWriteTimeUtc(path) < Making) continue;
                using var free = HostLock.TryTake(file);
                if (free is not null) Directory.Delete(path, recursive: true);
            }
        }
        catch (Exception others) when (others is IOException or UnauthorizedAccessException or HostException)
        {
            // Another user's, or gone by now; none is in the way.
        }
    }
}
