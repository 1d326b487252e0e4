// The memory of a command by physical region pages (4.3): the first may begin within a page, the others are whole pages; more than two are in
// a list, whose last entry leads to the next part of it where it is full.
using Lamina.Core.Memory;
using Lamina.Devices.Media;
using static Lamina.Devices.Nvme.NvmeSpec;

namespace Lamina.Devices.Nvme;

/// <summary>Walks physical region pages.</summary>
internal static class PhysicalPages
{
    private const int EntryLength = sizeof(ulong);

    /// <summary>Puts the memory of a command together. Its length bounds the walk.</summary>
    /// <returns>Success, or what is wrong with it.</returns>
    internal static NvmeStatus Map(GuestMemory memory, in NvmeCommand command, int length, TransferMemory into)
    {
        into.Clear();
        if (!command.IsByPages) return NvmeStatus.InvalidField;
        var (first, second) = (command.Prp1, command.Prp2);
        var piece = Math.Min(length, PageLength - (int)(first % PageLength));
        if (first % sizeof(uint) != 0) return NvmeStatus.InvalidPrpOffset;
        if (!into.TryAdd(first, piece)) return NvmeStatus.DataTransferError;
        length -= piece;
        if (length == 0) return NvmeStatus.Success;
        if (length <= PageLength)
        {
            if (second % PageLength != 0) return NvmeStatus.InvalidPrpOffset;
            return into.TryAdd(second, length) ? NvmeStatus.Success : NvmeStatus.DataTransferError;
        }
        if (second % EntryLength != 0) return NvmeStatus.InvalidPrpOffset;
        for (var entry = second; length > 0; entry += EntryLength)
        {
            if (!memory.TryRead(entry, out ulong page)) return NvmeStatus.DataTransferError;
            if (page % PageLength != 0) return NvmeStatus.InvalidPrpOffset;
            if (length > PageLength && entry % PageLength == PageLength - EntryLength)
            {
                entry = page;
                if (!memory.TryRead(entry, out page)) return NvmeStatus.DataTransferError;
                if (page % PageLength != 0) return NvmeStatus.InvalidPrpOffset;
            }
            piece = Math.Min(length, PageLength);
            if (!into.TryAdd(page, piece)) return NvmeStatus.DataTransferError;
            length -= piece;
        }
        return NvmeStatus.Success;
    }
}
