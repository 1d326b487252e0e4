// Finds the kernel in a disk's ext4 file systems, through debugfs, without mounting anything: the newest vmlinuz with an initial
// RAM disk of the same release, in /boot or in a partition that is /boot. Names come from the disk, so only plain ones count.
using System.Globalization;
using System.Text.RegularExpressions;

namespace Lamina.Images.Imported;

/// <summary>A kernel that was found.</summary>
/// <param name="Release">Its release, as its name says it.</param>
/// <param name="Root">The partition with the root of the system; null where none of them is known to be.</param>
/// <param name="HasInitrd">Whether it has an initial RAM disk.</param>
internal sealed record FoundKernel(string Release, Partition? Root, bool HasInitrd);

/// <summary>Reads boot files.</summary>
/// <param name="debugfs">The program.</param>
/// <param name="folder">Where the disk lies, and the files go.</param>
/// <param name="disk">The name of the raw image.</param>
internal sealed partial class BootFiles(HostCommand debugfs, string folder, string disk)
{
    private static readonly string[] InitrdNames = ["initrd.img-{0}", "initramfs-{0}.img", "initramfs-{0}", "initrd-{0}"];

    /// <summary>Copies the newest kernel and its initial RAM disk out of the disk; null where there is none.</summary>
    public async Task<FoundKernel?> ExtractAsync(IReadOnlyList<Partition> partitions, string kernelFile, string initrdFile, CancellationToken cancellationToken)
    {
        (Partition Partition, string Folder, string Release, HashSet<string> Names)? best = null;
        Partition? root = null;
        foreach (var partition in partitions)
        {
            if ((await ListAsync(partition, "/", cancellationToken).ConfigureAwait(false)).Contains("etc")) root ??= partition;
            foreach (var place in (string[])["/boot", ""])
            {
                var names = await ListAsync(partition, place.Length == 0 ? "/" : place, cancellationToken).ConfigureAwait(false);
                foreach (var release in names.Select(name => KernelName().Match(name)).Where(match => match.Success).Select(match => match.Groups[1].Value))
                    if (best is null || CompareReleases(release, best.Value.Release) > 0) best = (partition, place, release, names);
            }
        }
        if (best is not { } found) return null;
        await DumpAsync(found.Partition, $"{found.Folder}/vmlinuz-{found.Release}", kernelFile, cancellationToken).ConfigureAwait(false);
        var initrd = InitrdNames.Select(pattern => string.Format(CultureInfo.InvariantCulture, pattern, found.Release)).FirstOrDefault(found.Names.Contains);
        if (initrd is not null) await DumpAsync(found.Partition, $"{found.Folder}/{initrd}", initrdFile, cancellationToken).ConfigureAwait(false);
        return new FoundKernel(found.Release, root, initrd is not null);
    }

    /// <summary>Compares releases as people count: 6.10 comes after 6.9.</summary>
    internal static int CompareReleases(string first, string second) => string.Compare(Padded(first), Padded(second), StringComparison.Ordinal);

    private static string Padded(string release) => Digits().Replace(release, number => number.Value.PadLeft(20, '0'));

    // The plain files and folders in a folder; none where the partition is no ext2, ext3 or ext4, or the folder is missing.
    private async Task<HashSet<string>> ListAsync(Partition partition, string path, CancellationToken cancellationToken)
    {
        var result = await debugfs.RunAsync(["-R", $"ls -p {path}", Device(partition)], folder, null, cancellationToken).ConfigureAwait(false);
        // /INODE/MODE/UID/GID/NAME/SIZE/
        return [.. result.Output.Select(line => line.Split('/')).Where(fields => fields.Length >= 6 && (fields[2].StartsWith("100", StringComparison.Ordinal) || fields[2].StartsWith("040", StringComparison.Ordinal))).Select(fields => fields[5])];
    }

    private async Task DumpAsync(Partition partition, string path, string target, CancellationToken cancellationToken)
    {
        var result = await debugfs.RunAsync(["-R", $"dump {path} {target}", Device(partition)], folder, null, cancellationToken).ConfigureAwait(false);
        var copy = new FileInfo(Path.Combine(folder, target));
        if (!copy.Exists || copy.Length == 0) throw new ImageException($"{path} could not be read from the disk ({AptPackages.ReasonOf(result.Errors)}); name kernel files of your own with --kernel and --initrd");
    }

    private string Device(Partition partition) => string.Create(CultureInfo.InvariantCulture, $"{disk}?offset={partition.Start}");

    [GeneratedRegex(@"^vmlinuz-([A-Za-z0-9._+~-]{1,80})$")]
    private static partial Regex KernelName();

    [GeneratedRegex("[0-9]{1,20}")]
    private static partial Regex Digits();
}
