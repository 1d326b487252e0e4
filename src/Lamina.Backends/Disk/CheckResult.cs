// What a check of an image found.
namespace Lamina.Backends.Disk;

/// <summary>The result of a check.</summary>
/// <param name="Errors">Places where the image is damaged: writing to it, or reading, may lose data.</param>
/// <param name="Leaks">Clusters that are counted as used but are not: lost space and nothing worse.</param>
/// <param name="LeakedBytes">How much that is.</param>
/// <param name="DataClusters">Clusters of the guest's that have data in the image.</param>
/// <param name="CompressedClusters">How many of these are compressed.</param>
/// <param name="Messages">The first findings, a sentence each.</param>
public sealed record CheckResult(long Errors, long Leaks, ulong LeakedBytes, ulong DataClusters, ulong CompressedClusters, IReadOnlyList<string> Messages)
{
    /// <summary>Whether it was not closed: its refcounts are behind, and nothing else is said of them. They are made anew when it is opened to be written.</summary>
    public bool IsOpen { get; init; }

    /// <summary>Whether nothing was found.</summary>
    public bool IsClean => Errors == 0 && Leaks == 0 && !IsOpen;
}
