// An unpacked Linux kernel, as it lies in a bzImage's payload: an ELF file, and behind it, where the kernel can run at another address than the one
// it was linked for, the places that contain addresses (KernelRelocations). Nothing of the file is trusted.
using System.Buffers.Binary;
using Lamina.Host.Io;

namespace Lamina.Boot;

/// <summary>A checked kernel that can be loaded anywhere, and entered without its own unpacker.</summary>
internal sealed class KernelImage
{
    private const int SectionHeaderLength = 64, SectionNoBits = 8;

    private readonly BootFile _file;
    private readonly ElfFile _elf;
    private readonly ulong _linkedAt, _tail;

    private KernelImage(BootFile file, ElfFile elf, ulong linkedAt, ulong tail)
    {
        (_file, _elf, _linkedAt, _tail) = (file, elf, linkedAt, tail);
        LoadedLength = elf.Segments.Max(segment => segment.PhysicalAddress + segment.FileLength) - linkedAt;
    }

    /// <summary>Whether it can run at other linear addresses than those that it was linked for.</summary>
    internal bool IsRelocatable => _file.Length > _tail;

    /// <summary>The distance of its entry from its first byte.</summary>
    internal ulong Entry => _elf.Entry - _linkedAt;

    /// <summary>The length that is written where it is loaded.</summary>
    internal ulong LoadedLength { get; }

    /// <summary>Reads the headers; null where it is not such a kernel.</summary>
    /// <param name="file">The unpacked payload; stays open as long as this is used.</param>
    /// <param name="linkedAt">The physical address that it was linked for (pref_address).</param>
    /// <param name="room">What it may take from there on (init_size).</param>
    internal static KernelImage? TryRead(BootFile file, ulong linkedAt, ulong room)
    {
        if (!ElfFile.Matches(file.Head(4))) return null;
        ElfFile elf;
        try
        {
            elf = ElfFile.Parse(file);
        }
        catch (MachineException)
        {
            return null;
        }
        if (!elf.Is64 || elf.IsPositionIndependent || EndOf(file) is not { } tail || tail > file.Length || (file.Length - tail) % sizeof(int) != 0) return null;
        foreach (var segment in elf.Segments)
            if (segment.PhysicalAddress < linkedAt || segment.PhysicalAddress - linkedAt > room || segment.MemoryLength > room - (segment.PhysicalAddress - linkedAt)) return null;
        return elf.IsLoaded(elf.Entry) ? new KernelImage(file, elf, linkedAt, tail) : null;
    }

    /// <summary>Whether the places with addresses can be told and lie in what is loaded.</summary>
    internal bool IsWhole()
    {
        if (!IsRelocatable) return true;
        using var relocations = TryReadRelocations();
        return relocations is not null;
    }

    /// <summary>What is to be loaded where it comes to lie.</summary>
    /// <param name="physical">Where that is.</param>
    /// <exception cref="MachineException">The file is no longer what it was.</exception>
    internal IEnumerable<LoadPiece> PiecesAt(ulong physical) => _elf.Segments.SelectMany(segment => _file.PiecesOf(physical + (segment.PhysicalAddress - _linkedAt), segment.FileOffset, segment.FileLength));

    /// <summary>Its places with addresses; it must be relocatable.</summary>
    /// <exception cref="MachineException">The file is no longer what it was.</exception>
    internal KernelRelocations ReadRelocations() => TryReadRelocations() ?? throw new MachineException(MachineError.File, $"the unpacked kernel {_file.Path} is damaged; remove it, and it is made anew");

    private KernelRelocations? TryReadRelocations()
    {
        var words = new HostBuffer((int)(_file.Length - _tail));
        if (_file.TryRead(_tail, words.Span)) return KernelRelocations.TryTake(words, _linkedAt, LoadedLength);
        words.Dispose();
        throw new MachineException(MachineError.File, $"the unpacked kernel {_file.Path} became shorter while it was in use");
    }

    // Where the ELF file ends: behind the table of its sections, and behind the last of them. What is loaded is made of sections.
    private static ulong? EndOf(BootFile file)
    {
        var head = file.Head(64);
        ulong U64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(at));
        ushort U16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(at));
        var (sections, count) = (U64(40), U16(60));
        if (count == 0 || U16(58) != SectionHeaderLength || sections > file.Length) return null;
        var table = new byte[count * SectionHeaderLength];
        if (!file.TryRead(sections, table)) return null;
        var end = sections + (ulong)table.Length;
        for (var at = 0; at < table.Length; at += SectionHeaderLength)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(table.AsSpan(at + 4)) == SectionNoBits) continue;
            var (offset, length) = (BinaryPrimitives.ReadUInt64LittleEndian(table.AsSpan(at + 24)), BinaryPrimitives.ReadUInt64LittleEndian(table.AsSpan(at + 32)));
            if (offset > file.Length || length > file.Length - offset) return null;
            end = Math.Max(end, offset + length);
        }
        return end;
    }
}
