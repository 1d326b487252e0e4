// The live registers of one counter of an 8254.
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
}
