// What happens to a machine, for programs that watch it (Machine.WatchAsync). An event is told after it came about, and in the order in
// which events came about.
namespace Lamina.Control;

/// <summary>Something that happened to a machine.</summary>
public abstract record MachineEvent
{
    private MachineEvent()
    {
    }

    /// <summary>Its number: the machine's first event is 1, and each further one is one more.</summary>
    public long Number { get; init; }

    /// <summary>When it was.</summary>
    public DateTimeOffset Time { get; init; }

    /// <summary>The guest runs for the first time, or goes on where a saved machine stood.</summary>
    public sealed record Started : MachineEvent;

    /// <summary>The guest stands still, or does so for other reasons than before.</summary>
    /// <param name="Reasons">All reasons that there are now.</param>
    public sealed record Paused(Holds Reasons) : MachineEvent;

    /// <summary>The guest runs again.</summary>
    public sealed record Resumed : MachineEvent;

    /// <summary>The guest begins again from its boot files.</summary>
    /// <param name="Cause">Who wanted it.</param>
    public sealed record WasReset(ResetCause Cause) : MachineEvent;

    /// <summary>The power button was pressed.</summary>
    /// <param name="Listens">Whether the guest listens to it.</param>
    public sealed record PowerButtonPressed(bool Listens) : MachineEvent;

    /// <summary>The guest's kernel reported that it has crashed. The machine ends.</summary>
    /// <param name="Message">What is known of it, a sentence.</param>
    public sealed record GuestPanicked(string Message) : MachineEvent;

    /// <summary>The host has no space for what the guest writes to a disk, and the disk's writes wait for some.</summary>
    /// <param name="Disk">The disk's image.</param>
    public sealed record DiskFull(string Disk) : MachineEvent;

    /// <summary>A disk for which there was no space writes again.</summary>
    /// <param name="Disk">The disk's image.</param>
    public sealed record DiskGoesOn(string Disk) : MachineEvent;

    /// <summary>A part reports what its user should know: a host's disk that fails, output that was lost.</summary>
    /// <param name="Part">The part's name, as the tree of the machine has it; empty where it is not one part's.</param>
    /// <param name="Message">The report, a sentence.</param>
    public sealed record Reported(string Part, string Message) : MachineEvent;

    /// <summary>The machine was written down.</summary>
    /// <param name="To">Where.</param>
    public sealed record Saved(MachineSaved To) : MachineEvent;

    /// <summary>The machine has ended. No event comes after it.</summary>
    /// <param name="Result">How.</param>
    public sealed record Ended(MachineResult Result) : MachineEvent;

    /// <summary>Events before the next one that this reader does not get, because it read too slowly and they were the oldest.</summary>
    /// <param name="Count">How many.</param>
    public sealed record Missed(long Count) : MachineEvent;
}
