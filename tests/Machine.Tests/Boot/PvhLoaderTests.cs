// PVH kernels: hvm_start_info version 1 and 32-bit protected mode.
using Lamina.Boot;
using Lamina.Core.Engine;
using Lamina.Micro;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class PvhLoaderTests
{
    [Fact]
    public void The_note_decides_the_entry_and_ebx_points_to_the_start_information()
    {
        using var booted = Booted.Load(KernelImages.Elf64(pvhEntry: 0x20_0004), commandLine: "quiet");

        var info = booted.State.Gpr[GprIndex.Rbx];
        Assert.Equal(0x20_0004ul, booted.State.Rip);
        Assert.Equal(0x11ul, booted.State.Cr0);
        Assert.Equal(0ul, booted.State.Cr4);
        Assert.Equal((0x336E_C578u, 1u, 0u), (booted.U32(info), booted.U32(info + 4), booted.U32(info + 12)));
        Assert.Equal("quiet", booted.Text(booted.U64(info + 24)));
        Assert.Equal(MicroLayout.Boot.AcpiTables, booted.U64(info + 32));
        var task = booted.State.Segments[SegmentIndex.Tr];
        Assert.Equal((0x67u, 0x8Bu), (task.Limit, task.Attributes));
    }

    [Fact]
    public void The_memory_map_is_that_of_the_machine()
    {
        using var booted = Booted.Load(KernelImages.Elf64(pvhEntry: 0x20_0004));

        var info = booted.State.Gpr[GprIndex.Rbx];
        var map = booted.U64(info + 40);
        Assert.Equal(4u, booted.U32(info + 48));
        Assert.Equal((0x10_0000ul, 63ul << 20, 1u), (booted.U64(map + 72), booted.U64(map + 80), booted.U32(map + 88)));
    }

    [Fact]
    public void Initrd_and_modules_are_listed_in_order()
    {
        var module = new LoadedModule(BootFile.FromBytes("module", "m", new byte[] { 7, 8, 9 }), "m second");

        using var booted = Booted.Load(KernelImages.Elf64(pvhEntry: 0x20_0004), initrd: [1, 2, 3, 4], modules: module);

        var info = booted.State.Gpr[GprIndex.Rbx];
        var list = booted.U64(info + 16);
        Assert.Equal(2u, booted.U32(info + 12));
        Assert.Equal([1, 2, 3, 4], booted.Bytes(booted.U64(list), (int)booted.U64(list + 8)));
        Assert.Equal(0ul, booted.U64(list + 16));
        Assert.Equal([7, 8, 9], booted.Bytes(booted.U64(list + 32), (int)booted.U64(list + 40)));
        Assert.Equal("m second", booted.Text(booted.U64(list + 48)));
    }
}
