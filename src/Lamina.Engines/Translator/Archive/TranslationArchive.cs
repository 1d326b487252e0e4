// Translations on the host's disk, from one run to the next: a folder of segments, each written once by some machine. Which
// image of a page is taken is found by a hash of the page's bytes; the caller compares the bytes themselves. Only a folder and
// files that the user of this process owns and nobody else may write to are read: what is in them is executed. Machines that
// run side by side share the folder; one at a time adds to it. What was of no use for longest is removed where there is too much.
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Engines.Translator.Archive;

internal sealed class TranslationArchive : IDisposable
{
    private const string LockFile = ".lock", NewPrefix = ".new-", Suffix = ".translations";
    private const int MostSegments = 64;
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _path, _key, _prefix;
    private readonly long _mostBytes;
    private readonly HostNode _folder;
    private readonly List<ArchiveSegment> _segments = [];
    private readonly Dictionary<ulong, (ArchiveSegment Segment, ImageEntry Entry)> _images = [];

    private TranslationArchive(string path, HostNode folder, long mostBytes, string key)
    {
        (_path, _folder, _mostBytes, _key) = (path, folder, mostBytes, key);
        _prefix = $"{ArchiveSegment.SumOf(Encoding.UTF8.GetBytes(key)):x8}-";
    }

    /// <summary>Opens the archive in a folder, which is made if need be.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="mostBytes">The most that its files may have, those of other keys with them.</param>
    /// <param name="key">See <see cref="ArchiveKey"/>.</param>
    /// <exception cref="HostException">The folder cannot be used, or not be trusted.</exception>
    public static TranslationArchive Open(string path, long mostBytes, string key)
    {
        var archive = new TranslationArchive(path, OpenFolder(path), mostBytes, key);
        archive.ReadSegments();
        return archive;
    }

    /// <summary>Opens a folder for translations.</summary>
    /// <exception cref="HostException">It cannot be used, or not be trusted.</exception>
    public static HostNode OpenFolder(string path)
    {
        try
        {
            _ = Directory.CreateDirectory(path, Private);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"translations cannot be kept in {path} ({failure.Message.TrimEnd('.')}); name another folder, or none");
        }
        var folder = HostNode.OpenFolder(path);
        var result = folder.Status(out var status);
        if (result >= 0 && status.IsOnlyOurs) return folder;
        folder.Dispose();
        throw new HostException(result < 0
            ? $"translations cannot be kept in {path}: this host does not let programs look at a folder (statx: {DeviceFile.Describe(-result)}); name another folder, or none"
            : $"translations cannot be kept in {path}: it belongs to another user, or others may write to it, and could have their code executed; make it your own (chmod go-w), or name another folder");
    }

    /// <summary>How many blocks there are of a page of this hash; 0: none.</summary>
    public int CountBlocks(ulong hash) => _images.TryGetValue(hash, out var found) ? found.Entry.Blocks : 0;

    /// <summary>Reads the image of a page with this hash.</summary>
    /// <param name="hash">Its hash.</param>
    /// <param name="buffer">Receives the image; grown if need be.</param>
    /// <returns>The image in the buffer; empty: there is none.</returns>
    public ReadOnlySpan<byte> Read(ulong hash, ref byte[] buffer)
    {
        if (!_images.TryGetValue(hash, out var found)) return default;
        if (buffer.Length < found.Entry.Length) buffer = new byte[Math.Max(found.Entry.Length, buffer.Length * 2)];
        var image = buffer.AsSpan(0, found.Entry.Length);
        if (found.Segment.TryRead(found.Entry, image))
        {
            found.Segment.Used = true;
            return image;
        }
        _ = _images.Remove(hash);
        return default;
    }

    /// <summary>Adds a segment.</summary>
    /// <param name="gate">Held while the index changes, which others read under it.</param>
    /// <param name="write">Writes the images; says whether there were any. What others have added meanwhile is known by then.</param>
    /// <returns>False: another machine is adding to the archive, there was nothing to add, or the host's disk refused it.</returns>
    public bool TryAdd(Lock gate, Func<SegmentWriter, bool> write)
    {
        using var mine = TryLock();
        if (mine == null) return false;
        foreach (var left in Names(NewPrefix)) _ = Remove(left);
        lock (gate) ReadSegments();
        var random = Convert.ToHexStringLower(HostRandom.Bytes(8));
        var name = _prefix + random + Suffix;
        using (var writer = new SegmentWriter(_folder, name, NewPrefix + random))
        {
            if (!write(writer) || !writer.Complete(_key)) return false;
        }
        RemoveOldest(name);
        lock (gate) ReadSegments();
        return true;
    }

    /// <summary>Whether a segment has become as large as the whole archive may be.</summary>
    public bool IsFull(SegmentWriter writer) => writer.Length >= (ulong)_mostBytes;

    /// <inheritdoc/>
    public void Dispose()
    {
        NoteUse();
        foreach (var segment in _segments) segment.Dispose();
        _folder.Dispose();
    }

    // What is gone is forgotten, what has come is opened.
    private void ReadSegments()
    {
        var names = Names(_prefix).Where(name => name.EndsWith(Suffix, StringComparison.Ordinal)).ToHashSet();
        foreach (var gone in _segments.Where(segment => !names.Contains(segment.Name))) gone.Dispose();
        _ = _segments.RemoveAll(segment => !names.Contains(segment.Name));
        foreach (var name in names.Except(_segments.Select(segment => segment.Name)).ToList())
            if (ArchiveSegment.TryOpen(_folder, name, _key) is { } come) _segments.Add(come);
        _images.Clear();
        foreach (var segment in _segments)
        {
            foreach (ref readonly var entry in segment.Entries)
            {
                ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_images, entry.Hash, out var exists);
                if (!exists || known.Entry.Blocks < entry.Blocks) known = (segment, entry);
            }
        }
    }

    private IEnumerable<string> Names(string prefix) => Files().Select(file => file.Name).Where(name => name.StartsWith(prefix, StringComparison.Ordinal));

    private FileInfo[] Files()
    {
        try
        {
            return new DirectoryInfo(_path).GetFiles();
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    // The time of a file says when something of it was last of use.
    private void NoteUse()
    {
        var now = new HostFileTime(0, 0, IsNow: true);
        foreach (var segment in _segments)
            if (segment.Used) _ = _folder.SetTimes(Encoding.UTF8.GetBytes(segment.Name), now, now);
    }

    private void RemoveOldest(string added)
    {
        NoteUse();
        var (bytes, count) = (0L, 0);
        foreach (var file in Files().Where(file => file.Name.EndsWith(Suffix, StringComparison.Ordinal)).OrderBy(file => file.Name != added).ThenByDescending(file => file.LastWriteTimeUtc))
        {
            bytes += file.Exists ? file.Length : 0;
            if (++count > MostSegments || bytes > _mostBytes && file.Name != added) _ = Remove(file.Name);
        }
    }

    private int Remove(string name) => _folder.Remove(Encoding.UTF8.GetBytes(name), isFolder: false);

    private FileStream? TryLock()
    {
        try
        {
            return new FileStream(Path.Combine(_path, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception other) when (other is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
