// The live registers of an I/O APIC, wherever it is: what moves from one to another.
using System.Runtime.CompilerServices;

namespace Lamina.Core.Interrupts;

/// <summary>The redirection entries.</summary>
[InlineArray(Count)]
public struct IoApicEntries
{
    /// <summary>How many: one an input.</summary>
    public const int Count = 24;

    private ulong _first;
}

/// <summary>Everything the I/O APIC remembers.</summary>
public struct IoApicState
{
    /// <summary>The selected indirect register.</summary>
    public byte Select;

    /// <summary>The ID register.</summary>
    public byte Id;

    /// <summary>Asserted inputs, one bit each.</summary>
    public uint Lines;

    /// <summary>The redirection entries.</summary>
    public IoApicEntries Entries;
}
