// What a machine's process may do, by its definition: which files and folders it reaches, whether it uses TCP ports, which system calls it
// makes. The first two are laid upon the process before it begins (MachineLauncher), the third by itself before the guest's first
// instruction (MachineProcess). docs/security.md says what protects whom from what.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Backends.Disk;
using Lamina.Folders;
using Lamina.Host.Locks;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Locking;

/// <summary>What one machine's process may do.</summary>
internal static class MachineLock
{
    private const PathRights ReadWrite = PathRights.Read | PathRights.Write, Folder = ReadWrite | PathRights.Change, Program = PathRights.Read | PathRights.Execute;

    // A chain of images that is longer is refused when it is opened.
    private const int LongestChain = 64;

    // What the runtime and the C library read of a host.
    private static readonly PathRule[] Host =
    [
        new("/usr", Program), new("/lib", Program), new("/lib64", Program), new("/etc", PathRights.Read), new("/proc", PathRights.Read), new("/sys", PathRights.Read), new("/run/systemd/resolve", PathRights.Read),
        new("/dev/null", ReadWrite), new("/dev/zero", PathRights.Read), new("/dev/full", ReadWrite), new("/dev/random", PathRights.Read), new("/dev/urandom", PathRights.Read),
    ];

    /// <summary>The paths that a machine's process reaches.</summary>
    /// <param name="home">Its folder.</param>
    /// <param name="definition">What it is; null where that cannot be read, which its process will say.</param>
    /// <param name="program">The program that its process executes.</param>
    internal static IEnumerable<PathRule> Paths(MachineHome home, MachineDefinition? definition, string program)
    {
        foreach (var rule in Host) yield return rule;
        yield return new PathRule(Path.GetDirectoryName(program)!, Program);
        yield return new PathRule(AppContext.BaseDirectory, Program);
        // Where code is compiled as it runs, by the runtime that runs this.
        if (RuntimeFeature.IsDynamicCodeSupported) yield return new PathRule(Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..")), Program);
        if (UserFolders.Cache is { } cache)
            foreach (var name in (string[])["images", "kvm-speed", "tsc-rate"]) yield return new PathRule(Path.Combine(cache, name), PathRights.Read);
        yield return new PathRule(home.Folder, PathRights.Read);
        yield return new PathRule(home.Work, Folder);
        yield return new PathRule(home.Lock, ReadWrite);
        yield return new PathRule(home.Disk, ReadWrite);
        if (definition is null) yield break;
        foreach (var path in (IEnumerable<string?>)[definition.Boot.KernelPath, definition.Boot.InitrdPath, .. definition.Boot.Modules.Select(module => module.Path)])
            if (path is not null) yield return new PathRule(path, PathRights.Read);
        if (definition.CodeArchive is { } archive and not "off") yield return new PathRule(archive, Folder);
        if (definition.Engine != EngineChoice.Translator) yield return new PathRule("/dev/kvm", ReadWrite | PathRights.Control);
        foreach (var rule in definition.Devices.SelectMany(Of)) yield return rule;
    }

    /// <summary>Whether a machine's process uses TCP ports.</summary>
    internal static bool UsesTcp(MachineDefinition? definition) => definition is null || definition.GdbPort is not null || definition.DevicesOf<NetworkDevice>().Any(card => card.Link is NetworkLink.User);

    /// <summary>What a machine's process needs system calls for.</summary>
    internal static CallGroup Calls(MachineDefinition definition)
    {
        var groups = RuntimeFeature.IsDynamicCodeSupported ? CallGroup.Compiler : CallGroup.Machine;
        if (definition.GdbPort is not null || definition.DevicesOf<NetworkDevice>().Any(card => card.Link is NetworkLink.User or NetworkLink.Tap)) groups |= CallGroup.Sockets;
        if (definition.DevicesOf<VsockDevice>().Any() || definition.DevicesOf<NetworkDevice>().Any()) groups |= CallGroup.LocalSockets;
        if (definition.DevicesOf<ShareDevice>().Any()) groups |= CallGroup.Folders;
        if (definition.DevicesOf<DiskDevice>().Any(disk => disk.Direct && disk.Aio != AioMode.Threads)) groups |= CallGroup.Ring;
        return groups;
    }

    private static IEnumerable<PathRule> Of(DeviceDefinition device) => device switch
    {
        DiskDevice disk => [new(disk.Path, (disk.ReadOnly || disk.Temporary ? PathRights.Read : ReadWrite) | PathRights.Control), .. Backing(disk)],
        ShareDevice share => [new(share.Path, share.ReadOnly ? PathRights.Read : Folder)],
        VsockDevice vsock => [new(Above(vsock.Path), Folder)],
        SerialDevice serial => Of(serial.To),
        ConsoleDevice console => Of(console.To),
        ChannelDevice { Path.Length: > 0 } channel => [new(Above(channel.Path), Folder)],
        NetworkDevice { Link: NetworkLink.Switch link } => [new(Above(link.Path), Folder)],
        NetworkDevice { Link: NetworkLink.Tap } => [new("/dev/net/tun", ReadWrite | PathRights.Control)],
        _ => [],
    };

    private static IEnumerable<PathRule> Of(ConsoleTarget target) => target switch
    {
        ConsoleTarget.File file => [new(File.Exists(file.Path) ? file.Path : Above(file.Path), Folder)],
        ConsoleTarget.Unix unix => [new(Above(unix.Path), Folder)],
        _ => [],
    };

    private static IEnumerable<PathRule> Backing(DiskDevice disk)
    {
        if (!disk.TrustsBacking) return disk.Backing.Select(path => new PathRule(path, PathRights.Read));
        var found = new List<PathRule>();
        try
        {
            var image = disk.Path;
            while (found.Count < LongestChain && DiskTools.Inspect(image).BackingFile is { } name)
            {
                image = Path.Combine(Above(image), name);
                found.Add(new PathRule(image, PathRights.Read));
            }
        }
        catch (IOException)
        {
            // Who opens the disk says what is wrong with it.
        }
        return found;
    }

    private static string Above(string path) => Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
}
