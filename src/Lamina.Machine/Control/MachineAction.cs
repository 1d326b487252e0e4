// The one type that says what can be done to a machine, when it is legal, what it answers, and what becomes of the machine where it
// fails. The command line, the service and the debugger make these; Machine.DoAsync carries them out one after another.
using System.Runtime.InteropServices;
using Lamina.Core.Inspection;
using Lamina.Saving;

namespace Lamina.Control;

/// <summary>What a machine is doing.</summary>
public enum MachineState
{
    /// <summary>Built, with everything opened and loaded; no vCPU has run.</summary>
    Created,

    /// <summary>The guest runs.</summary>
    Running,

    /// <summary>The guest stands still and its clocks with it.</summary>
    Paused,

    /// <summary>It has ended; there is a <see cref="MachineResult"/>.</summary>
    Ended,
}

/// <summary>Who wants a reset.</summary>
public enum ResetCause
{
    /// <summary>The user.</summary>
    User,

    /// <summary>The guest, through a reset register.</summary>
    Guest,

    /// <summary>A vCPU that can never continue.</summary>
    TripleFault,
}

/// <summary>What becomes of a machine for which an action fails. In each case whoever asked for it is told.</summary>
public enum FailurePolicy
{
    /// <summary>The machine goes on as if nothing had been asked.</summary>
    Refuse,

    /// <summary>The machine ends as <see cref="MachineEnd.Failed"/>: it is half-way between two states.</summary>
    EndMachine,
}

/// <summary>Where a machine was written down.</summary>
/// <param name="Folder">The folder, as it was named.</param>
/// <param name="StoodStill">For how long the guest stood still for it.</param>
public sealed record MachineSaved(string Folder, TimeSpan StoodStill)
{
    /// <summary>Done when all of it is on the disk: the guest may go on while its memory is written. Fails where the host refuses it; nothing is left of it then.</summary>
    public Task Written { get; init; } = Task.CompletedTask;

    /// <inheritdoc/>
    public bool Equals(MachineSaved? other) => other is not null && (Folder, StoodStill) == (other.Folder, other.StoodStill);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Folder, StoodStill);
}

/// <summary>A disk of which what stands on it stays as it is, since what is written from then on goes to another image.</summary>
/// <param name="Device">The disk's name.</param>
/// <param name="Image">The new image: a file that is not there yet.</param>
/// <param name="Below">What the present image will be called, as seen from the folder in which the new one will lie.</param>
public sealed record LayeredImage(string Device, string Image, string Below);

/// <summary>Something that can be done to a machine.</summary>
public abstract record MachineAction
{
    private protected MachineAction()
    {
    }

    /// <summary>Lets the guest run for the first time.</summary>
    public sealed record Start : MachineAction;

    /// <summary>Stops the guest between two instructions. Refused where the user has paused it before.</summary>
    public sealed record Pause : MachineAction;

    /// <summary>Lets a paused guest go on.</summary>
    public sealed record Resume : MachineAction;

    /// <summary>Starts the guest again from its boot files, or ends the machine where <see cref="MachineDefinition.NoReboot"/> asks for it.</summary>
    /// <param name="Cause">Who wants it.</param>
    public sealed record Reset(ResetCause Cause) : MachineAction;

    /// <summary>Writes the machine down, with its memory and all that its devices are doing; it goes on afterwards, or stays paused, while its memory is written (<see cref="MachineSaved.Written"/>). Where it cannot be written it goes on as well.</summary>
    /// <param name="Folder">A folder that is not there yet.</param>
    public sealed record Save(string Folder) : MachineAction<MachineSaved>;

    /// <summary>
    /// Writes the machine down likewise, and what stands on its disks at that moment stays as it is: what is written from then on goes to new images.
    /// Where it fails all is as if nothing had been asked, but that <paramref name="Commit"/> may have been called.
    /// </summary>
    /// <param name="Folder">A folder that is not there yet; null: disks alone.</param>
    /// <param name="Layers">The disks.</param>
    /// <param name="Commit">Called while the machine stands still and all is ready but for the memory's content: puts the new images in their places and the former into theirs, or says that this did not come about.</param>
    public sealed record Snapshot(string? Folder, IReadOnlyList<LayeredImage> Layers, Func<Task<bool>> Commit) : MachineAction<MachineSaved>;

    /// <summary>
    /// Makes what another machine goes on from that is where this one is (<see cref="Machine.Wait"/>), in memory, and disks stay as they are likewise. The
    /// machine goes on, or stays paused. What it has touched of its memory is copied the first time, while it runs; afterwards only what it wrote since.
    /// </summary>
    /// <param name="Layers">The disks.</param>
    /// <param name="Commit">As for a snapshot; null where there are no disks.</param>
    public sealed record Fork(IReadOnlyList<LayeredImage> Layers, Func<Task<bool>>? Commit) : MachineAction<MachineForked>;

    /// <summary>Writes the machine down likewise, and ends it there: nothing of it runs between. Where it cannot be written it goes on.</summary>
    /// <param name="Folder">A folder that is not there yet.</param>
    public sealed record Suspend(string Folder) : MachineAction<MachineSaved>;

    /// <summary>Presses the power button: the guest is asked to shut down. Answers whether the guest listens to it.</summary>
    public sealed record PowerButton : MachineAction<bool>;

    /// <summary>Looks inside: the state of every part, by the names of the machine's tree. Nothing changes by it, and the vCPUs are stopped for the moment only in which their registers are read.</summary>
    /// <param name="Path">Which part ("devices/disk0"), with all below it; empty for the machine. What is answered is that part's node.</param>
    public sealed record Inspect(string Path = "") : MachineAction<InspectNode>;

    /// <summary>Asks the guest to do without some of its memory, or to take it back. Answers how much it does without now, in bytes: it follows when it gets to it.</summary>
    /// <param name="Bytes">How much it is to do without, in bytes; whole pages of 4 KiB.</param>
    public sealed record ResizeBalloon(ulong Bytes) : MachineAction<ulong>;

    /// <summary>Leads these ports of the host's to the guest, and no others: opens those that are missing, closes those that are over. Connections that there are go on.</summary>
    /// <param name="Device">The network card.</param>
    /// <param name="Ports">The ports.</param>
    public sealed record Publish(string Device, IReadOnlyList<PublishedPort> Ports) : MachineAction;

    /// <summary>Puts a network card's cable in, or pulls it: the guest sees its link come and go.</summary>
    /// <param name="Device">The card.</param>
    /// <param name="Plugged">Whether the cable is in.</param>
    public sealed record Plug(string Device, bool Plugged) : MachineAction;

    /// <summary>Puts another disc into a CD drive, or takes the one out that is there. Refused where the guest keeps the tray shut.</summary>
    /// <param name="Device">The drive.</param>
    /// <param name="Path">The disc, an image; "" for none.</param>
    public sealed record ChangeDisc(string Device, string Path) : MachineAction
    {
        /// <summary>The same, open, where the process that the machine is in may not open it by its name; closed by the machine.</summary>
        public SafeHandle? File { get; init; }
    }

    /// <summary>Limits what a disk or a network card moves from now on, in place of what its definition says. A machine that is saved has its definition's.</summary>
    /// <param name="Device">The device's name.</param>
    /// <param name="Limit">The limit.</param>
    public sealed record SetRate(string Device, RateLimit Limit) : MachineAction;

    /// <summary>Gives the virtual CPUs another share of the host's processors from now on, likewise.</summary>
    /// <param name="Limit">The share.</param>
    public sealed record SetCpuLimit(CpuLimit Limit) : MachineAction;

    /// <summary>Ends the machine. Nothing is asked of the guest.</summary>
    /// <param name="Result">What its run ended with.</param>
    public sealed record End(MachineResult Result) : MachineAction;

    /// <summary>The verb, for messages.</summary>
    public string Verb => this switch
    {
        Start => "started",
        Pause => "paused",
        Resume => "resumed",
        Reset => "reset",
        Save or Snapshot => "saved",
        Fork => "forked",
        Suspend => "suspended",
        PowerButton => "asked to shut down",
        Inspect => "looked at",
        ResizeBalloon => "given more or less memory",
        Publish => "given other published ports",
        Plug => "plugged or unplugged",
        ChangeDisc => "given another disc",
        SetRate or SetCpuLimit => "limited",
        _ => "ended",
    };

    /// <summary>What becomes of the machine where the action fails.</summary>
    public FailurePolicy Failure => this is Save or Snapshot or Fork or Suspend or PowerButton or Inspect or ResizeBalloon or Publish or Plug or ChangeDisc or SetRate or SetCpuLimit ? FailurePolicy.Refuse : FailurePolicy.EndMachine;

    /// <summary>Whether the action may be done in a state.</summary>
    public bool IsLegalIn(MachineState state) => this switch
    {
        Start => state == MachineState.Created,
        Pause or Save or Snapshot or Fork or Suspend or Reset or ResizeBalloon or Publish or Plug or ChangeDisc or SetRate or SetCpuLimit => state is MachineState.Running or MachineState.Paused,
        PowerButton => state == MachineState.Running,
        Resume => state == MachineState.Paused,
        _ => state != MachineState.Ended,
    };
}

/// <summary>Something that can be done to a machine and has an answer.</summary>
/// <typeparam name="TAnswer">What is answered.</typeparam>
public abstract record MachineAction<TAnswer> : MachineAction
{
    private protected MachineAction()
    {
    }
}
