// The live registers of a local APIC.
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Lamina.Devices.Chipset;

/// <summary>The eight words of a <see cref="VectorSet"/>, lowest vectors first.</summary>
[InlineArray(LocalApicSpec.WordsPerSet)]
public struct VectorWords
{
    private uint _first;
}

/// <summary>A set of vectors, as IRR, ISR and TMR are.</summary>
public struct VectorSet
{
    /// <summary>The words as the registers show them.</summary>
    public VectorWords Words;

    /// <summary>The highest member, or -1.</summary>
    public readonly int Highest
    {
        get
        {
            for (var i = LocalApicSpec.WordsPerSet - 1; i >= 0; i--)
                if (Words[i] != 0) return 32 * i + BitOperations.Log2(Words[i]);
            return -1;
        }
    }

    /// <summary>Whether a vector is a member.</summary>
    public readonly bool Contains(int vector) => (Words[vector >> 5] >> vector & 1) != 0;

    /// <summary>Adds or removes a vector.</summary>
    public void Set(int vector, bool member)
    {
        if (member) Words[vector >> 5] |= 1u << vector;
        else Words[vector >> 5] &= ~(1u << vector);
    }
}

/// <summary>The local vector table: timer, thermal, performance, LINT0, LINT1, error.</summary>
[InlineArray(LocalApicSpec.LvtCount)]
public struct LocalVectorTable
{
    private uint _first;
}

/// <summary>Everything a local APIC remembers, but for its identity.</summary>
public struct LocalApicState
{
    /// <summary>IA32_APIC_BASE.</summary>
    public ulong Base;

    /// <summary>TPR.</summary>
    public byte TaskPriority;

    /// <summary>LDR of xAPIC mode; in x2APIC mode it follows from the ID.</summary>
    public uint LogicalDestination;

    /// <summary>DFR.</summary>
    public uint DestinationFormat;

    /// <summary>SVR.</summary>
    public uint SpuriousVector;

    /// <summary>ISR.</summary>
    public VectorSet InService;

    /// <summary>TMR.</summary>
    public VectorSet TriggerMode;

    /// <summary>IRR.</summary>
    public VectorSet Request;

    /// <summary>ESR as it reads.</summary>
    public byte ErrorStatus;

    /// <summary>Errors since ESR was last written.</summary>
    public byte PendingErrors;

    /// <summary>ICR, both halves.</summary>
    public ulong Command;

    /// <summary>The local vector table.</summary>
    public LocalVectorTable Lvt;

    /// <summary>Timer: initial count.</summary>
    public uint InitialCount;

    /// <summary>Timer: divide configuration.</summary>
    public uint DivideConfiguration;

    /// <summary>Timer: a count runs. One that has ended leaves the initial count as it reads, and does not begin again by itself.</summary>
    public bool Counting;

    /// <summary>Timer: machine nanoseconds at which the count began.</summary>
    public long CountStart;

    /// <summary>Timer: IA32_TSC_DEADLINE; 0 while disarmed.</summary>
    public ulong TscDeadline;

    /// <summary>Timer: machine nanoseconds of the next expiry; <see cref="long.MaxValue"/> for none.</summary>
    public long TimerDue;

    /// <summary>The levels of the two pins.</summary>
    public bool Lint0, Lint1;

    /// <summary>An ExtINT message waits for its vector to be asked of the 8259 pair.</summary>
    public bool ExternalPending;
}
