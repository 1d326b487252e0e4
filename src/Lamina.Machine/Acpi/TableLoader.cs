// ACPI tables for firmware that puts them into memory: the tables as files, and the commands that say how to. The commands' form is that
// of QEMU's hw/acpi/bios-linker-loader.c, as SeaBIOS (src/fw/romfile_loader.h) and OVMF (OvmfPkg/AcpiPlatformDxe/QemuLoader.h) read it:
// 128 bytes each, little-endian.
using System.Buffers.Binary;
using System.Text;
using Lamina.Boot;

namespace Lamina.Acpi;

/// <summary>Makes the table loader's files.</summary>
internal static class TableLoader
{
    private const string RsdpFile = "etc/acpi/rsdp", TablesFile = "etc/acpi/tables", CommandsFile = "etc/table-loader";

    private const int CommandLength = 128, NameLength = 56;
    private const uint Allocate = 1, AddPointer = 2, AddChecksum = 3;

    // Where firmware is to have them: anywhere, or below 1 MiB, where operating systems look for the root pointer.
    private const byte High = 1, FirstMegabyte = 2;

    private const int RsdpAlignment = 16;

    /// <summary>The files for a machine's tables.</summary>
    internal static IReadOnlyList<FirmwareFile> Files(AcpiTableSet set)
    {
        var tables = (byte[])set.Tables.Clone();
        var commands = new MemoryStream();
        Add(commands, Allocate, RsdpFile, command =>
        {
            BinaryPrimitives.WriteUInt32LittleEndian(command, RsdpAlignment);
            command[4] = FirstMegabyte;
        });
        Add(commands, Allocate, TablesFile, command =>
        {
            BinaryPrimitives.WriteUInt32LittleEndian(command, AcpiTableSet.Alignment);
            command[4] = High;
        });
        foreach (var pointer in set.Pointers)
        {
            // What stands there already is added to the file's address.
            BinaryPrimitives.WriteUInt32LittleEndian(tables.AsSpan(pointer.At), (uint)pointer.To);
            Point(commands, TablesFile, pointer.At, pointer.Size);
        }
        foreach (var sum in set.Checksums) Sum(commands, TablesFile, sum.At, sum.Start, sum.Length);
        var rsdp = FixedTables.Rsdp((ulong)set.Root.Rsdt, (ulong)set.Root.Xsdt);
        (rsdp[FixedTables.RsdpChecksum], rsdp[FixedTables.RsdpExtendedChecksum]) = (0, 0);
        Point(commands, RsdpFile, FixedTables.RsdpRsdt, sizeof(uint));
        Point(commands, RsdpFile, FixedTables.RsdpXsdt, sizeof(ulong));
        Sum(commands, RsdpFile, FixedTables.RsdpChecksum, 0, FixedTables.RsdpFirstLength);
        Sum(commands, RsdpFile, FixedTables.RsdpExtendedChecksum, 0, FixedTables.RsdpLength);
        return [new FirmwareFile(RsdpFile, rsdp), new FirmwareFile(TablesFile, tables), new FirmwareFile(CommandsFile, commands.ToArray())];
    }

    private static void Point(MemoryStream commands, string file, int at, int size) => Add(commands, AddPointer, file, command =>
    {
        Name(command, TablesFile);
        BinaryPrimitives.WriteInt32LittleEndian(command[NameLength..], at);
        command[NameLength + 4] = (byte)size;
    });

    private static void Sum(MemoryStream commands, string file, int at, int start, int length) => Add(commands, AddChecksum, file, command =>
    {
        BinaryPrimitives.WriteInt32LittleEndian(command, at);
        BinaryPrimitives.WriteInt32LittleEndian(command[4..], start);
        BinaryPrimitives.WriteInt32LittleEndian(command[8..], length);
    });

    private delegate void Rest(Span<byte> command);

    private static void Add(MemoryStream commands, uint which, string file, Rest rest)
    {
        var command = new byte[CommandLength];
        BinaryPrimitives.WriteUInt32LittleEndian(command, which);
        Name(command.AsSpan(4), file);
        rest(command.AsSpan(4 + NameLength));
        commands.Write(command);
    }

    private static void Name(Span<byte> place, string name) => Encoding.ASCII.GetBytes(name, place);
}
