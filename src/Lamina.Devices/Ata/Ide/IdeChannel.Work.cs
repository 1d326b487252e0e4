// What a channel's worker does: it takes a drive's turn, moves the next part of its data or does what takes none, and tells the channel what came of it.
using Lamina.Core.Block;
using static Lamina.Devices.Ata.AtaSpec;
using static Lamina.Devices.Ata.Ide.IdeSpec;

namespace Lamina.Devices.Ata.Ide;

internal sealed partial class IdeChannel
{
    private void Work()
    {
        while (TryTake(out var slot, out var job))
        {
            try
            {
                CarryOut(slot, job);
            }
            finally
            {
                _hand.End();
            }
        }
    }

    private readonly record struct Job(AtaAction Action, IdePhase Phase, int Epoch, int Length, TablePosition At);

    private bool TryTake(out IdeSlot slot, out Job job)
    {
        lock (_gate)
        {
            foreach (var candidate in _slots)
            {
                if (_paused || _heldBack || candidate.Stalled || !(candidate.Phase == IdePhase.Work || (candidate.Phase == IdePhase.Dma && _master.IsActive))) continue;
                if (candidate.Drive!.Gate is { } gate && !gate.TryPass(this)) continue;
                var left = candidate.Action.Left;
                var length = candidate.Phase == IdePhase.Dma ? Math.Min(left, MostAtOnce)
                    : candidate.Action.IsFromHost ? candidate.Filled
                    : candidate.Action.Work == AtaWork.Read ? Math.Min(left, candidate.Action.IsPacket ? BufferLength : candidate.Action.Block) : 0;
                candidate.Drive.Gate?.Charge((ulong)length);
                (slot, job) = (candidate, new Job(candidate.Action, candidate.Phase, candidate.Epoch, length, _master.At));
                _hand.Begin();
                return true;
            }
        }
        (slot, job) = (null!, default);
        return false;
    }

    private void CarryOut(IdeSlot slot, Job job)
    {
        string? failure = null;
        var moved = job.Length;
        TablePosition? at = job.At;
        try
        {
            if (job.Phase == IdePhase.Dma) (moved, at) = MoveByMaster(slot, job);
            else MoveBuffer(slot, job);
        }
        catch (IOException refused)
        {
            if (refused.IsDiskFull() && slot.Drive!.WaitsForSpace is { } waits)
            {
                Stall(slot, job.Epoch, waits);
                return;
            }
            failure = refused.Message;
        }
        lock (_gate)
        {
            if (slot.Epoch != job.Epoch) return;
            Conclude(slot, job, moved, at, failure);
            DriveLine();
        }
    }

    private void Stall(IdeSlot slot, int epoch, Action<bool> waits)
    {
        lock (_gate)
        {
            if (slot.Epoch != epoch) return;
            (slot.Stalled, slot.WantsSpace) = (true, true);
            waits(true);
        }
    }

    private void Conclude(IdeSlot slot, Job job, int moved, TablePosition? at, string? failure)
    {
        slot.HasSpace();
        if (failure is not null)
        {
            if (job.Phase == IdePhase.Dma) _master.End(failed: false);
            End(slot, failure);
            return;
        }
        if (job.Phase == IdePhase.Dma)
        {
            _master.At = at ?? job.At;
            slot.Action.Done += moved;
            // A table that is too short, or no memory, leaves the device waiting, as it would: its driver resets it.
            if (at is not { } reached) _master.End(failed: true);
            else if (slot.Action.Left == 0 || reached.AtEnd) _master.End(failed: false);
            if (slot.Action.Left == 0) End(slot, null);
        }
        else if (job.Action.Work == AtaWork.Read)
        {
            (slot.At, slot.Filled) = (0, moved);
            NextBlock(slot);
        }
        else
        {
            slot.Action.Done += moved;
            if (slot.Action.Left == 0)
            {
                End(slot, null);
                return;
            }
            AskForBlock(slot, IdePhase.FromHost, Math.Min(slot.Action.Block, slot.Action.Left), Math.Min(slot.Action.Block, slot.Action.Left));
            Ask(slot);
        }
    }

    // The next part of a transfer by the bus master: what was moved, and how far its table is then; null where that is none.
    private (int Moved, TablePosition? At) MoveByMaster(IdeSlot slot, Job job)
    {
        if (_master.IsToMemory != job.Action.IsToHost) return (0, null);
        var unit = job.Action.Work == AtaWork.Read || job.Action.Work == AtaWork.Write ? job.Action.Unit : job.Action.Work == AtaWork.Trim ? job.Action.Length : 1;
        var at = _master.Collect(job.At, _memory, job.Length);
        if (at is null) return (0, null);
        var whole = _memory.Length / unit * unit;
        if (whole == 0) return at.Value.AtEnd ? (0, at) : (0, null);
        if (whole != _memory.Length && ((at = _master.Collect(job.At, _memory, whole)) is null || _memory.Length != whole)) return (0, null);
        if (job.Action.Work == AtaWork.Answer) _memory.Buffer.CopyFrom(job.Action.Answer.AsSpan(job.Action.Done, whole));
        try
        {
            if (job.Action.Work != AtaWork.Answer) slot.Drive!.CarryOut(job.Action, _memory.Buffer, whole);
        }
        finally
        {
            // What a failed read left there counts as well.
            if (job.Action.IsToHost) _memory.NotifyWritten();
        }
        return (whole, at);
    }

    private void MoveBuffer(IdeSlot slot, Job job)
    {
        _piece.Clear();
        if (job.Length > 0) _piece.Add(slot.Buffer, 0, job.Length);
        slot.Drive!.CarryOut(job.Action, _piece, job.Length);
    }
}
