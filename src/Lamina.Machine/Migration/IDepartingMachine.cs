// What a migration asks of the machine that leaves.
using System.Diagnostics;
using Lamina.Saving;

namespace Lamina.Migration;

/// <summary>Gives a machine away that stands still.</summary>
/// <param name="state">All but its memory and its disks.</param>
/// <param name="since">When it came to stand still, as <see cref="Stopwatch.GetTimestamp"/> has it.</param>
/// <param name="isPaused">Whether its user has paused it.</param>
/// <param name="patience">Over when it has stood still for too long.</param>
internal delegate Task<MigrationOutcome> MachineGiver(SavedMachine state, long since, bool isPaused, CancellationToken patience);

/// <summary>A machine that leaves: its life.</summary>
internal interface IDepartingMachine
{
    /// <summary>What it is, without its parts.</summary>
    /// <exception cref="MachineException">It has ended.</exception>
    Task<SavedMachine> DescribeStateAsync();

    /// <summary>Has the guest take no more than so many percent of each processor; null: as much as its share is.</summary>
    Task ThrottleAsync(int? percent);

    /// <summary>Has the machine stand still and be given away, with which it ends here; where that fails it goes on.</summary>
    /// <param name="patience">For how long it may stand still.</param>
    /// <param name="give">Gives it away.</param>
    /// <exception cref="MachineException">It has ended, or cannot be given away.</exception>
    /// <exception cref="IOException">The link or the host fails.</exception>
    Task<MigrationOutcome> GiveAsync(TimeSpan patience, MachineGiver give);

    /// <summary>Has the machine stand still, be sent, let go of all that it has open, and be given to a process that opens it again. Where it cannot be sent it goes on; where it cannot be given it is written down and ends.</summary>
    /// <param name="patience">For how long it may stand still before all of it is sent.</param>
    /// <param name="keptIn">Where it is written down: a folder that is not there.</param>
    /// <param name="send">Sends all but its disks.</param>
    /// <param name="give">Gives it away, paused or not, when all is closed; says why that cannot be, or null. It throws nothing.</param>
    /// <returns>For how long it stood still, and what <paramref name="give"/> said.</returns>
    /// <exception cref="MachineException">It has ended, cannot be sent, or could be neither given nor written down.</exception>
    /// <exception cref="IOException">The link or the host fails.</exception>
    Task<(TimeSpan StoodStill, string? Refusal)> HandOverAsync(TimeSpan patience, string keptIn, Func<SavedMachine, CancellationToken, Task> send, Func<bool, Task<string?>> give);
}
