// What there is to say about a machine as a whole, in one table: the options of "lamina run" and the properties of definition files
// have these names, these values and these meanings.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>The properties of a machine.</summary>
public static class MachineShape
{
    /// <summary>The words of <see cref="MachineType"/>.</summary>
    public static IReadOnlyList<(string Word, MachineType Value)> Types { get; } = [("micro", MachineType.Micro), ("pc", MachineType.Pc)];

    /// <summary>The words of <see cref="EngineChoice"/>.</summary>
    public static IReadOnlyList<(string Word, EngineChoice Value)> Engines { get; } = [("auto", EngineChoice.Auto), ("kvm", EngineChoice.Kvm), ("translator", EngineChoice.Translator)];

    /// <summary>The words of <see cref="LockMode"/>.</summary>
    public static IReadOnlyList<(string Word, LockMode Value)> Locks { get; } = [("on", LockMode.On), ("strict", LockMode.Strict), ("off", LockMode.Off)];

    /// <summary>The words of <see cref="IrqchipChoice"/>.</summary>
    public static IReadOnlyList<(string Word, IrqchipChoice Value)> Irqchips { get; } =
        [("auto", IrqchipChoice.Auto), ("kernel", IrqchipChoice.Kernel), ("split", IrqchipChoice.Split), ("user", IrqchipChoice.User)];

    /// <summary>The words of <see cref="GdbArchitecture"/>.</summary>
    public static IReadOnlyList<(string Word, GdbArchitecture Value)> GdbArchitectures { get; } =
        [("x86-64", GdbArchitecture.X64), ("i386", GdbArchitecture.I386), ("i8086", GdbArchitecture.I8086), ("auto", GdbArchitecture.Auto)];

    /// <summary>What is said behind "gdb".</summary>
    public static Shape<MachineDefinition> Gdb { get; } = new("gdb",
        new Property<MachineDefinition>("port", ValueKind.Number, "PORT", "the port")
        {
            Read = (machine, text) => Address.TryReadPort(text ?? "", out var port) ? machine with { GdbPort = port } : throw Property.Refuse("gdb", text, "a TCP port", "1234"),
            Write = machine => machine.GdbPort is { } port ? [port.ToString(CultureInfo.InvariantCulture)] : [],
        },
        // A refusal begins with the machine's property.
        Property.Choice<MachineDefinition, GdbArchitecture>("gdb: arch", "the registers", GdbArchitectures,
            machine => machine.GdbArchitecture == default ? null : machine.GdbArchitecture, (machine, architecture) => machine with { GdbArchitecture = architecture }) with
        { Name = "arch" });

    /// <summary>The table.</summary>
    public static Shape<MachineDefinition> Shape { get; } = new("a machine",
    [
        Name("name", "the machine's name", machine => machine.Name, (machine, name) => machine with { Name = name }),
        Name("image", "the image that it was made of", machine => machine.Image, (machine, name) => machine with { Image = name }),
        Property.Text<MachineDefinition>("image-version", "TEXT", "that image's version", machine => machine.ImageVersion, (machine, version) => machine with { ImageVersion = version }),
        new Property<MachineDefinition>("made", ValueKind.Text, "TIME", "when it was made of that image, in UTC")
        {
            Read = (machine, text) => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var made)
                ? machine with { Made = made }
                : throw Property.Refuse("made", text, "a date", "2026-01-31T12:00:00Z"),
            Write = machine => machine.Made is { } made ? [made.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)] : [],
        },
        Property.Choice<MachineDefinition, MachineType>("machine", "the kind of machine: micro (no PCI; virtio over MMIO; the default) or pc (a PC's chipset; virtio over PCI)", Types,
            machine => machine.Type == default ? null : machine.Type, (machine, type) => machine with { Type = type }),
        Property.Path<MachineDefinition>("kernel", "a bzImage, an ELF kernel (PVH or vmlinux) or a Multiboot 1 image", machine => machine.Boot.KernelPath, (machine, path) => machine with { Boot = machine.Boot with { KernelPath = path } }),
        Property.Path<MachineDefinition>("initrd", "an initial RAM disk for it", machine => machine.Boot.InitrdPath, (machine, path) => machine with { Boot = machine.Boot with { InitrdPath = path } }),
        new Property<MachineDefinition>("cmdline", ValueKind.Text, "TEXT", $"the kernel's command line; {BootSource.DefaultCommandLine} by default")
        {
            Read = (machine, text) => machine with { Boot = machine.Boot with { CommandLine = text } },
            Write = machine => machine.Boot.CommandLine is { } text ? [text] : [],
        },
        Property.List<MachineDefinition>("module", "\"FILE [ARGS]\"", "a module for a Multiboot or PVH kernel; repeatable, in order", machine => machine.Boot.Modules.Select(module => module.ToString()),
            (machine, text) => machine with { Boot = machine.Boot with { Modules = [.. machine.Boot.Modules, BootModule.Parse(Property.Needed("module", text))] } }),
        Property.Flag<MachineDefinition>("self-unpack", "have a compressed Linux kernel unpack itself in the guest, as where a PC's boot loader loads it, and not be loaded unpacked", machine => machine.Boot.SelfUnpack, (machine, on) => machine with { Boot = machine.Boot with { SelfUnpack = on } }),
        Property.Text<MachineDefinition>("firmware", "seabios|ovmf|PATH", "firmware that boots from the disks: seabios, or ovmf for UEFI (Debian's, fetched on first use), or a file; seabios by default where there is a disk and nothing else to boot",
            machine => machine.Boot.Firmware, (machine, firmware) => machine with { Boot = machine.Boot with { Firmware = firmware } }),
        Property.Flag<MachineDefinition>("boot-menu", "have the firmware wait five seconds for a key (ESC) that leads to a menu of what can be booted", machine => machine.Boot.BootMenu, (machine, on) => machine with { Boot = machine.Boot with { BootMenu = on } }),
        Property.Choice<MachineDefinition, BootMedium>("boot", "from what the firmware boots first: disk (the default), cdrom, or network (a machine of the type pc; by iPXE, which is fetched on first use); it goes on to the others where there is nothing to boot", [("disk", BootMedium.Disk), ("cdrom", BootMedium.Cdrom), ("network", BootMedium.Network)],
            machine => machine.Boot.From == default ? null : machine.Boot.From, (machine, medium) => machine with { Boot = machine.Boot with { From = medium } }),
        Property.Size<MachineDefinition>("memory", "guest memory, from 16M: 512M, 1G, 1GiB", "16M, 512MiB or 1G",
            machine => machine.MemoryBytes == MachineDefinition.UsualMemory ? null : machine.MemoryBytes, (machine, bytes) => machine with { MemoryBytes = bytes }),
        Property.Size<MachineDefinition>("memory-most", "how much memory the machine can be given while it runs; the guest sees so much, and its balloon holds what is over \"memory\". Default: what \"memory\" says", "2G",
            machine => machine.MostMemoryBytes, (machine, bytes) => machine with { MostMemoryBytes = bytes }),
        new Property<MachineDefinition>("cpus", ValueKind.Number, "N", "virtual CPUs; 1 by default")
        {
            Read = (machine, text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? machine with { Cpus = count } : throw Property.Refuse("cpus", text, "a number of CPUs", "2"),
            Write = machine => machine.Cpus == 1 ? [] : [machine.Cpus.ToString(CultureInfo.InvariantCulture)],
        },
        Property.Text<MachineDefinition>("cpu", "MODEL", "what the virtual CPUs offer: host (all that the host has, the default) or a level, x86-64-v1 to -v4; features are taken away or added behind it: host,-avx512f", machine => machine.Cpu, (machine, model) => machine with { Cpu = model }),
        Property.Choice<MachineDefinition, EngineChoice>("engine", "what runs the guest's code: auto, kvm (hardware virtualization), or translator (no hardware support, no privilege)", Engines,
            machine => machine.Engine == default ? null : machine.Engine, (machine, engine) => machine with { Engine = engine }),
        Property.Choice<MachineDefinition, IrqchipChoice>("irqchip", "where interrupt controllers are on kvm: kernel (all in the host's), split (the local APICs in it), user (all in the machine), or auto (as many in the host's kernel as it offers)", Irqchips,
            machine => machine.Irqchip == default ? null : machine.Irqchip, (machine, irqchip) => machine with { Irqchip = irqchip }),
        Property.Size<MachineDefinition>("code-cache", "the most memory for the translator's code, 16M to 1G; 256M by default", "64M", machine => machine.CodeCacheBytes, (machine, bytes) => machine with { CodeCacheBytes = bytes }),
        Property.Text<MachineDefinition>("code-archive", "FOLDER|off", "where the translator keeps its code for the next run", machine => machine.CodeArchive, (machine, folder) => machine with { CodeArchive = folder }),
        Property.Choice<MachineDefinition, LockMode>("lock", "keeps the machine's process from all that the machine does not need: on (as far as the host can, the default), strict (wholly, or it does not start), off", Locks,
            machine => machine.Lock == default ? null : machine.Lock, (machine, mode) => machine with { Lock = mode }),
        Property.Flag<MachineDefinition>("no-reboot", "end where the guest resets or its CPU triple-faults, instead of starting it again", machine => machine.NoReboot, (machine, on) => machine with { NoReboot = on }),
        Property.Time<MachineDefinition>("timeout", "end after this time: 500ms, 90s, 5m, 2h", "500ms, 90s or 5m", machine => machine.Timeout, (machine, time) => machine with { Timeout = time }),
        new Property<MachineDefinition>("stop-timeout", ValueKind.Text, "TIME", "how long a guest that is asked to power off (Ctrl-C, SIGTERM, a closed terminal) may take before the plug is pulled; 30s by default, 0: it is not asked")
        {
            Read = (machine, text) => text == "0" ? machine with { StopTimeout = TimeSpan.Zero }
                : Duration.TryParse(text ?? "", out var time) ? machine with { StopTimeout = time } : throw Property.Refuse("stop-timeout", text, "a time", "10s or 0"),
            Write = machine => machine.StopTimeout == MachineDefinition.UsualStopTimeout ? [] : [machine.StopTimeout == TimeSpan.Zero ? "0" : Duration.Exact(machine.StopTimeout)],
        },
        new Property<MachineDefinition>("debug-exit", ValueKind.Text, "PORT", "an I/O port where the guest's write of v ends the machine with exit code (v << 1) | 1")
        {
            Read = (machine, text) => machine with { DebugExitPort = ReadPort(text) },
            Write = machine => machine.DebugExitPort is { } port ? [$"0x{port:x}"] : [],
        },
        new Property<MachineDefinition>("gdb", ValueKind.Text, "PORT[,arch=ARCH]", "a TCP port on 127.0.0.1 where gdb is waited for before the first instruction, 0 picks a free one; and the registers that it sees: x86-64 (the default), i386, i8086, or auto (those of the first CPU's mode when gdb attaches)")
        {
            Read = (machine, text) => Words.Read(Gdb, "port", machine with { GdbPort = null, GdbArchitecture = default }, text ?? ""),
            Write = machine => machine.GdbPort is null ? [] : [Words.Write(Gdb, "port", machine)],
        },
        new Property<MachineDefinition>("display", ValueKind.Text, "vnc[=WHERE][,OPTION…]|none", "where the screen of a machine pc can be looked at over VNC: ADDRESS:PORT (127.0.0.1:5900 by default, port 0 picks a free one) or unix:PATH. Options: websocket[=ADDRESS:PORT] serves it to browsers, too (127.0.0.1:5700), origin=ORIGIN to pages from there, tls=FOLDER over TLS alone (cert.pem, key.pem), password-file=PATH, the last, to those who know the first line of a file, without which only this host is served")
        {
            Read = (machine, text) => machine with { Display = text == "none" ? null : ScreenServer.Parse(Property.Needed("display", text)) },
            Write = machine => machine.Display is { } display ? [display.ToString()] : [],
        },
        .. CpuLimit.Properties,
    ]);

    private static Property<MachineDefinition> Name(string name, string meaning, Func<MachineDefinition, string?> get, Func<MachineDefinition, string, MachineDefinition> set) => new(name, ValueKind.Text, "NAME", meaning)
    {
        Read = (machine, text) => DeviceDefinition.IsName(Property.Needed(name, text))
            ? set(machine, text!)
            : throw new MachineException($"{name}: '{text}' cannot be a name; use lower-case letters, digits and hyphens, up to {DeviceDefinition.LongestName}"),
        Write = machine => get(machine) is { } text ? [text] : [],
    };

    // Decimal, or 0x hexadecimal.
    private static ushort ReadPort(string? text)
    {
        var isHexadecimal = text?.StartsWith("0x", StringComparison.OrdinalIgnoreCase) == true;
        return ushort.TryParse(isHexadecimal ? text.AsSpan(2) : text, isHexadecimal ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            ? port
            : throw Property.Refuse("debug-exit", text, "an I/O port", "0xf4");
    }
}
