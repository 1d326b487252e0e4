// The MP table, read as a kernel without ACPI reads it (MultiProcessor Specification 1.4, chapter 4), and held against the MADT.
using System.Buffers.Binary;
using System.Text;
using Lamina.Acpi;
using Lamina.Boot;
using Lamina.Micro;
using Lamina.Tests.Machines.Boot;
using Xunit;

namespace Lamina.Tests.Machines.Acpi;

public sealed class MultiProcessorTableTests
{
    private const uint At = 0xF_0400;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(255)]
    public void The_table_is_found_where_kernels_look_and_sums_to_zero(int cpus)
    {
        var request = Booted.Request(KernelImages.MultibootElf()) with { Firmware = MicroTables.Create(cpus, MicroLayout.VirtioSlots) };
        using var memory = new Lamina.Core.Memory.GuestMemory(request.Map.Ram);
        KernelFormat.Plan(request).Load(memory);
        var area = new byte[0x1_0000];
        Assert.True(memory.TryRead(0xF_0000, area));

        var at = Enumerable.Range(0, area.Length / 16).Select(i => i * 16).Single(i => area.AsSpan(i).StartsWith("_MP_"u8));
        Assert.Equal(0, area[at..(at + 16)].Sum(b => b) & 0xFF);
        Assert.Equal([1, 4], area[(at + 8)..(at + 10)]);
        Assert.Equal(0, area[at + 11] | area[at + 12]);
        var table = area.AsSpan((int)(BinaryPrimitives.ReadUInt32LittleEndian(area.AsSpan(at + 4)) - 0xF_0000));
        Assert.Equal("PCMP", Encoding.ASCII.GetString(table[..4]));
        Assert.Equal(0, table[..BinaryPrimitives.ReadUInt16LittleEndian(table[4..])].ToArray().Sum(b => b) & 0xFF);
        Assert.Equal(0xFEE0_0000u, BinaryPrimitives.ReadUInt32LittleEndian(table[36..]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(254)]
    public void Processors_come_first_the_bootstrap_processor_before_all_and_no_APIC_shares_an_identifier(int cpus)
    {
        var entries = Entries(AcpiTablesTests.Describe(cpus));

        Assert.Equal([.. Enumerable.Repeat(0, cpus), 1, 2], entries.Take(cpus + 2).Select(entry => (int)entry[0]));
        Assert.Equal([.. Enumerable.Range(0, cpus)], entries.Take(cpus).Select(entry => (int)entry[1]));
        Assert.Equal([3, .. Enumerable.Repeat(1, cpus - 1)], entries.Take(cpus).Select(entry => (int)entry[3]));
        Assert.Equal("ISA   ", Encoding.ASCII.GetString(entries[cpus], 2, 6));
        Assert.Equal(((byte)cpus, 0x20, 1, 0xFEC0_0000u), (entries[cpus + 1][1], entries[cpus + 1][2], entries[cpus + 1][3], BinaryPrimitives.ReadUInt32LittleEndian(entries[cpus + 1].AsSpan(4))));
    }

    [Fact]
    public void Interrupts_are_wired_as_the_MADT_says()
    {
        var entries = Entries(AcpiTablesTests.Describe());

        var wires = entries.Where(entry => entry[0] == 3 && entry[1] == 0).ToDictionary(entry => entry[5], entry => (Input: entry[7], Flags: BinaryPrimitives.ReadUInt16LittleEndian(entry.AsSpan(2))));
        // The timer at input 2, all others at their own; the SCI and virtio's inputs by level, active high.
        Assert.Equal([.. Enumerable.Range(0, 24).Where(irq => irq != 2)], wires.Keys.Select(irq => (int)irq).Order());
        Assert.All(wires, wire => Assert.Equal((wire.Key == 0 ? 2 : wire.Key, wire.Key is 9 or >= 16 ? 0xD : 0), (wire.Value.Input, wire.Value.Flags)));
        Assert.All(entries.Where(entry => entry[0] == 3), entry => Assert.Equal(2, entry[6]));
        Assert.Equal([0], entries.Where(entry => entry[0] == 3 && entry[1] == 3).Select(entry => (int)entry[7]));
        Assert.Equal([(3, 0, 0), (1, 0xFF, 1)], entries.Where(entry => entry[0] == 4).Select(entry => ((int)entry[1], (int)entry[6], (int)entry[7])));
    }

    [Theory]
    [InlineData("console=ttyS0 quiet", "console=ttyS0 quiet")]
    [InlineData("a acpi=off -- b", "virtio_mmio.device=512@0xfeb00000:16 virtio_mmio.device=512@0xfeb01000:17 virtio_mmio.device=512@0xfeb02000:18 a acpi=off -- b")]
    [InlineData("a -- acpi=off", "a -- acpi=off")]
    [InlineData("acpi=offhand", "acpi=offhand")]
    [InlineData("acpi=off virtio_mmio.device=4K@0xfeb00000:16", "acpi=off virtio_mmio.device=4K@0xfeb00000:16")]
    public void Linux_is_told_of_devices_where_it_is_to_do_without_ACPI(string line, string told)
    {
        using var booted = Booted.Load(KernelImages.BzImage(), commandLine: line);
        using var other = Booted.Load(KernelImages.Elf64(pvhEntry: 0x20_0004), commandLine: line);

        Assert.Equal(told, booted.Text(booted.U32(0x7000 + 0x228)));
        Assert.Equal(told, other.Text(other.U64(other.State.Gpr[Lamina.Core.Engine.GprIndex.Rbx] + 24)));
    }

    private static List<byte[]> Entries(AcpiDescription machine)
    {
        var table = MultiProcessorTable.Create(machine, At).AsSpan(16);
        var (entries, at) = (new List<byte[]>(), 44);
        for (var left = BinaryPrimitives.ReadUInt16LittleEndian(table[34..]); left > 0; left--)
        {
            var length = table[at] == 0 ? 20 : 8;
            entries.Add(table.Slice(at, length).ToArray());
            at += length;
        }
        Assert.Equal(table.Length, at);
        return entries;
    }
}
