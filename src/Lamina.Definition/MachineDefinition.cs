// What a machine is to be: values only, which can be written to a file and read back (DefinitionJson). Nothing is opened here, and
// the host is not asked; MachineCheck says what can be said without it. What is alive (who is told of events, channels and
// networks of the program's own, its clock) is not part of it: MachineHooks of Lamina.Machine.
namespace Lamina.Definition;

/// <summary>The kinds of machine.</summary>
public enum MachineType
{
    /// <summary>No PCI: a kernel is booted directly, or firmware; serial port and virtio over MMIO.</summary>
    Micro,

    /// <summary>A PC: PCI with virtio devices on it, a chipset that firmware and operating systems for PCs know.</summary>
    Pc,
}

/// <summary>From what firmware boots first; where that is none, it goes on to the others.</summary>
public enum BootMedium
{
    /// <summary>The first disk, then CDs.</summary>
    Disk,

    /// <summary>CDs, then the first disk.</summary>
    Cdrom,

    /// <summary>The network, by the first card's own firmware, then disks and CDs.</summary>
    Network,
}

/// <summary>Which CPU engine runs the guest.</summary>
public enum EngineChoice
{
    /// <summary>The best that this host offers; the machine says which and why.</summary>
    Auto,

    /// <summary>The binary translator: needs no hardware support and no privilege.</summary>
    Translator,

    /// <summary>The host's hardware virtualization through /dev/kvm.</summary>
    Kvm,
}

/// <summary>Where the interrupt controllers of a machine on KVM are.</summary>
public enum IrqchipChoice
{
    /// <summary>As many in the host's kernel as it offers.</summary>
    Auto,

    /// <summary>The local APICs in the host's kernel, the I/O APIC and the 8259 pair in the machine.</summary>
    Split,

    /// <summary>All in the host's kernel.</summary>
    Kernel,

    /// <summary>All in the machine.</summary>
    User,
}

/// <summary>Whether a machine's process is locked: kept from all that its machine does not need.</summary>
public enum LockMode
{
    /// <summary>By all that the host offers; what it does not is told.</summary>
    On,

    /// <summary>By all of it, or the machine does not start.</summary>
    Strict,

    /// <summary>Not at all.</summary>
    Off,
}

/// <summary>A file that is handed to a Multiboot kernel beside the kernel.</summary>
/// <param name="Path">The file.</param>
/// <param name="CommandLine">Arguments. The module's string is the path, a space and these, as GRUB legacy and QEMU write it.</param>
public sealed record BootModule(string Path, string CommandLine = "")
{
    /// <summary>Reads "FILE" or "FILE ARGS".</summary>
    public static BootModule Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        return space < 0 ? new BootModule(text) : new BootModule(text[..space], text[(space + 1)..]);
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString() => CommandLine.Length == 0 ? Path : $"{Path} {CommandLine}";
}

/// <summary>What the machine boots.</summary>
public sealed record BootSource
{
    /// <summary>A bzImage, an ELF kernel (PVH note or 64-bit vmlinux) or a Multiboot 1 image, told apart by content; null where it is not said.</summary>
    public string? KernelPath { get; init; }

    /// <summary>The initial RAM disk, or null. A Multiboot kernel gets it as its first module.</summary>
    public string? InitrdPath { get; init; }

    /// <summary>The kernel's command line, passed on as it is; null for <see cref="DefaultCommandLine"/>. A Multiboot kernel gets the kernel's path and a space before it.</summary>
    public string? CommandLine { get; init; }

    /// <summary>Multiboot modules, in order; PVH kernels get them after the initrd. Other kernels take none.</summary>
    public IReadOnlyList<BootModule> Modules { get; init; } = [];

    /// <summary>The firmware that boots what it finds on the disks: a file, <see cref="SeaBios"/> or <see cref="Ovmf"/>; null where none is said.</summary>
    public string? Firmware { get; init; }

    /// <summary>Whether a compressed kernel unpacks itself in the guest, as where a PC's boot loader loads it; else it is loaded unpacked where that can be.</summary>
    public bool SelfUnpack { get; init; }

    /// <summary>Whether the firmware waits for a key that leads to a menu of what can be booted.</summary>
    public bool BootMenu { get; init; }

    /// <summary>From what the firmware boots first.</summary>
    public BootMedium From { get; init; }

    /// <summary>The names of the firmware that is fetched: a PC's BIOS, and UEFI.</summary>
    public const string SeaBios = "seabios", Ovmf = "ovmf";

    /// <summary>Whether firmware is a name, and not a file: such a file is written with a folder, ./seabios.</summary>
    public static bool IsFirmwareName(string firmware) => firmware is SeaBios or Ovmf;

    /// <summary>The command line where none is given: Linux's console on the first serial port.</summary>
    public const string DefaultCommandLine = "console=ttyS0";
}

/// <summary>The definition of one machine.</summary>
public sealed record MachineDefinition
{
    /// <summary>Memory where nothing is said.</summary>
    public const ulong UsualMemory = 256ul << 20;

    /// <summary>The time that a guest has to power off where nothing is said.</summary>
    public static readonly TimeSpan UsualStopTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Its name: lower-case letters, digits and hyphens; null for one that has none.</summary>
    public string? Name { get; init; }

    /// <summary>The image that it was made of, or null.</summary>
    public string? Image { get; init; }

    /// <summary>That image's version, or null.</summary>
    public string? ImageVersion { get; init; }

    /// <summary>When it was made of that image, or null.</summary>
    public DateTimeOffset? Made { get; init; }

    /// <summary>The kind of machine.</summary>
    public MachineType Type { get; init; } = MachineType.Micro;

    /// <summary>What it boots.</summary>
    public BootSource Boot { get; init; } = new();

    /// <summary>The firmware that it begins with; null where a kernel is loaded. A machine that has disks, and of which nothing is said, boots from them.</summary>
    public string? FirmwareToBoot => Boot.Firmware ?? (Boot.KernelPath is null && Image is null && (Boot.From == BootMedium.Network || Devices.Any(device => device is DiskDevice or FloppyDevice or CdromDevice { Path.Length: > 0 })) ? BootSource.SeaBios : null);

    /// <summary>Memory that the guest has to itself, in bytes: a multiple of 4 KiB, from 16 MiB on.</summary>
    public ulong MemoryBytes { get; init; } = UsualMemory;

    /// <summary>The most that <see cref="MemoryBytes"/> can become while the machine runs; null: what it is at the start.</summary>
    public ulong? MostMemoryBytes { get; init; }

    /// <summary>The machine's RAM in bytes: all that its guest can have. What is over <see cref="MemoryBytes"/> its balloon holds.</summary>
    public ulong RamBytes => MostMemoryBytes ?? MemoryBytes;

    /// <summary>What the guest is to have of it at least while the host runs short, in bytes: it does without the rest then. Null: it keeps all.</summary>
    public ulong? MemoryLeast { get; init; }

    /// <summary>Whether the guest's memory is in the host's huge pages, as far as it has them.</summary>
    public bool HugePages { get; init; } = true;

    /// <summary>Whether the host may keep pages once that are the same as another machine's.</summary>
    public bool SharesPages { get; init; }

    /// <summary>Virtual CPUs.</summary>
    public int Cpus { get; init; } = 1;

    /// <summary>What it may take of the host's processors.</summary>
    public CpuLimit CpuLimit { get; init; } = new();

    /// <summary>Processor time that is kept for it, in percent of one processor; or null.</summary>
    public int? CpuReserve { get; init; }

    /// <summary>Memory of the host that is kept for it, in bytes; or null.</summary>
    public ulong? MemoryReserve { get; init; }

    /// <summary>The most memory of the host that its process takes, in bytes; or null.</summary>
    public ulong? MemoryLimit { get; init; }

    /// <summary>What a process needs beside its guest's memory at least, in bytes, so that <see cref="MemoryLimit"/> ends no machine: the program, code that is translated, what devices keep.</summary>
    public const ulong LeastBesideMemory = 192ul << 20;

    /// <summary>The pool that it is in, or null.</summary>
    public string? Pool { get; init; }

    /// <summary>The CPU that the guest sees, in words; null for the host's.</summary>
    public string? Cpu { get; init; }

    /// <summary>Which engine runs the guest.</summary>
    public EngineChoice Engine { get; init; } = EngineChoice.Auto;

    /// <summary>Where the interrupt controllers are.</summary>
    public IrqchipChoice Irqchip { get; init; } = IrqchipChoice.Auto;

    /// <summary>The most memory for the translator's code, in bytes; null for the usual.</summary>
    public ulong? CodeCacheBytes { get; init; }

    /// <summary>The folder in which the translator keeps code from one run to the next, or "off"; null where it is not said, and nothing is kept.</summary>
    public string? CodeArchive { get; init; }

    /// <summary>Whether its process is locked, where it has one of its own.</summary>
    public LockMode Lock { get; init; }

    /// <summary>Ends the machine where it would otherwise start again: on a guest's reset and on a triple fault.</summary>
    public bool NoReboot { get; init; }

    /// <summary>Ends the machine after this time of running, or null.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>How long a guest that is asked to power off may take before the plug is pulled; zero: it is not asked.</summary>
    public TimeSpan StopTimeout { get; init; } = UsualStopTimeout;

    /// <summary>A port where a write of v ends the machine with exit code (v &lt;&lt; 1) | 1, or null.</summary>
    public ushort? DebugExitPort { get; init; }

    /// <summary>A TCP port on 127.0.0.1 where a debugger is waited for before the guest's first instruction; 0 picks one; null for none.</summary>
    public int? GdbPort { get; init; }

    /// <summary>The registers that the debugger is told of.</summary>
    public GdbArchitecture GdbArchitecture { get; init; }

    /// <summary>Where its screen can be looked at over VNC; null for nowhere.</summary>
    public ScreenServer? Display { get; init; }

    /// <summary>Its devices; those of one kind in the order in which the guest finds them. What every machine has need not be in it (<see cref="Complete"/>).</summary>
    public IReadOnlyList<DeviceDefinition> Devices { get; init; } = [];

    /// <summary>The devices of a kind.</summary>
    public IEnumerable<T> DevicesOf<T>() where T : DeviceDefinition => Devices.OfType<T>();

    /// <summary>The same machine with more devices.</summary>
    public MachineDefinition With(params IEnumerable<DeviceDefinition> devices) => this with { Devices = [.. Devices, .. devices] };

    /// <summary>The same machine without the devices of a kind.</summary>
    public MachineDefinition Without<T>() where T : DeviceDefinition => this with { Devices = [.. Devices.Where(device => device is not T)] };

    /// <summary>The same machine with another limit of a disk's or a network card's, which is called by its name.</summary>
    /// <exception cref="MachineException">There is no such device, or what it moves cannot be limited.</exception>
    public MachineDefinition WithRate(string device, RateLimit limit)
    {
        var found = false;
        var devices = Devices.Select(other => other.Name != device ? other : (found = true, other) switch
        {
            (_, DiskDevice disk) => disk with { Limit = limit },
            (_, NetworkDevice card) => card with { Limit = limit },
            _ => throw new MachineException($"what the device {device} moves cannot be limited; disks and network cards have limits"),
        }).ToList();
        return found ? this with { Devices = devices } : throw new MachineException($"the machine has no device {device}; it has {Property.Enumerate([.. Devices.Select(other => other.Name)])}");
    }

    /// <summary>The same machine with what every machine has (a serial port, a console, a source of entropy; a balloon where its memory can change) in its list, and with a name for each device: disk0, disk1, network0 …</summary>
    public MachineDefinition Complete()
    {
        var devices = Devices.ToList();
        if (!devices.OfType<SerialDevice>().Any()) devices.Add(new SerialDevice());
        if (!devices.OfType<ConsoleDevice>().Any()) devices.Add(new ConsoleDevice());
        if (!devices.OfType<RngDevice>().Any()) devices.Add(new RngDevice());
        if ((MostMemoryBytes ?? MemoryLeast) is not null && !devices.OfType<BalloonDevice>().Any()) devices.Add(new BalloonDevice());
        var taken = devices.Select(device => device.Name).ToHashSet();
        for (var i = 0; i < devices.Count; i++)
        {
            var device = devices[i];
            if (device.Name.Length > 0) continue;
            var number = 0;
            while (!taken.Add($"{device.Kind}{number}")) number++;
            devices[i] = device with { Name = $"{device.Kind}{number}" };
        }
        return this with { Devices = devices };
    }

    /// <summary>The same machine with every path of the host's changed, as from one folder's point of view to another's.</summary>
    public MachineDefinition MapPaths(Func<string, string> map) => MachineShape.Shape.MapPaths(this, map) with
    {
        Boot = Boot with
        {
            KernelPath = Boot.KernelPath is { } kernel ? map(kernel) : null,
            InitrdPath = Boot.InitrdPath is { } initrd ? map(initrd) : null,
            Firmware = Boot.Firmware is { } firmware && !BootSource.IsFirmwareName(firmware) ? map(firmware) : Boot.Firmware,
            Modules = [.. Boot.Modules.Select(module => module with { Path = map(module.Path) })],
        },
        Display = Display is { } display ? display with { Path = display.Path is { } path ? map(path) : null, Tls = display.Tls is { } tls ? map(tls) : null, PasswordFile = display.PasswordFile is { } password ? map(password) : null } : null,
        Devices = [.. Devices.Select(device => device switch
        {
            DiskDevice disk => disk with { Path = disk.IsRemote ? disk.Path : map(disk.Path), Tls = disk.Tls is { } folder ? map(folder) : null, Backing = [.. disk.Backing.Select(path => path == DiskDevice.AnyBacking ? path : map(path))] },
            SerialDevice serial => serial with { To = serial.To.MapPath(map) },
            ConsoleDevice console => console with { To = console.To.MapPath(map) },
            _ => DeviceKind.Of(device).MapPaths(device, map),
        })],
    };
}
