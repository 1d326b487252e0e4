// A machine as one file: a gzipped tar archive with what lies in its folder. It begins with a mark, then comes the definition, then what that
// and the machine's own disk need, and at last the digests of all. Names in it are names of files, and nothing else.
namespace Lamina.Hypervisor.Carrying;

/// <summary>Names and bounds of carried machines (docs/machines.md).</summary>
internal static class CarriedSpec
{
    /// <summary>The first entry: which format this is, and the machine's name.</summary>
    internal const string Mark = "lamina-machine";

    /// <summary>The format that is written and read.</summary>
    internal const int Format = 1;

    /// <summary>The second entry: the definition. Its paths are names of entries.</summary>
    internal const string Definition = "machine.json";

    /// <summary>The last entry: a line for each file, as sha256sum writes it.</summary>
    internal const string Digests = "SHA256SUMS";

    /// <summary>Files of a machine's folder, by the names that they have there.</summary>
    internal const string Kernel = "kernel", Initrd = "initrd", Firmware = "firmware", FirmwareVariables = "firmware.vars", Base = "base.qcow2", Disk = "disk.qcow2", Seed = "seed.img", Variables = "uefi-variables.fd";

    /// <summary>Where a machine's socket device listens, from its folder.</summary>
    internal const string Sockets = "run/vsock";

    /// <summary>The most files, and the most bytes of the definition, the digests and the mark.</summary>
    internal const int MostFiles = 256, MostText = 1 << 20;

    /// <summary>How many bytes of files may be holes: an archive has no more than this beyond the space that there is.</summary>
    internal const long MostHoles = 1L << 40;

    /// <summary>The name of a kernel's module.</summary>
    internal static string Module(int index) => $"module-{index}";
}
