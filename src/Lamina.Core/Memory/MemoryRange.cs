// A range of guest-physical addresses, as a value. What lies there is GuestMemory's affair.
namespace Lamina.Core.Memory;

/// <summary>A range of guest-physical addresses.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Length in bytes.</param>
public readonly record struct MemoryRange(ulong Start, ulong Length)
{
    /// <summary>The first address behind the range.</summary>
    public ulong End => Start + Length;

    /// <summary>Whether the whole of an access lies in the range.</summary>
    public bool Contains(ulong address, ulong length) => address >= Start && length <= Length && address - Start <= Length - length;

    /// <summary>Whether the two have an address in common.</summary>
    public bool Overlaps(MemoryRange other) => Start < other.End && other.Start < End;
}
