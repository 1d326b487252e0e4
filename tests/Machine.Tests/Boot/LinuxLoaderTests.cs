// Linux images: what the boot protocol asks for lies in memory and in the registers (Documentation/arch/x86/boot.rst).

using Lamina.Boot;
using Lamina.Core.Engine;
using Lamina.Micro;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class LinuxLoaderTests
{
    [Fact]
    public void A_64_bit_kernel_is_entered_behind_its_32_bit_entry_with_boot_params_in_rsi()
    {
        using var booted = Booted.Load(KernelImages.BzImage());

        Assert.Equal(0x100_0200ul, booted.State.Rip);
        Assert.Equal(BootLayout.BootParams, booted.State.Gpr[GprIndex.Rsi]);
        Assert.Equal(0x8000_0011ul, booted.State.Cr0);
        Assert.Equal(0x20ul, booted.State.Cr4);
        Assert.Equal(0x500ul, booted.State.Efer);
        Assert.Equal(2ul, booted.State.Rflags);
        var code = booted.State.Segments[SegmentIndex.Cs];
        Assert.Equal((0x10, 0xA09Bu, 0ul, uint.MaxValue), (code.Selector, code.Attributes, code.Base, code.Limit));
        Assert.Equal(0x18, booted.State.Segments[SegmentIndex.Ds].Selector);
        Assert.Equal(0x90, booted.Bytes(0x100_0000, 1)[0]);
        Assert.Contains("6.6.6-test", booted.Plan.Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x0ul)]
    [InlineData(0x100_0200ul)]
    [InlineData(0xBFFF_F000ul)]
    [InlineData(0xFEE0_0000ul)]
    public void The_page_tables_map_the_first_four_gibibytes_to_themselves(ulong address)
    {
        using var booted = Booted.Load(KernelImages.BzImage());

        var table = booted.State.Cr3;
        foreach (var shift in (int[])[39, 30])
        {
            var entry = booted.U64(table + (((address >> shift) & 0x1FF) * 8));
            Assert.Equal(3ul, entry & 0xFFF);
            table = entry & ~0xFFFul;
        }
        var page = booted.U64(table + (((address >> 21) & 0x1FF) * 8));
        Assert.Equal((address & ~0x1F_FFFFul) | 0x83, page);
    }

    [Fact]
    public void The_descriptor_table_in_memory_says_what_the_segment_registers_hold()
    {
        using var booted = Booted.Load(KernelImages.BzImage());

        var code = booted.U64(booted.State.Gdtr.Base + 0x10);
        Assert.Equal(0x00AF_9B00_0000_FFFFul, code);
        Assert.True(booted.State.Gdtr.Limit >= 0x27);
    }

    [Fact]
    public void The_zero_page_keeps_the_setup_header_and_fills_in_what_a_loader_owes()
    {
        using var booted = Booted.Load(KernelImages.BzImage(), initrd: new byte[5000]);

        var page = BootLayout.BootParams;
        Assert.Equal("HdrS"u8.ToArray(), booted.Bytes(page + 0x202, 4));
        Assert.Equal(0xFF, booted.Bytes(page + 0x210, 1)[0]);
        Assert.Equal(0, booted.Bytes(page + 0x1EF, 1)[0]);
        Assert.Equal("console=ttyS0", booted.Text(booted.U32(page + 0x228)));
        Assert.Equal(MicroLayout.Boot.AcpiTables, booted.U64(page + 0x70));
        Assert.Equal(5000u, booted.U32(page + 0x21C));
        var initrd = booted.U32(page + 0x218);
        Assert.Equal(0u, initrd % 4096);
        Assert.True(initrd + 5000 <= 64 << 20);
        Assert.True(initrd >= 0x100_0000 + 0x20_0000);
    }

    [Fact]
    public void The_memory_map_is_in_the_zero_page()
    {
        using var booted = Booted.Load(KernelImages.BzImage());

        var entries = booted.Bytes(BootLayout.BootParams + 0x1E8, 1)[0];
        var read = Enumerable.Range(0, entries).Select(i => BootLayout.BootParams + 0x2D0 + ((ulong)i * 20))
            .Select(at => (booted.U64(at), booted.U64(at + 8), booted.U32(at + 16))).ToArray();
        Assert.Equal([(0ul, 0x9FC00ul, 1u), (0x9FC00ul, 0x400ul, 2u), (0xE0000ul, 0x20000ul, 2u), (0x10_0000ul, 63ul << 20, 1u)], read);
    }

    [Fact]
    public void Each_load_hands_over_a_fresh_random_seed()
    {
        using var booted = Booted.Load(KernelImages.BzImage());

        var node = booted.U64(BootLayout.BootParams + 0x250);
        Assert.Equal((0ul, 9u, 32u), (booted.U64(node), booted.U32(node + 8), booted.U32(node + 12)));
        var first = booted.Bytes(node + 16, 32);
        booted.Plan.Load(booted.Memory);
        Assert.NotEqual(first, booted.Bytes(node + 16, 32));
        Assert.NotEqual(new byte[32], first);
    }

    [Fact]
    public void A_kernel_without_a_64_bit_entry_is_entered_in_protected_mode()
    {
        using var booted = Booted.Load(KernelImages.BzImage(xloadflags: 0));

        Assert.Equal(0x100_0000ul, booted.State.Rip);
        Assert.Equal(0x11ul, booted.State.Cr0);
        Assert.Equal((0ul, 0ul), (booted.State.Cr4, booted.State.Efer));
        Assert.Equal(0xC09Bu, booted.State.Segments[SegmentIndex.Cs].Attributes);
        Assert.Equal(BootLayout.BootParams, booted.State.Gpr[GprIndex.Rsi]);
        Assert.Equal(0x00CF_9B00_0000_FFFFul, booted.U64(booted.State.Gdtr.Base + 0x10));
    }

    [Fact]
    public void A_kernel_of_protocol_2_05_lies_at_one_mebibyte_and_takes_255_characters()
    {
        var kernel = KernelImages.BzImage(version: 0x0205, xloadflags: 0xFFFF);

        using var booted = Booted.Load(kernel, commandLine: new string('x', 255));

        Assert.Equal(0x10_0000ul, booted.State.Rip);
        Assert.Throws<MachineException>(() => Booted.Load(kernel, commandLine: new string('x', 256)));
    }

    [Fact]
    public void An_initrd_larger_than_what_lies_below_the_hole_goes_above_four_gibibytes_where_the_kernel_can()
    {
        var request = Booted.Request(KernelImages.BzImage(xloadflags: 3, prefAddress: 0x100_0000, initSize: 0xBE00_0000), 5ul << 30, new byte[32 << 20]);

        var plan = Lamina.Boot.KernelFormat.Plan(request);

        using var memory = new Lamina.Core.Memory.GuestMemory(request.Map.Ram);
        plan.Load(memory);
        Assert.True(memory.TryRead<uint>(BootLayout.BootParams + 0xC0, out var high));
        Assert.Equal(1u, high);
    }

    [Fact]
    public void A_vmlinux_without_a_PVH_note_is_entered_at_its_physical_entry_in_64_bit_mode()
    {
        using var booted = Booted.Load(KernelImages.Elf64());

        Assert.Equal(0x20_0010ul, booted.State.Rip);
        Assert.Equal(0x8000_0011ul, booted.State.Cr0);
        Assert.Equal(BootLayout.BootParams, booted.State.Gpr[GprIndex.Rsi]);
        Assert.Equal("HdrS"u8.ToArray(), booted.Bytes(BootLayout.BootParams + 0x202, 4));
        Assert.Equal([.. Enumerable.Repeat((byte)0xF4, 32), 0], booted.Bytes(0x20_0000, 33));
    }

    [Fact]
    public void A_vmlinux_whose_entry_is_virtual_is_entered_at_the_physical_address_behind_it()
    {
        using var booted = Booted.Load(KernelImages.Elf64(entry: 0xFFFF_FFFF_8020_0008));

        Assert.Equal(0x20_0008ul, booted.State.Rip);
    }
}
