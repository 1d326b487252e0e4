// The one exception of this room.
namespace Lamina.Images;

/// <summary>An image could not be fetched, built, found or removed; the message is a sentence that says why and what to do.</summary>
public sealed class ImageException(string message, Exception? inner = null) : IOException(message, inner)
{
    // Linux errno values, which .NET carries in HResult on this platform: errno(3).
    internal const int NoSpace = 28;
    private const int ReadOnlyFileSystem = 30, QuotaExceeded = 122;

    /// <summary>Turns a failure of the file system into a sentence about the cache folder.</summary>
    public static ImageException FromFileSystem(string folder, Exception failure) => failure switch
    {
        IOException { HResult: NoSpace or QuotaExceeded } => Full(folder, failure),
        IOException { HResult: ReadOnlyFileSystem } or UnauthorizedAccessException =>
            new($"the cache folder {folder} cannot be written to; make it writable or name another one in XDG_CACHE_HOME", failure),
        _ => new($"the cache folder {folder} cannot be used ({failure.Message.TrimEnd('.')}); name another one in XDG_CACHE_HOME", failure),
    };

    /// <summary>The cache folder is full.</summary>
    public static ImageException Full(string folder, Exception? inner = null) =>
        new($"no space is left for the image in {folder}; free some or name another folder in XDG_CACHE_HOME", inner);
}
