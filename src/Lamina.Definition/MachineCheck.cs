// What can be said of a definition without asking the host: values that no machine can have, and parts of one definition that are
// in each other's way. Whoever reads a definition calls it before anything is fetched or opened; the machine calls it again.
using System.Net;
using System.Net.Sockets;

namespace Lamina.Definition;

/// <summary>Checks definitions.</summary>
public static class MachineCheck
{
    /// <summary>The bounds of <see cref="MachineDefinition.CodeCacheBytes"/>.</summary>
    public const ulong LeastCodeCache = 16ul << 20, MostCodeCache = 1ul << 30;

    /// <summary>The least memory that a guest is left with.</summary>
    public const ulong LeastMemory = 16ul << 20;

    /// <summary>How many drives an IDE controller has places for: two on each of two channels.</summary>
    public const int MostIdeDrives = 4;

    /// <summary>How many drives an AHCI controller has ports for.</summary>
    public const int MostSataDrives = 6;

    /// <summary>How many floppy drives there are at most.</summary>
    public const int MostFloppies = 2;

    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(40);

    /// <summary>Refuses what cannot be.</summary>
    /// <exception cref="MachineException">The first thing that is wrong.</exception>
    public static void Check(MachineDefinition machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        if (!Enum.IsDefined(machine.Type)) throw new MachineException($"there is no machine type {machine.Type}; use {string.Join(" or ", MachineShape.Types.Select(type => type.Word))}");
        if (machine.Boot is { Firmware: { } firmware, KernelPath: { } kernel }) throw new MachineException($"a machine boots either a kernel or firmware, and this one has both, {kernel} and {firmware}; leave out one");
        if (machine.Boot is { Firmware: not null } and ({ InitrdPath: not null } or { Modules.Count: > 0 } or { CommandLine: not null }))
            throw new MachineException("an initrd, modules and a command line are for a kernel that is loaded directly, and this machine begins with firmware; leave them out, or name a kernel");
        if (machine is { Boot.Firmware: BootSource.Ovmf, Type: not MachineType.Pc }) throw new MachineException($"the firmware {BootSource.Ovmf} needs PCI, which the machine pc has; choose it with --machine pc, or {BootSource.SeaBios}");
        if (machine.Boot.BootMenu && machine.FirmwareToBoot is null) throw new MachineException("a boot menu is firmware's, and this machine boots without; name firmware, or leave the boot menu out");
        if (machine.Boot.From != BootMedium.Disk && machine.FirmwareToBoot is null) throw new MachineException("boot says from what firmware boots, and this machine boots without; name firmware, or leave boot out");
        if (machine.Boot.From == BootMedium.Network && (machine.Type != MachineType.Pc || !machine.DevicesOf<NetworkDevice>().Any()))
            throw new MachineException(machine.Type != MachineType.Pc ? "a machine that boots from the network is one of the type pc; add --machine pc" : "a machine that boots from the network needs a network card; add one (--net user,boot=URL)");
        if (machine.Cpus < 1) throw new MachineException($"a machine cannot have {machine.Cpus} CPUs; give it at least one");
        if (machine.MostMemoryBytes is { } most && (most < machine.MemoryBytes || machine.MemoryBytes < LeastMemory))
            throw new MachineException(most < machine.MemoryBytes
                ? $"a machine that can have {ByteSize.Exact(most)} of memory at most (memory-most) cannot have {ByteSize.Exact(machine.MemoryBytes)}; raise memory-most as well, or give it less memory"
                : $"{ByteSize.Exact(machine.MemoryBytes)} of memory is too little; a machine needs at least {ByteSize.Exact(LeastMemory)}");
        if (machine.CodeCacheBytes is < LeastCodeCache or > MostCodeCache)
            throw new MachineException($"the translator's code cannot have {machine.CodeCacheBytes >> 20} MiB; give it {LeastCodeCache >> 20} to {MostCodeCache >> 20}");
        if (machine.Timeout is { } timeout && (timeout <= TimeSpan.Zero || timeout > LongestTimeout))
            throw new MachineException($"a time-out of {timeout.TotalSeconds:0.###} s is not possible; give more than 0 and at most {LongestTimeout.TotalDays:0} days");
        if (machine.StopTimeout < TimeSpan.Zero || machine.StopTimeout > LongestTimeout) throw new MachineException($"{machine.StopTimeout.TotalSeconds:0.###} s is no time to wait for a guest's end; give 0 to {LongestTimeout.TotalDays:0} days");
        if (machine.GdbPort is < 0 or > ushort.MaxValue) throw new MachineException($"{machine.GdbPort} is no TCP port; use 1 to 65535, or 0 for a free one");
        if (machine.Display is { } display)
        {
            if (machine.Type != MachineType.Pc) throw new MachineException("a display is of a machine of the kind pc; add --machine pc, or leave the display out");
            display.Check();
        }
        CheckTexts(machine);
        // What is read from words was checked then; what a program made is checked by the same tables.
        foreach (var device in machine.Devices)
        {
            CheckWhole(device);
            var kind = DeviceKind.Of(device);
            foreach (var property in kind.Write(device))
                foreach (var value in property.Values) _ = kind.With(device, property.Name, value);
        }
        CheckOnly<SerialDevice>(machine, "serial port");
        CheckOnly<ConsoleDevice>(machine, "virtio console");
        CheckOnly<RngDevice>(machine, "source of entropy");
        CheckOnly<BalloonDevice>(machine, "balloon");
        CheckOnly<VsockDevice>(machine, "socket device (vsock)");
        CheckConflicts(machine);
    }

    // A zero byte ends every text of the host's, a path above all.
    private static void CheckTexts(MachineDefinition machine)
    {
        foreach (var property in MachineShape.Shape.Write(machine).Concat(machine.Devices.SelectMany(device => DeviceKind.Of(device).Write(device))))
            if (property.Values.Any(value => value?.Contains('\0', StringComparison.Ordinal) == true)) throw new MachineException($"{property.Name}: there is a zero byte in it, which no text of a definition has; leave it out");
    }

    // What a device cannot be without.
    private static void CheckWhole(DeviceDefinition device)
    {
        switch (device)
        {
            case DiskDevice { Path: "" }:
                throw new MachineException("a disk needs the path of its image");
            case DiskDevice { IsRemote: false, Tls: not null } or DiskDevice { IsRemote: false, Reconnect: not null }:
                throw new MachineException("tls and reconnect are for disks that are NBD exports (nbd://HOST/EXPORT); leave them out for a file");
            case FloppyDevice { Path: "" }:
                throw new MachineException("a floppy drive needs the path of the disk in it");
            case ShareDevice { Path: "" } or ShareDevice { Tag: "" }:
                throw new MachineException("a shared folder needs the path of the folder and a tag by which the guest mounts it");
            case VsockDevice { Path: "" }:
                throw new MachineException("a socket device (vsock) needs the path of a Unix socket");
            case NetworkDevice { Link: NetworkLink.Switch { Path: "" } or NetworkLink.Socket { Path: "" } } card:
                throw new MachineException($"a network of the kind {(card.Link is NetworkLink.Switch ? "switch" : "socket")} needs the path of a Unix socket");
            case SerialDevice { To: ConsoleTarget.Memory { Capacity: < 1 and var capacity } }:
                throw new MachineException($"a console that keeps {capacity} bytes keeps nothing; give it a capacity");
            case ConsoleDevice { To: ConsoleTarget.Memory { Capacity: < 1 and var capacity } }:
                throw new MachineException($"a console that keeps {capacity} bytes keeps nothing; give it a capacity");
            case ChannelDevice { Port: "" }:
                throw new MachineException($"a channel needs a name by which the guest finds it (port), like {ChannelDevice.QemuAgent}");
            default:
                break;
        }
    }

    private static void CheckOnly<T>(MachineDefinition machine, string what) where T : DeviceDefinition
    {
        if (machine.DevicesOf<T>().Skip(1).Any()) throw new MachineException($"a machine has one {what}; leave out the others");
    }

    private static void CheckConflicts(MachineDefinition machine)
    {
        if (machine.DevicesOf<SerialDevice>().Any(serial => serial.To is ConsoleTarget.Stdio) && machine.DevicesOf<ConsoleDevice>().Any(console => console.To is ConsoleTarget.Stdio))
            throw new MachineException("the serial port and the virtio console cannot both use the standard input and output; send one of them elsewhere");
        Once(machine.Devices.Select(device => device.Name).Where(name => name.Length > 0), name => $"two devices have the name {name}; give each its own");
        Once(machine.DevicesOf<ShareDevice>().Select(share => share.Tag), tag => $"two shared folders have the same tag, {tag}; give each its own");
        Once(machine.DevicesOf<ChannelDevice>().Select(channel => channel.Port), port => $"two channels have the name {port}; give each its own");
        Once(machine.DevicesOf<DiskDevice>().Select(disk => disk.Serial).Where(serial => serial.Length > 0), serial => $"two disks have the same serial number, {serial}; give each its own");
        Once(machine.DevicesOf<NetworkDevice>().Select(card => card.Mac).OfType<string>(), mac => $"two network cards have the address {mac}; give each its own");
        Once(machine.DevicesOf<NetworkDevice>().Select(card => (card.Link as NetworkLink.Tap)?.Interface).OfType<string>(), name => $"two network cards use the interface {name}; give each its own");
        Once(OwnFiles(machine).Select(Path.GetFullPath), path => $"two devices use {path}; give each a path of its own");
        CheckDisks(machine);
        CheckDrives(machine);
        CheckCards(machine);
        CheckPorts(machine);
        CheckShares(machine);
    }

    /// <summary>Refuses shares and limits that contradict one another.</summary>
    /// <exception cref="MachineException">They do.</exception>
    public static void CheckShares(MachineDefinition machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        if (machine.MemoryLimit is { } limit && (limit < MachineDefinition.LeastBesideMemory || limit - MachineDefinition.LeastBesideMemory < machine.MemoryBytes))
            throw new MachineException($"a memory limit of {ByteSize.Format(limit)} (memory-limit) is too little for a guest with {ByteSize.Format(machine.MemoryBytes)} and what its process needs beside; let it be {ByteSize.Exact(machine.MemoryBytes + MachineDefinition.LeastBesideMemory)} at least, or give the guest less memory");
        if (machine.MemoryLeast > machine.MemoryBytes) throw new MachineException($"the guest is to have {ByteSize.Format(machine.MemoryLeast.Value)} at least (memory-least), and it has {ByteSize.Format(machine.MemoryBytes)} in all; let it have less at least, or more memory");
        if (machine.CpuReserve > machine.CpuLimit.Cap) throw new MachineException($"{machine.CpuReserve}% of a processor are reserved for the machine (cpu-reserve), and it may take {machine.CpuLimit.Cap}% (cpu-cap); reserve less, or let it take more");
        if (machine.CpuReserve > 100 * machine.Cpus) throw new MachineException($"{machine.CpuReserve}% of a processor are reserved for the machine (cpu-reserve), and its CPUs can take {100 * machine.Cpus}%; reserve less, or give it more CPUs");
    }

    // Files and sockets that a device makes for itself. A switch's socket may be used by several cards.
    private static IEnumerable<string> OwnFiles(MachineDefinition machine) => machine.Devices.Select(device => device switch
    {
        SerialDevice { To: ConsoleTarget.Unix unix } => unix.Path,
        SerialDevice { To: ConsoleTarget.File file } => file.Path,
        ConsoleDevice { To: ConsoleTarget.Unix unix } => unix.Path,
        ConsoleDevice { To: ConsoleTarget.File file } => file.Path,
        ChannelDevice channel => channel.Path,
        VsockDevice vsock => vsock.Path,
        _ => null,
    }).Append(machine.Display?.Path).OfType<string>().Where(path => path.Length > 0 && path != "/dev/null");

    // The same file by another name is found when it is opened.
    private static void CheckDisks(MachineDefinition machine)
    {
        foreach (var disks in machine.DevicesOf<DiskDevice>().GroupBy(disk => disk.IsRemote ? disk.Path : Path.GetFullPath(disk.Path)).Where(disks => disks.Count() > 1))
            if (disks.Any(disk => !disk.ReadOnly && !disk.Temporary)) throw new MachineException($"the disk {disks.First().Path} is given twice; a machine can share an image with itself only where both are read only");
    }

    // What a kind of machine has no controller for, or none with so many places.
    private static void CheckDrives(MachineDefinition machine)
    {
        foreach (var (bus, word, most) in ((DriveBus, string, int)[])[(DriveBus.Ide, "ide", MostIdeDrives), (DriveBus.Sata, "sata", MostSataDrives), (DriveBus.Nvme, "nvme", int.MaxValue)])
        {
            var drives = machine.Devices.Where(device => BusOf(device) == bus).ToList();
            if (drives.Count > 0 && machine.Type != MachineType.Pc) throw new MachineException($"{(drives[0] is DiskDevice ? $"a disk with bus={word}" : "a CD drive")} needs a machine of the type pc; add --machine pc");
            if (drives.Count > most) throw new MachineException($"a machine has places for {most} disks and CD drives with bus={word}, and this one would have {drives.Count}; connect some otherwise");
        }
        if (machine.DevicesOf<CdromDevice>().Any(cdrom => cdrom.Bus is not (DriveBus.Ide or DriveBus.Sata))) throw new MachineException("a CD drive is connected by IDE or by SATA; choose bus=ide or bus=sata for it");
        var floppies = machine.DevicesOf<FloppyDevice>().Count();
        if (floppies > 0 && machine.Type != MachineType.Pc) throw new MachineException("a floppy drive needs a machine of the type pc; add --machine pc");
        if (floppies > MostFloppies) throw new MachineException($"a machine has {MostFloppies} floppy drives at most, and this one would have {floppies}; leave out the others");
        if (machine.DevicesOf<DiskDevice>().FirstOrDefault(disk => disk.Bus is not (DriveBus.Virtio or DriveBus.Nvme) && disk.Queues is not null) is { } disk)
            throw new MachineException($"the disk {disk.Path} is connected neither by virtio nor by NVMe, and only such have queues to choose; leave queues={disk.Queues} out");
    }

    private static void CheckCards(MachineDefinition machine)
    {
        if (machine.DevicesOf<NetworkDevice>().FirstOrDefault(card => card.Model != NetworkModel.Virtio) is not { } card) return;
        var word = card.Model == NetworkModel.E1000 ? "e1000" : "e1000e";
        if (machine.Type != MachineType.Pc) throw new MachineException($"a network card with model={word} needs a machine of the type pc; add --machine pc");
        if (machine.DevicesOf<NetworkDevice>().FirstOrDefault(other => other.Model != NetworkModel.Virtio && other.Queues != 1) is { } queued)
            throw new MachineException($"only a virtio card has queues to choose; leave queues={queued.Queues} out, or model={(queued.Model == NetworkModel.E1000 ? "e1000" : "e1000e")}");
    }

    private static DriveBus? BusOf(DeviceDefinition device) => device switch { DiskDevice disk => disk.Bus, CdromDevice cdrom => cdrom.Bus, _ => null };

    private static void CheckPorts(MachineDefinition machine)
    {
        var ports = machine.DevicesOf<NetworkDevice>().Select(card => card.Link).OfType<NetworkLink.User>().SelectMany(link => link.Published).Where(port => port.Host.Port != 0).ToList();
        for (var i = 0; i < ports.Count; i++)
            if (ports.Take(i).FirstOrDefault(other => Overlap(ports[i], other)) is { } other)
                throw new MachineException($"the {(other.IsUdp ? "UDP" : "TCP")} port {other.Host.Port} of the host is published twice, to the guest's ports {other.GuestPort} and {ports[i].GuestPort}; give each a port of its own");
        if (machine.GdbPort is { } gdb and not 0 && ports.Any(port => Overlap(port, new PublishedPort(new IPEndPoint(IPAddress.Loopback, gdb), 0))))
            throw new MachineException($"the TCP port {gdb} of the host is both published and gdb's; give each a port of its own");
        CheckDisplay(machine, ports);
    }

    private static void CheckDisplay(MachineDefinition machine, List<PublishedPort> ports)
    {
        PublishedPort[] own = [.. machine.Display?.Ports.Where(port => port.Port != 0).Select(port => new PublishedPort(port, 1)) ?? []];
        foreach (var port in own)
            if (ports.Any(other => Overlap(other, port)) || machine.GdbPort is { } gdb && Overlap(port, new PublishedPort(new IPEndPoint(IPAddress.Loopback, gdb), 1)))
                throw new MachineException($"the TCP port {port.Host.Port} of the host is both the display's and published or gdb's; give each a port of its own");
        if (own is [var first, var second] && Overlap(first, second)) throw new MachineException($"the TCP port {first.Host.Port} of the host is the display's both for VNC and for WebSocket; give each a port of its own");
    }

    private static bool Overlap(PublishedPort a, PublishedPort b) => a.IsUdp == b.IsUdp && a.Host.Port == b.Host.Port && a.Host.AddressFamily == b.Host.AddressFamily
        && (a.Host.Address.Equals(b.Host.Address) || IsAny(a.Host.Address) || IsAny(b.Host.Address));

    private static bool IsAny(IPAddress address) => address.Equals(address.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any);

    private static void Once(IEnumerable<string> values, Func<string, string> sentence)
    {
        var seen = new HashSet<string>();
        foreach (var value in values)
            if (!seen.Add(value)) throw new MachineException(sentence(value));
    }
}
