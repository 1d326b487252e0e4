// What system management BIOS tables tell of a machine: who made it, its processors and its memory. Firmware puts them into memory and adds
// a structure of its own about itself (type 0). Source: DMTF DSP0134 (SMBIOS 2.8), 5.2.1 for the entry point, chapter 7 for the
// structures.
using System.Text;
using Lamina.Boot;
using Lamina.Core.Memory;

namespace Lamina.Firmware;

/// <summary>Makes SMBIOS tables.</summary>
internal static class Smbios
{
    private const string AnchorFile = "etc/smbios/smbios-anchor", TablesFile = "etc/smbios/smbios-tables";
    private const int AnchorLength = 31, IntermediateStart = 16;

    private const ulong Mib = 1 << 20, Kib = 1 << 10;

    // A memory device is told in MiB with 15 bits; QEMU's have 16 GiB, which readers are used to.
    private const ulong LargestModule = 16ul << 30;

    private const ushort System = 0x100, Chassis = 0x300, Processor = 0x400, MemoryArray = 0x1000, MemoryDevice = 0x1100, MappedArray = 0x1300, BootStatus = 0x2000, EndOfTable = 0x7f00;
    private const byte Other = 1, Unknown = 2;

    /// <summary>The entry point, whose address and sums are firmware's to fill in, and the structures.</summary>
    internal static IReadOnlyList<FirmwareFile> Files(IReadOnlyList<MemoryRange> ram, int cpus, string board)
    {
        var memory = ram.Aggregate(0ul, (sum, range) => sum + range.Length);
        var modules = (int)((memory + LargestModule - 1) / LargestModule);
        List<byte[]> structures =
        [
            SystemOf(board),
            ChassisOf(),
            ProcessorOf(cpus),
            MemoryArrayOf(memory, modules),
            .. Enumerable.Range(0, modules).Select(i => MemoryDeviceOf(i, Math.Min(LargestModule, memory - ((ulong)i * LargestModule)))),
            .. ram.Select((range, i) => MappedOf(i, range, modules)),
            Structure(32, BootStatus, 11, _ => { }),
            Structure(127, EndOfTable, 4, _ => { }),
        ];
        byte[] tables = [.. structures.SelectMany(bytes => bytes)];
        var anchor = new GuestWriter(AnchorLength);
        anchor.Text(0, 4, "_SM_");
        anchor.U8(5, AnchorLength);
        anchor.U8(6, 2);
        anchor.U8(7, 8);
        anchor.U16(8, (ushort)structures.Max(bytes => bytes.Length));
        anchor.Text(IntermediateStart, 5, "_DMI_");
        anchor.U16(22, (ushort)tables.Length);
        anchor.U16(28, (ushort)structures.Count);
        anchor.U8(30, 0x28);
        return [new FirmwareFile(AnchorFile, anchor.Bytes), new FirmwareFile(TablesFile, tables)];
    }

    // 7.2. An identifier of zeros says that there is none; 6 is "power switch".
    private static byte[] SystemOf(string board) => Structure(1, System, 27, table =>
    {
        table.U8(4, 1);
        table.U8(5, 2);
        table.U8(24, 6);
    }, "Lamina", board);

    // 7.4: kind "other", all in a safe state (3), no security (3).
    private static byte[] ChassisOf() => Structure(3, Chassis, 22, table =>
    {
        table.U8(4, 1);
        table.U8(5, Other);
        foreach (var state in (int[])[9, 10, 11]) table.U8(state, 3);
        table.U8(12, Unknown);
    }, "Lamina");

    // 7.5: one socket with all CPUs in it; a central processor (3), enabled (socket 40h, status 1).
    private static byte[] ProcessorOf(int cpus) => Structure(4, Processor, 42, table =>
    {
        var counted = (byte)Math.Min(cpus, 0xff);
        table.U8(4, 1);
        table.U8(5, 3);
        table.U8(6, Other);
        table.U8(7, 2);
        table.U8(24, 0x41);
        table.U8(25, Other);
        foreach (var cache in (int[])[26, 28, 30]) table.U16(cache, 0xffff);
        foreach (var count in (int[])[35, 36, 37]) table.U8(count, counted);
        // 64-bit capable, and more cores than one where there are.
        table.U16(38, (ushort)(cpus > 1 ? 0xc : 0x4));
        table.U16(40, Unknown);
    }, "CPU 0", "Lamina");

    // 7.17: on the board (3), for the system (3), no error correction (3). A capacity from 2 TiB on stands in the extended field.
    private static byte[] MemoryArrayOf(ulong memory, int modules) => Structure(16, MemoryArray, 23, table =>
    {
        const uint inExtended = 0x8000_0000;
        table.U8(4, Other);
        table.U8(5, 3);
        table.U8(6, 3);
        var capacity = memory / Kib;
        table.U32(7, capacity < inExtended ? (uint)capacity : inExtended);
        table.U16(11, 0xfffe);
        table.U16(13, (ushort)modules);
        if (capacity >= inExtended) table.U64(15, memory);
    });

    // 7.18: a DIMM (9) of RAM (7).
    private static byte[] MemoryDeviceOf(int index, ulong length) => Structure(17, (ushort)(MemoryDevice + index), 34, table =>
    {
        table.U16(4, MemoryArray);
        table.U16(6, 0xfffe);
        table.U16(8, 0xffff);
        table.U16(10, 0xffff);
        // Below 1 MiB of size the unit is KiB, which no machine of ours has; a part of a MiB is left out.
        table.U16(12, (ushort)(length / Mib));
        table.U8(14, 9);
        table.U8(16, 1);
        table.U8(18, 7);
        table.U16(19, Unknown);
    }, $"DIMM {index}");

    // 7.20: in KiB, the last one included; 2 TiB and more stand in the extended fields.
    private static byte[] MappedOf(int index, MemoryRange range, int modules) => Structure(19, (ushort)(MappedArray + index), 31, table =>
    {
        const ulong most = uint.MaxValue;
        var (first, last) = (range.Start / Kib, ((range.End - 1) / Kib));
        var isLong = last >= most;
        table.U32(4, isLong ? uint.MaxValue : (uint)first);
        table.U32(8, isLong ? uint.MaxValue : (uint)last);
        table.U16(12, MemoryArray);
        table.U8(14, (byte)Math.Min(modules, 0xff));
        if (isLong) table.U64(15, range.Start);
        if (isLong) table.U64(23, range.End - 1);
    });

    // 6.1: header, fields, and the texts that fields name by number, each with a zero behind it and one more at the end.
    private static byte[] Structure(byte type, ushort handle, int length, Action<GuestWriter> fill, params string[] texts)
    {
        var table = new GuestWriter(length);
        table.U8(0, type);
        table.U8(1, (byte)length);
        table.U16(2, handle);
        fill(table);
        return [.. table.Bytes, .. texts.SelectMany(text => Encoding.ASCII.GetBytes(text + "\0")), .. texts.Length == 0 ? (byte[])[0, 0] : [0]];
    }
}
