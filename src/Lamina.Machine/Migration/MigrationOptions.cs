// How a machine goes to another process or host while it runs, and what was seen of it.
namespace Lamina.Migration;

/// <summary>How it goes.</summary>
public sealed record MigrationOptions
{
    /// <summary>For how long the guest may stand still, as far as can be told before: what is left to be sent then is what the link carries in this time.</summary>
    public TimeSpan Downtime { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>How long the last answers of the other side may take while the guest stands still, before it goes on where it is.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Told of each round; on any thread, soon over. Or null.</summary>
    public Action<MigrationProgress>? Progress { get; init; }

    /// <summary>Called while the guest stands still and the other machine has all, before that one is let run: writes down that the machine is the other's from here on. What it throws keeps the machine here. Or null.</summary>
    public Action? Give { get; init; }
}

/// <summary>How far a migration is.</summary>
/// <param name="Round">The round, from 1.</param>
/// <param name="SentBytes">What was sent, in bytes.</param>
/// <param name="LeftBytes">What is left to be sent, as far as is known by now.</param>
/// <param name="BytesPerSecond">What the link carries; 0 where it is not known yet.</param>
public sealed record MigrationProgress(int Round, ulong SentBytes, ulong LeftBytes, double BytesPerSecond);

/// <summary>What became of one.</summary>
/// <param name="StoodStill">For how long the guest stood still, from here to where the other machine said that it runs.</param>
/// <param name="SentBytes">What was sent, in bytes.</param>
/// <param name="Rounds">How many rounds there were.</param>
/// <param name="IsConfirmed">Whether the other machine said that it runs. Where it did not, it may or may not: this one has ended in either case.</param>
public sealed record MigrationOutcome(TimeSpan StoodStill, ulong SentBytes, int Rounds, bool IsConfirmed);
