// What is wrong with an image itself, as opposed to the host that holds it.
namespace Lamina.Backends.Disk;

/// <summary>An image is damaged, or asks for what is not done here; the message is a sentence.</summary>
public sealed class DiskImageException(string message) : IOException(message);
