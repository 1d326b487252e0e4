// A folder of the host's that the guest mounts.
using Lamina.Backends.Share;
using Lamina.Core.Share;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.FileSystem;

namespace Lamina.Parts;

/// <summary>A shared folder.</summary>
internal sealed class SharePart : IPart
{
    private readonly ShareDevice _definition;
    private readonly int _index;
    private readonly IFileShare _share;

    internal SharePart(ShareDevice share, int index, OpenContext context)
    {
        (_definition, _index) = (share, index);
        var limits = ShareLimits.For(context.Definition.DevicesOf<ShareDevice>().Count(), context.Definition.MemoryBytes);
        Action<string>? report = context.Hooks.Report is { } told ? what => told($"shared folder {share.Tag}: {what}") : null;
        _share = context.Units.AddAside($"backends/share {share.Tag}", new SharedFolder(share.Path, new ShareOptions { ReadOnly = share.ReadOnly, ExtendedAttributes = share.ExtendedAttributes, Limits = limits, Report = report }));
    }

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <inheritdoc/>
    public IEnumerable<KeyValuePair<string, long>> Counters
    {
        get
        {
            var figures = _share.Statistics;
            return
            [
                new($"share {_index} requests", figures.Requests),
                new($"share {_index} nodes", figures.Nodes),
                new($"share {_index} bytes of nodes", figures.NodeBytes),
                new($"share {_index} open files", figures.OpenFiles),
                new($"share {_index} descriptors held", figures.HeldNodes),
                new($"share {_index} nodes found again", figures.FoundAgain),
                new($"share {_index} nodes lost", figures.Lost),
            ];
        }
    }

    /// <summary>Refuses folders that are not there.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var share in machine.DevicesOf<ShareDevice>())
            if (!Directory.Exists(share.Path)) throw new MachineException(MachineError.File, $"there is no folder {share.Path} to share");
    }

    /// <inheritdoc/>
    public IVirtioDevice CreateDevice(PartContext context) => new VirtioFileSystem(_share, _definition.Tag);
}
