// A machine of the store, as it is seen without opening it: for lists, and for whoever wants to know what became of it.
namespace Lamina.Hypervisor.Stored;

/// <summary>A machine in the store.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Definition">Its definition; null where the file cannot be used.</param>
/// <param name="Problem">Why it cannot, as a sentence; null where it can.</param>
/// <param name="Home">The folder with its files.</param>
/// <param name="Size">The length of its own disk's file, in bytes.</param>
/// <param name="IsRunning">Whether a process runs it.</param>
/// <param name="Run">The run that is under way, or that was when its process was killed.</param>
/// <param name="LastEnd">How its last run ended; null where none has.</param>
public sealed record MachineListing(string Name, MachineDefinition? Definition, string? Problem, MachineHome Home, long Size, bool IsRunning, RunRecord? Run, EndRecord? LastEnd)
{
    /// <summary>What is kept of it where it was suspended; else null.</summary>
    public SuspendRecord? Suspended { get; init; }

    /// <summary>Where it went, or that it has not come wholly; else null.</summary>
    public MigrationRecord? Migrated { get; init; }

    /// <summary>Whether its process ended without a word.</summary>
    public bool WasKilled => !IsRunning && Run is not null;
}
