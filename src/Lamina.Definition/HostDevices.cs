// Devices that lead to the host's files and programs: shared folders and sockets, as data.
using System.Text;

namespace Lamina.Definition;

/// <summary>A folder of the host's that the guest may mount (virtiofs).</summary>
public sealed record ShareDevice : DeviceDefinition
{
    /// <summary>The longest <see cref="Tag"/> in bytes. virtio 1.2, 5.11.4.</summary>
    public const int LongestTag = 36;

    /// <summary>The folder on the host.</summary>
    public string Path { get; init; } = "";

    /// <summary>The name by which the guest mounts it: <c>mount -t virtiofs TAG /mnt</c>; 1 to 36 bytes.</summary>
    public string Tag { get; init; } = "";

    /// <summary>Whether the guest may only read.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether the guest may read and set extended attributes of users (<c>user.*</c>).</summary>
    public bool ExtendedAttributes { get; init; }

    /// <summary>What there is to say.</summary>
    public static Shape<ShareDevice> Shape { get; } = new("a shared folder",
        NameProperty<ShareDevice>(),
        Property.Path<ShareDevice>("path", "the folder on the host", share => share.Path, (share, path) => share with { Path = path }),
        Property.Text<ShareDevice>("tag", "TAG", "the name by which the guest mounts it", share => share.Tag, (share, tag) => Encoding.UTF8.GetByteCount(tag) <= LongestTag
            ? share with { Tag = tag }
            : throw new MachineException($"the tag \"{tag}\" of a shared folder is longer than {LongestTag} bytes; use a shorter one")),
        Property.Flag<ShareDevice>(ReadOnlyWord, "read only", share => share.ReadOnly, (share, on) => share with { ReadOnly = on }),
        Property.Flag<ShareDevice>(ExtendedAttributesWord, "extended attributes of users (user.*), too", share => share.ExtendedAttributes, (share, on) => share with { ExtendedAttributes = on }));

    private const string ReadOnlyWord = "ro", ExtendedAttributesWord = "xattr";

    /// <summary>Reads <c>FOLDER:TAG[:OPTION[,OPTION]]</c>, where an option is <c>ro</c> or <c>xattr</c>, or <c>FOLDER,tag=TAG[,option…]</c>.</summary>
    /// <exception cref="MachineException">The text is no shared folder.</exception>
    public static ShareDevice Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Contains(",tag=", StringComparison.Ordinal)) return Words.Read(Shape, "path", new ShareDevice(), text);
        var options = text[(text.LastIndexOf(':') + 1)..].Split(',');
        var hasOptions = options.All(option => option is ReadOnlyWord or ExtendedAttributesWord);
        var rest = hasOptions ? text[..Math.Max(text.LastIndexOf(':'), 0)] : text;
        var colon = rest.LastIndexOf(':');
        if (colon <= 0 || colon == rest.Length - 1) throw new MachineException($"\"{text}\" is no shared folder; write it like FOLDER:TAG or FOLDER:TAG:ro");
        var share = new ShareDevice { Path = rest[..colon], ReadOnly = hasOptions && options.Contains(ReadOnlyWord), ExtendedAttributes = hasOptions && options.Contains(ExtendedAttributesWord) };
        return Shape.With(share, "tag", rest[(colon + 1)..]);
    }

    /// <inheritdoc/>
    public override string ToString() => Words.Write(Shape, "path", this);
}

/// <summary>Sockets between the guest and programs of the host (vsock).</summary>
public sealed record VsockDevice : DeviceDefinition
{
    /// <summary>The addresses that a guest can have. virtio 1.2, 5.10.4: 0 to 2 and the highest are reserved.</summary>
    public const uint LowestCid = 3, HighestCid = uint.MaxValue - 1;

    /// <summary>The guest's address.</summary>
    public uint Cid { get; init; } = LowestCid;

    /// <summary>The Unix socket where programs of the host connect to the guest; the guest connects to PATH_PORT.</summary>
    public string Path { get; init; } = "";

    /// <summary>What there is to say.</summary>
    public static Shape<VsockDevice> Shape { get; } = new("a socket device",
        NameProperty<VsockDevice>(),
        new Property<VsockDevice>("cid", ValueKind.Number, "CID", "the guest's address, from 3")
        {
            Read = (vsock, text) => !ulong.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var cid)
                ? throw new MachineException($"\"{text}\" is no socket device's address; write it like 3,path=/tmp/guest.vsock")
                : cid is < LowestCid or > HighestCid ? throw new MachineException($"a guest's address (CID) is {LowestCid} to {HighestCid}, not {cid}") : vsock with { Cid = (uint)cid },
            Write = vsock => [vsock.Cid.ToString(System.Globalization.CultureInfo.InvariantCulture)],
        },
        Property.Path<VsockDevice>("path", "the Unix socket where programs of the host connect to the guest; the guest connects to PATH_PORT", vsock => vsock.Path, (vsock, path) => vsock with { Path = path }));

    /// <summary>Reads <c>CID,path=SOCKET</c>.</summary>
    /// <exception cref="MachineException">The text is no socket device.</exception>
    public static VsockDevice Parse(string text)
    {
        var vsock = Words.Read(Shape, "cid", new VsockDevice(), text);
        return vsock.Path.Length > 0 ? vsock : throw new MachineException($"\"{text}\" is no socket device; write it like 3,path=/tmp/guest.vsock");
    }

    /// <inheritdoc/>
    public override string ToString() => Words.Write(Shape, "cid", this);
}
