// The queues of a controller (4.1): rings in guest memory. Places in them are the controller's to guard.
using Lamina.Core.Limits;
using Lamina.Core.State;
using Lamina.Core.Work;
using Lamina.Devices.Media;

namespace Lamina.Devices.Nvme;

/// <summary>A ring that commands come from.</summary>
internal sealed class SubmissionQueue : IHeldBack
{
    private volatile bool _heldBack;

    internal required int Id { get; init; }

    internal required ulong Address { get; init; }

    /// <summary>Entries.</summary>
    internal required int Size { get; init; }

    internal required int CompletionQueue { get; init; }

    internal int Head { get; set; }

    /// <summary>The doorbell's last value.</summary>
    internal int Tail { get; set; }

    /// <summary>Held while a command of it is carried out.</summary>
    internal Lock Running { get; } = new();

    /// <summary>The memory of the command that is carried out.</summary>
    internal required TransferMemory Memory { get; init; }

    /// <summary>Carries its commands out.</summary>
    internal required IWorker Worker { get; init; }

    /// <summary>Nothing more comes of it.</summary>
    internal bool IsGone { get; set; }

    /// <summary>Its next command found no space on the host, and waits for some.</summary>
    internal bool WaitsForSpace { get; set; }

    /// <summary>It did so and was not carried out since.</summary>
    internal bool HasStalled { get; set; }

    internal bool IsHeldBack => _heldBack;

    public void HoldBack() => _heldBack = true;

    public void GoOn()
    {
        _heldBack = false;
        Worker.Wake();
    }
}

/// <summary>A ring that ends of commands go to.</summary>
internal sealed class CompletionQueue
{
    internal required int Id { get; init; }

    internal required ulong Address { get; init; }

    /// <summary>Entries.</summary>
    internal required int Size { get; init; }

    internal required bool Interrupts { get; init; }

    internal required int Vector { get; init; }

    /// <summary>The doorbell's last value.</summary>
    internal int Head { get; set; }

    internal int Tail { get; set; }

    /// <summary>The bit by which the driver knows a new entry; it turns with each round.</summary>
    internal bool Phase { get; set; } = true;

    internal bool IsFull => Next(Tail) == Head;

    internal int Next(int index) => index + 1 == Size ? 0 : index + 1;
}

/// <summary>A queue as it is written down.</summary>
internal sealed record SavedQueue
{
    internal int Id, Size, Head, Tail, Other;
    internal ulong Address;
    internal bool Flag, Phase;

    internal static void Exchange(SavedFields fields, ref SavedQueue queue)
    {
        fields.Value(1, ref queue.Id);
        fields.Value(2, ref queue.Size);
        fields.Value(3, ref queue.Head);
        fields.Value(4, ref queue.Tail);
        fields.Value(5, ref queue.Other);
        fields.Value(6, ref queue.Address);
        fields.Value(7, ref queue.Flag);
        fields.Value(8, ref queue.Phase);
        SavedFields.Require(queue.Id is >= 0 and <= NvmeSpec.MostQueues && queue.Size is >= 2 and <= NvmeSpec.MostEntries && (uint)queue.Head < (uint)queue.Size && (uint)queue.Tail < (uint)queue.Size
            && queue.Address % NvmeSpec.PageLength == 0, $"a queue {queue.Id} that cannot be");
    }
}
