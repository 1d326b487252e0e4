// Multiboot 1 images. Multiboot Specification 0.6.96, 3.2 and 3.3.

using Lamina.Boot;
using Lamina.Core.Engine;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class MultibootLoaderTests
{
    [Fact]
    public void An_ELF_image_is_entered_in_protected_mode_with_magic_and_information()
    {
        using var booted = Booted.Load(KernelImages.MultibootElf(), commandLine: "a b");

        var info = booted.State.Gpr[GprIndex.Rbx];
        Assert.Equal(0x10_0010ul, booted.State.Rip);
        Assert.Equal(0x2BAD_B002ul, booted.State.Gpr[GprIndex.Rax]);
        Assert.Equal(0x11ul, booted.State.Cr0);
        Assert.Equal(0ul, booted.State.Rflags & (1 << 9 | 1 << 17));
        Assert.Equal(0x245u, booted.U32(info));
        Assert.Equal((639u, 63u << 10), (booted.U32(info + 4), booted.U32(info + 8)));
        Assert.Equal("vmlinuz a b", booted.Text(booted.U32(info + 16)));
        Assert.Equal("Lamina", booted.Text(booted.U32(info + 64)));
    }

    [Fact]
    public void Every_interrupt_of_real_mode_leads_into_reserved_memory_and_returns()
    {
        using var booted = Booted.Load(KernelImages.MultibootElf());

        for (var vector = 0; vector < 256; vector++)
        {
            var pointer = booted.U32((ulong)vector * 4);
            var handler = ((pointer >> 16) << 4) + (pointer & 0xFFFF);
            Assert.InRange(handler, 0xF_0000u, 0xF_FFFFu);
            // The shortest way to an IRET: each handler is straight code.
            Assert.Contains((byte)0xCF, booted.Bytes(handler, 16));
            Assert.Equal(vector is >= 0x10 and <= 0x1F, booted.Bytes(handler, 1)[0] != 0xCF);
        }
    }

    [Fact]
    public void The_memory_map_s_entries_carry_their_own_size()
    {
        using var booted = Booted.Load(KernelImages.MultibootElf());

        var info = booted.State.Gpr[GprIndex.Rbx];
        var (length, map) = (booted.U32(info + 44), (ulong)booted.U32(info + 48));
        var entries = new List<(ulong, ulong, uint)>();
        for (var at = map; at < map + length; at += booted.U32(at) + 4) entries.Add((booted.U64(at + 4), booted.U64(at + 12), booted.U32(at + 20)));
        Assert.Equal([(0ul, 0x9FC00ul, 1u), (0x9FC00ul, 0x400ul, 2u), (0xE0000ul, 0x20000ul, 2u), (0x10_0000ul, 63ul << 20, 1u)], entries);
    }

    [Fact]
    public void Modules_lie_page_aligned_behind_the_kernel_with_their_strings()
    {
        var module = new LoadedModule(BootFile.FromBytes("module", "drv", new byte[5000]), "drv fast");

        using var booted = Booted.Load(KernelImages.MultibootElf(), initrd: [1, 2, 3], modules: module);

        var info = booted.State.Gpr[GprIndex.Rbx];
        Assert.Equal(0x24Du, booted.U32(info));
        Assert.Equal(2u, booted.U32(info + 20));
        var list = (ulong)booted.U32(info + 24);
        var first = booted.U32(list);
        Assert.Equal(0x10_2000u, first);
        Assert.Equal([1, 2, 3], booted.Bytes(first, (int)(booted.U32(list + 4) - first)));
        Assert.Equal("initrd.img", booted.Text(booted.U32(list + 8)));
        Assert.Equal((0x10_3000u, 5000u), (booted.U32(list + 16), booted.U32(list + 20) - booted.U32(list + 16)));
        Assert.Equal("drv fast", booted.Text(booted.U32(list + 24)));
    }

    [Fact]
    public void A_flat_image_is_loaded_where_its_address_fields_say()
    {
        using var booted = Booted.Load(KernelImages.MultibootFlat());

        Assert.Equal(0x20_0040ul, booted.State.Rip);
        Assert.Equal(0x1BAD_B002u, booted.U32(0x20_0020));
        Assert.Equal(0xCC, booted.Bytes(0x20_03FF, 1)[0]);
        Assert.Equal(0, booted.Bytes(0x20_0400, 1)[0]);
    }

    [Fact]
    public void A_flat_image_is_loaded_no_further_than_its_load_end()
    {
        using var booted = Booted.Load(KernelImages.MultibootFlat(loadEnd: 0x20_0100));

        Assert.Equal((0xCC, 0), (booted.Bytes(0x20_00FF, 1)[0], booted.Bytes(0x20_0100, 1)[0]));
    }

    [Fact]
    public void An_image_may_have_a_part_on_the_page_below_one_mebibyte()
    {
        using var booted = Booted.Load(KernelImages.MultibootElf(physical: 0xF_F000, entry: 0xC00F_F010));

        Assert.Equal(0xF_F010ul, booted.State.Rip);
    }

    [Fact]
    public void An_image_that_asks_for_a_video_mode_is_booted_without_one()
    {
        using var booted = Booted.Load(KernelImages.MultibootElf(flags: 7));

        Assert.Equal(0u, booted.U32(booted.State.Gpr[GprIndex.Rbx]) & (1 << 11 | 1 << 12));
    }

    [Fact]
    public void A_required_feature_that_nobody_knows_is_refused() =>
        Assert.Contains("0x8000", Assert.Throws<MachineException>(() => Booted.Load(KernelImages.MultibootElf(flags: 0x8003))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(0x20_0000u, 0x1F_FFFFu, 0u, 0x20_0040u)]
    [InlineData(0x20_0000u, 0x30_0000u, 0u, 0x20_0040u)]
    [InlineData(0x20_0000u, 0u, 0u, 0x10_0000u)]
    [InlineData(0xFFFF_0000u, 0u, 0u, 0xFFFF_0040u)]
    [InlineData(0xE_0000u, 0u, 0xE_0400u, 0xE_0040u)]
    [InlineData(0u, 0u, 0u, 0x40u)]
    public void Address_fields_that_make_no_sense_are_refused(uint load, uint loadEnd, uint bssEnd, uint entry) =>
        Assert.Throws<MachineException>(() => Booted.Load(KernelImages.MultibootFlat(load, loadEnd, bssEnd, entry)));
}
