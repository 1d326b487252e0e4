// Files of the host as a tar archive, and the other way round. What comes from a guest is hostile: no entry leaves the folder that it is
// unpacked into, neither by its name nor through a link that came before it, and what is no file, folder or link is left out.
using System.Formats.Tar;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Archives;

namespace Lamina.Hypervisor.Agent;

/// <summary>Writes and reads archives.</summary>
internal static class HostArchive
{
    // No set-user-ID and no device comes out of a guest.
    private const UnixFileMode Permissions = (UnixFileMode)0b111_111_111;

    /// <summary>Packs a file or a folder with all that is in it. Links stay links; all belongs to root, as what root makes in the guest would.</summary>
    /// <param name="path">What.</param>
    /// <param name="name">The name that it has in the archive.</param>
    /// <param name="output">Takes the archive.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>How many things were left out, since they are no files, folders or links.</returns>
    /// <exception cref="IOException">Something cannot be read.</exception>
    internal static async Task<int> PackAsync(string path, string name, Stream output, CancellationToken cancellationToken)
    {
        var archive = new TarWriter(output, TarEntryFormat.Gnu, leaveOpen: true);
        await using var owned = archive.ConfigureAwait(false);
        // A link that is named itself is what it leads to, as with cp.
        var begin = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(path);
        return await AddAsync(archive, begin, name, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Unpacks an archive that holds one file or folder.</summary>
    /// <param name="input">The archive.</param>
    /// <param name="from">The name of what is wanted of it.</param>
    /// <param name="folder">An existing folder.</param>
    /// <param name="name">The name that it gets there.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>How many entries were left out, since they are no files, folders or links.</returns>
    /// <exception cref="AgentException">It is no archive, or an entry leads elsewhere.</exception>
    /// <exception cref="IOException">Something cannot be written.</exception>
    internal static async Task<int> UnpackAsync(Stream input, string from, string folder, string name, CancellationToken cancellationToken)
    {
        var (leftOut, folders) = (0, new List<(string Path, TarEntry Entry)>());
        var archive = new TarReader(new BoundedArchive(input), leaveOpen: true);
        await using var owned = archive.ConfigureAwait(false);
        try
        {
            while (await archive.GetNextEntryAsync(copyData: false, cancellationToken).ConfigureAwait(false) is { } entry)
            {
                var target = TargetOf(entry.Name, from, folder, name);
                switch (entry.EntryType)
                {
                    case TarEntryType.Directory:
                        if (!Directory.Exists(target) || IsLink(target)) Replace(target, () => Directory.CreateDirectory(target));
                        folders.Add((target, entry));
                        break;
                    case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                        await WriteAsync(target, entry, cancellationToken).ConfigureAwait(false);
                        break;
                    case TarEntryType.SymbolicLink:
                        Replace(target, () => File.CreateSymbolicLink(target, entry.LinkName));
                        break;
                    case TarEntryType.HardLink:
                        var first = TargetOf(entry.LinkName, from, folder, name);
                        if (first == target || !File.Exists(first) || IsLink(first)) throw AgentException.Nonsense($"a second name of {Shown(entry.LinkName)}, which there is not");
                        Replace(target, () =>
                        {
                            if (!HostFiles.TryLink(first, target)) File.Copy(first, target);
                        });
                        break;
                    default:
                        leftOut++;
                        break;
                }
            }
        }
        // The reader takes some of what is none for its caller's mistake.
        catch (Exception damaged) when (damaged is FormatException or InvalidDataException or EndOfStreamException or ArgumentException or InvalidOperationException or OverflowException)
        {
            throw AgentException.Nonsense("an archive that is none");
        }
        if (!Path.Exists(Path.Combine(folder, name)) && !IsLink(Path.Combine(folder, name)) && leftOut == 0) throw AgentException.Nonsense("an archive without what was asked for");
        // The innermost first: a folder that may not be written to is closed when all is in it.
        foreach (var (path, entry) in Enumerable.Reverse(folders))
        {
            if (IsLink(path)) throw Elsewhere(path);
            File.SetUnixFileMode(path, entry.Mode & Permissions);
            Directory.SetLastWriteTimeUtc(path, entry.ModificationTime.UtcDateTime);
        }
        return leftOut;
    }

    // Says how much was left out.
    private static async Task<int> AddAsync(TarWriter archive, string path, string name, CancellationToken cancellationToken)
    {
        FileSystemInfo file = Directory.Exists(path) && !IsLink(path) ? new DirectoryInfo(path) : new FileInfo(path);
        var type = file.LinkTarget is not null ? TarEntryType.SymbolicLink : file is DirectoryInfo ? TarEntryType.Directory : TarEntryType.RegularFile;
        // Sockets, pipes and devices are of this host.
        if (type == TarEntryType.RegularFile && !HostPath.IsRegular(path)) return 1;
        var entry = new GnuTarEntry(type, type == TarEntryType.Directory ? name + "/" : name) { ModificationTime = file.LastWriteTimeUtc < DateTime.UnixEpoch ? DateTimeOffset.UnixEpoch : file.LastWriteTimeUtc };
        if (type == TarEntryType.SymbolicLink) entry.LinkName = file.LinkTarget!;
        else entry.Mode = file.UnixFileMode;
        if (type == TarEntryType.RegularFile)
        {
            var data = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            await using var owned = data.ConfigureAwait(false);
            entry.DataStream = data;
            await archive.WriteEntryAsync(entry, cancellationToken).ConfigureAwait(false);
            return 0;
        }
        await archive.WriteEntryAsync(entry, cancellationToken).ConfigureAwait(false);
        if (type != TarEntryType.Directory) return 0;
        var leftOut = 0;
        foreach (var inner in Directory.EnumerateFileSystemEntries(path).Order(StringComparer.Ordinal))
            leftOut += await AddAsync(archive, inner, $"{name}/{Path.GetFileName(inner)}", cancellationToken).ConfigureAwait(false);
        return leftOut;
    }

    // Where an entry goes: below the wanted name, through folders alone.
    private static string TargetOf(string entry, string from, string folder, string name)
    {
        var parts = entry.TrimEnd('/').Split('/');
        if (parts[0] == ".") parts = parts[1..];
        if (parts.Length == 0 || parts[0] != from || parts.Skip(1).Any(part => part is "" or "." or "..") || entry.Contains('\0', StringComparison.Ordinal)) throw Elsewhere(entry);
        var target = Path.Combine(folder, name);
        foreach (var part in parts.Skip(1))
        {
            if (!Directory.Exists(target) || IsLink(target)) throw Elsewhere(entry);
            target = Path.Combine(target, part);
        }
        return target;
    }

    private static async Task WriteAsync(string target, TarEntry entry, CancellationToken cancellationToken)
    {
        Replace(target, () => { });
        var file = HostFiles.CreatePrivate(target, FileMode.CreateNew);
        await using (file.ConfigureAwait(false))
            if (entry.DataStream is { } data) await data.CopyToAsync(file, cancellationToken).ConfigureAwait(false);
        File.SetUnixFileMode(target, entry.Mode & Permissions);
        File.SetLastWriteTimeUtc(target, entry.ModificationTime.UtcDateTime);
    }

    // What has the name already is no folder, or stays: a link is removed and not followed.
    private static void Replace(string target, Action make)
    {
        if (Directory.Exists(target) && !IsLink(target)) throw new IOException($"{target} is a folder, and what is copied is none; remove it, or copy to another name");
        File.Delete(target);
        make();
    }

    private static bool IsLink(string path) => new FileInfo(path).LinkTarget is not null;

    private static AgentException Elsewhere(string entry) => AgentException.Nonsense($"a file {Shown(entry)} that lies elsewhere");

    private static string Shown(string text) => new([.. text.Take(100).Select(letter => char.IsControl(letter) ? '?' : letter)]);
}
