// Tells kernel formats apart by content, never by file name, and names what a file is that is none of them.
using System.Buffers.Binary;

namespace Lamina.Boot;

/// <summary>Chooses the loader for a kernel file.</summary>
internal static class KernelFormat
{
    // Multiboot 1 wants its header in the first 8 KiB (0.6.96, 3.1.1); an ISO 9660 descriptor lies at 32 KiB.
    private const int HeadLength = 0x9000;

    /// <summary>Plans the boot of whatever the kernel file is.</summary>
    /// <exception cref="MachineException">It is no kernel that this machine boots, or a damaged one.</exception>
    internal static BootPlan Plan(BootRequest request)
    {
        var head = request.Kernel.Head(HeadLength);
        if (BzImageLoader.Matches(head)) return BzImageLoader.Plan(request);
        if (MultibootHeader.Find(head) is { } multiboot) return MultibootLoader.Plan(request, multiboot);
        if (!ElfFile.Matches(head)) throw new MachineException(MachineError.File, $"the kernel {request.Kernel.Path} is no kernel: it {Describe(head)}");
        var elf = ElfFile.Parse(request.Kernel);
        return PvhLoader.FindEntry(request.Kernel, elf) is { } entry
            ? PvhLoader.Plan(request, elf, entry)
            : LinuxElfLoader.Plan(request, elf);
    }

    /// <summary>What a file that is no kernel looks like, as the end of a sentence.</summary>
    internal static string Describe(ReadOnlySpan<byte> head)
    {
        if (head.Length < 512) return $"has only {head.Length} bytes";
        if (DescribeOther(head) is { } other) return other;
        if (BinaryPrimitives.ReadUInt16LittleEndian(head[510..]) == 0xAA55) return "starts with a boot sector; it looks like a disk image";
        return "is neither a Linux bzImage nor an ELF nor a Multiboot image";
    }

    /// <summary>What a file is that is neither a kernel nor firmware, as the end of a sentence; null where nothing tells.</summary>
    internal static string? DescribeOther(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B])) return "is compressed with gzip; unpack it with gunzip first";
        if (head.StartsWith((ReadOnlySpan<byte>)[0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0])) return "is compressed with xz; unpack it with unxz first";
        if (head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xB5, 0x2F, 0xFD])) return "is compressed with zstd; unpack it with unzstd first";
        if (head.StartsWith("BZh"u8)) return "is compressed with bzip2; unpack it with bunzip2 first";
        if (head.StartsWith((ReadOnlySpan<byte>)[0x02, 0x21, 0x4C, 0x18]) || head.StartsWith((ReadOnlySpan<byte>)[0x04, 0x22, 0x4D, 0x18])) return "is compressed with lz4; unpack it with unlz4 first";
        if (head.StartsWith("070701"u8) || head.StartsWith("070702"u8)) return "is a cpio archive; it looks like an initrd";
        if (head.StartsWith("!<arch>\n"u8)) return "is a package or library archive; unpack it and name the file in it";
        if (head.StartsWith((ReadOnlySpan<byte>)[(byte)'Q', (byte)'F', (byte)'I', 0xFB])) return "is a qcow2 disk image";
        if (head.Length >= 0x3C && head[0x38..].StartsWith("ARM\x64"u8)) return "is a kernel for 64-bit ARM; this machine is an x86-64 one";
        if (head.Length >= 0x8006 && head[0x8001..].StartsWith("CD001"u8)) return "is a CD image";
        if (HasMultiboot2Header(head)) return "is a Multiboot 2 image; this machine boots Multiboot 1, PVH and Linux kernels";
        if (head.StartsWith("MZ"u8)) return "is a Windows or EFI program";
        if (head.StartsWith("#!"u8)) return "is a script";
        return null;
    }

    // Multiboot 2, 3.1.1: magic 0xE85250D6 in the first 32 KiB, 8-byte aligned.
    private static bool HasMultiboot2Header(ReadOnlySpan<byte> head)
    {
        for (var at = 0; at + 16 <= Math.Min(head.Length, 0x8000); at += 8)
        {
            var magic = BinaryPrimitives.ReadUInt32LittleEndian(head[at..]);
            if (magic != 0xE852_50D6) continue;
            var sum = magic + BinaryPrimitives.ReadUInt32LittleEndian(head[(at + 4)..]) + BinaryPrimitives.ReadUInt32LittleEndian(head[(at + 8)..]) + BinaryPrimitives.ReadUInt32LittleEndian(head[(at + 12)..]);
            if (sum == 0) return true;
        }
        return false;
    }
}
