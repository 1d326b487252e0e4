// The debug port of firmware: whole lines to a log, whatever is written.
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Devices.Firmware;
using Lamina.Tests.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Firmware;

public sealed class FirmwareLogTests
{
    private readonly List<LogLine> _lines = [];
    private readonly FirmwareLog _port;

    public FirmwareLogTests() => _port = new FirmwareLog(Log.To(_lines.Add, LogLevel.Trace).CreateLog("firmware/log"));

    [Fact]
    public void Firmware_learns_that_somebody_listens() => Assert.Equal(0xe9, _port.In(0));

    [Fact]
    public void Each_line_is_written_when_it_ends()
    {
        Write("one\r\n\n\ttwo\nthr");

        Assert.Equal([(LogLevel.Debug, LogEvent.Firmware, "one"), (LogLevel.Debug, LogEvent.Firmware, "\ttwo")], _lines.Select(line => (line.Level, line.Event, line.Message)));
        Assert.Equal("thr", Inspected()[^1]);
    }

    [Fact]
    public void What_a_guest_writes_neither_drives_a_terminal_nor_grows_without_an_end()
    {
        Write("\x1b[2J\x9b\n" + new string('x', 300_000));

        Assert.Equal(".[2J.", _lines[0].Message);
        Assert.All(_lines.Skip(1), line => Assert.Equal(new string('x', 256), line.Message));
        Assert.Equal(129, Inspected().Count);
    }

    private void Write(string text)
    {
        foreach (var character in text) _port.Out(0, character);
    }

    private List<string> Inspected()
    {
        var node = new InspectNode("log");
        _port.Inspect(node);
        return [.. node.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line[(line.IndexOf(": ", StringComparison.Ordinal) + 2)..])];
    }
}
