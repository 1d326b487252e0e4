// The one type that says what can be done to a machine, and when it is legal. The command line, the service and the
// debugger make these; Machine.DoAsync carries them out one after another.
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

/// <summary>Something that can be done to a machine.</summary>
public abstract record MachineAction
{
    private MachineAction()
    {
    }

    /// <summary>Lets the guest run for the first time.</summary>
    public sealed record Start : MachineAction;

    /// <summary>Stops the guest between two instructions. Refused where the user has paused it before.</summary>
    public sealed record Pause : MachineAction;

    /// <summary>Lets a paused guest go on.</summary>
    public sealed record Resume : MachineAction;

    /// <summary>Starts the guest again from its boot files, or ends the machine where <see cref="MachineDefinition.NoReboot"/> asks for it.</summary>
    public sealed record Reset(ResetCause Cause) : MachineAction;

    /// <summary>Writes the machine down, with its memory and all that its devices are doing; it goes on afterwards, or stays paused. Where it cannot be written it goes on as well.</summary>
    /// <param name="Folder">A folder that is not there yet.</param>
    public sealed record Save(string Folder) : MachineAction;

    /// <summary>Presses the power button: the guest is asked to shut down.</summary>
    /// <param name="Pressed">Told whether the guest listens to it; or null.</param>
    public sealed record PowerButton(Action<bool>? Pressed = null) : MachineAction;

    /// <summary>Ends the machine. Nothing is asked of the guest.</summary>
    public sealed record End(MachineResult Result) : MachineAction;

    /// <summary>The verb, for messages.</summary>
    public string Verb => this switch
    {
        Start => "started",
        Pause => "paused",
        Resume => "resumed",
        Reset => "reset",
        Save => "saved",
        PowerButton => "asked to shut down",
        _ => "ended",
    };

    /// <summary>Whether the action may be done in a state.</summary>
    public bool IsLegalIn(MachineState state) => this switch
    {
        Start => state == MachineState.Created,
        Pause or Save => state is MachineState.Running or MachineState.Paused,
        PowerButton => state == MachineState.Running,
        Resume => state == MachineState.Paused,
        Reset => state is MachineState.Running or MachineState.Paused,
        _ => state != MachineState.Ended,
    };
}
