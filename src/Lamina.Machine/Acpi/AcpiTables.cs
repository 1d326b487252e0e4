// All ACPI tables of a machine in one block of memory, the RSDP first, each table at an address that its referrer knows.
using Lamina.Boot;

namespace Lamina.Acpi;

/// <summary>Lays the tables out.</summary>
internal static class AcpiTables
{
    /// <summary>The tables for a description, to lie at an address below 4 GiB.</summary>
    /// <exception cref="InvalidOperationException">They need more than <paramref name="room"/> bytes.</exception>
    internal static FirmwareTable Create(AcpiDescription machine, ulong address, ulong room)
    {
        var bytes = new MemoryStream();
        ulong Add(byte[] table)
        {
            while (bytes.Length % FixedTables.FacsLength != 0) bytes.WriteByte(0);
            var at = address + (ulong)bytes.Length;
            bytes.Write(table);
            return at;
        }

        // The RSDP comes first in memory and is known last.
        bytes.SetLength(FixedTables.RsdpLength);
        bytes.Position = FixedTables.RsdpLength;
        var dsdt = Add(Dsdt.Create(machine));
        var facs = Add(FixedTables.Facs());
        var fadt = Add(FixedTables.Fadt(machine, facs, dsdt));
        var madt = Add(FixedTables.Madt(machine));
        var xsdt = Add(FixedTables.Xsdt(fadt, madt));
        var block = bytes.ToArray();
        if ((ulong)block.Length > room) throw new InvalidOperationException("the ACPI tables do not fit into their room");
        FixedTables.Rsdp(xsdt).CopyTo(block, 0);
        return new FirmwareTable(address, block, "the ACPI tables");
    }
}
