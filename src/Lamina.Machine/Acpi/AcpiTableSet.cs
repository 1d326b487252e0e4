// All ACPI tables of a machine as one block that can lie anywhere below 4 GiB: its bytes, and in which places of it the address of a
// table or a sum over one has to stand once it is known where that is. Either we put it to an address ourselves, for a kernel that is
// loaded directly, or firmware does, which is told how by the table loader's commands (TableLoader).
using System.Buffers.Binary;
using Lamina.Boot;

namespace Lamina.Acpi;

/// <summary>Tables without an address.</summary>
internal sealed class AcpiTableSet
{
    /// <summary>What the block's address must be a multiple of.</summary>
    internal const int Alignment = FixedTables.FacsLength;

    /// <summary>A pointer: where it stands, its size in bytes, and where in the block that lies to which it leads.</summary>
    internal readonly record struct Pointer(int At, int Size, int To);

    /// <summary>A sum: the byte that makes the sum of a range zero.</summary>
    internal readonly record struct Checksum(int At, int Start, int Length);

    private AcpiTableSet(byte[] tables, (int Rsdt, int Xsdt) root, IReadOnlyList<Pointer> pointers, IReadOnlyList<Checksum> checksums) =>
        (Tables, Root, Pointers, Checksums) = (tables, root, pointers, checksums);

    /// <summary>The block, with zeros for pointers and for the sums of those tables that have some.</summary>
    internal byte[] Tables { get; }

    /// <summary>Where in it the RSDT and the XSDT lie.</summary>
    internal (int Rsdt, int Xsdt) Root { get; }

    /// <summary>Its pointers.</summary>
    internal IReadOnlyList<Pointer> Pointers { get; }

    /// <summary>Its sums that change with the pointers.</summary>
    internal IReadOnlyList<Checksum> Checksums { get; }

    /// <summary>The tables for a description.</summary>
    internal static AcpiTableSet Create(AcpiDescription machine)
    {
        var bytes = new MemoryStream();
        int Add(byte[] table)
        {
            while (bytes.Length % Alignment != 0) bytes.WriteByte(0);
            var at = (int)bytes.Length;
            bytes.Write(table);
            return at;
        }

        var dsdt = Add(Dsdt.Create(machine));
        var facs = Add(FixedTables.Facs());
        var fadt = Add(FixedTables.Fadt(machine));
        var madt = Add(FixedTables.Madt(machine));
        int[] named = [fadt, madt];
        var (rsdt, xsdt) = (Add(FixedTables.Rsdt(named.Length)), Add(FixedTables.Xsdt(named.Length)));
        var block = bytes.ToArray();
        List<Pointer> pointers =
        [
            new(fadt + FixedTables.FadtFacs, sizeof(uint), facs),
            new(fadt + FixedTables.FadtDsdt, sizeof(uint), dsdt),
            new(fadt + FixedTables.FadtXDsdt, sizeof(ulong), dsdt),
            .. named.Select((table, i) => new Pointer(rsdt + AcpiTable.HeaderLength + (i * sizeof(uint)), sizeof(uint), table)),
            .. named.Select((table, i) => new Pointer(xsdt + AcpiTable.HeaderLength + (i * sizeof(ulong)), sizeof(ulong), table)),
        ];
        List<Checksum> checksums = [.. ((int[])[fadt, rsdt, xsdt]).Select(table => new Checksum(table + AcpiTable.ChecksumOffset, table, BinaryPrimitives.ReadInt32LittleEndian(block.AsSpan(table + AcpiTable.LengthOffset))))];
        foreach (var sum in checksums) block[sum.At] = 0;
        return new AcpiTableSet(block, (rsdt, xsdt), pointers, checksums);
    }

    /// <summary>The tables at an address that is a multiple of <see cref="Alignment"/>, the RSDP before them.</summary>
    /// <exception cref="InvalidOperationException">They need more than <paramref name="room"/> bytes.</exception>
    internal FirmwareTable At(ulong address, ulong room)
    {
        var start = address + Alignment;
        var block = new byte[Alignment + Tables.Length];
        if ((ulong)block.Length > room) throw new InvalidOperationException("the ACPI tables do not fit into their room");
        FixedTables.Rsdp(start + (ulong)Root.Rsdt, start + (ulong)Root.Xsdt).CopyTo(block, 0);
        var tables = block.AsSpan(Alignment);
        Tables.CopyTo(tables);
        foreach (var pointer in Pointers)
        {
            var target = start + (ulong)pointer.To;
            if (pointer.Size == sizeof(uint)) BinaryPrimitives.WriteUInt32LittleEndian(tables[pointer.At..], (uint)target);
            else BinaryPrimitives.WriteUInt64LittleEndian(tables[pointer.At..], target);
        }
        foreach (var sum in Checksums) tables[sum.At] = AcpiTable.Checksum(tables.Slice(sum.Start, sum.Length));
        return new FirmwareTable(address, block, "the ACPI tables");
    }
}
