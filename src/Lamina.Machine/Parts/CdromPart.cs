// A CD drive and the disc in it.
using System.Runtime.InteropServices;
using Lamina.Core.Block;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Packet;
using Lamina.Devices.Media;
using Lamina.Disks;

namespace Lamina.Parts;

/// <summary>A CD drive.</summary>
internal sealed class CdromPart : IPart, IDisposable
{
    private readonly CdromDevice _definition;
    private IBlockBackend? _disc;
    private CdDrive? _drive;

    internal CdromPart(CdromDevice cdrom, int index, OpenContext context)
    {
        (_definition, _disc) = (cdrom, cdrom.Path.Length == 0 ? null : DiscBackends.Open(cdrom.Path));
        context.Units.AddAside($"backends/cdrom {index}", this);
    }

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <summary>Refuses discs that there are not.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var cdrom in machine.DevicesOf<CdromDevice>().Where(cdrom => cdrom.Path.Length > 0)) DiscBackends.Check(cdrom.Path);
    }

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context) =>
        places.Add(name, _definition.Bus, _drive = new CdDrive(_disc, DriveSerial.Of(Name), new DriveOptions { Log = context.Log.Of(name) }));

    /// <summary>Puts another disc in, or takes the one out that is there.</summary>
    /// <param name="path">The disc; "" for none.</param>
    /// <param name="file">The same, open, where the machine's own process may not open it; or null.</param>
    /// <exception cref="MachineException">The guest keeps the tray shut, or it is no disc; all is as it was.</exception>
    /// <exception cref="IOException">It cannot be used, likewise.</exception>
    internal void Change(string path, SafeHandle? file)
    {
        var drive = _drive!;
        if (drive.AskToEject()) throw new MachineException(MachineError.State, $"the guest uses the disc in {Name} and keeps its tray shut; unmount it in the guest first");
        var disc = path.Length == 0 ? null : DiscBackends.Open(path, file);
        _disc = disc;
        drive.Change(disc)?.Dispose();
    }

    /// <summary>Gives the disc back, when the drive is gone.</summary>
    public void Dispose() => _disc?.Dispose();
}
