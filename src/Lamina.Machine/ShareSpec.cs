// A folder of the host's that a machine's guest may use: values only, and the words in which people give them.
using System.Text;
using Lamina.Backends.Share;
using Lamina.Devices.Virtio.FileSystem;

namespace Lamina;

/// <summary>A shared folder.</summary>
/// <param name="Path">The folder on the host.</param>
/// <param name="Tag">The name by which the guest mounts it: <c>mount -t virtiofs TAG /mnt</c>; 1 to 36 bytes.</param>
/// <param name="ReadOnly">Whether the guest may only read.</param>
/// <param name="ExtendedAttributes">Whether the guest may read and set extended attributes of users (<c>user.*</c>).</param>
public sealed record ShareSpec(string Path, string Tag, bool ReadOnly = false, bool ExtendedAttributes = false)
{
    private const string ReadOnlyWord = "ro", ExtendedAttributesWord = "xattr";

    internal ShareOptions Options => new() { ReadOnly = ReadOnly, ExtendedAttributes = ExtendedAttributes };

    /// <summary>Reads <c>FOLDER:TAG[:OPTION[,OPTION]]</c>, where an option is <c>ro</c> or <c>xattr</c>.</summary>
    /// <exception cref="MachineException">The text is no shared folder.</exception>
    public static ShareSpec Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var options = text[(text.LastIndexOf(':') + 1)..].Split(',');
        var hasOptions = options.All(option => option is ReadOnlyWord or ExtendedAttributesWord);
        var rest = hasOptions ? text[..Math.Max(text.LastIndexOf(':'), 0)] : text;
        var colon = rest.LastIndexOf(':');
        return colon > 0 && colon < rest.Length - 1
            ? new ShareSpec(rest[..colon], rest[(colon + 1)..], hasOptions && options.Contains(ReadOnlyWord), hasOptions && options.Contains(ExtendedAttributesWord))
            : throw new MachineException($"\"{text}\" is no shared folder; write it like FOLDER:TAG or FOLDER:TAG:ro");
    }

    /// <summary>Refuses what no shared folder can be.</summary>
    /// <exception cref="MachineException">The tag is too long.</exception>
    internal void Check()
    {
        if (Encoding.UTF8.GetByteCount(Tag) > VirtioFileSystem.LongestTag) throw new MachineException($"the tag \"{Tag}\" of a shared folder is longer than {VirtioFileSystem.LongestTag} bytes; use a shorter one");
        if (!Directory.Exists(Path)) throw new MachineException($"there is no folder {Path} to share");
    }
}
