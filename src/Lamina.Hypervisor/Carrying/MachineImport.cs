// Makes a machine of the store of one file. The file may come from anybody: nothing in it lies outside of the machine's folder or leads there,
// nothing is longer than it says, all is as its digests say, and of a machine that cannot be nothing stays.
using System.Buffers;
using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Lamina.Backends.Disk;
using Lamina.Host;
using Lamina.Hypervisor.Archives;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Carrying;

/// <summary>Imports machines.</summary>
public sealed class MachineImport
{
    private const int Piece = 64 << 10;

    private readonly Stream _packed;
    private readonly TarReader _archive;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<string, string> _digests = [];

    private MachineImport(Stream packed, CancellationToken cancellationToken) => (_packed, _archive, _cancellation) = (packed, new TarReader(new BoundedArchive(packed), leaveOpen: true), cancellationToken);

    /// <summary>Makes a machine of what <see cref="MachineExport"/> wrote.</summary>
    /// <param name="store">Where.</param>
    /// <param name="input">The archive.</param>
    /// <param name="name">The machine's name; null for the one that it had.</param>
    /// <param name="cancellationToken">Ends it; nothing is left behind.</param>
    /// <returns>The machine's name.</returns>
    /// <exception cref="MachineException">The archive is none, or damaged, or there is a machine of that name; nothing is left behind.</exception>
    /// <exception cref="IOException">It cannot be read, or there is no space; nothing is left behind.</exception>
    public static string Read(MachineStore store, Stream input, string? name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        using var packed = new GZipStream(input, CompressionMode.Decompress, leaveOpen: true);
        var import = new MachineImport(packed, cancellationToken);
        using var owned = import._archive;
        try
        {
            var said = import.ReadMark();
            var called = name ?? said;
            MachineStore.CheckName(called);
            var definition = import.ReadDefinition();
            store.Add(called, home => import.Unpack(home, definition));
            return called;
        }
        // The reader takes some of what is none for its caller's mistake.
        catch (Exception damaged) when (damaged is FormatException or InvalidDataException or EndOfStreamException or ArgumentException or InvalidOperationException or OverflowException)
        {
            throw Damaged("it is cut, or no archive of a machine at all", damaged);
        }
    }

    private static MachineException Damaged(string why, Exception? inner = null) => new(MachineError.File, $"this is no whole exported machine: {why}", inner);

    private string ReadMark()
    {
        if (Next() is not { Name: CarriedSpec.Mark } entry) throw Damaged($"it does not begin with {CarriedSpec.Mark}");
        try
        {
            using var mark = JsonDocument.Parse(ReadText(entry));
            var root = mark.RootElement;
            var format = root.ValueKind == JsonValueKind.Object && root.TryGetProperty(CarriedSpec.Mark, out var number) && number.TryGetInt32(out var version) ? version : 0;
            if (format > CarriedSpec.Format) throw new MachineException(MachineError.File, $"this machine was exported by a later version of Lamina (format {format}); use that version");
            if (format < 1 || !root.TryGetProperty("name", out var name) || name.ValueKind != JsonValueKind.String) throw Damaged("its mark is none");
            return name.GetString()!;
        }
        catch (JsonException none)
        {
            throw Damaged("its mark is none", none);
        }
    }

    private MachineDefinition ReadDefinition()
    {
        if (Next() is not { Name: CarriedSpec.Definition } entry) throw Damaged($"it has no {CarriedSpec.Definition} where that belongs");
        try
        {
            var definition = DefinitionJson.Read(ReadText(entry));
            MachineFile.Require(definition);
            MachineCheck.Check(definition);
            CarriedCheck.Check(definition);
            return definition;
        }
        catch (MachineException wrong) when (wrong.Error == MachineError.Definition)
        {
            throw new MachineException(MachineError.File, $"the machine cannot be imported: {CarriedSpec.Definition}, {wrong.Message}", wrong);
        }
    }

    // All that follows, up to the digests.
    private MachineDefinition Unpack(MachineHome home, MachineDefinition definition)
    {
        var free = new DriveInfo(home.Folder).AvailableFreeSpace + CarriedSpec.MostHoles;
        var allowed = CarriedCheck.FilesOf(definition).ToHashSet();
        while (Next() is { } entry)
        {
            if (entry.Name == CarriedSpec.Digests)
            {
                CheckDigests(Encoding.UTF8.GetString(ReadText(entry, digest: false)));
                if (Next() is { } more) throw Damaged($"something stands behind its digests ({Shown(more.Name)})");
                // The sum of the whole stands behind the archive.
                var rest = new byte[Piece];
                while (_packed.Read(rest) > 0) _cancellation.ThrowIfCancellationRequested();
                CarriedCheck.CheckFiles(home, definition);
                return definition.MapPaths(path => Path.GetFullPath(path, home.Folder));
            }
            if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile)) throw Damaged($"{Shown(entry.Name)} is no file");
            if (!allowed.Contains(entry.Name) && MachineHome.LayerNumber(entry.Name) == 0 || entry.Name.Contains('/', StringComparison.Ordinal)) throw Damaged($"it has a file {Shown(entry.Name)}, which its definition does not name");
            if (_digests.Count == CarriedSpec.MostFiles) throw Damaged($"it has more than {CarriedSpec.MostFiles} files");
            if (entry.Length > free) throw new IOException($"{Shown(entry.Name)} has {ByteSize.Format((ulong)entry.Length)}");
            free -= entry.Length;
            if (entry.Name == CarriedSpec.Variables && entry.Length > MachineVariables.Longest) throw Damaged($"{entry.Name} has {entry.Length} bytes, more than a flash chip");
            Write(entry, entry.Name == CarriedSpec.Variables ? PlaceOfVariables(home) : Path.Combine(home.Folder, entry.Name));
        }
        throw Damaged("it is cut");
    }

    // Its process writes to it.
    private static string PlaceOfVariables(MachineHome home)
    {
        Directory.CreateDirectory(home.Work, MachineStore.Private);
        return home.Variables;
    }

    private void CheckDigests(string text)
    {
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var said = new Dictionary<string, string>();
        foreach (var line in lines)
        {
            var parts = line.Split("  ", 2);
            if (parts.Length != 2 || !said.TryAdd(parts[1], parts[0])) throw Damaged("its digests are none");
        }
        foreach (var (name, digest) in _digests)
            if (!said.Remove(name, out var expected) || expected != digest) throw Damaged($"{name} is not what it was");
        if (said.Count > 0) throw Damaged($"{Shown(said.Keys.First())} is missing");
    }

    private TarEntry? Next()
    {
        _cancellation.ThrowIfCancellationRequested();
        return _archive.GetNextEntry(copyData: false);
    }

    private byte[] ReadText(TarEntry entry, bool digest = true)
    {
        if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile) || entry.Length > CarriedSpec.MostText) throw Damaged($"its {Shown(entry.Name)} is none");
        var bytes = new byte[entry.Length];
        entry.DataStream?.ReadExactly(bytes);
        if (digest) _digests.Add(entry.Name, Convert.ToHexStringLower(SHA256.HashData(bytes)));
        return bytes;
    }

    // Zeros become holes.
    private void Write(TarEntry entry, string path)
    {
        if (_digests.ContainsKey(entry.Name)) throw Damaged($"it has {entry.Name} twice");
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var file = HostFiles.CreatePrivate(path, FileMode.CreateNew);
        file.SetLength(entry.Length);
        var buffer = ArrayPool<byte>.Shared.Rent(Piece);
        try
        {
            for (long at = 0; at < entry.Length;)
            {
                _cancellation.ThrowIfCancellationRequested();
                var piece = buffer.AsSpan(0, (int)Math.Min(Piece, entry.Length - at));
                entry.DataStream!.ReadExactly(piece);
                hash.AppendData(piece);
                if (piece.IndexOfAnyExcept((byte)0) >= 0)
                {
                    file.Position = at;
                    file.Write(piece);
                }
                at += piece.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        file.Flush(flushToDisk: true);
        _digests.Add(entry.Name, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    private static string Shown(string text) => new([.. text.Take(100).Select(letter => char.IsControl(letter) ? '?' : letter)]);
}
