// What a user chooses of the memory of a snapshot.
namespace Lamina.Hypervisor.Snapshots;

/// <summary>How the memory of a snapshot is kept.</summary>
public enum SnapshotMemory
{
    /// <summary>As it is: it takes the room of what the guest has touched.</summary>
    Whole,

    /// <summary>Compressed: it takes less room, and is read whole when the machine goes on there.</summary>
    Compressed,

    /// <summary>What is other in it than in the snapshot before it; whole where that has none to compare with, or most of it is other.</summary>
    Changes,
}
