// How a machine goes to another process or host while it runs, and what was seen of it.
namespace Lamina.Migration;

/// <summary>How it goes.</summary>
public sealed record MigrationOptions
{
    /// <summary>For how long the guest may stand still, as far as can be told before: what is left to be sent then is what the link carries in this time.</summary>
    public TimeSpan Downtime { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>How long the last answers of the other side may take while the guest stands still, before it goes on where it is.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For how long the other side may be silent before the machine stays here, or, when it is given and a part of its memory is here yet, before that is given up.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Whether the machine may go on at the other side before all of its memory is there, where the guest writes faster than the link carries: what is left follows, what is touched there first. If the link is
    /// cut by then the machine has ended at both sides, and begins anew from its disks. Where the other side cannot have it so this goes on as without.
    /// </summary>
    public bool PostCopy { get; init; }

    /// <summary>Told in a sentence what of this cannot be had; on any thread. Or null.</summary>
    public Action<string>? Notice { get; init; }

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
public sealed record MigrationProgress(int Round, ulong SentBytes, ulong LeftBytes, double BytesPerSecond)
{
    /// <summary>Of a machine that runs there while its memory follows: how many pages it has asked for. Null before.</summary>
    public long? PagesAsked { get; init; }
}

/// <summary>What became of one.</summary>
/// <param name="StoodStill">For how long the guest stood still, from here to where the other machine said that it runs.</param>
/// <param name="SentBytes">What was sent, in bytes.</param>
/// <param name="Rounds">How many rounds there were.</param>
/// <param name="IsConfirmed">Whether the other machine said that it runs. Where it did not, it may or may not: this one has ended in either case.</param>
public sealed record MigrationOutcome(TimeSpan StoodStill, ulong SentBytes, int Rounds, bool IsConfirmed)
{
    /// <summary>How the memory followed that was not there when it began to run; null where all was.</summary>
    public MemoryFollowed? Followed { get; init; }
}

/// <summary>How a machine's memory followed it.</summary>
/// <param name="Pages">How many pages of 4 KiB were missing when it was given.</param>
/// <param name="Asked">How many of them were asked for, since somebody waited for them.</param>
/// <param name="Took">For how long some were missing, from there on.</param>
/// <param name="IsWhole">Whether the other side has all, or the machine has ended there by itself. Else the machine cannot go on there.</param>
public sealed record MemoryFollowed(long Pages, long Asked, TimeSpan Took, bool IsWhole);
