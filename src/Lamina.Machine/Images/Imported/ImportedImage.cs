// An image that was made elsewhere, a cloud image usually: its disk is copied, and its kernel taken out of it to lie beside it,
// since the machine has no firmware to start the boot loader in it. What an import found stands in the image's manifest.
using Lamina.Backends.Disk;
using Lamina.Host.Io;

namespace Lamina.Images.Imported;

/// <summary>What is to be imported.</summary>
/// <param name="Path">The image: raw or qcow2, without a backing file.</param>
public sealed record ImageImport(string Path)
{
    /// <summary>A kernel to boot instead of the one in the image.</summary>
    public string? Kernel { get; init; }

    /// <summary>An initial RAM disk for that kernel.</summary>
    public string? Initrd { get; init; }

    /// <summary>The kernel command line; null to make one.</summary>
    public string? CommandLine { get; init; }
}

/// <summary>How an image is imported; or, without an import, one that was.</summary>
internal sealed class ImportedImage(string name, string commandLine, bool hasInitrd, ImageImport? import) : IImageRecipe
{
    private const string KernelFile = "kernel", InitrdFile = "initrd", DiskFile = "disk.qcow2", RawDisk = "disk.raw";

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string Description => "imported";

    /// <inheritdoc/>
    public int Recipe => 1;

    /// <inheritdoc/>
    public string CommandLine => commandLine;

    /// <inheritdoc/>
    public string Kernel => KernelFile;

    /// <inheritdoc/>
    public string? Initrd => hasInitrd ? InitrdFile : null;

    /// <inheritdoc/>
    public string? Disk => DiskFile;

    /// <inheritdoc/>
    public ulong Memory => 1ul << 30;

    /// <inheritdoc/>
    public long NeededSpace => 2L << 30;

    /// <summary>An image that was imported into a folder of the store, by its manifest; null where none was.</summary>
    public static ImportedImage? Find(string name, string folder)
    {
        var path = Path.Combine(folder, ImageManifest.FileName);
        if (!File.Exists(path)) return null;
        var manifest = ImageManifest.FromJson(File.ReadAllBytes(path));
        return new ImportedImage(name, manifest.CommandLine, manifest.Files.Any(file => file.Name == InitrdFile), null);
    }

    /// <inheritdoc/>
    public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        if (import is null) throw new ImageException($"the image {name} was imported and is damaged; import it again");
        RefuseArchives(import.Path);
        progress.Report(new ImageProgress($"Copying {Path.GetFileName(import.Path)}", null));
        var raw = Path.Combine(scratch, RawDisk);
        var source = new DiskOptions { Path = Path.GetFullPath(import.Path), ReadOnly = true };
        DiskTools.Convert(source, new DiskCreation { Path = raw, Format = DiskFormat.Raw }, progress: null, cancellationToken);
        DiskTools.Convert(new DiskOptions { Path = raw, Format = DiskFormat.Raw }, new DiskCreation { Path = Path.Combine(target, DiskFile) }, progress: null, cancellationToken);

        IReadOnlyList<Partition> partitions;
        using (var disk = File.OpenRead(raw)) partitions = PartitionTable.Read(disk);
        if (import.Kernel is { } kernel)
        {
            File.Copy(kernel, Path.Combine(target, KernelFile));
            if (import.Initrd is { } initrd) File.Copy(initrd, Path.Combine(target, InitrdFile));
            return new ImageContents("imported", [], []) { CommandLine = import.CommandLine ?? CommandLineFor(partitions.MaxBy(partition => partition.Length)!) };
        }

        progress.Report(new ImageProgress("Looking for the kernel", null));
        var debugfs = await HostPrograms.FindAsync([new NeededProgram("debugfs", "e2fsprogs")], "the import of an image", progress, cancellationToken).ConfigureAwait(false);
        var found = await new BootFiles(debugfs[0], scratch, RawDisk).ExtractAsync(partitions, KernelFile, InitrdFile, cancellationToken).ConfigureAwait(false)
            ?? throw new ImageException($"{import.Path} has no kernel in an ext4 file system's /boot, which is where one is looked for; name kernel files of your own with --kernel and --initrd");
        File.Move(Path.Combine(scratch, KernelFile), Path.Combine(target, KernelFile));
        if (found.HasInitrd) File.Move(Path.Combine(scratch, InitrdFile), Path.Combine(target, InitrdFile));
        return new ImageContents(found.Release, [], []) { CommandLine = import.CommandLine ?? CommandLineFor(found.Root ?? partitions.MaxBy(partition => partition.Length)!) };
    }

    private static string CommandLineFor(Partition root) => $"console=ttyS0 root=/dev/vda{(root.Number == 0 ? "" : root.Number)} ro";

    // What is imported is copied from any place in it.
    private static FileStream Open(string path)
    {
        var handle = NamedFile.OpenToRead(path, out var kind);
        if (kind is NamedKind.File or NamedKind.BlockDevice) return new FileStream(handle, FileAccess.Read, bufferSize: 0);
        handle.Dispose();
        throw new ImageException($"{path} is {NamedFile.Describe(kind)}, which cannot hold a disk; name a file or a block device");
    }

    // A container's archive has no kernel and no file system of its own; as a raw disk it would be nonsense.
    private static void RefuseArchives(string path)
    {
        const int magicAt = 257; // POSIX ustar
        using var file = Open(path);
        var start = new byte[512];
        var length = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        var isTar = length == start.Length && start.AsSpan(magicAt).StartsWith("ustar"u8);
        var isCompressed = start.AsSpan().StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]) || start.AsSpan().StartsWith((ReadOnlySpan<byte>)[0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z']) || start.AsSpan().StartsWith((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd]);
        if (isTar) throw new ImageException($"{path} is an archive of files, such as OCI images are: it has no kernel to boot; import a disk image, raw or qcow2");
        if (isCompressed) throw new ImageException($"{path} is compressed; unpack it first");
        if (length == 0) throw new ImageException($"{path} is empty; import a disk image, raw or qcow2");
    }
}
