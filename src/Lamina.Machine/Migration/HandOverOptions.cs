// How a machine is handed to another process of this host that takes the place of this one, with all that both would have open, and what became of it.
namespace Lamina.Migration;

/// <summary>How it is handed over.</summary>
public sealed record HandOverOptions
{
    /// <summary>For how long the guest may stand still for what is left of its memory, as far as can be told before.</summary>
    public TimeSpan Downtime { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>How long the other process may take for each of its answers while the guest stands still.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>For how long the other process may be silent while the guest runs yet, before the machine stays in this one.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Where the machine is written down if the other process cannot go on with it after all was closed here: a folder that is not there (<see cref="Machine.SuspendAsync"/>).</summary>
    public required string KeptIn { get; init; }

    /// <summary>Called when all is closed here: tells the other process that it may open it. Or null.</summary>
    public Action? Released { get; init; }

    /// <summary>Called when the machine is the other process's, before it has ended here. Or null.</summary>
    public Action? Taken { get; init; }
}

/// <summary>What became of it. Where the machine could not even be begun to be handed over it goes on, and this is an exception.</summary>
/// <param name="StoodStill">For how long the guest stood still, to where the other process said that it runs, or that it cannot.</param>
/// <param name="SentBytes">What was sent, in bytes.</param>
/// <param name="Rounds">How many rounds there were.</param>
/// <param name="Refusal">Null: the machine is the other process's. Else why that could not go on with it: it is written down then, and has ended as <see cref="Control.MachineEnd.Suspended"/>.</param>
public sealed record HandOverOutcome(TimeSpan StoodStill, ulong SentBytes, int Rounds, string? Refusal);
