// What a machine's process may do, by its definition: which files and folders it reaches, whether it uses TCP ports, which system calls it
// makes. The first two are laid upon the process before it begins (MachineLauncher, by LockPlan), the third by itself before the guest's first
// instruction (MachineProcess). docs/security.md says what protects whom from what.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Backends.Disk;
using Lamina.Folders;
using Lamina.Host.Locks;
using Lamina.Hypervisor.Stored;
using Lamina.Images.Bios;

namespace Lamina.Hypervisor.Locking;

/// <summary>What one machine's process may do.</summary>
internal static class MachineLock
{
    internal const PathRights ReadWrite = PathRights.Read | PathRights.Write, Folder = ReadWrite | PathRights.Change;

    private const PathRights Program = PathRights.Read | PathRights.Execute;

    // A chain of images that is longer is refused when it is opened.
    private const int LongestChain = 64;

    // What the runtime and the C library read of a host. Of what is reached later (Later) each has its own: in a root of its own it lies below nothing else that is here.
    private static readonly PathRule[] Host =
    [
        new("/usr", Program), new("/lib", Program), new("/lib64", Program), new("/etc", PathRights.Read), new("/proc", PathRights.Read), new("/sys", PathRights.Read), new("/sys/fs/cgroup", PathRights.Read), new("/run/systemd/resolve", PathRights.Read),
        new("/dev/null", ReadWrite), new("/dev/zero", PathRights.Read), new("/dev/full", ReadWrite), new("/dev/random", PathRights.Read), new("/dev/urandom", PathRights.Read),
    ];

    /// <summary>The paths that a machine's process reaches.</summary>
    /// <param name="home">Its folder.</param>
    /// <param name="definition">What it is; null where that cannot be read, which its process will say.</param>
    /// <param name="program">The program that its process executes.</param>
    internal static IEnumerable<PathRule> Paths(MachineHome home, MachineDefinition? definition, string program) => [.. OfEvery(home, program), .. definition is null ? [] : OfDefinition(home, definition)];

    private static IEnumerable<PathRule> OfEvery(MachineHome home, string program) =>
        [.. OfProgram(program), new(home.Folder, PathRights.Read), new(home.Work, Folder), new(home.Lock, ReadWrite), new(home.Disk, ReadWrite)];

    /// <summary>Those that the program reaches whatever its machine is.</summary>
    internal static IEnumerable<PathRule> OfProgram(string program)
    {
        foreach (var rule in Host) yield return rule;
        yield return new PathRule(Path.GetDirectoryName(program)!, Program);
        yield return new PathRule(AppContext.BaseDirectory, Program);
        // Where code is compiled as it runs, by the runtime that runs this.
        if (RuntimeFeature.IsDynamicCodeSupported) yield return new PathRule(Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..")), Program);
        if (UserFolders.Cache is { } cache)
            foreach (var name in (string[])["images", "kernels", "firmware", "kvm-speed", "tsc-rate"]) yield return new PathRule(Path.Combine(cache, name), PathRights.Read);
    }

    /// <summary>Those of them that its definition names.</summary>
    // What lies in run/ is reached with that, and may be a link that the process left there.
    internal static IEnumerable<PathRule> OfDefinition(MachineHome home, MachineDefinition definition) => Named(definition).Where(rule => !$"{Path.GetFullPath(rule.Path)}/".StartsWith(home.Work + "/", StringComparison.Ordinal));

    /// <summary>Those that a definition names, wherever they lie.</summary>
    internal static IEnumerable<PathRule> Named(MachineDefinition definition)
    {
        foreach (var path in (IEnumerable<string?>)[definition.Boot.KernelPath, definition.Boot.InitrdPath, definition.Boot.Firmware is { } firmware && !BootSource.IsFirmwareName(firmware) ? firmware : null, .. definition.Boot.Modules.Select(module => module.Path)])
            if (path is not null) yield return new PathRule(path, PathRights.Read);
        if (definition is { Type: MachineType.Pc, FirmwareToBoot: { } begins } && FirmwareStore.DisplayPathOf(begins) is { } display) yield return new PathRule(display, PathRights.Read);
        foreach (var (_, rom) in FirmwareStore.CardPathsOf(definition)) yield return new PathRule(rom, PathRights.Read);
        if (definition.FirmwareToBoot is { } flashed && FirmwareStore.VariablesPathOf(flashed) is { } variables) yield return new PathRule(variables, PathRights.Read);
        if (definition.Display?.PasswordFile is { } password) yield return new PathRule(password, PathRights.Read);
        foreach (var file in definition.Display?.TlsFiles ?? []) yield return new PathRule(file, PathRights.Read);
        if (definition.Display?.Path is { } screen) yield return new PathRule(Above(screen), Folder);
        if (definition.CodeArchive is { } archive and not "off") yield return new PathRule(archive, Folder);
        if (definition.Engine != EngineChoice.Translator) yield return new PathRule("/dev/kvm", ReadWrite | PathRights.Control);
        foreach (var rule in definition.Devices.SelectMany(Of)) yield return rule;
    }

    /// <summary>What of these paths it reaches when all is open that it needs to begin, with those of its control groups.</summary>
    /// <param name="home">Its folder.</param>
    /// <param name="definition">What it is; null where that cannot be read, which its process will say.</param>
    /// <param name="program">The program that its process executes.</param>
    internal static IEnumerable<PathRule> Later(MachineHome home, MachineDefinition? definition, string program)
    {
        // Code that is compiled as it runs is read from files as it is needed.
        if (RuntimeFeature.IsDynamicCodeSupported) return Paths(home, definition, program);
        IEnumerable<PathRule> always = [new(home.Work, Folder), new("/proc", PathRights.Read), new("/sys/fs/cgroup", PathRights.Read), new("/dev/null", ReadWrite)];
        if (definition is null) return always;
        // Which name servers there are changes when the host's network does.
        IEnumerable<PathRule> names = definition.DevicesOf<NetworkDevice>().Any(card => card.Link is NetworkLink.User) ? [new("/etc", PathRights.Read), new("/run/systemd/resolve", PathRights.Read)] : [];
        return [.. always, .. names, .. definition.DevicesOf<DiskDevice>().SelectMany(RemoteSocket), .. Written(definition).Select(folder => new PathRule(folder, Folder))];
    }

    /// <summary>Folders beside its own in which it makes sockets and files while it runs.</summary>
    internal static IEnumerable<string> Written(MachineDefinition definition)
    {
        if (definition.CodeArchive is { } archive and not "off") yield return Path.GetFullPath(archive);
        if (definition.Display?.Path is { } screen) yield return Above(screen);
        foreach (var device in definition.Devices)
        {
            var path = device switch
            {
                VsockDevice vsock => vsock.Path,
                SerialDevice { To: ConsoleTarget.Unix unix } => unix.Path,
                ConsoleDevice { To: ConsoleTarget.Unix unix } => unix.Path,
                NetworkDevice { Link: NetworkLink.Switch link } => link.Path,
                _ => null,
            };
            if (path is not null) yield return Above(path);
        }
    }

    /// <summary>What of a machine is on the host's network, in words; null where nothing is.</summary>
    internal static string? UsesNetwork(MachineDefinition definition) =>
        definition.GdbPort is not null ? "the debugger's port" : definition.Display?.Ports.Any() == true ? "the display's port" : definition.DevicesOf<NetworkDevice>().FirstOrDefault(card => card.Link is NetworkLink.User or NetworkLink.Tap) is { } card ? $"the network card {card.Name}".TrimEnd()
        : definition.DevicesOf<DiskDevice>().FirstOrDefault(disk => disk.IsOnNetwork) is { } remote ? $"the server of the disk {remote.Name}".TrimEnd() : null;

    /// <summary>Whether a machine's process uses TCP ports.</summary>
    internal static bool UsesTcp(MachineDefinition? definition) => definition is null || definition.GdbPort is not null || definition.Display?.Ports.Any() == true || definition.DevicesOf<NetworkDevice>().Any(card => card.Link is NetworkLink.User) || definition.DevicesOf<DiskDevice>().Any(disk => disk.IsOnNetwork);

    /// <summary>What of root's rights a machine's process keeps, where root starts it and it stays root; and until it does not.</summary>
    internal static HostCapabilities Keeps(MachineDefinition? definition)
    {
        var keeps = HostCapabilities.Files | HostCapabilities.Users | HostCapabilities.LockedMemory | HostCapabilities.Scheduling;
        if (definition is null || definition.DevicesOf<ShareDevice>().Any()) keeps |= HostCapabilities.Nodes;
        if (definition is null || definition.DevicesOf<NetworkDevice>().Any()) keeps |= HostCapabilities.LowPorts | HostCapabilities.Interfaces;
        return keeps;
    }

    /// <summary>What a machine's process needs system calls for.</summary>
    internal static CallGroup Calls(MachineDefinition definition)
    {
        var groups = RuntimeFeature.IsDynamicCodeSupported ? CallGroup.Compiler : CallGroup.Machine;
        if (definition.GdbPort is not null || definition.DevicesOf<NetworkDevice>().Any(card => card.Link is NetworkLink.User or NetworkLink.Tap) || definition.DevicesOf<DiskDevice>().Any(disk => disk.IsOnNetwork)) groups |= CallGroup.Sockets;
        if (definition.DevicesOf<VsockDevice>().Any() || definition.DevicesOf<DiskDevice>().Any(disk => disk.IsRemote) || definition.DevicesOf<NetworkDevice>().Any()) groups |= CallGroup.LocalSockets;
        if (definition.DevicesOf<ShareDevice>().Any()) groups |= CallGroup.Folders;
        if (definition.DevicesOf<DiskDevice>().Any(disk => disk.Direct && disk.Aio != AioMode.Threads)) groups |= CallGroup.Ring;
        return groups;
    }

    private static IEnumerable<PathRule> Of(DeviceDefinition device) => device switch
    {
        DiskDevice { IsRemote: true } disk => [.. RemoteSocket(disk), .. disk.Tls is { } folder ? [new(folder, PathRights.Read)] : Array.Empty<PathRule>()],
        DiskDevice disk => [new(disk.Path, (disk.ReadOnly || disk.Temporary ? PathRights.Read : ReadWrite) | PathRights.Control), .. Backing(disk)],
        FloppyDevice floppy => [new(floppy.Path, PathRights.Read | PathRights.Control)],
        CdromDevice { Path.Length: > 0 } cdrom => [new(cdrom.Path, PathRights.Read | PathRights.Control)],
        ShareDevice share => [new(share.Path, share.ReadOnly ? PathRights.Read : Folder)],
        VsockDevice vsock => [new(Above(vsock.Path), Folder)],
        SerialDevice serial => Of(serial.To),
        ConsoleDevice console => Of(console.To),
        ChannelDevice { Path.Length: > 0 } channel => [new(Above(channel.Path), Folder)],
        NetworkDevice { Link: NetworkLink.Switch link } => [new(Above(link.Path), Folder)],
        NetworkDevice { Link: NetworkLink.Socket link } => [new(link.Path, ReadWrite)],
        NetworkDevice { Link: NetworkLink.Tap } => [new("/dev/net/tun", ReadWrite | PathRights.Control)],
        _ => [],
    };

    // Where the socket of a disk's server is, by which it is connected to again; of the folder's files none is read or written. A server that was
    // started again has made another socket.
    private static IEnumerable<PathRule> RemoteSocket(DiskDevice disk) => disk.RemoteSocket is { } socket ? [new(Above(socket), PathRights.None)] : [];

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

    internal static string Above(string path) => Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
}
