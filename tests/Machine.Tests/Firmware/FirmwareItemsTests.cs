// What firmware is told of a machine. The table loader's commands are carried out here as SeaBIOS and OVMF carry them out.
using Lamina.Pc;
using Lamina.Parts;
using Lamina.Boards;
using System.Buffers.Binary;
using System.Text;
using Lamina.Acpi;
using Lamina.Boot;
using Lamina.Core.Memory;
using Lamina.Devices.Firmware;
using Lamina.Firmware;
using Lamina.Micro;
using Lamina.Tests.Machines.Acpi;
using Xunit;

namespace Lamina.Tests.Machines.Firmware;

public sealed class FirmwareItemsTests
{
    private const ulong GiB = 1ul << 30;

    private static Dictionary<string, byte[]> Files(ulong memory = 4 * GiB, int cpus = 2, bool menu = false, ushort? console = 0x3f8)
    {
        var map = MemoryMap.Create(new MicroBoard().Layout, memory);
        return FirmwareItems.Create(new FirmwareRequest(map, MicroTables.Create(cpus, 3), cpus, "micro") { BootOrder = ["/first/disk@0,0", "/second/disk@0,0"], SerialConsole = console, BootMenu = menu })
            .Files.ToDictionary(file => file.Name, file => file.Bytes.ToArray());
    }

    [Fact]
    public void Memory_is_told_with_the_hole_in_it()
    {
        var map = Files()["etc/e820"];

        Assert.Equal(40, map.Length);
        Assert.Equal((0ul, 3 * GiB, 1u), Entry(map, 0));
        Assert.Equal((4 * GiB, GiB, 1u), Entry(map, 20));

        static (ulong, ulong, uint) Entry(byte[] map, int at) =>
            (BinaryPrimitives.ReadUInt64LittleEndian(map.AsSpan(at)), BinaryPrimitives.ReadUInt64LittleEndian(map.AsSpan(at + 8)), BinaryPrimitives.ReadUInt32LittleEndian(map.AsSpan(at + 16)));
    }

    [Fact]
    public void The_boot_order_the_console_and_the_menu_are_told_where_there_are_such()
    {
        var files = Files(menu: true);
        Assert.Equal("/first/disk@0,0\n/second/disk@0,0\0", Encoding.ASCII.GetString(files["bootorder"]));
        Assert.Equal(0x3f8ul, BinaryPrimitives.ReadUInt64LittleEndian(files["etc/sercon-port"]));
        Assert.Equal(5000ul, BinaryPrimitives.ReadUInt64LittleEndian(files["etc/boot-menu-wait"]));

        files = Files(console: null);
        Assert.DoesNotContain("etc/sercon-port", files.Keys);
        Assert.DoesNotContain("etc/boot-menu-wait", files.Keys);
    }

    [Fact]
    public void The_boot_path_of_a_device_is_where_it_is_connected()
    {
        Assert.Equal("/virtio-mmio@00000000feb03000/disk@0,0", new MicroBoard().BootPathOf(DriveBus.Virtio, 3));
        Assert.Equal("/pci@i0cf8/scsi@6/disk@0,0", new PcBoard().BootPathOf(DriveBus.Virtio, 3));
        Assert.Equal("/pci@i0cf8/isa@1/fdc@03f0/floppy@1", new PcBoard().BootPathOf(null, 1));
        Assert.Equal("/pci@i0cf8/ethernet@6", new PcBoard().NetworkBootPathOf(3));
        Assert.Equal("/pci@i0cf8/sata@1f/drive@5/disk@0", new PcBoard().BootPathOf(DriveBus.Sata, 5));
        Assert.Equal(["/pci@i0cf8/ide@1,1/drive@0/disk@0", "/pci@i0cf8/ide@1,1/drive@0/disk@1", "/pci@i0cf8/ide@1,1/drive@1/disk@0"], Enumerable.Range(0, 3).Select(place => new PcBoard().BootPathOf(DriveBus.Ide, place)));
    }

    [Fact]
    public void Disks_are_booted_before_CDs_unless_it_is_said_otherwise()
    {
        var machine = new MachineDefinition { Type = MachineType.Pc }.With(new CdromDevice { Path = "c" }, new DiskDevice { Path = "a" }, new DiskDevice { Path = "b", Bus = DriveBus.Ide }, new CdromDevice());
        IReadOnlyList<string> Order(MachineDefinition of) => BootOrder.Of(of, [.. PartCatalog.Of(of.Complete())], new PcBoard());

        // Entropy and console have the first places.
        Assert.Equal(["/pci@i0cf8/scsi@5/disk@0,0", "/pci@i0cf8/ide@1,1/drive@0/disk@0", "/pci@i0cf8/ide@1,1/drive@0/disk@1", "/pci@i0cf8/ide@1,1/drive@1/disk@0"], Order(machine));
        Assert.Equal(["/pci@i0cf8/ide@1,1/drive@0/disk@1", "/pci@i0cf8/ide@1,1/drive@1/disk@0", "/pci@i0cf8/scsi@5/disk@0,0", "/pci@i0cf8/ide@1,1/drive@0/disk@0"], Order(machine with { Boot = new BootSource { From = BootMedium.Cdrom } }));
        var cards = machine.With(new NetworkDevice(), new NetworkDevice { Model = NetworkModel.E1000e });
        Assert.Equal(Order(machine), Order(cards));
        Assert.Equal(["/pci@i0cf8/ethernet@6", "/pci@i0cf8/ethernet@7", .. Order(machine)], Order(cards with { Boot = new BootSource { From = BootMedium.Network } }));
    }

    [Theory]
    [InlineData(0x0ffe_0000u, 0x000f_5a10u, 2)]
    [InlineData(0xbfff_0040u, 0x000e_0010u, 255)]
    public void The_loaders_commands_make_the_tables_that_the_machine_has(uint tablesAt, uint rsdpAt, int cpus)
    {
        var set = AcpiTableSet.Create(AcpiTablesTests.Describe(cpus, 5));
        var memory = Load(TableLoader.Files(set).ToDictionary(file => file.Name, file => file.Bytes), new() { ["etc/acpi/tables"] = tablesAt, ["etc/acpi/rsdp"] = rsdpAt });

        // Put to the same place by ourselves they are the same.
        var own = set.At(tablesAt - AcpiTableSet.Alignment, 1 << 20).Bytes;
        Assert.Equal(own[AcpiTableSet.Alignment..], memory["etc/acpi/tables"]);
        Assert.Equal(own[..36], memory["etc/acpi/rsdp"]);
        Assert.Equal(0, memory["etc/acpi/rsdp"].Sum(value => value) & 0xff);
        Assert.Equal(tablesAt + (uint)set.Root.Rsdt, BinaryPrimitives.ReadUInt32LittleEndian(memory["etc/acpi/rsdp"].AsSpan(16)));
        Assert.Equal(tablesAt + (ulong)set.Root.Xsdt, BinaryPrimitives.ReadUInt64LittleEndian(memory["etc/acpi/rsdp"].AsSpan(24)));
    }

    [Theory]
    [InlineData(1, 16ul << 20)]
    [InlineData(2, 256ul << 20)]
    [InlineData(255, 40 * GiB)]
    [InlineData(300, 4096 * GiB)]
    public void SMBIOS_structures_are_those_that_the_entry_point_counts(int cpus, ulong bytes)
    {
        MemoryRange[] ram = bytes <= 3 * GiB ? [new(0, bytes)] : [new(0, 3 * GiB), new(4 * GiB, bytes - (3 * GiB))];
        var files = Smbios.Files(ram, cpus, "micro").ToDictionary(file => file.Name, file => file.Bytes);
        var (anchor, tables) = (files["etc/smbios/smbios-anchor"], files["etc/smbios/smbios-tables"]);
        var structures = Structures(tables);

        Assert.Equal("_SM_", Encoding.ASCII.GetString(anchor, 0, 4));
        Assert.Equal("_DMI_", Encoding.ASCII.GetString(anchor, 16, 5));
        Assert.Equal(31, anchor[5]);
        Assert.Equal(tables.Length, BinaryPrimitives.ReadUInt16LittleEndian(anchor.AsSpan(22)));
        Assert.Equal(structures.Count, BinaryPrimitives.ReadUInt16LittleEndian(anchor.AsSpan(28)));
        Assert.Equal(structures.Max(structure => structure.Length), BinaryPrimitives.ReadUInt16LittleEndian(anchor.AsSpan(8)));
        Assert.Equal(structures.Count, structures.Select(structure => structure.Handle).Distinct().Count());
        Assert.Equal(127, structures[^1].Type);
        Assert.Equal([1, 3, 4, 16, 17, 19, 32, 127], structures.Select(structure => (int)structure.Type).Distinct());
        Assert.Equal(["Lamina", "micro"], structures[0].Texts);
        // All memory is in its modules, which say MiB.
        Assert.Equal(bytes >> 20, structures.Where(structure => structure.Type == 17).Aggregate(0ul, (sum, module) => sum + BinaryPrimitives.ReadUInt16LittleEndian(module.Bytes.AsSpan(12))));
        Assert.Equal(Math.Min(cpus, 255), structures.Single(structure => structure.Type == 4).Bytes[35]);
    }

    private sealed record Structure(byte Type, ushort Handle, byte[] Bytes, string[] Texts, int Length);

    private static List<Structure> Structures(byte[] tables)
    {
        var found = new List<Structure>();
        for (var at = 0; at < tables.Length;)
        {
            var bytes = tables.AsSpan(at, tables[at + 1]).ToArray();
            var end = at + bytes.Length;
            while (tables[end] != 0 || tables[end + 1] != 0) end++;
            var texts = Encoding.ASCII.GetString(tables, at + bytes.Length, end - at - bytes.Length).Split('\0', StringSplitOptions.RemoveEmptyEntries);
            found.Add(new Structure(bytes[0], BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(2)), bytes, texts, end + 2 - at));
            at = end + 2;
        }
        return found;
    }

    // SeaBIOS' romfile_loader_execute.
    private static Dictionary<string, byte[]> Load(Dictionary<string, byte[]> files, Dictionary<string, uint> places)
    {
        var commands = files["etc/table-loader"];
        Assert.Equal(0, commands.Length % 128);
        var memory = new Dictionary<string, byte[]>();
        for (var at = 0; at < commands.Length; at += 128)
        {
            var command = commands.AsSpan(at, 128);
            var file = Name(command[4..]);
            var rest = command[60..];
            switch (BinaryPrimitives.ReadUInt32LittleEndian(command))
            {
                case 1:
                    Assert.Equal(0u, places[file] % BinaryPrimitives.ReadUInt32LittleEndian(rest));
                    Assert.Equal(file == "etc/acpi/rsdp" ? 2 : 1, rest[4]);
                    memory.Add(file, (byte[])files[file].Clone());
                    break;
                case 2:
                    var place = memory[file].AsSpan((int)BinaryPrimitives.ReadUInt32LittleEndian(rest[56..]));
                    var pointer = places[Name(rest)];
                    if (rest[60] == 4) BinaryPrimitives.WriteUInt32LittleEndian(place, BinaryPrimitives.ReadUInt32LittleEndian(place) + pointer);
                    else BinaryPrimitives.WriteUInt64LittleEndian(place, BinaryPrimitives.ReadUInt64LittleEndian(place) + pointer);
                    break;
                case 3:
                    var range = memory[file].AsSpan((int)BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]), (int)BinaryPrimitives.ReadUInt32LittleEndian(rest[8..]));
                    byte sum = 0;
                    foreach (var value in range) sum += value;
                    memory[file][(int)BinaryPrimitives.ReadUInt32LittleEndian(rest)] -= sum;
                    break;
                default:
                    Assert.Fail("a command that firmware does not know");
                    break;
            }
        }
        return memory;

        static string Name(ReadOnlySpan<byte> place) => Encoding.ASCII.GetString(place[..place.IndexOf((byte)0)]);
    }
}
