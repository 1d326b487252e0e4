// The commands that move a floppy disk's data: sector by sector between the disk and guest memory, until the DMA controller says that it was the last byte,
// or there are no more sectors.
using Lamina.Core.Block;
using Lamina.Core.Memory;
using Lamina.Devices.Chipset;
using static Lamina.Devices.Floppy.FloppySpec;

namespace Lamina.Devices.Floppy;

/// <summary>One such command.</summary>
internal readonly struct FloppyTransfer(Dma8237 dma, GuestMemory memory, BlockMemory buffer)
{
    private enum Ending
    {
        GoesOn,
        Last,
        Overrun,
    }

    /// <summary>Carries a command out.</summary>
    /// <returns>The seven bytes of its result.</returns>
    internal byte[] Run(FloppyDrive? drive, ReadOnlySpan<byte> command, byte rate, byte at)
    {
        var (kind, unit, head) = ((FloppyCommand)(command[0] & CommandMask), (byte)(command[1] & 7), command[1] >> 2 & 1);
        // 5.2: without a disk, at another rate or off the tracks there is no address mark.
        if (drive is null || drive.Shape.Rate != rate || at >= drive.Shape.Cylinders) return Result(unit, NoMark, 0, at, (byte)head, 1);
        var shape = drive.Shape;
        if (kind == FloppyCommand.ReadId) return Result(unit, 0, 0, at, (byte)head, 1);
        if (kind is FloppyCommand.WriteData or FloppyCommand.FormatTrack && drive.IsReadOnly) return Result(unit, Protected, 0, at, (byte)head, 1);
        if (kind == FloppyCommand.FormatTrack) return Format(drive, command, unit, at, head);

        var (cylinder, side, sector, last) = (command[2], command[3], command[4], command[6]);
        if (cylinder != at) return Result(unit, NoData, WrongCylinder, cylinder, side, sector);
        while (true)
        {
            if (command[5] != SizeCode || side != head || sector == 0 || sector > shape.Sectors) return Result(unit, NoData, 0, cylinder, side, sector);
            var place = (ulong)((((at * 2) + head) * shape.Sectors) + sector - 1);
            var ending = Move(drive, kind, place, out var failed);
            if (failed) return Result(unit, NoData, 0, cylinder, side, sector);
            if (ending == Ending.Overrun) return Result(unit, Overrun, 0, cylinder, side, sector);
            var isLast = sector == last || sector == shape.Sectors;
            // 5.1.1: what comes next, which is told.
            if (!isLast) sector++;
            else if ((command[0] & BothSides) != 0 && head == 0) (head, side, sector, unit, isLast) = (1, 1, 1, (byte)(unit | 4), false);
            else (cylinder, sector) = ((byte)(cylinder + 1), 1);
            if (ending == Ending.Last) return Result(unit, 0, 0, cylinder, side, sector);
            if (isLast) return kind == FloppyCommand.Verify ? Result(unit, 0, 0, cylinder, side, sector) : Result(unit, PastEnd, 0, cylinder, side, sector);
        }
    }

    private static byte[] Result(byte unit, byte first, byte second, byte cylinder, byte head, byte sector) =>
        [(byte)(unit | (first != 0 ? Abnormal : 0)), first, second, cylinder, head, sector, SizeCode];

    private Ending Move(FloppyDrive drive, FloppyCommand kind, ulong sector, out bool failed)
    {
        var ending = Ending.GoesOn;
        if (kind == FloppyCommand.WriteData)
        {
            // What the guest does not give is zeros.
            buffer.Bytes.Clear();
            ending = Dma(toMemory: false);
            failed = ending != Ending.Overrun && !drive.TryMove(sector, buffer, writes: true);
            return ending;
        }
        failed = !drive.TryMove(sector, buffer, writes: false);
        return failed || kind == FloppyCommand.Verify ? ending : Dma(toMemory: true);
    }

    private Ending Dma(bool toMemory)
    {
        var done = 0;
        while (done < SectorSize)
        {
            if (dma.Next(DmaChannel, toMemory, SectorSize - done) is not { } region) return Ending.Overrun;
            // Where no memory is, what is written is lost, and all ones are read.
            var part = buffer.Bytes.Slice(done, region.Length);
            if (toMemory) _ = memory.TryWrite(region.Address, part);
            else if (!memory.TryRead(region.Address, part)) part.Fill(0xff);
            done += region.Length;
            if (dma.Advance(DmaChannel, region.Length)) return Ending.Last;
        }
        return Ending.GoesOn;
    }

    // 5.2.4: for each sector four bytes come, which say what it is called; it is filled.
    private byte[] Format(FloppyDrive drive, ReadOnlySpan<byte> command, byte unit, byte at, int head)
    {
        var (count, filler) = (command[3], command[5]);
        if (command[2] != SizeCode || count == 0 || count > drive.Shape.Sectors) return Result(unit, NoData, 0, at, (byte)head, 1);
        for (var sector = 0; sector < count; sector++)
        {
            for (var left = 4; left > 0;)
            {
                if (dma.Next(DmaChannel, toMemory: false, left) is not { } region) return Result(unit, Overrun, 0, at, (byte)head, (byte)(sector + 1));
                left -= region.Length;
                if (dma.Advance(DmaChannel, region.Length) && left > 0) return Result(unit, Overrun, 0, at, (byte)head, (byte)(sector + 1));
            }
            buffer.Bytes.Fill(filler);
            if (!drive.TryMove((ulong)((((at * 2) + head) * drive.Shape.Sectors) + sector), buffer, writes: true)) return Result(unit, NoData, 0, at, (byte)head, (byte)(sector + 1));
        }
        return Result(unit, 0, 0, at, (byte)head, count);
    }
}
