// Writing to logs: what is not read is not made, and a log that is not there takes nothing.
using Lamina.Core.Logging;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class LogTests
{
    private readonly List<LogLine> _lines = [];

    [Fact]
    public void A_function_gets_lines_from_its_level_on_with_the_units_name()
    {
        var log = Log.To(_lines.Add, LogLevel.Warning).CreateLog("devices/disk0");

        log.Debug(LogEvent.DriverBroke, "no");
        log.Trace(LogEvent.Fault, $"no");
        log.Warn(LogEvent.DiskImage, "one");
        log.Error(LogEvent.DiskError, "two");

        Assert.Equal([new(LogLevel.Warning, "devices/disk0", LogEvent.DiskImage, "one"), new(LogLevel.Error, "devices/disk0", LogEvent.DiskError, "two")], _lines);
    }

    [Fact]
    public void A_line_of_the_trace_is_made_only_where_somebody_reads_it()
    {
        var made = 0;
        int Value() => ++made;
        ILog? none = null;

        none.Trace(LogEvent.Fault, $"{Value()}");
        Log.To(_lines.Add, LogLevel.Debug).CreateLog("vcpus/0").Trace(LogEvent.Fault, $"{Value()}");
        Assert.Equal(0, made);
        Log.To(_lines.Add, LogLevel.Trace).CreateLog("vcpus/0").Trace(LogEvent.Fault, $"fault {Value()} at {0x1234:x} by {"name"}");

        Assert.Equal("fault 1 at 1234 by name", Assert.Single(_lines).Message);
    }

    [Fact]
    public void A_log_that_is_not_there_takes_nothing()
    {
        ILog? none = null;

        none.Error(LogEvent.DiskError, "x");
        none.Warn(LogEvent.DiskError, "x");
        none.Debug(LogEvent.DiskError, "x");
    }
}
