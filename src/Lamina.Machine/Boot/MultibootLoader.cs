// Multiboot 1 images: ELF or with address fields ("a.out kludge"), with modules, command line and memory map; entered in
// 32-bit protected mode. Multiboot Specification 0.6.96, 3.2 (machine state) and 3.3 (boot information).
// Video modes are not set: the information says that there is none, as the specification lets a loader do.
using Lamina.Core.Engine;

namespace Lamina.Boot;

/// <summary>Plans the boot of a Multiboot 1 image.</summary>
internal static class MultibootLoader
{
    private const uint BootMagic = 0x2BAD_B002;
    private const int InfoLength = 116, ModuleLength = 16, MapEntryLength = 24;
    private const uint HasMemory = 1, HasCommandLine = 1 << 2, HasModules = 1 << 3, HasMap = 1 << 6, HasLoaderName = 1 << 9;
    private const string LoaderName = "Lamina";

    /// <summary>Plans the boot.</summary>
    /// <exception cref="MachineException">The image is damaged, asks for what there is not, or does not fit.</exception>
    internal static BootPlan Plan(BootRequest request, MultibootHeader header)
    {
        var kernel = request.Kernel;
        var unknown = header.Flags & 0xFFFF & ~MultibootHeader.Understood;
        if (unknown != 0) throw new MachineException(MachineError.File, $"the Multiboot kernel {kernel.Path} requires features that no loader here knows (flags 0x{unknown:x})");
        var plan = request.NewPlan(longMode: false);
        var (entry, end) = header.Addresses is { } addresses ? PlaceByAddresses(kernel, plan, header, addresses) : PlaceElf(kernel, plan);

        var info = new GuestWriter(InfoLength);
        var strings = new BootStrings(request);
        info.U32(16, (uint)strings.Add(request.CommandLine.Length == 0 ? kernel.Path : $"{kernel.Path} {request.CommandLine}"));
        info.U32(64, (uint)strings.Add(LoaderName));
        var flags = HasMemory | HasCommandLine | HasMap | HasLoaderName;
        if (PlaceModules(request, plan, strings, info, end)) flags |= HasModules;
        PlaceMemory(request, strings, info);
        info.U32(0, flags);
        plan.Reserve(BootLayout.BootInfo, InfoLength, "the Multiboot information");
        plan.Place(BootLayout.BootInfo, info.Bytes);
        strings.Place(plan);

        plan.Description = header.Addresses is null ? "an ELF image by Multiboot 1" : "an image with address fields by Multiboot 1";
        plan.Enter = state =>
        {
            CpuEntry.Protected(state, entry);
            state.Gpr[GprIndex.Rax] = BootMagic;
            state.Gpr[GprIndex.Rbx] = BootLayout.BootInfo;
        };
        return plan;
    }

    // 3.1.3: the header lies at FileOffset in the file and at Header in memory; that fixes where Load lies in the file.
    private static (uint Entry, ulong End) PlaceByAddresses(BootFile kernel, BootPlan plan, MultibootHeader header, MultibootAddresses addresses)
    {
        var lead = (long)addresses.Header - addresses.Load;
        if (lead < 0 || lead > header.FileOffset)
            throw new MachineException(MachineError.File, $"the Multiboot kernel {kernel.Path} has address fields that contradict each other (load 0x{addresses.Load:x}, header 0x{addresses.Header:x})");
        var offset = header.FileOffset - (ulong)lead;
        var length = addresses.LoadEnd == 0 ? kernel.Length - offset : (ulong)addresses.LoadEnd - addresses.Load;
        if (addresses.LoadEnd != 0 && addresses.LoadEnd < addresses.Load)
            throw new MachineException(MachineError.File, $"the Multiboot kernel {kernel.Path} has address fields that contradict each other (load 0x{addresses.Load:x}, end 0x{addresses.LoadEnd:x})");
        if (length > kernel.Length - offset)
            throw new MachineException(MachineError.File, $"the Multiboot kernel {kernel.Path} is cut off: it speaks of {Sizes.Text(offset + length)} and has {Sizes.Text(kernel.Length)}; fetch it again");
        var loadEnd = addresses.Load + length;
        var end = Math.Max(loadEnd, addresses.BssEnd);
        if (addresses.Entry < addresses.Load || addresses.Entry >= end)
            throw new MachineException(MachineError.File, $"the Multiboot kernel {kernel.Path} has its entry at 0x{addresses.Entry:x}, outside all it loads");
        plan.Reserve(addresses.Load, end - addresses.Load, $"the kernel {kernel.Path}", reservedToo: true);
        plan.Place(addresses.Load, kernel, offset, length);
        return (addresses.Entry, end);
    }

    private static (uint Entry, ulong End) PlaceElf(BootFile kernel, BootPlan plan)
    {
        if (!ElfFile.Matches(kernel.Head(4)))
            throw new MachineException(MachineError.File, $"the kernel {kernel.Path} has a Multiboot header without address fields and is no ELF file; it cannot be loaded");
        var elf = ElfFile.Parse(kernel);
        elf.Place(plan, kernel);
        if (elf.Entry > uint.MaxValue) throw new MachineException(MachineError.File, $"the Multiboot kernel {kernel.Path} has its entry above 4 GiB");
        return ((uint)elf.Entry, elf.Segments.Max(s => s.PhysicalAddress + s.MemoryLength));
    }

    // Modules lie behind the kernel, on pages of their own whether or not the kernel asks for it.
    private static bool PlaceModules(BootRequest request, BootPlan plan, BootStrings strings, GuestWriter info, ulong kernelEnd)
    {
        var modules = new List<LoadedModule>();
        if (request.Initrd is { } initrd) modules.Add(new LoadedModule(initrd, initrd.Path));
        modules.AddRange(request.Modules);
        if (modules.Count == 0) return false;
        var list = new GuestWriter(modules.Count * ModuleLength);
        for (var i = 0; i < modules.Count; i++)
        {
            var file = modules[i].File;
            var address = plan.FindLowest(file.Length, 4096, Math.Max(kernelEnd, BootLayout.HighMemory), request.Map.Layout.HoleStart)
                ?? throw new MachineException(MachineError.File, $"the module {file.Path} ({Sizes.Text(file.Length)}) does not fit beside the kernel; give the machine more memory");
            plan.Reserve(address, file.Length, $"the module {file.Path}");
            plan.Place(address, file, 0, file.Length);
            list.U32(i * ModuleLength, (uint)address);
            list.U32((i * ModuleLength) + 4, (uint)(address + file.Length));
            list.U32((i * ModuleLength) + 8, (uint)strings.Add(modules[i].Text));
        }
        info.U32(20, (uint)modules.Count);
        info.U32(24, (uint)strings.Add(list.Bytes));
        return true;
    }

    private static void PlaceMemory(BootRequest request, BootStrings strings, GuestWriter info)
    {
        info.U32(4, (uint)(request.Map.Layout.Ebda >> 10));
        info.U32(8, (uint)((request.Map.LowEnd - BootLayout.HighMemory) >> 10));
        var entries = request.Map.Entries;
        var map = new GuestWriter(entries.Count * MapEntryLength);
        for (var i = 0; i < entries.Count; i++)
        {
            var at = i * MapEntryLength;
            map.U32(at, MapEntryLength - 4);
            map.U64(at + 4, entries[i].Range.Start);
            map.U64(at + 12, entries[i].Range.Length);
            map.U32(at + 20, (uint)entries[i].Type);
        }
        info.U32(44, (uint)map.Bytes.Length);
        info.U32(48, (uint)strings.Add(map.Bytes));
    }
}
