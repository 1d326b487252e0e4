// The live registers of one 8259A, wherever it is: what moves from one to another.
using Lamina.Core.State;

namespace Lamina.Core.Interrupts;

/// <summary>Everything one 8259A remembers. A fresh one has not been initialised and requests nothing.</summary>
public struct Pic8259State
{
    /// <summary>Requests (IRR), one bit an input.</summary>
    public byte Requests;

    /// <summary>In service (ISR).</summary>
    public byte InService;

    /// <summary>Masked inputs (IMR).</summary>
    public byte Mask;

    /// <summary>Levels of the inputs.</summary>
    public byte Lines;

    /// <summary>Inputs that are level triggered (ELCR).</summary>
    public byte LevelTriggered;

    /// <summary>ICW2: the vector of input 0.</summary>
    public byte VectorBase;

    /// <summary>The input with the highest priority; 0 unless rotated.</summary>
    public byte HighestPriority;

    /// <summary>The initialisation word that is expected next (2 to 4), 0 outside the sequence.</summary>
    public byte ExpectedIcw;

    /// <summary>ICW1 announced an ICW4.</summary>
    public bool NeedsIcw4;

    /// <summary>The sequence has been gone through at least once.</summary>
    public bool Initialised;

    /// <summary>ICW4: automatic end of interrupt.</summary>
    public bool AutoEoi;

    /// <summary>ICW4: special fully nested mode.</summary>
    public bool SpecialNested;

    /// <summary>OCW2: rotate at each automatic end of interrupt.</summary>
    public bool RotateOnAutoEoi;

    /// <summary>OCW3: special mask mode.</summary>
    public bool SpecialMask;

    /// <summary>OCW3: the next read is a poll.</summary>
    public bool Poll;

    /// <summary>OCW3: reads of the first port give the ISR, not the IRR.</summary>
    public bool ReadInService;

    /// <summary>Writes it, or reads it.</summary>
    public static void Exchange(SavedFields fields, ref Pic8259State state)
    {
        fields.Value(1, ref state.Requests);
        fields.Value(2, ref state.InService);
        fields.Value(3, ref state.Mask);
        fields.Value(4, ref state.Lines);
        fields.Value(5, ref state.LevelTriggered);
        fields.Value(6, ref state.VectorBase);
        fields.Value(7, ref state.HighestPriority);
        fields.Value(8, ref state.ExpectedIcw);
        fields.Value(9, ref state.NeedsIcw4);
        fields.Value(10, ref state.Initialised);
        fields.Value(11, ref state.AutoEoi);
        fields.Value(12, ref state.SpecialNested);
        fields.Value(13, ref state.RotateOnAutoEoi);
        fields.Value(14, ref state.SpecialMask);
        fields.Value(15, ref state.Poll);
        fields.Value(16, ref state.ReadInService);
        if (!fields.IsLoading) return;
        SavedFields.Require(state.HighestPriority < 8, $"input {state.HighestPriority} first");
        SavedFields.Require(state.ExpectedIcw is 0 or 2 or 3 or 4, $"initialisation word {state.ExpectedIcw} next");
    }
}
