// The one namespace of a controller: a disk of the host's in logical blocks, and the commands to it (6).
using System.Buffers.Binary;
using Lamina.Core.Block;
using Lamina.Core.Memory;
using Lamina.Devices.Media;
using static Lamina.Devices.Nvme.NvmeSpec;

namespace Lamina.Devices.Nvme;

/// <summary>A disk as a namespace.</summary>
internal sealed class NvmeNamespace(IBlockBackend disk, DriveOptions options, string serial, int? blockSize, GuestMemory memory)
{
    private const uint ForceUnitAccess = 1 << 30, Deallocate = 1 << 2, DeallocateZeroes = 1 << 25;
    private const int RangeLength = 16, RangeBlocks = 4, RangeStart = 8;

    private readonly int _power = System.Numerics.BitOperations.Log2((uint)(blockSize ?? disk.Limits.LogicalBlockSize));

    internal DriveMedium Medium { get; } = new(options);

    internal NvmeIdentity Identity => new(serial, disk.Length >> _power, _power, !options.WriteThrough, options.Discard, disk.IsReadOnly);

    /// <summary>How many bytes a command moves, for its limit.</summary>
    internal ulong LengthOf(in NvmeCommand command) => (NvmOpcode)command.Opcode is NvmOpcode.Read or NvmOpcode.Write ? (command.Word(12) & 0xffff) + 1ul << _power : 0;

    /// <summary>Has all that was written be durable.</summary>
    /// <exception cref="IOException">The host fails.</exception>
    internal void Flush() => Medium.Flush(disk);

    /// <summary>Carries a command out.</summary>
    /// <exception cref="IOException">The host has no space for it: it may be tried again. Other failures are a status.</exception>
    internal NvmeStatus CarryOut(in NvmeCommand command, TransferMemory transfer)
    {
        if (command.IsFused) return NvmeStatus.InvalidField;
        var opcode = (NvmOpcode)command.Opcode;
        if (!(command.Namespace == Namespace || (opcode == NvmOpcode.Flush && command.Namespace == AllNamespaces))) return NvmeStatus.InvalidNamespace;
        try
        {
            switch (opcode)
            {
                case NvmOpcode.Flush:
                    Medium.Flush(disk);
                    return NvmeStatus.Success;
                case NvmOpcode.Read or NvmOpcode.Write:
                    return Move(command, opcode == NvmOpcode.Write, transfer);
                case NvmOpcode.WriteZeroes when !disk.IsReadOnly:
                    return WriteZeroes(command);
                case NvmOpcode.DatasetManagement when options.Discard && !disk.IsReadOnly:
                    return Discard(command, transfer);
                default:
                    return NvmeStatus.InvalidOpcode;
            }
        }
        catch (IOException failure) when (options.WaitsForSpace is null || !failure.IsDiskFull())
        {
            Medium.Fail(failure.Message);
            return opcode == NvmOpcode.Read ? NvmeStatus.UnrecoveredReadError : NvmeStatus.WriteFault;
        }
    }

    private NvmeStatus Move(in NvmeCommand command, bool writes, TransferMemory transfer)
    {
        if (!TryRange(command, out var offset, out var length)) return NvmeStatus.LbaOutOfRange;
        if (length > LongestTransfer) return NvmeStatus.InvalidField;
        if (writes && disk.IsReadOnly) return NvmeStatus.AttemptedWriteToReadOnly;
        var mapped = PhysicalPages.Map(memory, command, (int)length, transfer);
        if (mapped != NvmeStatus.Success) return mapped;
        if (writes)
        {
            Medium.Write(disk, offset, transfer.Buffer, (int)length, (command.Word(12) & ForceUnitAccess) != 0);
            return NvmeStatus.Success;
        }
        try
        {
            Medium.Read(disk, offset, transfer.Buffer, (int)length);
        }
        finally
        {
            // What a failed read left there counts as well.
            transfer.NotifyWritten();
        }
        return NvmeStatus.Success;
    }

    private NvmeStatus WriteZeroes(in NvmeCommand command)
    {
        if (!TryRange(command, out var offset, out var length)) return NvmeStatus.LbaOutOfRange;
        disk.WriteZeroes(offset, length, (command.Word(12) & DeallocateZeroes) != 0 && options.Discard);
        if ((command.Word(12) & ForceUnitAccess) != 0 || options.WriteThrough) disk.Flush();
        return NvmeStatus.Success;
    }

    // 6.7: up to 256 ranges; all are checked before the first is touched.
    private NvmeStatus Discard(in NvmeCommand command, TransferMemory transfer)
    {
        var count = (int)(command.Word(10) & 0xff) + 1;
        var mapped = PhysicalPages.Map(memory, command, count * RangeLength, transfer);
        if (mapped != NvmeStatus.Success) return mapped;
        if ((command.Word(11) & Deallocate) == 0) return NvmeStatus.Success;
        var ranges = new byte[count * RangeLength];
        transfer.CopyTo(ranges);
        var blocks = disk.Length >> _power;
        for (var i = 0; i < count; i++)
            if (Start(i) > blocks || Blocks(i) > blocks - Start(i)) return NvmeStatus.LbaOutOfRange;
        for (var i = 0; i < count; i++)
            if (Blocks(i) > 0) disk.Discard(Start(i) << _power, Blocks(i) << _power);
        return NvmeStatus.Success;

        ulong Start(int range) => BinaryPrimitives.ReadUInt64LittleEndian(ranges.AsSpan((range * RangeLength) + RangeStart));

        ulong Blocks(int range) => BinaryPrimitives.ReadUInt32LittleEndian(ranges.AsSpan((range * RangeLength) + RangeBlocks));
    }

    private bool TryRange(in NvmeCommand command, out ulong offset, out ulong length)
    {
        var (first, blocks, all) = (command.Word(10) | (ulong)command.Word(11) << 32, (command.Word(12) & 0xffff) + 1ul, disk.Length >> _power);
        (offset, length) = (first << _power, blocks << _power);
        return first <= all && blocks <= all - first;
    }
}
