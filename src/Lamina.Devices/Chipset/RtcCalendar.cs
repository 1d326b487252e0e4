// The clock's registers as a time of day and back: BCD or binary, 12 or 24 hours, two-digit year and century. Values that
// are no date are brought into range, so that nothing a guest writes is an error.
using static Lamina.Devices.Chipset.CmosRtcSpec;

namespace Lamina.Devices.Chipset;

/// <summary>Converts between registers and time under one setting of register B.</summary>
/// <param name="registerB">Register B: its binary and 24-hour bits count.</param>
internal readonly struct RtcCalendar(byte registerB)
{
    internal byte Number(int value) => (byte)((registerB & Binary) != 0 ? value : value / 10 % 10 << 4 | value % 10);

    internal byte Hour(int hour)
    {
        if ((registerB & Hours24) != 0) return Number(hour);
        var twelve = Number(hour % 12 == 0 ? 12 : hour % 12);
        return (byte)(hour >= 12 ? twelve | Afternoon : twelve);
    }

    /// <summary>Puts a time into the registers.</summary>
    internal void Store(ref CmosRam ram, DateTime time, int weekdayShift)
    {
        ram[Seconds] = Number(time.Second);
        ram[Minutes] = Number(time.Minute);
        ram[Hours] = Hour(time.Hour);
        ram[Weekday] = Number(((int)time.DayOfWeek + weekdayShift) % 7 + 1);
        ram[DayOfMonth] = Number(time.Day);
        ram[Month] = Number(time.Month);
        ram[Year] = Number(time.Year % 100);
        ram[CenturyRegister] = Number(time.Year / 100);
    }

    /// <summary>Reads a time from the registers.</summary>
    internal (DateTime Time, int WeekdayShift) Load(in CmosRam ram)
    {
        var year = Math.Clamp(Value(ram[CenturyRegister]) * 100 + Math.Min(Value(ram[Year]), 99), 1, 9999);
        var month = Math.Clamp(Value(ram[Month]), 1, 12);
        var day = Math.Clamp(Value(ram[DayOfMonth]), 1, DateTime.DaysInMonth(year, month));
        var time = new DateTime(year, month, day, HourValue(ram[Hours]), Math.Min(Value(ram[Minutes]), 59), Math.Min(Value(ram[Seconds]), 59));
        var weekday = Math.Clamp(Value(ram[Weekday]), 1, 7) - 1;
        return (time, (weekday - (int)time.DayOfWeek + 7) % 7);
    }

    /// <summary>Whether the alarm registers match a time of day (MC146818A, "Time, calendar and alarm locations").</summary>
    internal bool AlarmHourMatches(in CmosRam ram, int hour) => Matches(ram[HoursAlarm], Hour(hour));

    /// <summary>The same for minutes.</summary>
    internal bool AlarmMinuteMatches(in CmosRam ram, int minute) => Matches(ram[MinutesAlarm], Number(minute));

    /// <summary>The same for seconds.</summary>
    internal bool AlarmSecondMatches(in CmosRam ram, int second) => Matches(ram[SecondsAlarm], Number(second));

    /// <summary>The first second after a time at which the alarm rings, in seconds of the same count; null where it never does.</summary>
    internal long? NextAlarm(in CmosRam ram, long after)
    {
        const int hourLength = 3600, minuteLength = 60, dayLength = 86_400;
        for (var second = after + 1; second <= after + dayLength;)
        {
            var ofDay = (int)(second % dayLength);
            if (!AlarmHourMatches(ram, ofDay / hourLength)) second += hourLength - (ofDay % hourLength);
            else if (!AlarmMinuteMatches(ram, ofDay / minuteLength % 60)) second += minuteLength - (ofDay % minuteLength);
            else if (!AlarmSecondMatches(ram, ofDay % minuteLength)) second++;
            else return second;
        }
        return null;
    }

    private static bool Matches(byte alarm, byte current) => alarm >= AlarmAny || alarm == current;

    private int Value(byte register) => (registerB & Binary) != 0 ? register : Math.Min(register >> 4, 9) * 10 + Math.Min(register & 15, 9);

    private int HourValue(byte register)
    {
        if ((registerB & Hours24) != 0) return Math.Min(Value(register), 23);
        var twelve = Math.Clamp(Value((byte)(register & ~Afternoon)), 1, 12) % 12;
        return (register & Afternoon) != 0 ? twelve + 12 : twelve;
    }
}
