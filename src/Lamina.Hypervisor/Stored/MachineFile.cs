// machine.json of a stored machine: its definition, which a person may edit. Relative paths in it count from its folder. Files of
// the first versions, which held five values, are read as well.
using System.Text;
using System.Text.Json;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>Reads and writes the definition in a machine's folder.</summary>
internal static class MachineFile
{
    /// <summary>The most bytes of one.</summary>
    internal const int MostBytes = 1 << 20;

    // The names of the first versions' five values.
    private const string OldCommandLine = "commandLine", OldImage = "image", OldVersion = "version", OldMemory = "memory", OldMade = "made";

    /// <summary>Reads a machine's definition; null where there is no machine in the folder, or it is not complete.</summary>
    /// <exception cref="MachineException">The file cannot be read, or is no machine of this store; the message says where it is wrong.</exception>
    internal static MachineDefinition? Read(MachineHome home) => Read(home, home.Definition);

    /// <summary>Reads a definition that a machine has had, or has.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="path">The file.</param>
    internal static MachineDefinition? Read(MachineHome home, string path)
    {
        if (!File.Exists(path)) return null;
        try
        {
            var text = ReadText(path);
            var machine = ReadOld(text) ?? DefinitionJson.Read(text);
            Require(machine);
            return Placed(home, machine);
        }
        catch (MachineException wrong)
        {
            throw new MachineException(MachineError.File, $"{path}, {wrong.Message}; mend it, or remove the machine with 'lamina rm {home.Name}'", wrong);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MachineException(MachineError.File, $"{path} cannot be read ({HostFiles.Reason(failure, path)}); mend that, or remove the machine with 'lamina rm {home.Name}'", failure);
        }
    }

    /// <summary>Reads a file with a definition, which a link may lead to: nothing else than a file, and no more of it than one has.</summary>
    /// <exception cref="HostException">It is none.</exception>
    internal static byte[] ReadText(string path)
    {
        using var file = NamedFile.OpenToRead(path, out var kind);
        if (kind != NamedKind.File) throw new HostException($"it is {NamedFile.Describe(kind)}, and no file");
        var length = RandomAccess.GetLength(file);
        if (length > MostBytes) throw new HostException($"it has {length} bytes, and at most {MostBytes} are taken");
        var text = new byte[length];
        var count = 0;
        while (count < text.Length && RandomAccess.Read(file, text.AsSpan(count), count) is > 0 and var more) count += more;
        return text[..count];
    }

    /// <summary>Writes it, whole or not at all.</summary>
    internal static void Write(MachineHome home, MachineDefinition machine)
    {
        HostFiles.Replace(home.Definition, DefinitionJson.Write(Kept(home, machine)), durable: true);
    }

    /// <summary>Writes what a machine is started with.</summary>
    internal static void WriteStarted(MachineHome home, MachineDefinition machine) => HostFiles.Replace(home.Started, DefinitionJson.Write(Kept(home, machine)));

    /// <summary>What a machine was last started with; by the first versions that was not kept, and is what it says now.</summary>
    /// <exception cref="MachineException">It cannot be read.</exception>
    internal static MachineDefinition ReadStarted(MachineHome home) => Read(home, home.Started) ?? Read(home) ?? throw new MachineException($"the machine {home.Name} was removed just now");

    // What lies in the machine's folder is named from there, so that it is found when the folder has another name.
    private static MachineDefinition Kept(MachineHome home, MachineDefinition machine) =>
        machine.MapPaths(path => path.StartsWith(home.Folder + "/", StringComparison.Ordinal) ? path[(home.Folder.Length + 1)..] : path);

    /// <summary>Changes it, whole or not at all: what a person wrote stays as it is where it need not be other.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="before">What it says now.</param>
    /// <param name="after">What it is to say.</param>
    internal static void Change(MachineHome home, MachineDefinition before, MachineDefinition after)
    {
        var text = File.ReadAllBytes(home.Definition);
        if (ReadOld(text) is null)
        {
            var edited = DefinitionText.Change(text, Kept(home, before), Kept(home, after));
            if (DefinitionDifference.Between(Placed(home, DefinitionJson.Read(edited)), after).IsNone)
            {
                HostFiles.Replace(home.Definition, edited, durable: true);
                return;
            }
        }
        Write(home, after);
    }

    /// <summary>Refuses a definition that no machine can be kept by.</summary>
    /// <exception cref="MachineException">It does not say what is booted.</exception>
    internal static void Require(MachineDefinition machine)
    {
        if (machine.Image is null && machine.Boot.KernelPath is null && machine.FirmwareToBoot is null) throw new MachineException("it does not say what the machine boots: \"image\": \"debian\", of which it was made, \"kernel\": \"bzImage\", or \"firmware\": \"seabios\"");
    }

    private static MachineDefinition Placed(MachineHome home, MachineDefinition machine) => machine.MapPaths(relative => Path.GetFullPath(relative, home.Folder));

    // Null where it is none of them. Those machines had a network card, which was not in the file.
    private static MachineDefinition? ReadOld(byte[] text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = document.RootElement;
            return root.ValueKind == JsonValueKind.Object && root.TryGetProperty(OldCommandLine, out var commandLine) && commandLine.ValueKind == JsonValueKind.String
                && root.TryGetProperty(OldImage, out var image) && image.ValueKind == JsonValueKind.String
                && root.TryGetProperty(OldVersion, out var version) && version.ValueKind == JsonValueKind.String
                && root.TryGetProperty(OldMemory, out var memory) && memory.TryGetUInt64(out var bytes)
                && root.TryGetProperty(OldMade, out var made) && made.TryGetDateTimeOffset(out var time)
                ? new MachineDefinition { Image = image.GetString(), ImageVersion = version.GetString(), Made = time, MemoryBytes = bytes, Boot = new BootSource { CommandLine = commandLine.GetString() } }.With(new NetworkDevice())
                : null;
        }
        catch (Exception damaged) when (damaged is JsonException or InvalidOperationException or DecoderFallbackException)
        {
            // Whatever is wrong is told by who reads definitions.
            return null;
        }
    }
}
