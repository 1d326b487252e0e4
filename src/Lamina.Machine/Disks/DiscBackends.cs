// Opens what lies in CD drives: raw images, which are only read.
using System.Runtime.InteropServices;
using Lamina.Backends.Disk;
using Lamina.Core.Block;

namespace Lamina.Disks;

/// <summary>Opens discs.</summary>
internal static class DiscBackends
{
    // What a drive reads at once (ECMA-119, 6.1.2).
    private const int SectorSize = 2048;

    /// <summary>Refuses a disc that there is not, before anything is opened.</summary>
    /// <exception cref="MachineException">It is missing, or can be no disc.</exception>
    /// <exception cref="IOException">It cannot be read; the message is a sentence.</exception>
    internal static void Check(string path)
    {
        if (Directory.Exists(path)) throw new MachineException(MachineError.File, $"{path} is a folder, and a disc in a CD drive is an ISO image; make one of the folder, with xorriso for example");
        if (!File.Exists(path) && !Path.Exists(path)) throw new MachineException(MachineError.File, $"there is no disc image {path}");
        if (DiskTools.Inspect(path, DiskFormat.Raw).Size < SectorSize) throw TooShort(path);
    }

    /// <summary>Opens a disc.</summary>
    /// <param name="path">The image.</param>
    /// <param name="file">The same, open, where somebody else could; or null.</param>
    /// <exception cref="IOException">It cannot be used; the message is a sentence.</exception>
    /// <exception cref="MachineException">It is no disc.</exception>
    internal static IBlockBackend Open(string path, SafeHandle? file = null)
    {
        var disc = file is null ? DiskImages.Open(new DiskOptions { Path = path, Format = DiskFormat.Raw, ReadOnly = true }) : DiskImages.OpenRaw(file, path);
        if (disc.Length >= SectorSize) return disc;
        disc.Dispose();
        throw TooShort(path);
    }

    private static MachineException TooShort(string path) => new(MachineError.File, $"the disc image {path} has less than one sector of {SectorSize} bytes; name another one");
}
