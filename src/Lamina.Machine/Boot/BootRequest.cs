// What a loader works from: the files, the texts and the machine's memory and firmware tables. Also the parts of a plan
// that every protocol shares: the firmware tables, what stands in for a BIOS, the command line's checks.
using System.Text;

namespace Lamina.Boot;

/// <summary>A module file and its string for the kernel.</summary>
internal sealed record LoadedModule(BootFile File, string Text);

/// <summary>Firmware tables that lie together: where, their bytes, and what they are, for messages.</summary>
internal sealed record FirmwareTable(ulong Address, byte[] Bytes, string What);

/// <summary>A file that firmware reads by its configuration device.</summary>
internal sealed record FirmwareFile(string Name, byte[] Bytes);

/// <summary>What firmware says of a machine.</summary>
/// <param name="Tables">What lies in memory.</param>
/// <param name="RsdpAddress">Where the ACPI tables begin.</param>
/// <param name="DeviceWords">The devices that only ACPI tells of, as words of Linux's command line.</param>
internal sealed record FirmwareTables(IReadOnlyList<FirmwareTable> Tables, ulong RsdpAddress, IReadOnlyList<string> DeviceWords)
{
    /// <summary>The same for firmware of the user's, which reads files and puts the tables into memory itself.</summary>
    internal IReadOnlyList<FirmwareFile> Files { get; init; } = [];
}

/// <summary>Everything that a loader may look at.</summary>
internal sealed record BootRequest(MemoryMap Map, FirmwareTables Firmware, BootFile Kernel, BootFile? Initrd, string CommandLine, IReadOnlyList<LoadedModule> Modules)
{
    /// <summary>Finds the unpacked kernel of a payload, or makes it; null where there is none, and the kernel unpacks itself. What it gives stays open as long as the plan.</summary>
    internal Func<KernelPayload, Func<BootFile, bool>, BootFile?> Unpack { get; init; } = (_, _) => null;

    private const string NoAcpi = "acpi=off", NamedDevice = "virtio_mmio.device=";

    /// <summary>Starts a plan with what every protocol has: firmware tables, real-mode interrupts, BIOS data area, GDT.</summary>
    internal BootPlan NewPlan(bool longMode)
    {
        var plan = new BootPlan(Map);
        foreach (var table in Firmware.Tables)
        {
            plan.Reserve(table.Address, (ulong)table.Bytes.Length, table.What, reservedToo: true);
            plan.Place(table.Address, table.Bytes);
        }
        var (vectors, handlers) = RealModeServices.Create(BootLayout.RealModeServices);
        plan.Reserve(0, BootLayout.BiosDataArea + 0x100, "the interrupt vectors and the BIOS data area");
        plan.Place(0, vectors);
        plan.Place(BootLayout.BiosDataArea, BiosDataArea());
        plan.Reserve(BootLayout.RealModeServices, (ulong)handlers.Length, "the real-mode interrupt handlers", reservedToo: true);
        plan.Place(BootLayout.RealModeServices, handlers);
        var gdt = CpuEntry.Gdt(longMode);
        plan.Reserve(BootLayout.Gdt, (ulong)gdt.Length, "the first descriptor table");
        plan.Place(BootLayout.Gdt, gdt);
        return plan;
    }

    /// <summary>
    /// The command line for Linux. Where the user has it do without ACPI, it cannot find devices by itself; they stand before his words
    /// then (Documentation/admin-guide/kernel-parameters: virtio_mmio.device), unless he named some. Else they would be there twice.
    /// </summary>
    internal string LinuxCommandLine
    {
        get
        {
            var words = CommandLine.Split(' ').TakeWhile(word => word != "--").ToList();
            return words.Contains(NoAcpi) && !words.Exists(word => word.StartsWith(NamedDevice, StringComparison.Ordinal))
                ? string.Join(' ', [.. Firmware.DeviceWords.Select(device => NamedDevice + device), CommandLine])
                : CommandLine;
        }
    }

    /// <summary>The command line as zero-terminated bytes.</summary>
    /// <exception cref="MachineException">It is longer than the kernel takes, or has a zero in it.</exception>
    internal byte[] CommandLineBytes(string text, ulong limit)
    {
        if (text.Contains('\0', StringComparison.Ordinal)) throw new MachineException("the command line contains a zero character; remove it");
        var bytes = Encoding.UTF8.GetBytes(text + "\0");
        return (ulong)bytes.Length - 1 <= limit
            ? bytes
            : throw new MachineException($"the command line has {bytes.Length - 1} bytes, and the kernel {Kernel.Path} takes at most {limit}; shorten it");
    }

    /// <summary>Places the initrd as high as it may lie and returns where.</summary>
    /// <exception cref="MachineException">There is no room.</exception>
    internal ulong PlaceInitrd(BootPlan plan, BootFile initrd, ulong end)
    {
        // Below the hole where it fits, since every kernel can reach that.
        var address = plan.FindHighest(initrd.Length, 4096, BootLayout.HighMemory, Math.Min(end, Map.Layout.HoleStart))
            ?? plan.FindHighest(initrd.Length, 4096, Map.Layout.HoleEnd, end)
            ?? throw new MachineException($"the initrd {initrd.Path} ({Sizes.Text(initrd.Length)}) does not fit beside the kernel; give the machine more memory");
        plan.Reserve(address, initrd.Length, "the initrd");
        plan.Place(address, initrd, 0, initrd.Length);
        return address;
    }

    /// <summary>Refuses modules where the protocol has none.</summary>
    internal void RefuseModules()
    {
        if (Modules.Count != 0) throw new MachineException($"the kernel {Kernel.Path} takes no modules; only Multiboot and PVH kernels do");
    }

    // The few words that operating systems read without a BIOS being there: COM1's port, the EBDA's segment, the equipment (a
    // floating-point unit and one serial port), the size of conventional memory in KiB.
    private byte[] BiosDataArea()
    {
        var area = new GuestWriter(0x100);
        area.U16(0x00, Map.Layout.SerialPort);
        area.U16(0x0E, (ushort)(Map.Layout.Ebda >> 4));
        area.U16(0x10, 1 << 1 | 1 << 9);
        area.U16(0x13, (ushort)(Map.Layout.Ebda >> 10));
        return area.Bytes;
    }
}
