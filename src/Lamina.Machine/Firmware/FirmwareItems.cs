// What firmware is told of a machine, by the names and in the forms that SeaBIOS (docs/Runtime_config.md) and OVMF read: memory, CPUs, the
// tables for operating systems, from which devices to boot. No board is known here.
using System.Buffers.Binary;
using System.Text;
using Lamina.Boot;
using Lamina.Devices.Firmware;

namespace Lamina.Firmware;

/// <summary>What there is to tell.</summary>
/// <param name="Map">Where RAM lies.</param>
/// <param name="Tables">The machine's tables.</param>
/// <param name="Cpus">Its CPUs.</param>
/// <param name="Board">What kind of machine it is.</param>
internal sealed record FirmwareRequest(MemoryMap Map, FirmwareTables Tables, int Cpus, string Board)
{
    /// <summary>From what to boot, the first one first, each as a path of Open Firmware's.</summary>
    internal IReadOnlyList<string> BootOrder { get; init; } = [];

    /// <summary>The serial port on which everything is shown that is shown as text, and keys are read; null for none.</summary>
    internal ushort? SerialConsole { get; init; }

    /// <summary>The display's own firmware, and the name by which the machine's asks for it; null where there is none.</summary>
    internal (string Name, byte[] Bytes)? DisplayRom { get; init; }

    /// <summary>The same of network cards.</summary>
    internal IReadOnlyList<(string Name, byte[] Bytes)> CardRoms { get; init; } = [];

    /// <summary>Whether to wait for a key that leads to a menu of what can be booted.</summary>
    internal bool BootMenu { get; init; }
}

/// <summary>Fills a configuration device.</summary>
internal static class FirmwareItems
{
    private const int MapEntryLength = 20;

    // In milliseconds; long enough to press a key.
    private const ulong MenuWait = 5000;

    /// <summary>The items for a machine.</summary>
    internal static FwCfgItems Create(FirmwareRequest request)
    {
        var items = new FwCfgItems();
        items.Add(FwCfgSpec.CpusKey, (ushort)request.Cpus);
        items.Add(FwCfgSpec.MostCpusKey, (ushort)request.Cpus);
        items.Add(FwCfgSpec.BootMenuKey, request.BootMenu ? (ushort)1 : (ushort)0);
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal) { ["etc/e820"] = MapOf(request.Map.Ram) };
        foreach (var file in request.Tables.Files) files.Add(file.Name, file.Bytes);
        foreach (var file in Smbios.Files(request.Map.Ram, request.Cpus, request.Board)) files.Add(file.Name, file.Bytes);
        if (request.BootOrder.Count > 0) files.Add("bootorder", [.. Encoding.ASCII.GetBytes(string.Join('\n', request.BootOrder)), 0]);
        if (request.BootMenu) files.Add("etc/boot-menu-wait", Number(MenuWait));
        if (request.SerialConsole is { } port)
        {
            files.Add("etc/sercon-port", Number(port));
            // What is on the screen is on the serial port; the debug port has the rest.
            files.Add("etc/screen-and-debug", Number(0));
        }
        if (request.DisplayRom is { } rom) files.Add(rom.Name, rom.Bytes);
        foreach (var (name, bytes) in request.CardRoms) files.Add(name, bytes);
        foreach (var (name, bytes) in files) items.Add(name, bytes);
        return items;
    }

    // Only RAM: what of it is taken the firmware knows, which takes it.
    private static byte[] MapOf(IReadOnlyList<Core.Memory.MemoryRange> ram)
    {
        var map = new GuestWriter(ram.Count * MapEntryLength);
        for (var i = 0; i < ram.Count; i++)
        {
            map.U64(i * MapEntryLength, ram[i].Start);
            map.U64((i * MapEntryLength) + 8, ram[i].Length);
            map.U32((i * MapEntryLength) + 16, (uint)MemoryMapType.Usable);
        }
        return map.Bytes;
    }

    private static byte[] Number(ulong value)
    {
        var bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }
}
