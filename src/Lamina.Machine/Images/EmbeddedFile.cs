// The files of guests that are part of this program: scripts and settings, which lie beside the code that uses them.
namespace Lamina.Images;

/// <summary>Files that are embedded in this build.</summary>
internal static class EmbeddedFile
{
    /// <summary>Reads one.</summary>
    /// <param name="name">Its image and its name, as in "Tiny.init".</param>
    public static byte[] Read(string name)
    {
        using var stream = typeof(EmbeddedFile).Assembly.GetManifestResourceStream($"Lamina.Images.{name}")
            ?? throw new InvalidOperationException($"the file {name} is not embedded in this build");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
