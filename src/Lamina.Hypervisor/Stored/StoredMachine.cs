// A machine of the store that is open for a run: where its files are, and the disks that they make.
using Lamina.Backends.Disk;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>An open stored machine. Disposing it lets others have it; one that is ephemeral, or was made and never started, is gone then.</summary>
public sealed class StoredMachine : IDisposable
{
    private readonly HostLock? _gate;
    private bool _isStarted;

    internal StoredMachine(MachineHome home, HostLock? gate) => (Home, _gate) = (home, gate);

    /// <summary>What keeps others from having it; null for one that is ephemeral.</summary>
    internal HostLock? Gate => _gate;

    /// <summary>Its folder.</summary>
    public MachineHome Home { get; }

    /// <summary>The kernel; null where its definition names one.</summary>
    public required string? KernelPath { get; init; }

    /// <summary>The initial RAM disk; null where it has none, or its definition names one.</summary>
    public required string? InitrdPath { get; init; }

    /// <summary>Its definition, with neither what it boots from its folder nor the disks that are its own.</summary>
    public required MachineDefinition Definition { get; init; }

    /// <summary>Whether it has not run before.</summary>
    public required bool IsNew { get; init; }

    /// <summary>Its own disk, which the guest is to find first; null where it has none.</summary>
    public required DiskDevice? Disk { get; init; }

    /// <summary>The disk with its settings, which the guest is to find last; null where it was given none yet.</summary>
    /// <exception cref="MachineException">It is damaged.</exception>
    public DiskDevice? SeedDisk => !File.Exists(Home.Seed) ? null : !FatImage.IsWhole(Home.Seed)
        ? throw new MachineException(MachineError.File, $"{Home.Seed}, the machine's settings, is damaged; give them again (--hostname, --user, --ssh-key, --user-data), or remove the file to go on without")
        : new DiskDevice { Name = MachineStore.SeedName, Path = Home.Seed, ReadOnly = true, Format = ImageFormat.Raw };

    private bool IsEphemeral => _gate is null;

    /// <summary>The whole definition for a run: with what it boots from its folder, and the disks that are its own.</summary>
    public MachineDefinition ToRun() => Definition with
    {
        Boot = KernelPath is null ? Definition.Boot : Definition.Boot with { KernelPath = KernelPath, InitrdPath = InitrdPath },
        Devices = [.. One(Disk), .. Definition.Devices, .. One(SeedDisk)],
    };

    /// <summary>Makes its disk larger.</summary>
    /// <exception cref="MachineException">The disk is larger already, or it has none.</exception>
    /// <exception cref="IOException">It cannot be done.</exception>
    public void Grow(ulong size)
    {
        if (Disk is not { } disk) throw new MachineException("the machine has no disk of its own that could be made larger");
        var old = DiskTools.Inspect(disk.Path).Size;
        if (size < old) throw new MachineException($"the disk has {old >> 20}M already and cannot become smaller; ask for more, or leave out --disk-size");
        if (size > old) DiskTools.Resize(new DiskOptions { Path = disk.Path, Backing = disk.Backing }, size, shrink: false);
    }

    /// <summary>The format of an image that is found out now is that of later starts, too, whatever a guest writes meanwhile. One that is not there yet is made by its size at the next start, in the format that its name says.</summary>
    internal static DeviceDefinition WithFormat(DeviceDefinition device) => device is DiskDevice { Format: null, IsRemote: false } disk && File.Exists(disk.Path)
        ? disk with { Format = DiskTools.Inspect(disk.Path).Format == DiskFormat.Raw ? ImageFormat.Raw : ImageFormat.Qcow2 }
        : device;

    /// <summary>Keeps a definition for its next starts. What it names by a relative path is found from here as well as from anywhere.</summary>
    public void Keep(MachineDefinition definition)
    {
        if (IsEphemeral) return;
        var kept = definition.MapPaths(Path.GetFullPath);
        MachineFile.Write(Home, kept with { Name = null, Devices = [.. kept.Devices.Select(WithFormat)] });
    }

    /// <summary>Gives it settings for its next start; the same settings again change nothing for the guest.</summary>
    public void SetSeed(Seed seed)
    {
        HostFiles.Replace(Home.Seed, seed.ToDisk());
    }

    /// <summary>To be called when the machine that runs it has its files open. What is ephemeral needs no names from then on.</summary>
    public void SetStarted()
    {
        _isStarted = true;
        if (IsEphemeral) Directory.Delete(Home.Folder, recursive: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (IsNew && !_isStarted && Directory.Exists(Home.Folder)) Directory.Delete(Home.Folder, recursive: true);
        _gate?.Dispose();
    }

    private static IEnumerable<DiskDevice> One(DiskDevice? disk) => disk is null ? [] : [disk];
}
