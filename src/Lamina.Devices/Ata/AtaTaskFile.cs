// The registers by which a host talks to one ATA device, whatever carries them: ports of an IDE channel, frames of Serial ATA. Of those that are
// two deep (ATA/ATAPI-6, 6.3) a value has the byte that was written last in its low half, and the one before in its high half.
using Lamina.Core.State;

namespace Lamina.Devices.Ata;

/// <summary>A device's task file.</summary>
internal struct AtaTaskFile
{
    /// <summary>What a command is to do beside its code, and how many sectors.</summary>
    internal ushort Features, Count;

    /// <summary>LBA low, mid and high: what was written last in bits 0 to 23, what before in bits 24 to 47.</summary>
    internal ulong Address;

    /// <summary>Which device, how to address, and four bits of the address.</summary>
    internal byte Device;

    /// <summary>What the device says of itself, and of its last command.</summary>
    internal byte Status, Error;

    /// <summary>The address of a command of 28 bits.</summary>
    internal readonly ulong Address28 => (ulong)(Device & AtaSpec.AddressBits) << 24 | Address & 0xff_ffff;

    /// <summary>LBA mid and high, where they are a packet device's byte count.</summary>
    internal ushort ByteCount
    {
        readonly get => (ushort)(Address >> 8);
        set => Address = Address & ~0xff_ff00ul | (ulong)value << 8;
    }

    /// <summary>Says where something is, in the form of the command.</summary>
    internal void SetAddress(ulong address, bool wide)
    {
        if (wide) Address = address;
        else (Address, Device) = (Address & ~0xff_fffful | address & 0xff_ffff, (byte)(Device & ~AtaSpec.AddressBits | (int)(address >> 24) & AtaSpec.AddressBits));
    }

    internal static void Exchange(SavedFields fields, ref AtaTaskFile file)
    {
        fields.Value(1, ref file.Features);
        fields.Value(2, ref file.Count);
        fields.Value(3, ref file.Address);
        fields.Value(4, ref file.Device);
        fields.Value(5, ref file.Status);
        fields.Value(6, ref file.Error);
        if (fields.IsLoading) SavedFields.Require(file.Address < AtaSpec.Addressable48, $"an address of 0x{file.Address:x}");
    }
}
