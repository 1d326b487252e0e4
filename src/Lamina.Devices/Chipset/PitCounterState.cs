// The live registers of one counter of an 8254.
using Lamina.Core.State;

namespace Lamina.Devices.Chipset;

/// <summary>
/// Everything one counter remembers. What it counts is not stored: it follows from how many ticks have gone by since
/// <see cref="Count"/> was loaded, which are <see cref="Elapsed"/> plus, while <see cref="Counting"/>, the ticks since
/// <see cref="Anchor"/>.
/// </summary>
public struct PitCounterState()
{
    /// <summary>The mode.</summary>
    public PitMode Mode;

    /// <summary>Counts four decimal digits instead of 16 bits.</summary>
    public bool Bcd;

    /// <summary>Which bytes are read and written: 1 low, 2 high, 3 both.</summary>
    public byte Access = Pit8254Spec.AccessBoth;

    /// <summary>The count that was loaded, 1 to 65536 (10000 in BCD).</summary>
    public int Count = 0x10000;

    /// <summary>A count that waits for the end of the cycle or for a trigger; 0 for none.</summary>
    public int NextCount;

    /// <summary>Modes 2 and 3: how many ticks must be over when <see cref="NextCount"/> is taken.</summary>
    public long SwitchAt;

    /// <summary>A count has been loaded since the control word.</summary>
    public bool Loaded;

    /// <summary>The clock reaches the counter.</summary>
    public bool Counting;

    /// <summary>The gate input.</summary>
    public bool Gate;

    /// <summary>Machine nanoseconds at which <see cref="Elapsed"/> held.</summary>
    public long Anchor;

    /// <summary>Ticks at <see cref="Anchor"/>.</summary>
    public long Elapsed;

    /// <summary>The low byte of a count whose high byte is yet to come.</summary>
    public byte WrittenLow;

    /// <summary>The next write is the high byte.</summary>
    public bool WriteHighNext;

    /// <summary>The next read is the high byte.</summary>
    public bool ReadHighNext;

    /// <summary>A count is latched for reading.</summary>
    public bool CountLatched;

    /// <summary>That count.</summary>
    public ushort LatchedCount;

    /// <summary>A status is latched for reading; it is read before the count.</summary>
    public bool StatusLatched;

    /// <summary>That status.</summary>
    public byte LatchedStatus;

    internal static void Exchange(SavedFields fields, ref PitCounterState state)
    {
        fields.Choice(1, ref state.Mode);
        fields.Value(2, ref state.Bcd);
        fields.Value(3, ref state.Access);
        fields.Value(4, ref state.Count);
        fields.Value(5, ref state.NextCount);
        fields.Value(6, ref state.SwitchAt);
        fields.Value(7, ref state.Loaded);
        fields.Value(8, ref state.Counting);
        fields.Value(9, ref state.Gate);
        fields.Value(10, ref state.Anchor);
        fields.Value(11, ref state.Elapsed);
        fields.Value(12, ref state.WrittenLow);
        fields.Value(13, ref state.WriteHighNext);
        fields.Value(14, ref state.ReadHighNext);
        fields.Value(15, ref state.CountLatched);
        fields.Value(16, ref state.LatchedCount);
        fields.Value(17, ref state.StatusLatched);
        fields.Value(18, ref state.LatchedStatus);
        if (!fields.IsLoading) return;
        const int highest = 0x10000;
        SavedFields.Require(state.Access is >= Pit8254Spec.AccessLow and <= Pit8254Spec.AccessBoth, $"an access mode of {state.Access}");
        SavedFields.Require(state.Count is > 0 and <= highest && state.NextCount is >= 0 and <= highest, $"a count of {state.Count}, and {state.NextCount} next");
        const long most = long.MaxValue / 4;
        SavedFields.Require(state.Anchor >= 0 && state.Elapsed is > -most and < most && state.SwitchAt is >= 0 and < most, "more ticks than a machine lives");
    }
}
