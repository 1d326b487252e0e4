// One of the two places on an IDE channel: a drive, its task file, and the command that it works on, with the buffer that a host empties or fills which
// moves data itself. The channel drives it, under its lock.
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using static Lamina.Devices.Ata.Ide.IdeSpec;

namespace Lamina.Devices.Ata.Ide;

/// <summary>What a drive waits for.</summary>
internal enum IdePhase
{
    /// <summary>A command.</summary>
    Idle = 0,

    /// <summary>The host writes a packet.</summary>
    Packet = 1,

    /// <summary>The host reads the buffer.</summary>
    ToHost = 2,

    /// <summary>The host writes the buffer.</summary>
    FromHost = 3,

    /// <summary>The channel's worker: it fills the buffer, empties it, or does what takes no data.</summary>
    Work = 4,

    /// <summary>The bus master, and the worker that moves its data.</summary>
    Dma = 5,
}

/// <summary>A place for a drive.</summary>
internal sealed class IdeSlot : IDisposable
{
    private BlockMemory? _buffer;

    internal AtaDrive? Drive { get; private set; }

    internal AtaTaskFile File;
    internal AtaAction Action;
    internal IdePhase Phase;

    /// <summary>Whether it asks for an interrupt.</summary>
    internal bool Interrupt;

    /// <summary>The first byte of the buffer that the host has not moved, the end of the present block, and of what is or is to be in it.</summary>
    internal int At, BlockEnd, Filled;

    /// <summary>The most bytes that a packet device gives at a time, as the host asked.</summary>
    internal int ByteLimit;

    /// <summary>Whether it found no space on the host, and waits to be told to try again.</summary>
    internal bool Stalled;

    /// <summary>Whether it has said that it waits for space, and not yet that it does no more.</summary>
    internal bool WantsSpace;

    /// <summary>Counts what ends commands from outside, so that work for an ended one is not taken for the next one's.</summary>
    internal int Epoch;

    internal BlockMemory Buffer => _buffer ??= new BlockMemory(BufferLength);

    internal Span<byte> Bytes => Buffer.Bytes;

    internal void Put(AtaDrive drive, AtaPlace place)
    {
        drive.Place = place;
        Drive = drive;
        Sign(isPower: true);
    }

    /// <summary>Shows the signature, and gives up what was under way.</summary>
    internal void Sign(bool isPower)
    {
        if (Drive is not { } drive)
        {
            File = default;
            return;
        }
        Forget();
        drive.Reset(isPower);
        File = new AtaTaskFile { Count = AtaSpec.SignatureCount, Address = drive.Signature, Status = drive.StatusAfterReset, Error = AtaSpec.Passed };
    }

    /// <summary>Says that it waits for space no more, where it did.</summary>
    internal void HasSpace()
    {
        if (!WantsSpace) return;
        WantsSpace = false;
        Drive?.WaitsForSpace?.Invoke(false);
    }

    /// <summary>Gives up what was under way.</summary>
    internal void Forget()
    {
        Epoch++;
        HasSpace();
        (Phase, Interrupt, Stalled) = (IdePhase.Idle, false, false);
        (At, BlockEnd, Filled, ByteLimit) = (0, 0, 0, 0);
        Action = AtaAction.Of(AtaWork.None);
    }

    internal void Inspect(InspectNode node)
    {
        node.Say("phase", Phase);
        node.SayHex("status", File.Status);
        node.SayHex("error", File.Error);
        node.Say("interrupt", Interrupt);
        if (Phase == IdePhase.Idle) return;
        node.Say("work", Action.Work);
        node.Say("bytes", (long)Action.Length);
        node.Say("bytes moved", (long)Action.Done);
        node.Say("waits for space", Stalled);
    }

    internal static void Exchange(SavedFields fields, ref IdeSlot slot)
    {
        fields.Record(1, ref slot.File, AtaTaskFile.Exchange);
        fields.Record(2, ref slot.Action, AtaAction.Exchange);
        fields.Choice(3, ref slot.Phase);
        fields.Value(4, ref slot.Interrupt);
        fields.Value(5, ref slot.At);
        fields.Value(6, ref slot.BlockEnd);
        fields.Value(7, ref slot.Filled);
        fields.Value(8, ref slot.ByteLimit);
        // What of the buffer matters: what the host still reads, and what it has written.
        var holds = slot is { Drive: not null, Phase: IdePhase.ToHost or IdePhase.FromHost or IdePhase.Packet or IdePhase.Work };
        var bytes = holds && !fields.IsLoading ? slot.Bytes[..slot.Filled].ToArray() : [];
        fields.Bytes(9, ref bytes, BufferLength);
        if (!fields.IsLoading) return;
        slot.Require(bytes.Length);
        if (bytes.Length > 0) bytes.CopyTo(slot.Bytes);
    }

    // Whatever is loaded moves within the buffer and within the action.
    private void Require(int held)
    {
        SavedFields.Require(Drive is not null || Phase == IdePhase.Idle, "a place without a drive that works");
        SavedFields.Require(At >= 0 && At <= BlockEnd && BlockEnd <= Filled && Filled <= BufferLength && ByteLimit is >= 0 and <= 65536, $"a buffer of {Filled} bytes at {At}");
        SavedFields.Require(held == (Phase is IdePhase.Idle or IdePhase.Dma ? 0 : Filled), $"{held} bytes in the buffer");
        var moves = Action.Work switch
        {
            AtaWork.None => Phase == IdePhase.Idle,
            AtaWork.Packet => Phase == IdePhase.Packet && Filled == AtaSpec.PacketLength,
            AtaWork.Flush => Phase == IdePhase.Work && !Action.IsDma,
            AtaWork.Answer or AtaWork.Read => Action.IsDma ? Phase == IdePhase.Dma : Phase == IdePhase.ToHost || Phase == IdePhase.Work,
            _ => Action.IsDma ? Phase == IdePhase.Dma : Phase == IdePhase.FromHost || Phase == IdePhase.Work,
        };
        SavedFields.Require(Phase == IdePhase.Idle || moves, $"{Action.Work} while it is in {Phase}");
        SavedFields.Require(Action.IsDma || Phase is not (IdePhase.ToHost or IdePhase.FromHost) || (BlockEnd > At && Filled - At <= Action.Left), "a block that is no part of its command");
        SavedFields.Require(Phase != IdePhase.Work || !Action.IsFromHost || (Filled > 0 && Filled <= Action.Left && (Action.Unit == 0 || Filled % Action.Unit == 0)), "a write of something else than sectors");
    }

    public void Dispose() => _buffer?.Dispose();
}
