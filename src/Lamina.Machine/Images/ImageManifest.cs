// manifest.json of a built image: what it is made of, for people and programs. It is written once; whoever finds the image
// reads the sizes of its files there, and so sees one that is damaged.
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lamina.Images;

/// <summary>A package that an image was made of.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">Its version.</param>
/// <param name="Sha256">The hash of its archive, from the signed package lists; null where a program of the host's fetched and checked it.</param>
public sealed record ImagePackage(string Name, string Version, string? Sha256);

/// <summary>A file of an image.</summary>
/// <param name="Name">Its name in the image's folder.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Sha256">Its hash, in lower-case hexadecimal digits.</param>
public sealed record ImageFile(string Name, long Size, string Sha256);

/// <summary>What a built image is made of.</summary>
/// <param name="Name">The image's name.</param>
/// <param name="Version">The version of its kernel.</param>
/// <param name="Recipe">The number of the recipe that built it.</param>
/// <param name="Built">When, in UTC.</param>
/// <param name="CommandLine">The kernel command line it boots with.</param>
/// <param name="Files">Its files.</param>
/// <param name="Packages">Where they come from.</param>
/// <param name="Modules">The kernel modules in it, in an order in which they can be inserted.</param>
public sealed record ImageManifest(
    string Name,
    string Version,
    int Recipe,
    DateTimeOffset Built,
    string CommandLine,
    IReadOnlyList<ImageFile> Files,
    IReadOnlyList<ImagePackage> Packages,
    IReadOnlyList<string> Modules)
{
    /// <summary>The name of its file.</summary>
    public const string FileName = "manifest.json";

    // A file, not a web page: versions keep their plus signs.
    private static readonly ImageJson Json = new(new JsonSerializerOptions(ImageJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>Its JSON.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json.ImageManifest);

    /// <summary>Reads a manifest. By hand, since every start does: what a serializer makes for its types takes a millisecond.</summary>
    /// <exception cref="ImageException">It is not one.</exception>
    public static ImageManifest FromJson(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            using var document = JsonDocument.ParseValue(ref reader);
            if (reader.Read()) throw new FormatException();
            var root = document.RootElement;
            return new ImageManifest(
                Text(root, "name"),
                Text(root, "version"),
                root.GetProperty("recipe").GetInt32(),
                root.GetProperty("built").GetDateTimeOffset(),
                Text(root, "commandLine"),
                [.. root.GetProperty("files").EnumerateArray().Select(file => new ImageFile(Text(file, "name"), file.GetProperty("size").GetInt64(), Text(file, "sha256")))],
                [.. root.GetProperty("packages").EnumerateArray().Select(package => new ImagePackage(Text(package, "name"), Text(package, "version"), package.GetProperty("sha256").GetString()))],
                [.. root.GetProperty("modules").EnumerateArray().Select(module => module.GetString() ?? throw new FormatException())]);
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new ImageException($"{FileName} is damaged; build the image again with 'lamina image build'", failure);
        }
    }

    private static string Text(JsonElement of, string name) => of.GetProperty(name).GetString() ?? throw new FormatException();
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(ImageManifest))]
internal sealed partial class ImageJson : JsonSerializerContext;
