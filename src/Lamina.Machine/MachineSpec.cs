// What a machine is to be: values only, nothing is opened or checked here. Machine.Create validates a spec as a whole.
using Lamina.Engines;
using Lamina.Engines.Translator.Settings;
using Lamina.Networks;

namespace Lamina;

/// <summary>The kinds of machine.</summary>
public enum MachineType
{
    /// <summary>No firmware and no PCI: a kernel is booted directly; serial port and virtio over MMIO.</summary>
    Micro,
}

/// <summary>Which CPU engine runs the guest.</summary>
public enum EngineChoice
{
    /// <summary>The best that this host offers; <see cref="Machine.EngineDescription"/> says which and why.</summary>
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

/// <summary>A file that is handed to a Multiboot kernel beside the kernel.</summary>
/// <param name="Path">The file.</param>
/// <param name="CommandLine">Arguments. The module's string is the path, a space and these, as GRUB legacy and QEMU write it.</param>
public sealed record BootModule(string Path, string CommandLine = "");

/// <summary>What the machine boots.</summary>
public sealed record BootSource
{
    /// <summary>A bzImage, an ELF kernel (PVH note or 64-bit vmlinux) or a Multiboot 1 image; told apart by content.</summary>
    public required string KernelPath { get; init; }

    /// <summary>The initial RAM disk, or null. A Multiboot kernel gets it as its first module.</summary>
    public string? InitrdPath { get; init; }

    /// <summary>The kernel's command line, passed on as it is. A Multiboot kernel gets the kernel's path and a space before it.</summary>
    public string CommandLine { get; init; } = DefaultCommandLine;

    /// <summary>Multiboot modules, in order; PVH kernels get them after the initrd. Other kernels take none.</summary>
    public IReadOnlyList<BootModule> Modules { get; init; } = [];

    /// <summary>The command line where none is given: Linux's console on the first serial port.</summary>
    public const string DefaultCommandLine = "console=ttyS0";
}

/// <summary>The definition of one machine.</summary>
public sealed record MachineSpec
{
    /// <summary>The kind of machine.</summary>
    public MachineType Type { get; init; } = MachineType.Micro;

    /// <summary>What it boots.</summary>
    public required BootSource Boot { get; init; }

    /// <summary>RAM in bytes: a multiple of 4 KiB, from 16 MiB on.</summary>
    public ulong MemoryBytes { get; init; } = 256ul << 20;

    /// <summary>Virtual CPUs.</summary>
    public int Cpus { get; init; } = 1;

    /// <summary>
    /// The virtual CPUs' model: "host" (all that the host has and the engine gives), or a level of the x86-64 psABI (x86-64-v1 to -v4);
    /// then switches: "host,-avx512f", "x86-64-v2,+aes".
    /// </summary>
    public string CpuModel { get; init; } = CpuModels.Host;

    /// <summary>Which engine runs the guest.</summary>
    public EngineChoice Engine { get; init; } = EngineChoice.Auto;

    /// <summary>Where the interrupt controllers are.</summary>
    public IrqchipChoice Irqchip { get; init; } = IrqchipChoice.Auto;

    /// <summary>How the translator works, where it is the engine.</summary>
    public TranslatorSettings Translator { get; init; } = new();

    /// <summary>Where the first serial port (COM1, ttyS0) goes.</summary>
    public SerialTarget Serial { get; init; } = new SerialTarget.Memory();

    /// <summary>Where the virtio console (hvc0) goes.</summary>
    public SerialTarget Console { get; init; } = new SerialTarget.Null();

    /// <summary>Disks, in the order in which the guest finds them (vda, vdb …).</summary>
    public IReadOnlyList<DiskSpec> Disks { get; init; } = [];

    /// <summary>Folders of the host's that the guest may mount (virtiofs).</summary>
    public IReadOnlyList<ShareSpec> Shares { get; init; } = [];

    /// <summary>Whether the guest has a memory balloon: memory that it frees goes back to the host (<see cref="Machine.Balloon"/>).</summary>
    public bool Balloon { get; init; }

    /// <summary>Sockets between the guest and programs of the host, or null.</summary>
    public VsockSpec? Vsock { get; init; }

    /// <summary>Told in a sentence of what goes wrong while the machine runs and does not end it (a host's disk that fails); any thread; null for nobody.</summary>
    public Action<string>? Report { get; init; }

    /// <summary>Network cards, in order; none by default.</summary>
    public IReadOnlyList<NetworkSpec> Networks { get; init; } = [];

    /// <summary>Ends the machine where it would otherwise start again: on a guest's reset and on a triple fault.</summary>
    public bool NoReboot { get; init; }

    /// <summary>A port where a write of v ends the machine with <see cref="MachineResult.DebugExitCode"/> (v &lt;&lt; 1) | 1, or null.</summary>
    public ushort? DebugExitPort { get; init; }

    /// <summary>Ends the machine after this time of running, or null.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Gets one line for each exit and exception, from any thread; null for none.</summary>
    public Action<string>? Trace { get; init; }

    /// <summary>A TCP port on 127.0.0.1 where a debugger is waited for before the guest's first instruction; 0 picks one (<see cref="Machine.GdbPort"/>); null for none.</summary>
    public int? GdbPort { get; init; }
}
