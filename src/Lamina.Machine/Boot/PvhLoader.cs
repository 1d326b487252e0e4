// ELF kernels with a PVH entry note: 32-bit protected mode with hvm_start_info in EBX.
// Xen's "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc) and public/arch-x86/hvm/start_info.h, version 1.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Engine;

namespace Lamina.Boot;

/// <summary>Plans the boot of a kernel with a PVH note.</summary>
internal static class PvhLoader
{
    private const uint NotePhys32Entry = 18;            // XEN_ELFNOTE_PHYS32_ENTRY
    private const uint StartMagic = 0x336E_C578, StartVersion = 1;
    private const int StartInfoLength = 56, ModuleLength = 32, MapEntryLength = 24;
    private const ulong MaximumNotes = 1 << 20;

    /// <summary>The physical address of the 32-bit entry, or null where the file has no such note.</summary>
    internal static uint? FindEntry(BootFile file, ElfFile elf)
    {
        foreach (var part in elf.Notes)
        {
            if (part.Length > MaximumNotes) continue;
            var notes = new byte[part.Length];
            if (file.TryRead(part.FileOffset, notes) && FindIn(notes) is { } entry) return entry;
        }
        return null;
    }

    /// <summary>Plans the boot.</summary>
    /// <exception cref="MachineException">The kernel or what goes with it does not fit.</exception>
    internal static BootPlan Plan(BootRequest request, ElfFile elf, uint entry)
    {
        if (!elf.IsLoaded(entry)) throw new MachineException(MachineError.File, $"the kernel {request.Kernel.Path} has its PVH entry at 0x{entry:x}, outside all it loads");
        var plan = request.NewPlan(longMode: false);
        elf.Place(plan, request.Kernel);

        var strings = new BootStrings(request);
        var info = new GuestWriter(StartInfoLength);
        info.U32(0, StartMagic);
        info.U32(4, StartVersion);
        info.U64(24, strings.Add(request.LinuxCommandLine));
        info.U64(32, request.Firmware.RsdpAddress);
        PlaceModules(request, plan, strings, info);
        PlaceMap(request, strings, info);
        plan.Reserve(BootLayout.BootInfo, StartInfoLength, "the start information");
        plan.Place(BootLayout.BootInfo, info.Bytes);
        strings.Place(plan);
        plan.Reserve(BootLayout.Stack, BootLayout.StackEnd - BootLayout.Stack, "the first stack");

        plan.Description = $"a {(elf.Is64 ? 64 : 32)}-bit ELF kernel by its PVH entry";
        plan.Enter = state =>
        {
            CpuEntry.Protected(state, entry);
            state.Gpr[GprIndex.Rbx] = BootLayout.BootInfo;
        };
        return plan;
    }

    private static void PlaceModules(BootRequest request, BootPlan plan, BootStrings strings, GuestWriter info)
    {
        var modules = new List<(ulong Address, ulong Length, ulong Text)>();
        if (request.Initrd is { } initrd) modules.Add((request.PlaceInitrd(plan, initrd, LinuxSpec.ModernInitrdAddrMax + 1), initrd.Length, 0));
        foreach (var module in request.Modules)
            modules.Add((request.PlaceInitrd(plan, module.File, LinuxSpec.ModernInitrdAddrMax + 1), module.File.Length, strings.Add(module.Text)));
        if (modules.Count == 0) return;
        var list = new GuestWriter(modules.Count * ModuleLength);
        for (var i = 0; i < modules.Count; i++)
        {
            list.U64(i * ModuleLength, modules[i].Address);
            list.U64((i * ModuleLength) + 8, modules[i].Length);
            list.U64((i * ModuleLength) + 16, modules[i].Text);
        }
        info.U32(12, (uint)modules.Count);
        info.U64(16, strings.Add(list.Bytes));
    }

    private static void PlaceMap(BootRequest request, BootStrings strings, GuestWriter info)
    {
        var entries = request.Map.Entries;
        var table = new GuestWriter(entries.Count * MapEntryLength);
        for (var i = 0; i < entries.Count; i++)
        {
            table.U64(i * MapEntryLength, entries[i].Range.Start);
            table.U64((i * MapEntryLength) + 8, entries[i].Range.Length);
            table.U32((i * MapEntryLength) + 16, (uint)entries[i].Type);
        }
        info.U64(40, strings.Add(table.Bytes));
        info.U32(48, (uint)entries.Count);
    }

    // gABI "Note Section": name length, descriptor length, type, then both padded to 4 bytes.
    private static uint? FindIn(ReadOnlySpan<byte> notes)
    {
        while (notes.Length >= 12)
        {
            var nameLength = BinaryPrimitives.ReadUInt32LittleEndian(notes);
            var length = BinaryPrimitives.ReadUInt32LittleEndian(notes[4..]);
            var type = BinaryPrimitives.ReadUInt32LittleEndian(notes[8..]);
            var (nameEnd, end) = (12 + Padded(nameLength), 12 + Padded(nameLength) + Padded(length));
            if (nameEnd + length > (ulong)notes.Length) return null;
            if (type == NotePhys32Entry && length >= 4 && notes.Slice(12, (int)nameLength).SequenceEqual("Xen\0"u8))
                return BinaryPrimitives.ReadUInt32LittleEndian(notes[(int)nameEnd..]);
            if (end > (ulong)notes.Length) return null;
            notes = notes[(int)end..];
        }
        return null;
    }

    private static ulong Padded(uint length) => ((ulong)length + 3) & ~3ul;
}

/// <summary>Collects strings and tables that boot information points to; they lie together in low memory.</summary>
internal sealed class BootStrings(BootRequest request)
{
    private readonly MemoryStream _bytes = new();

    /// <summary>Adds a zero-terminated string and returns its address.</summary>
    internal ulong Add(string text) => Add(request.CommandLineBytes(text, BootLayout.BootStringsEnd - BootLayout.BootStrings));

    /// <summary>Adds a table, 8-byte aligned, and returns its address.</summary>
    internal ulong Add(ReadOnlySpan<byte> bytes)
    {
        while (_bytes.Length % 8 != 0) _bytes.WriteByte(0);
        var address = BootLayout.BootStrings + (ulong)_bytes.Length;
        if (address + (ulong)bytes.Length > BootLayout.BootStringsEnd)
            throw new MachineException(MachineError.File, $"the command lines and the modules' strings take more than {Sizes.Text(BootLayout.BootStringsEnd - BootLayout.BootStrings)}; shorten them");
        _bytes.Write(bytes);
        return address;
    }

    /// <summary>Puts all of it into the plan.</summary>
    internal void Place(BootPlan plan)
    {
        plan.Reserve(BootLayout.BootStrings, (ulong)_bytes.Length, "the boot strings");
        plan.Place(BootLayout.BootStrings, _bytes.ToArray());
    }
}
