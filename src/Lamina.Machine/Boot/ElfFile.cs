// ELF executables for x86, 32 and 64 bits, as far as a kernel loader needs them: the entry, the loadable segments, the
// notes. Nothing of the file is trusted: each number is checked against the file and against the others before it is used.
// System V ABI, gABI chapters 4 and 5.
using System.Buffers.Binary;

namespace Lamina.Boot;

/// <summary>A loadable segment: file bytes, then zeros, at a physical address.</summary>
internal readonly record struct ElfSegment(ulong FileOffset, ulong FileLength, ulong VirtualAddress, ulong PhysicalAddress, ulong MemoryLength);

/// <summary>A part of the file that holds notes.</summary>
internal readonly record struct ElfNotes(ulong FileOffset, ulong Length);

/// <summary>A checked ELF file.</summary>
internal sealed class ElfFile
{
    private const int Header32 = 52, Header64 = 64, ProgramHeader32 = 32, ProgramHeader64 = 56;
    private const byte Class32 = 1, Class64 = 2, LittleEndian = 1;
    private const ushort TypeExecutable = 2, TypeShared = 3, Machine386 = 3, MachineX8664 = 62;
    private const uint PtLoad = 1, PtInterp = 3, PtNote = 4;
    private const int MaximumProgramHeaders = 1024;

    private readonly string _path;

    private ElfFile(string path, bool is64, bool isPositionIndependent) => (_path, Is64, IsPositionIndependent) = (path, is64, isPositionIndependent);

    /// <summary>64-bit x86-64, else 32-bit i386.</summary>
    internal bool Is64 { get; }

    /// <summary>ET_DYN: linked to run anywhere.</summary>
    internal bool IsPositionIndependent { get; }

    /// <summary>e_entry, made physical where it lies in a segment's virtual range and not in its physical one.</summary>
    internal ulong Entry { get; private set; }

    /// <summary>The segments that take memory.</summary>
    internal List<ElfSegment> Segments { get; } = [];

    /// <summary>The note segments.</summary>
    internal List<ElfNotes> Notes { get; } = [];

    /// <summary>Whether the bytes start as an ELF file does.</summary>
    internal static bool Matches(ReadOnlySpan<byte> head) => head.StartsWith((ReadOnlySpan<byte>)[0x7F, (byte)'E', (byte)'L', (byte)'F']);

    /// <summary>Reads and checks the headers.</summary>
    /// <exception cref="MachineException">It is damaged, or no x86 kernel.</exception>
    internal static ElfFile Parse(BootFile file)
    {
        var path = file.Path;
        var head = file.Head(Header64);
        if (head.Length < Header32) throw new MachineException(MachineError.File, $"the kernel {path} is cut off in its ELF header; fetch it again");
        var is64 = head[4] == Class64;
        if (head[5] != LittleEndian || head[4] is not (Class32 or Class64)) throw new MachineException(MachineError.File, $"the kernel {path} is an ELF file for a big-endian or unknown machine; this machine is an x86-64 one");
        if (is64 && head.Length < Header64) throw new MachineException(MachineError.File, $"the kernel {path} is cut off in its ELF header; fetch it again");
        var (type, machine) = (U16(head, 16), U16(head, 18));
        if (machine is not (Machine386 or MachineX8664)) throw new MachineException(MachineError.File, $"the kernel {path} is an ELF file for another processor (machine {machine}); this machine is an x86-64 one");
        if (type is not (TypeExecutable or TypeShared)) throw new MachineException(MachineError.File, $"the kernel {path} is an ELF file that is no executable (type {type}); name a linked kernel");

        var (tableOffset, entrySize, count) = is64
            ? (U64(head, 32), U16(head, 54), U16(head, 56))
            : (U32(head, 28), U16(head, 42), U16(head, 44));
        var expected = is64 ? ProgramHeader64 : ProgramHeader32;
        if (count == 0 || entrySize != expected) throw new MachineException(MachineError.File, $"the kernel {path} is an ELF file without a program header table; it cannot be loaded");
        if (count > MaximumProgramHeaders) throw new MachineException(MachineError.File, $"the kernel {path} has {count} ELF program headers; at most {MaximumProgramHeaders} are taken");
        var table = new byte[count * expected];
        if (!file.TryRead(tableOffset, table)) throw new MachineException(MachineError.File, $"the kernel {path} is cut off in its ELF program headers; fetch it again");

        var elf = new ElfFile(path, is64, type == TypeShared);
        for (var i = 0; i < count; i++) elf.AddProgramHeader(file, table.AsSpan(i * expected, expected));
        if (elf.Segments.Count == 0) throw new MachineException(MachineError.File, $"the kernel {path} is an ELF file without anything to load");
        elf.Entry = elf.ToPhysical(is64 ? U64(head, 24) : U32(head, 24));
        return elf;
    }

    /// <summary>Reserves and places every segment.</summary>
    /// <exception cref="MachineException">A segment lies where there is no memory.</exception>
    internal void Place(BootPlan plan, BootFile file)
    {
        foreach (var segment in Segments)
        {
            if (segment.PhysicalAddress >= plan.Layout.HoleStart)
                throw new MachineException(MachineError.File, $"the kernel {_path} is linked to run at physical address 0x{segment.PhysicalAddress:x}, where a machine has no memory to load it to; link it below 3 GiB");
            plan.Reserve(segment.PhysicalAddress, segment.MemoryLength, $"the kernel {_path}", reservedToo: true);
            plan.Place(segment.PhysicalAddress, file, segment.FileOffset, segment.FileLength);
        }
    }

    /// <summary>Whether an address lies in a loaded segment.</summary>
    internal bool IsLoaded(ulong physical) => Segments.Exists(s => physical >= s.PhysicalAddress && physical - s.PhysicalAddress < s.MemoryLength);

    private void AddProgramHeader(BootFile file, ReadOnlySpan<byte> header)
    {
        var type = U32(header, 0);
        var (offset, virtualAddress, physicalAddress, fileLength, memoryLength) = Is64
            ? (U64(header, 8), U64(header, 16), U64(header, 24), U64(header, 32), U64(header, 40))
            : (U32(header, 4), U32(header, 8), U32(header, 12), U32(header, 16), (ulong)U32(header, 20));
        if (type is not (PtLoad or PtNote or PtInterp)) return;
        if (type == PtInterp) throw new MachineException(MachineError.File, $"the kernel {_path} is a program for a running operating system (it asks for an interpreter), no kernel");
        if (offset > file.Length || fileLength > file.Length - offset)
            throw new MachineException(MachineError.File, $"the kernel {_path} is cut off: an ELF segment ends behind the file's end; fetch it again");
        if (type == PtNote)
        {
            Notes.Add(new ElfNotes(offset, fileLength));
            return;
        }
        if (memoryLength == 0) return;
        if (fileLength > memoryLength || memoryLength > ulong.MaxValue - physicalAddress)
            throw new MachineException(MachineError.File, $"the kernel {_path} has an ELF segment whose sizes contradict each other");
        Segments.Add(new ElfSegment(offset, fileLength, virtualAddress, physicalAddress, memoryLength));
    }

    private ulong ToPhysical(ulong entry)
    {
        if (IsLoaded(entry)) return entry;
        foreach (var segment in Segments)
            if (entry >= segment.VirtualAddress && entry - segment.VirtualAddress < segment.MemoryLength)
                return segment.PhysicalAddress + (entry - segment.VirtualAddress);
        throw new MachineException(MachineError.File, $"the kernel {_path} has its entry at 0x{entry:x}, outside all it loads");
    }

    private static ushort U16(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[offset..]);

    private static uint U32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    private static ulong U64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[offset..]);
}
