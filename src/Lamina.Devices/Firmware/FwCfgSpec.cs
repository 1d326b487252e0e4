// The configuration device's ports, keys and bits. Sources: QEMU's specification of the device (docs/specs/fw_cfg.rst); the keys of single
// values stand in its header hw/nvram/fw_cfg_keys.h and in SeaBIOS' src/fw/paravirt.c.
namespace Lamina.Devices.Firmware;

/// <summary>Constants of the firmware configuration device.</summary>
public static class FwCfgSpec
{
    /// <summary>The selector, 16 bits, write only; the data port follows it, 8 bits, in the selector's upper half.</summary>
    public const ushort SelectorPort = 0x510;

    /// <summary>The DMA address, 64 bits, big-endian.</summary>
    public const ushort DmaPort = 0x514;

    /// <summary>The ports of the selector and data, and those of the DMA address.</summary>
    internal const int SelectorLength = 2, DmaLength = 8;

    /// <summary>Keys of single values.</summary>
    internal const ushort Signature = 0, Id = 1, FileDirectory = 0x19;

    /// <summary>How many CPUs there are at the start, how many there can be, and whether a menu is offered: 16 bits each.</summary>
    public const ushort CpusKey = 5, BootMenuKey = 0xe, MostCpusKey = 0xf;

    /// <summary>The key of the first file.</summary>
    internal const ushort FirstFile = 0x20;

    /// <summary>Bit 14 of a selector says "to be written", which decides nothing; what is left is a key.</summary>
    internal const ushort KeyMask = 0xbfff;

    /// <summary>What <see cref="Id"/> says: the traditional interface, and DMA.</summary>
    internal const uint Features = 1 << 0 | 1 << 1;

    /// <summary>The longest name of a file, without the zero behind it.</summary>
    internal const int LongestName = 55;

    /// <summary>An entry of the directory, behind its count of 4 bytes: size, key, two zeros, name.</summary>
    internal const int EntryLength = 64;

    /// <summary>FWCfgDmaAccess: control, length, address.</summary>
    internal const int AccessLength = 16, AccessLengthOffset = 4, AccessAddressOffset = 8;

    /// <summary>Bits of FWCfgDmaAccess.control; a key stands in its upper half.</summary>
    internal const uint Error = 1, Read = 2, Skip = 4, Select = 8, Write = 16;
}
