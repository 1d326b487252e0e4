// What a controller and its namespace say of themselves (5.15.2): structures of 4096 bytes.
using System.Buffers.Binary;
using System.Text;
using static Lamina.Devices.Nvme.NvmeSpec;

namespace Lamina.Devices.Nvme;

/// <summary>What is to be said.</summary>
/// <param name="Serial">The serial number, up to 20 characters.</param>
/// <param name="Blocks">How many logical blocks there are.</param>
/// <param name="BlockPower">Their size as a power of two: 9 or 12.</param>
/// <param name="WriteCache">Whether a flush does something.</param>
/// <param name="Discards">Whether blocks can be given up.</param>
/// <param name="IsReadOnly">Whether nothing can be written.</param>
internal sealed record NvmeIdentity(string Serial, ulong Blocks, int BlockPower, bool WriteCache, bool Discards, bool IsReadOnly)
{
    private const string Model = "Lamina NVMe disk", Firmware = "1";

    // Its own qualified name (7.9), by a domain that is reserved for such use.
    private string QualifiedName => $"nqn.2026-01.test.lamina:{Serial}";

    /// <summary>CNS 01h: the controller.</summary>
    internal void WriteController(Span<byte> data)
    {
        data.Clear();
        U16(data, 0, Vendor);
        U16(data, 2, SubsystemVendor);
        Text(data.Slice(4, 20), Serial);
        Text(data.Slice(24, 40), Model);
        Text(data.Slice(64, 8), Firmware);
        data[77] = LongestTransferPower;
        U32(data, 80, NvmeSpec.Version);
        // Doorbell buffers.
        U16(data, 256, 1 << 8);
        // Aborts, and requests for events, less one.
        data[258] = 3;
        data[259] = MostEventRequests - 1;
        // One firmware slot, read only.
        data[260] = 1 << 1 | 1;
        // Log pages may be read in parts.
        data[261] = 1 << 2;
        // Temperatures at which it warns and stops, in kelvin.
        U16(data, 266, 343);
        U16(data, 268, 373);
        // Sizes of queue entries as powers of two: the least and the most.
        data[512] = SubmissionEntryPower << 4 | SubmissionEntryPower;
        data[513] = CompletionEntryPower << 4 | CompletionEntryPower;
        U32(data, 516, Namespace);
        // Write zeroes; dataset management.
        U16(data, 520, (ushort)((IsReadOnly ? 0 : 1 << 3) | (Discards && !IsReadOnly ? 1 << 2 : 0)));
        data[525] = (byte)(WriteCache ? 1 : 0);
        Encoding.ASCII.GetBytes(QualifiedName).CopyTo(data[768..]);
        // One power state, of a quarter of a watt.
        U16(data, 2048, 25);
    }

    /// <summary>CNS 00h: the namespace; all zeros for one that is not there.</summary>
    internal void WriteNamespace(Span<byte> data)
    {
        data.Clear();
        U64(data, 0, Blocks);
        U64(data, 8, Blocks);
        U64(data, 16, Blocks);
        // Blocks that were given up read as whatever.
        data[24] = (byte)(Discards && !IsReadOnly ? 1 : 0);
        // 99: write protected.
        data[99] = (byte)(IsReadOnly ? 1 : 0);
        data[128 + 2] = (byte)BlockPower;
    }

    /// <summary>CNS 03h: the namespace's identifiers: one of the program's making out of the serial number.</summary>
    internal void WriteDescriptors(Span<byte> data)
    {
        const byte uuid = 3, uuidLength = 16;
        data.Clear();
        (data[0], data[1]) = (uuid, uuidLength);
        var hash = System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes("lamina nvme " + Serial));
        hash.AsSpan(0, uuidLength).CopyTo(data[4..]);
        // RFC 9562, 5.8: a UUID of its maker's own kind.
        data[4 + 6] = (byte)(data[4 + 6] & 0x0f | 0x80);
        data[4 + 8] = (byte)(data[4 + 8] & 0x3f | 0x80);
    }

    /// <summary>CNS 02h: the namespaces above a number.</summary>
    internal static void WriteList(Span<byte> data, uint above)
    {
        data.Clear();
        if (above < Namespace) U32(data, 0, Namespace);
    }

    private static void Text(Span<byte> place, string text)
    {
        place.Fill((byte)' ');
        var bytes = Encoding.ASCII.GetBytes(text);
        bytes.AsSpan(0, Math.Min(bytes.Length, place.Length)).CopyTo(place);
    }

    private static void U16(Span<byte> data, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(data[at..], value);

    private static void U32(Span<byte> data, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(data[at..], value);

    private static void U64(Span<byte> data, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(data[at..], value);
}
