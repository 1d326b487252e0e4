// The live registers of the real-time clock.
using System.Runtime.CompilerServices;
using Lamina.Core.State;

namespace Lamina.Devices.Chipset;

/// <summary>128 bytes of CMOS RAM. The clock's own registers are only current here while the clock is stopped.</summary>
[InlineArray(CmosRtcSpec.RamLength)]
public struct CmosRam
{
    private byte _first;
}

/// <summary>Everything the real-time clock remembers.</summary>
public struct CmosRtcState()
{
    /// <summary>RAM; registers A and B live in it.</summary>
    public CmosRam Ram;

    /// <summary>The selected register.</summary>
    public byte Index;

    /// <summary>Register C's causes.</summary>
    public byte Causes;

    /// <summary>The guest's time minus the machine's wall clock, in ticks of 100 ns.</summary>
    public long Offset;

    /// <summary>Days to add to the calendar's day of the week to get what the guest set, 0 to 6.</summary>
    public int WeekdayShift;

    /// <summary>The guest's time in whole seconds when the update and alarm flags were last brought up to date.</summary>
    public long SeenSecond;

    /// <summary>The count of periodic ticks when their flag was last brought up to date.</summary>
    public long SeenPeriodic;

    internal static void Exchange(SavedFields fields, ref CmosRtcState state)
    {
        fields.Bytes(1, (Span<byte>)state.Ram);
        fields.Value(2, ref state.Index);
        fields.Value(3, ref state.Causes);
        fields.Value(4, ref state.Offset);
        fields.Value(5, ref state.WeekdayShift);
        fields.Value(6, ref state.SeenSecond);
        fields.Value(7, ref state.SeenPeriodic);
        if (!fields.IsLoading) return;
        var last = DateTime.MaxValue.Ticks;
        SavedFields.Require(state.Index < CmosRtcSpec.RamLength, "an index behind the RAM");
        SavedFields.Require(state.WeekdayShift is >= 0 and < 7, "a week of other than seven days");
        SavedFields.Require(state.Offset >= -last && state.Offset <= last && state.SeenSecond >= 0 && state.SeenSecond <= last / TimeSpan.TicksPerSecond && state.SeenPeriodic >= 0, "a time outside the calendar");
    }
}
