// What goes over a migration's link before the machines speak (docs/migration.md): a line with what the machine is and which files of its folder follow, and
// those, when the line was answered. Both are answered by a line.
using System.Buffers;
using System.Text;
using System.Text.Json;
using Lamina.Host;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Migrating;

/// <summary>The head of a migration.</summary>
/// <param name="Name">The machine's name.</param>
/// <param name="Folder">Its folder, where it comes from: paths in its definition begin with it.</param>
/// <param name="Definition">Its definition; what it boots are names of files that come along (<see cref="CarriedSpec"/>), its devices lead to where they do on the host that it comes from.</param>
/// <param name="Started">The one that it was started with, likewise.</param>
/// <param name="Files">These, by name and length.</param>
/// <param name="DiskBytes">The length of the disk that is its own; 0 where it has none.</param>
/// <param name="Disks">Further disks that are copied along, by their devices' names, and their lengths.</param>
internal sealed record MigrationHead(string Name, string Folder, MachineDefinition Definition, MachineDefinition Started, IReadOnlyList<(string Name, long Bytes)> Files, ulong DiskBytes, IReadOnlyList<(string Name, ulong Bytes)> Disks)
{
    /// <summary>The protocol that is spoken.</summary>
    internal const int Version = 1;

    private const string Mark = "lamina-migration";
    private const int Piece = 1 << 16, LongestSentence = 2000;

    // A kernel, its initial RAM disk, its modules: no more than this comes beside disks.
    internal const long MostFileBytes = 4L << 30;

    // Whoever calls says at once what it wants.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Writes it.</summary>
    /// <exception cref="IOException">The link is broken.</exception>
    internal async Task WriteAsync(Stream peer, CancellationToken cancellationToken)
    {
        using var text = new MemoryStream();
        using (var line = new Utf8JsonWriter(text))
        {
            line.WriteStartObject();
            line.WriteNumber(Mark, Version);
            line.WriteString("name", Name);
            line.WriteString("folder", Folder);
            line.WriteNumber("disk", DiskBytes);
            line.WriteStartArray("files");
            foreach (var (name, bytes) in Files)
            {
                line.WriteStartObject();
                line.WriteString("name", name);
                line.WriteNumber("bytes", bytes);
                line.WriteEndObject();
            }
            line.WriteEndArray();
            if (Disks.Count > 0)
            {
                line.WriteStartObject("disks");
                foreach (var (name, bytes) in Disks) line.WriteNumber(name, bytes);
                line.WriteEndObject();
            }
            line.WritePropertyName("definition");
            DefinitionJson.Write(line, Definition);
            line.WritePropertyName("started");
            DefinitionJson.Write(line, Started);
            line.WriteEndObject();
        }
        text.WriteByte((byte)'\n');
        await peer.WriteAsync(text.GetBuffer().AsMemory(0, (int)text.Length), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes the files, which go when the head was taken.</summary>
    /// <param name="peer">Takes them.</param>
    /// <param name="paths">Where they lie.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="IOException">The link is broken, or a file cannot be read.</exception>
    internal async Task WriteFilesAsync(Stream peer, IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        for (var i = 0; i < paths.Count; i++)
        {
            using var file = new FileStream(paths[i], FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            await CopyAsync(file, peer, Files[i].Bytes, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reads it. It comes from anybody.</summary>
    /// <exception cref="MachineException">It is none, or not one that can be here.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    internal static async Task<MigrationHead> ReadAsync(Stream peer, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        byte[] line;
        try
        {
            line = await MigrationLines.ReadLineAsync(peer, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw MigrationLines.None();
        }
        try
        {
            using var document = JsonDocument.Parse(line);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(Mark, out var version) || !version.TryGetInt32(out var number)) throw MigrationLines.None();
            if (number != Version) throw new MachineException(MachineError.Host, $"the machine comes by version {number} of the protocol, and this program knows {Version}; use the same version of Lamina on both sides");
            var head = new MigrationHead(root.GetProperty("name").GetString() ?? "", root.GetProperty("folder").GetString() ?? "", Read("definition"), Read("started"),
                [.. root.GetProperty("files").EnumerateArray().Select(file => (file.GetProperty("name").GetString() ?? "", file.GetProperty("bytes").GetInt64()))], root.GetProperty("disk").GetUInt64(),
                root.TryGetProperty("disks", out var disks) ? [.. disks.EnumerateObject().Select(disk => (disk.Name, disk.Value.GetUInt64()))] : []);
            head.Check();
            return head;

            MachineDefinition Read(string name) => DefinitionJson.Read(Encoding.UTF8.GetBytes(root.GetProperty(name).GetRawText()));
        }
        catch (Exception none) when (none is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or OverflowException)
        {
            throw MigrationLines.None(none);
        }
        catch (MachineException refused) when (refused.Message.Length > LongestSentence)
        {
            throw Shorter(refused);
        }
    }

    /// <summary>Waits for the line that answers it, or its files. It comes from anybody.</summary>
    /// <exception cref="MachineException">It is a refusal, or no answer.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    internal static async Task AnsweredAsync(Stream peer, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = JsonDocument.Parse(await MigrationLines.ReadLineAsync(peer, cancellationToken).ConfigureAwait(false));
            if (RefusalIn(answer.RootElement) is { } refusal) throw refusal;
        }
        catch (Exception none) when (none is JsonException or InvalidOperationException)
        {
            throw new MachineException(MachineError.Host, "what answers there takes no machines in", none);
        }
    }

    /// <summary>What an answer refuses; null where it does not.</summary>
    /// <exception cref="InvalidOperationException">It is none.</exception>
    internal static MachineException? RefusalIn(JsonElement said)
    {
        if (said.TryGetProperty(ControlSpec.Ok, out _)) return null;
        var (error, sentence) = (TextOf(said, ControlSpec.Error), TextOf(said, ControlSpec.Message));
        return ControlErrors.ToException(error ?? "", sentence is { Length: > 0 } ? Shown(sentence) : "the other side says what is not understood");
    }

    private static string? TextOf(JsonElement said, string name) => said.TryGetProperty(name, out var text) ? text.GetString() : null;

    // It may come from anybody, and goes to a terminal.
    private static string Shown(string text) => new([.. text.Take(LongestSentence).Select(letter => char.IsControl(letter) ? '?' : letter)]);

    /// <summary>Puts the files that follow into a machine's folder.</summary>
    /// <exception cref="IOException">The link is broken, or the host refuses.</exception>
    internal async Task ReceiveFilesAsync(Stream peer, MachineHome home, CancellationToken cancellationToken)
    {
        foreach (var (name, bytes) in Files)
        {
            using var file = HostFiles.CreatePrivate(Path.Combine(home.Folder, name), FileMode.CreateNew);
            await CopyAsync(peer, file, bytes, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Refuses one that cannot be.</summary>
    /// <exception cref="MachineException">It cannot; the sentence says why.</exception>
    internal void Check()
    {
        MachineStore.CheckName(Name);
        if (!Folder.StartsWith('/') || Folder.Length > MigrationLines.LongestLine / 2) throw MigrationLines.None();
        foreach (var definition in (MachineDefinition[])[Definition, Started])
        {
            MachineFile.Require(definition);
            MachineCheck.Check(definition);
            CarriedCheck.CheckWithoutDevices(definition);
        }
        string[] allowed = [CarriedSpec.Kernel, CarriedSpec.Initrd, CarriedSpec.Firmware, CarriedSpec.FirmwareVariables, CarriedSpec.Seed, .. Started.Boot.Modules.Select(module => module.Path)];
        if (Files.Count > CarriedSpec.MostFiles || Files.Select(file => file.Name).Distinct().Count() != Files.Count || Files.Any(file => !allowed.Contains(file.Name) || file.Bytes is < 0 or > MostFileBytes) || Files.Sum(file => file.Bytes) > MostFileBytes) throw MigrationLines.None();
        if (!IsLength(DiskBytes)) throw MigrationLines.None();
        var copied = ArrivalPlaces.Copied(Started).Select(disk => disk.Name).ToHashSet();
        if (Disks.Count != copied.Count || Disks.Select(disk => disk.Name).Distinct().Count() != Disks.Count || Disks.Any(disk => !copied.Contains(disk.Name) || disk.Bytes == 0 || !IsLength(disk.Bytes))) throw MigrationLines.None();
        // One that it gets at its next start is open nowhere, from where it could be copied.
        if (ArrivalPlaces.Copied(Definition).FirstOrDefault(disk => !copied.Contains(disk.Name)) is { } later) throw new MachineException($"the machine {Name} gets the disk {later.Name} ({later.Path}) at its next start, and what it does not have yet is not copied; start it again, or take the disk out first");
    }

    /// <summary>The same with what leads to the host as it is named here.</summary>
    /// <exception cref="MachineException">Something is not named, or cannot be so.</exception>
    internal MigrationHead At(ArrivalPlaces places)
    {
        try
        {
            places.Require(Started, Definition);
            return this with { Started = places.Apply(Started), Definition = places.Apply(Definition) };
        }
        catch (MachineException refused) when (refused.Message.Length > LongestSentence)
        {
            throw Shorter(refused);
        }
    }

    // What it names may be as long as the whole head.
    private static MachineException Shorter(MachineException refused) => new(refused.Error, $"{refused.Message[..LongestSentence]} …", refused);

    private static bool IsLength(ulong bytes) => bytes % 512 == 0 && bytes <= 1ul << 50;

    private static async Task CopyAsync(Stream from, Stream to, long bytes, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Piece);
        try
        {
            for (; bytes > 0;)
            {
                var count = await from.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, bytes)), cancellationToken).ConfigureAwait(false);
                if (count == 0) throw new IOException("the link was cut, or a file became shorter");
                await to.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
                bytes -= count;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
