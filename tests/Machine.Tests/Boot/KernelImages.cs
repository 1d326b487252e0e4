// Kernel images assembled byte by byte, for the loaders' tests.
using System.Buffers.Binary;
using System.Text;

using Lamina.Boot;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Micro;

namespace Lamina.Tests.Machines.Boot;

internal static class KernelImages
{
    internal static byte[] BzImage(ushort version = 0x020F, ushort xloadflags = 1, ulong prefAddress = 0x100_0000, uint initSize = 0x20_0000, uint commandLineSize = 2047, uint code32Start = 0x10_0000)
    {
        const int setupSectors = 3, codeLength = 0x1000;
        var image = new byte[((setupSectors + 1) * 512) + codeLength];
        image[0x1F1] = setupSectors;
        U32(image, 0x1F4, codeLength / 16);
        U16(image, 0x1FE, 0xAA55);
        image[0x200] = 0xEB;
        image[0x201] = 0x6A;
        Encoding.ASCII.GetBytes("HdrS").CopyTo(image, 0x202);
        U16(image, 0x206, version);
        U16(image, 0x20E, 0x400);
        Encoding.ASCII.GetBytes("6.6.6-test (nobody)\0").CopyTo(image, 0x600);
        image[0x211] = 1;
        U32(image, 0x214, code32Start);
        U32(image, 0x22C, 0x7FFF_FFFF);
        U32(image, 0x230, 0x20_0000);
        image[0x234] = 1;
        U16(image, 0x236, xloadflags);
        U32(image, 0x238, commandLineSize);
        U64(image, 0x258, prefAddress);
        U32(image, 0x260, initSize);
        image.AsSpan((setupSectors + 1) * 512).Fill(0x90);
        return image;
    }

    /// <summary>A bzImage whose code is a payload, 16 bytes behind its first.</summary>
    internal static byte[] BzImageOf(byte[] payload, uint initSize = 0x40_0000)
    {
        const int setup = 4 * 512, before = 16;
        var head = BzImage(initSize: initSize);
        var image = new byte[setup + ((before + payload.Length + 15) & ~15)];
        head.AsSpan(0, setup).CopyTo(image);
        payload.CopyTo(image, setup + before);
        U32(image, 0x1F4, (uint)(image.Length - setup) / 16);
        U32(image, 0x248, before);
        U32(image, 0x24C, (uint)payload.Length);
        return image;
    }

    /// <summary>
    /// An unpacked kernel that is linked for 16 MiB: 4 KiB at its beginning, 4 KiB of which 256 bytes are in the file at 2 MiB, sections, and behind it
    /// the places of addresses: one of 64 bits at 0x100, one of 32 at 0x200, one that shrinks at 0x300 (<paramref name="lists"/> 3), one of 32 at 0x20_0010.
    /// </summary>
    internal static byte[] Vmlinux(int lists = 3)
    {
        const ulong map = 0xFFFF_FFFF_8000_0000, linked = 0x100_0000;
        const int end = 0x2000;
        int Place(int at) => (int)(map + linked + (ulong)at);
        int[] words = lists switch
        {
            0 => [],
            2 => [0, Place(0x100), 0, Place(0x200), Place(0x20_0010)],
            _ => [0, Place(0x100), 0, Place(0x300), 0, Place(0x200), Place(0x20_0010)],
        };
        var image = new byte[end + (words.Length * 4)];
        new byte[] { 0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(image, 0);
        U16(image, 16, 2);
        U16(image, 18, 62);
        U32(image, 20, 1);
        U64(image, 24, linked + 0x40);
        U64(image, 32, 64);
        U64(image, 40, 0x1E00);
        U16(image, 52, 64);
        U16(image, 54, 56);
        U16(image, 56, 2);
        U16(image, 58, 64);
        U16(image, 60, 2);
        ProgramHeader64(image, 64, 1, 0x200, map + linked, linked, 0x1000, 0x1000);
        ProgramHeader64(image, 120, 1, 0x1400, map + linked + 0x20_0000, linked + 0x20_0000, 0x100, 0x1000);
        // A section of names that ends where the file does.
        U32(image, 0x1E40 + 4, 3);
        U64(image, 0x1E40 + 24, 0x1F00);
        U64(image, 0x1E40 + 32, 0x100);
        image.AsSpan(0x200, 0x1000).Fill(0xCC);
        U64(image, 0x200 + 0x100, map + linked + 0x777);
        U32(image, 0x200 + 0x200, unchecked((uint)(map + linked + 0x888)));
        U32(image, 0x200 + 0x300, 0x1234_5678);
        U32(image, 0x1400 + 0x10, unchecked((uint)(map + linked + 0x999)));
        for (var i = 0; i < words.Length; i++) U32(image, end + (i * 4), (uint)words[i]);
        return image;
    }

    /// <summary>A 64-bit ELF with one segment of 32 bytes in the file and 4 KiB in memory, and a PVH note if asked for.</summary>
    internal static byte[] Elf64(ulong physical = 0x20_0000, ulong entry = 0x20_0010, uint? pvhEntry = null, ushort type = 2)
    {
        var image = new byte[0x200];
        new byte[] { 0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(image, 0);
        U16(image, 16, type);
        U16(image, 18, 62);
        U32(image, 20, 1);
        U64(image, 24, entry);
        U64(image, 32, 64);
        U16(image, 52, 64);
        U16(image, 54, 56);
        U16(image, 56, (ushort)(pvhEntry is null ? 1 : 2));
        ProgramHeader64(image, 64, 1, 0x100, 0xFFFF_FFFF_8000_0000 + physical, physical, 32, 0x1000);
        if (pvhEntry is { } note)
        {
            ProgramHeader64(image, 120, 4, 0x180, 0, 0, 0x28, 0x28);
            // A note of somebody else's first, padded, then Xen's.
            U32(image, 0x180, 4);
            U32(image, 0x184, 1);
            U32(image, 0x188, 18);
            Encoding.ASCII.GetBytes("GNU\0").CopyTo(image, 0x18C);
            U32(image, 0x194, 4);
            U32(image, 0x198, 4);
            U32(image, 0x19C, 18);
            Encoding.ASCII.GetBytes("Xen\0").CopyTo(image, 0x1A0);
            U32(image, 0x1A4, note);
        }
        image.AsSpan(0x100, 32).Fill(0xF4);
        return image;
    }

    /// <summary>A 32-bit ELF with a Multiboot header in its one segment.</summary>
    internal static byte[] MultibootElf(uint flags = 3, uint physical = 0x10_0000, uint entry = 0xC010_0010)
    {
        var image = new byte[0x200];
        new byte[] { 0x7F, (byte)'E', (byte)'L', (byte)'F', 1, 1, 1 }.CopyTo(image, 0);
        U16(image, 16, 2);
        U16(image, 18, 3);
        U32(image, 24, entry);
        U32(image, 28, 52);
        U16(image, 42, 32);
        U16(image, 44, 1);
        U32(image, 52, 1);
        U32(image, 56, 0x100);
        U32(image, 60, 0xC000_0000 + physical);
        U32(image, 64, physical);
        U32(image, 68, 0x40);
        U32(image, 72, 0x2000);
        MultibootHeader(image, 0x100, flags);
        return image;
    }

    /// <summary>A flat image with address fields: the header at offset 0x20, loaded at 2 MiB, entered behind the header.</summary>
    internal static byte[] MultibootFlat(uint load = 0x20_0000, uint loadEnd = 0, uint bssEnd = 0x20_4000, uint entry = 0x20_0040)
    {
        var image = new byte[0x400];
        MultibootHeader(image, 0x20, 0x1_0003);
        U32(image, 0x2C, load + 0x20);
        U32(image, 0x30, load);
        U32(image, 0x34, loadEnd);
        U32(image, 0x38, bssEnd);
        U32(image, 0x3C, entry);
        image.AsSpan(0x40).Fill(0xCC);
        return image;
    }

    internal static void MultibootHeader(byte[] image, int at, uint flags)
    {
        U32(image, at, 0x1BAD_B002);
        U32(image, at + 4, flags);
        U32(image, at + 8, unchecked(0u - 0x1BAD_B002 - flags));
    }

    internal static void ProgramHeader64(byte[] image, int at, uint type, ulong offset, ulong virtualAddress, ulong physical, ulong fileLength, ulong memoryLength)
    {
        U32(image, at, type);
        U64(image, at + 8, offset);
        U64(image, at + 16, virtualAddress);
        U64(image, at + 24, physical);
        U64(image, at + 32, fileLength);
        U64(image, at + 40, memoryLength);
    }

    internal static void U16(byte[] image, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(at), value);

    internal static void U32(byte[] image, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(at), value);

    internal static void U64(byte[] image, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(at), value);
}

/// <summary>A boot that was planned and loaded into memory, with the vCPU state it starts with.</summary>
internal sealed class Booted : IDisposable
{
    private Booted(BootPlan plan, GuestMemory memory)
    {
        (Plan, Memory) = (plan, memory);
        plan.Load(memory);
        plan.Enter(State);
    }

    internal BootPlan Plan { get; }

    internal GuestMemory Memory { get; }

    internal VcpuState State { get; } = new();

    internal static BootRequest Request(byte[] kernel, ulong memory = 64 << 20, byte[]? initrd = null, string commandLine = "console=ttyS0", params LoadedModule[] modules) =>
        new(MemoryMap.Create(MicroLayout.Boot, memory), MicroTables.Create(2, 3),
            BootFile.FromBytes("kernel", "vmlinuz", kernel), initrd is null ? null : BootFile.FromBytes("initrd", "initrd.img", initrd), commandLine, modules);

    internal static Booted Load(byte[] kernel, ulong memory = 64 << 20, byte[]? initrd = null, string commandLine = "console=ttyS0", params LoadedModule[] modules)
    {
        var request = Request(kernel, memory, initrd, commandLine, modules);
        return Load(request);
    }

    internal static Booted Load(BootRequest request) => new(KernelFormat.Plan(request), new GuestMemory(request.Map.Ram));

    internal uint U32(ulong address) => Memory.TryRead<uint>(address, out var value) ? value : throw new InvalidOperationException();

    internal ulong U64(ulong address) => Memory.TryRead<ulong>(address, out var value) ? value : throw new InvalidOperationException();

    internal byte[] Bytes(ulong address, int count)
    {
        var bytes = new byte[count];
        return Memory.TryRead(address, bytes) ? bytes : throw new InvalidOperationException();
    }

    internal string Text(ulong address)
    {
        var text = new StringBuilder();
        for (; Bytes(address, 1)[0] is var value and not 0; address++) text.Append((char)value);
        return text.ToString();
    }

    public void Dispose() => Memory.Dispose();
}
