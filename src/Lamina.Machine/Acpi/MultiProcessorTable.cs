// What a kernel without ACPI reads of processors and interrupts: the floating pointer and the configuration table of Intel's
// MultiProcessor Specification 1.4, chapter 4, made from the description that the ACPI tables are made from. Devices have no place in it,
// but for the interrupts of those on a PCI bus.
using Lamina.Boot;

namespace Lamina.Acpi;

/// <summary>Makes the MP table.</summary>
internal static class MultiProcessorTable
{
    // 4.1, 4.2, 4.3: lengths of the pointer, the table's header and its entries. A processor's entry is longer than the others.
    private const int PointerLength = 16, HeaderLength = 44, ProcessorLength = 20, EntryLength = 8;
    private const byte Revision = 4;

    // 4.3: entry types. Interrupt types and flags: 4.3.4, table 4-10; flags 0 are those of the bus.
    private const byte Processor = 0, Bus = 1, IoApic = 2, IoInterrupt = 3, LocalInterrupt = 4;
    private const byte Vectored = 0, Nmi = 1, External = 3;
    private const ushort LevelActiveHigh = 0xD;
    // Kernels take a PCI bus's identifier for its number, so that one comes first.
    private const byte Pci = 0, AllLocalApics = 0xFF;

    // 4.3.1: enabled, bootstrap processor. What tables 4-5 and 4-6 ask of the processor, CPUID tells better: family 6; FPU, CX8 and APIC.
    private const byte Enabled = 1, Bootstrap = 2;
    private const uint Signature = 0x600, Features = 1 << 0 | 1 << 8 | 1 << 9;

    // Identifiers have 8 bits, of which the last one means all.
    private const uint LargestId = 0xFE;

    private const int PciDevices = 32, PciPins = 4, IsaIrqs = 16, Cascade = 2, TimerInput = 2, Inputs = 24;

    /// <summary>The pointer, to lie at an address in the BIOS's area that is a multiple of 16, and behind it the table.</summary>
    internal static byte[] Create(AcpiDescription machine, ulong address)
    {
        var processors = machine.ApicIds.Where(id => id <= LargestId).ToList();
        // 3.6.5: no two APICs have one identifier. The kernel gives the I/O APIC the one that stands here.
        var ioApic = (byte)Math.Min(processors.Max() + 1, LargestId + 1);
        var isa = machine.Pci is null ? (byte)0 : (byte)1;
        List<byte[]> entries =
        [
            .. processors.Select((id, index) => ProcessorEntry(machine, (byte)id, index == 0)),
            .. machine.Pci is null ? [] : new byte[][] { [Bus, Pci, .. "PCI   "u8] },
            [Bus, isa, .. "ISA   "u8],
            IoApicEntry(machine, ioApic),
            .. IoInterrupts(machine, isa, ioApic),
            .. PciInterrupts(machine, ioApic),
            [LocalInterrupt, External, 0, 0, isa, 0, (byte)processors[0], 0],
            [LocalInterrupt, Nmi, 0, 0, isa, 0, AllLocalApics, 1],
        ];
        var table = Table(machine, entries);
        var block = new GuestWriter(PointerLength + table.Length);
        block.Copy(PointerLength, table);
        block.Text(0, 4, "_MP_");
        block.U32(4, (uint)address + PointerLength);
        block.U8(8, PointerLength / 16);
        block.U8(9, Revision);
        block.U8(10, AcpiTable.Checksum(block.Bytes.AsSpan(0, PointerLength)));
        return block.Bytes;
    }

    // 4.2: its checksum is over the header and the entries.
    private static byte[] Table(AcpiDescription machine, List<byte[]> entries)
    {
        var table = new GuestWriter(HeaderLength + entries.Sum(entry => entry.Length));
        table.Text(0, 4, "PCMP");
        table.U16(4, (ushort)table.Bytes.Length);
        table.U8(6, Revision);
        table.Text(8, 8, "LAMINA");
        table.Text(16, 12, machine.Pci is null ? "MICRO" : "PC");
        table.U16(34, (ushort)entries.Count);
        table.U32(36, (uint)machine.LocalApic);
        var at = HeaderLength;
        foreach (var entry in entries)
        {
            table.Copy(at, entry);
            at += entry.Length;
        }
        table.U8(7, AcpiTable.Checksum(table.Bytes));
        return table.Bytes;
    }

    private static byte[] ProcessorEntry(AcpiDescription machine, byte id, bool first)
    {
        var entry = new GuestWriter(ProcessorLength);
        entry.U8(0, Processor);
        entry.U8(1, id);
        entry.U8(2, machine.LocalApicVersion);
        entry.U8(3, (byte)(first ? Enabled | Bootstrap : Enabled));
        entry.U32(4, Signature);
        entry.U32(8, Features);
        return entry.Bytes;
    }

    private static byte[] IoApicEntry(AcpiDescription machine, byte id)
    {
        var entry = new GuestWriter(EntryLength);
        entry.Copy(0, [IoApic, id, machine.IoApicVersion, Enabled]);
        entry.U32(4, (uint)machine.IoApic);
        return entry.Bytes;
    }

    // As the MADT has them: the timer at input 2, the SCI by level; the inputs behind those of ISA devices are virtio's. Input 0 carries
    // the 8259 pair's output.
    private static IEnumerable<byte[]> IoInterrupts(AcpiDescription machine, byte isa, byte ioApic)
    {
        yield return Interrupt(External, 0, isa, 0, ioApic, 0);
        for (byte input = 0; input < Inputs; input++)
        {
            if (input == Cascade) continue;
            var byLevel = input >= IsaIrqs || input == machine.PowerManagement.Sci || machine.Pci?.Interrupts.Contains(input) == true;
            yield return Interrupt(Vectored, byLevel ? LevelActiveHigh : (ushort)0, isa, input, ioApic, input == 0 ? (byte)TimerInput : input);
        }
    }

    // D.3: the source of a PCI interrupt is its device in bits 2 to 6, its pin in 0 and 1.
    private static IEnumerable<byte[]> PciInterrupts(AcpiDescription machine, byte ioApic) =>
        from device in machine.Pci is null ? [] : Enumerable.Range(1, PciDevices - 1)
        from pin in Enumerable.Range(0, PciPins)
        let input = machine.Pci!.Routes[(machine.Pci.InputOf(device) + pin) % PciPins]
        select Interrupt(Vectored, LevelActiveHigh, Pci, (byte)(device << 2 | pin), ioApic, input);

    private static byte[] Interrupt(byte type, ushort flags, byte bus, byte irq, byte apic, byte input) => [IoInterrupt, type, (byte)flags, (byte)(flags >> 8), bus, irq, apic, input];
}
