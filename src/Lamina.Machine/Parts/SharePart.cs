// A folder of the host's that the guest mounts.
using Lamina.Backends.Share;
using Lamina.Core.Share;
using Lamina.Devices.Virtio.FileSystem;

namespace Lamina.Parts;

/// <summary>A shared folder.</summary>
internal sealed class SharePart : IPart
{
    private readonly ShareDevice _definition;
    private readonly IFileShare _share;

    internal SharePart(ShareDevice share, OpenContext context)
    {
        _definition = share;
        var limits = ShareLimits.For(context.Definition.DevicesOf<ShareDevice>().Count(), context.Definition.RamBytes);
        _share = context.Units.AddAside($"backends/share {share.Tag}", new SharedFolder(share.Path, new ShareOptions { ReadOnly = share.ReadOnly, ExtendedAttributes = share.ExtendedAttributes, Limits = limits, Name = share.Tag, Log = context.Log.Of($"devices/{share.Name}") }));
    }

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <summary>Refuses folders that are not there.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var share in machine.DevicesOf<ShareDevice>())
            if (!Directory.Exists(share.Path)) throw new MachineException(MachineError.File, $"there is no folder {share.Path} to share");
    }

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context) => places.Add(name, new VirtioFileSystem(_share, _definition.Tag));
}
