// machine.json of a stored machine: what it was made of and how it is booted.
using System.Text.Json;
using System.Text.Json.Serialization;
using Lamina.Images;

namespace Lamina.Stored;

/// <summary>What a stored machine was made of.</summary>
/// <param name="Image">The image's name.</param>
/// <param name="Version">The image's version.</param>
/// <param name="CommandLine">The kernel command line it boots with.</param>
/// <param name="Memory">Bytes of memory that it is given where nobody says how much.</param>
/// <param name="Made">When, in UTC.</param>
public sealed record MachineDescription(string Image, string Version, string CommandLine, ulong Memory, DateTimeOffset Made)
{
    private const string FileName = "machine.json";

    internal static string PathIn(string folder) => Path.Combine(folder, FileName);

    internal static MachineDescription Of(Image image) => new(image.Name, image.Version, image.CommandLine, image.Memory, DateTimeOffset.UtcNow);

    /// <summary>Reads a machine's description; null where there is no machine in the folder, or it is not complete.</summary>
    /// <exception cref="MachineException">The file is damaged.</exception>
    internal static MachineDescription? Read(string folder)
    {
        var path = PathIn(folder);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), MachineJson.Default.MachineDescription) ?? throw new JsonException("null");
        }
        catch (JsonException failure)
        {
            throw new MachineException($"{path} is damaged; remove the machine with 'lamina machine rm {Path.GetFileName(folder)}', or save its disk first", failure);
        }
    }

    /// <summary>Writes it, whole or not at all.</summary>
    internal void Write(string folder)
    {
        var path = PathIn(folder);
        File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(this, MachineJson.Default.MachineDescription));
        File.Move(path + ".new", path, overwrite: true);
    }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(MachineDescription))]
internal sealed partial class MachineJson : JsonSerializerContext;
