// The header and checksum that all ACPI tables share. ACPI 6.5, 5.2.6.
using Lamina.Boot;

namespace Lamina.Acpi;

/// <summary>Makes tables with a header.</summary>
internal static class AcpiTable
{
    internal const int HeaderLength = 36, LengthOffset = 4, ChecksumOffset = 9;

    private const string OemId = "LAMINA", CreatorId = "LAMN";
    private const uint OemRevision = 1, CreatorRevision = 1;

    /// <summary>A table of a length with its header; the checksum is set by <see cref="Seal"/>.</summary>
    internal static GuestWriter Create(string signature, byte revision, int length)
    {
        var table = new GuestWriter(length);
        table.Text(0, 4, signature);
        table.U32(LengthOffset, (uint)length);
        table.U8(8, revision);
        table.Text(10, 6, OemId);
        table.Text(16, 8, "LAMINA" + signature[..2]);
        table.U32(24, OemRevision);
        table.Text(28, 4, CreatorId);
        table.U32(32, CreatorRevision);
        return table;
    }

    /// <summary>Sets the checksum of a finished table and returns its bytes.</summary>
    internal static byte[] Seal(GuestWriter table)
    {
        table.U8(ChecksumOffset, 0);
        table.U8(ChecksumOffset, Checksum(table.Bytes));
        return table.Bytes;
    }

    /// <summary>The byte that makes the sum of all bytes zero.</summary>
    internal static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (var value in bytes) sum += value;
        return (byte)-sum;
    }
}
