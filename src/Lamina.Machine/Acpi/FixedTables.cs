// The tables of fixed layout: RSDP, XSDT, FADT, FACS, MADT. ACPI 6.5, 5.2.5 to 5.2.12.
using Lamina.Boot;

namespace Lamina.Acpi;

/// <summary>Makes tables whose layout is fixed by the specification.</summary>
internal static class FixedTables
{
    internal const int RsdpLength = 36, FacsLength = 64;

    /// <summary>Where the RSDP's two pointers and its two sums stand, and the length of its first part, which the first sum is over. Table 5.3.</summary>
    internal const int RsdpChecksum = 8, RsdpRsdt = 16, RsdpFirstLength = 20, RsdpXsdt = 24, RsdpExtendedChecksum = 32;

    /// <summary>Where the FADT's pointers stand: FIRMWARE_CTRL, DSDT, X_DSDT. Table 5.9.</summary>
    internal const int FadtFacs = 36, FadtDsdt = 40, FadtXDsdt = 140;

    private const int FadtLength = 276, MadtFixed = 44;
    private const byte FadtRevision = 6, FadtMinorRevision = 3, MadtRevision = 5, RsdtRevision = 1, XsdtRevision = 1;

    // Table 5.9: fixed feature flags.
    private const uint Wbinvd = 1 << 0, ProcC1 = 1 << 2, NoSleepButton = 1 << 5, RtcNotFixed = 1 << 6, TimerIs32Bit = 1 << 8, ResetRegisterSupported = 1 << 10;

    // Table 5.10: IA-PC boot architecture flags. An 8042 without a keyboard, whose port is there for resets, is not announced.
    private const ushort LegacyDevices = 1 << 0, KeyboardController = 1 << 1, VgaNotPresent = 1 << 2;

    private const byte SystemIo = 1, ByteAccess = 1, WordAccess = 2, DWordAccess = 3;
    private const ushort NoC2 = 101, NoC3 = 1001;
    private const byte EnterpriseServer = 4;

    // Table 5.20 ff.: interrupt controller structure types.
    private const byte LocalApicType = 0, IoApicType = 1, OverrideType = 2, LocalNmiType = 4, X2ApicType = 9;
    private const uint PcatCompatible = 1, Enabled = 1;
    private const ushort LevelActiveHigh = 0xD;

    /// <summary>Root pointer, revision 2. Table 5.3.</summary>
    internal static byte[] Rsdp(ulong rsdt, ulong xsdt)
    {
        var table = new GuestWriter(RsdpLength);
        table.Text(0, 8, "RSD PTR ");
        table.Text(9, 6, "LAMINA");
        table.U8(15, 2);
        table.U32(RsdpRsdt, (uint)rsdt);
        table.U32(20, RsdpLength);
        table.U64(RsdpXsdt, xsdt);
        table.U8(RsdpChecksum, AcpiTable.Checksum(table.Bytes.AsSpan(0, RsdpFirstLength)));
        table.U8(RsdpExtendedChecksum, AcpiTable.Checksum(table.Bytes));
        return table.Bytes;
    }

    /// <summary>Root system description table for a number of tables, whose addresses are to be put in: what operating systems from before ACPI 2.0 read. Table 5.7.</summary>
    internal static byte[] Rsdt(int tables) => AcpiTable.Create("RSDT", RsdtRevision, AcpiTable.HeaderLength + (tables * sizeof(uint))).Bytes;

    /// <summary>Extended system description table for a number of tables, whose addresses are to be put in. Table 5.8.</summary>
    internal static byte[] Xsdt(int tables) => AcpiTable.Create("XSDT", XsdtRevision, AcpiTable.HeaderLength + (tables * sizeof(ulong))).Bytes;

    /// <summary>Firmware ACPI control structure: no checksum, 64-byte aligned. Table 5.12.</summary>
    internal static byte[] Facs()
    {
        var table = new GuestWriter(FacsLength);
        table.Text(0, 4, "FACS");
        table.U32(4, FacsLength);
        table.U8(32, 2);
        return table.Bytes;
    }

    /// <summary>Fixed ACPI description table, into which the addresses of FACS and DSDT are to be put. Table 5.9.</summary>
    internal static byte[] Fadt(AcpiDescription machine)
    {
        var pm = machine.PowerManagement;
        var table = AcpiTable.Create("FACP", FadtRevision, FadtLength);
        table.U8(45, EnterpriseServer);
        table.U16(46, pm.Sci);
        if (machine.HandOver is { } handOver)
        {
            table.U32(48, handOver.Port);
            table.U8(52, handOver.Enable);
            table.U8(53, handOver.Disable);
        }
        table.U32(56, pm.EventBlock);
        table.U32(64, pm.ControlBlock);
        table.U32(76, pm.TimerBlock);
        table.U32(80, pm.GeneralBlock);
        table.U8(88, 4);
        table.U8(89, 2);
        table.U8(91, 4);
        table.U8(92, 4);
        table.U16(96, NoC2);
        table.U16(98, NoC3);
        table.U8(108, machine.CenturyRegister);
        table.U16(109, (ushort)(LegacyDevices | (machine.HasDisplay ? 0 : VgaNotPresent) | (machine.Keyboard is null ? 0 : KeyboardController)));
        table.U32(112, Wbinvd | ProcC1 | NoSleepButton | RtcNotFixed | TimerIs32Bit | ResetRegisterSupported);
        IoAddress(table, 116, machine.ResetPort, 8, ByteAccess);
        table.U8(128, machine.ResetValue);
        table.U8(131, FadtMinorRevision);
        IoAddress(table, 148, pm.EventBlock, 32, WordAccess);
        IoAddress(table, 172, pm.ControlBlock, 16, WordAccess);
        IoAddress(table, 208, pm.TimerBlock, 32, DWordAccess);
        IoAddress(table, 220, pm.GeneralBlock, 32, ByteAccess);
        return table.Bytes;
    }

    /// <summary>Multiple APIC description table. 5.2.12.</summary>
    internal static byte[] Madt(AcpiDescription machine)
    {
        var entries = new List<byte>();
        for (var i = 0; i < machine.ApicIds.Count; i++) entries.AddRange(Processor((uint)i, machine.ApicIds[i]));
        var ioApic = new GuestWriter(12);
        (ioApic.Bytes[0], ioApic.Bytes[1], ioApic.Bytes[2]) = (IoApicType, 12, machine.IoApicId);
        ioApic.U32(4, (uint)machine.IoApic);
        entries.AddRange(ioApic.Bytes);
        // The PIT's line reaches the I/O APIC at input 2, as on every PC; the SCI is level-triggered, active high.
        entries.AddRange(Override(0, 2, 0));
        entries.AddRange(Override(machine.PowerManagement.Sci, machine.PowerManagement.Sci, LevelActiveHigh));
        foreach (var irq in machine.Pci?.Interrupts ?? []) entries.AddRange(Override(irq, irq, LevelActiveHigh));
        entries.AddRange([LocalNmiType, 6, 0xFF, 0, 0, 1]);

        var table = AcpiTable.Create("APIC", MadtRevision, MadtFixed + entries.Count);
        table.U32(36, (uint)machine.LocalApic);
        table.U32(40, PcatCompatible);
        table.Copy(MadtFixed, entries.ToArray());
        return AcpiTable.Seal(table);
    }

    // 5.2.12.2 and 5.2.12.12: identifiers above 254 need the x2APIC structure.
    private static byte[] Processor(uint uid, uint apicId)
    {
        if (apicId < 0xFF && uid < 0xFF) return [LocalApicType, 8, (byte)uid, (byte)apicId, (byte)Enabled, 0, 0, 0];
        var entry = new GuestWriter(16);
        (entry.Bytes[0], entry.Bytes[1]) = (X2ApicType, 16);
        entry.U32(4, apicId);
        entry.U32(8, Enabled);
        entry.U32(12, uid);
        return entry.Bytes;
    }

    private static byte[] Override(byte irq, byte gsi, ushort flags) => [OverrideType, 10, 0, irq, gsi, 0, 0, 0, (byte)flags, (byte)(flags >> 8)];

    // 5.2.3.2: generic address structure.
    private static void IoAddress(GuestWriter table, int offset, ushort port, byte bits, byte accessSize)
    {
        table.U8(offset, SystemIo);
        table.U8(offset + 1, bits);
        table.U8(offset + 3, accessSize);
        table.U64(offset + 4, port);
    }
}
