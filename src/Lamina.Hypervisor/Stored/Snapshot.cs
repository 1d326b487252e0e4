// What is kept of a machine at one moment. A folder of that name below the machine's snapshots/: snapshot.json, which is this, the machine's
// definition as it was (machine.json), and for a machine that ran its state and its memory, as a saved machine has them. What stood on its disk
// is a layer in the machine's folder (MachineDisks), which this names. The folder is there whole or not at all.
using System.Text.Json;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Saving;

namespace Lamina.Hypervisor.Stored;

/// <summary>A snapshot of a machine.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Taken">When it was taken.</param>
/// <param name="Parent">The snapshot that the machine went on from, or that was taken before it; null for the first, and where that was removed.</param>
/// <param name="Machine">The machine's folder then.</param>
/// <param name="Layer">The file below its disk that holds what stood on that; null for a machine without a disk of its own.</param>
/// <param name="HasMemory">Whether the machine goes on in the middle of what it did; else it boots with the disk as it was.</param>
/// <param name="Program">The version of the program that took it.</param>
public sealed record Snapshot(string Name, DateTimeOffset Taken, string? Parent, string Machine, string? Layer, bool HasMemory, string Program)
{
    // Programs that know the first one alone know no compressed memory, and those that know the second no memory that is what is other than before.
    private const int Format = 3, WithCompression = 2, Plain = 1;
    private const string FileName = "snapshot.json";
    private const string NoUse = "the snapshot cannot be used, and 'lamina snapshot rm' removes it";

    /// <summary>The files of a machine that is written down (Saving), in its folder.</summary>
    internal static string[] SavedFilesIn(string folder) => ["state", .. SavedMemory.FilesIn(folder)];

    /// <summary>Why it cannot be used, in a sentence; null where nothing is wrong. Of one whose own file cannot be read no more is known than its name and when its folder was changed.</summary>
    public string? Damage { get; init; }

    /// <summary>What is said of it by whoever took it; empty for nothing.</summary>
    public string Description { get; init; } = "";

    /// <summary>Whether the guest's file systems stood still for it, so that they are whole without its memory.</summary>
    public bool IsStilled { get; init; }

    /// <summary>Whether its memory is compressed.</summary>
    public bool IsCompressed { get; init; }

    /// <summary>Whether its memory is what is other in it than in an earlier snapshot's.</summary>
    public bool IsIncremental { get; init; }

    /// <summary>Why its memory was kept whole all the same, in some words, of one that was just taken; else null. It is not written down.</summary>
    public string? WhyWhole { get; init; }

    /// <summary>For how long the guest stood still for it.</summary>
    public TimeSpan StoodStill { get; init; }

    /// <summary>The definition that lies in a snapshot's folder.</summary>
    internal static string DefinitionIn(string folder) => Path.Combine(folder, "machine.json");

    /// <summary>What the machine had been started with, in a snapshot's folder.</summary>
    internal static string StartedIn(string folder) => Path.Combine(folder, "started.json");

    /// <summary>What the machine's firmware had kept of its variables, in a snapshot's folder.</summary>
    internal static string VariablesIn(string folder) => Path.Combine(folder, "uefi-variables.fd");

    /// <summary>The folders of a machine's snapshots.</summary>
    internal static IEnumerable<string> FoldersOf(MachineHome home) => !Directory.Exists(home.Snapshots) ? [] : Directory.EnumerateDirectories(home.Snapshots).Where(place => MachineStore.IsHostName(Path.GetFileName(place)));

    /// <summary>The one in a folder, whatever has become of it; null where the folder has just gone.</summary>
    internal static Snapshot? Look(MachineHome home, string folder)
    {
        try
        {
            var found = Read(folder);
            return found with { Damage = found.WhatIsMissing(home, folder) };
        }
        catch (MachineException damaged)
        {
            return Directory.Exists(folder) ? new Snapshot(Path.GetFileName(folder), Directory.GetLastWriteTimeUtc(folder), null, home.Folder, null, false, "") { Damage = damaged.Message } : null;
        }
    }

    /// <summary>Reads the one in a folder; null for one that is damaged.</summary>
    internal static Snapshot? TryRead(string folder)
    {
        try
        {
            return Read(folder);
        }
        catch (MachineException)
        {
            return null;
        }
    }

    /// <summary>Bytes of the host's disk that its folder takes; of a file that others have as well, its part.</summary>
    internal static long SpaceOf(string folder) => Directory.EnumerateFiles(folder).Sum(file => (long)HostPath.ShareOfSpace(file));

    /// <summary>Reads the one in a folder.</summary>
    /// <exception cref="MachineException">It is damaged, or of a later version.</exception>
    internal static Snapshot Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        var later = 0;
        var found = RecordFile.Read(path, root =>
        {
            if (!root.TryGetProperty("format", out var format) || !format.TryGetInt32(out var number) || number < 1) return null;
            if (number > Format)
            {
                later = number;
                return null;
            }
            if (!root.TryGetProperty("taken", out var at) || !at.TryGetDateTimeOffset(out var taken) || Text(root, "machine") is not { } machine || !root.TryGetProperty("memory", out var memory)) return null;
            return new Snapshot(Path.GetFileName(folder), taken, Text(root, "parent"), machine, Text(root, "layer"), memory.GetBoolean(), Text(root, "program") ?? "")
            {
                Description = Text(root, "description") ?? "",
                IsStilled = root.TryGetProperty("stilled", out var stilled) && stilled.ValueKind == JsonValueKind.True,
                IsCompressed = root.TryGetProperty("compressed", out var compressed) && compressed.ValueKind == JsonValueKind.True,
                IsIncremental = root.TryGetProperty("incremental", out var incremental) && incremental.ValueKind == JsonValueKind.True,
                StoodStill = root.TryGetProperty("stood-still-ms", out var still) && still.TryGetDouble(out var milliseconds) && milliseconds is >= 0 and < int.MaxValue ? TimeSpan.FromMilliseconds(milliseconds) : default,
            };
        });
        if (later > 0) throw new MachineException(MachineError.File, $"{path} is of format {later}, and this program knows up to {Format}; use the program that took the snapshot, or a newer one");
        // A layer is a file of the machine's own; and what is shown has nothing that terminals take for commands.
        if (found is null || found.Layer is { } layer && layer != Path.GetFileName(layer) || $"{found.Parent}{found.Layer}{found.Program}{found.Description}".Any(char.IsControl)) throw new MachineException(MachineError.File, $"{path} is damaged; {NoUse}");
        return found;
    }

    /// <summary>Writes it into a folder.</summary>
    internal void Write(string folder) => RecordFile.Write(Path.Combine(folder, FileName), json =>
    {
        json.WriteNumber("format", IsIncremental ? Format : IsCompressed ? WithCompression : Plain);
        json.WriteString("taken", Taken);
        if (Parent is not null) json.WriteString("parent", Parent);
        json.WriteString("machine", Machine);
        if (Layer is not null) json.WriteString("layer", Layer);
        json.WriteBoolean("memory", HasMemory);
        json.WriteString("program", Program);
        if (Description.Length > 0) json.WriteString("description", Description);
        if (IsStilled) json.WriteBoolean("stilled", true);
        if (IsCompressed) json.WriteBoolean("compressed", true);
        if (IsIncremental) json.WriteBoolean("incremental", true);
        if (StoodStill > TimeSpan.Zero) json.WriteNumber("stood-still-ms", Math.Round(StoodStill.TotalMilliseconds, 3));
    }, durable: true);

    // Whether its files are there and its definition is one. What is in the others is found out by whoever reads them: they are long.
    private string? WhatIsMissing(MachineHome home, string folder)
    {
        IEnumerable<string> files = [DefinitionIn(folder), .. HasMemory ? SavedFilesIn(folder).Select(name => Path.Combine(folder, name)) : [], .. Layer is null ? Array.Empty<string>() : [Path.Combine(home.Folder, Layer)]];
        try
        {
            foreach (var file in files)
            {
                var kind = NamedFile.KindOf(file);
                if (kind != NamedKind.File) return $"{file} is {(kind is { } other ? $"{NamedFile.Describe(other)}, and no file" : "gone")}; {NoUse}";
            }
            _ = MachineDisks.LayersOf(home, Layer);
            _ = MachineFile.Read(home, DefinitionIn(folder));
            return null;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return $"{refused.Message}; {NoUse}";
        }
        catch (MachineException refused)
        {
            // Not what there is to do where it is the machine's own.
            return $"{DefinitionIn(folder)} is damaged ({refused.InnerException?.Message ?? refused.Message}); {NoUse}";
        }
    }

    private static string? Text(JsonElement root, string name) => root.TryGetProperty(name, out var value) ? value.GetString() : null;
}
