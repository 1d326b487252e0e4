// A file that says which memory a guest touches first when it goes on from a saved state (MemoryWorkingSet): a hint, which nobody misses and nobody
// trusts.
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>Reads and writes it.</summary>
public static class WorkingSetFile
{
    /// <summary>What it says; nothing where there is none, or none that can be used.</summary>
    public static byte[] Read(string path)
    {
        try
        {
            return NamedFile.ReadFile(path, MemoryWorkingSet.MostBytes);
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Writes it, where it can be.</summary>
    public static void TryWrite(string path, ReadOnlySpan<byte> set)
    {
        if (set.IsEmpty) return;
        try
        {
            HostFiles.Replace(path, set.ToArray());
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            // The next one is as slow.
        }
    }
}
