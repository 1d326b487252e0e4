// The log of a machine as programs see it that have loggers of Microsoft.Extensions.Logging: what each unit says, by its name.
using System.Collections.Concurrent;
using Lamina.Logging;
using Lamina.Tests.Machines.Boot;
using Lamina.Tests.Machines.Life;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Lamina.Tests.Machines.Logging;

public sealed class MachineLoggingTests : IDisposable
{
    private readonly KernelFolder _folder = new();
    private readonly Loggers _loggers = new();

    public void Dispose()
    {
        _folder.Dispose();
        _loggers.Dispose();
    }

    [Fact]
    public async Task A_machines_life_is_information_of_the_category_life()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await using (var machine = Machine.Create(Definition(), new MachineHooks().WithLogger(_loggers)))
        {
            var run = machine.RunAsync(TestContext.Current.CancellationToken);
            await machine.Serial.ReadUntilAsync("# ", TestContext.Current.CancellationToken);
            await machine.PauseAsync(TestContext.Current.CancellationToken);
            await machine.ResumeAsync(TestContext.Current.CancellationToken);
            await machine.ResetAsync(TestContext.Current.CancellationToken);
            await machine.StopAsync(TestContext.Current.CancellationToken);
            await run;
        }

        Assert.Equal(
            ["Started 100: started", "Paused 101: paused (User)", "Resumed 102: goes on", "Reset 103: reset (User)", "Ended 107: ended (Stopped)"],
            _loggers.Lines.Where(line => line.Category == "Lamina.life").Select(line => $"{line.Event.Name} {line.Event.Id}: {line.Text}"));
        Assert.All(_loggers.Lines, line => Assert.Equal(LogLevel.Information, line.Level));
    }

    [Fact]
    public async Task What_the_user_must_know_is_a_warning_of_the_unit_that_it_is_about()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var disk = _folder.In("disk");
        File.WriteAllBytes(disk, new byte[1 << 20]);
        await using (Machine.Create(Definition().With(new DiskDevice { Path = disk }), new MachineHooks().WithLogger(_loggers, "first/")))
        {
        }

        var line = Assert.Single(_loggers.Lines, line => line.Level == LogLevel.Warning);
        Assert.Equal(("first/devices/disk0", 303, "DiskImage"), (line.Category, line.Event.Id, line.Event.Name));
        Assert.Contains($"{disk} is taken for a raw image", line.Text, StringComparison.Ordinal);
        Assert.Equal(("devices/disk0", line.Text), (line.Values["Unit"], line.Values["Message"]));
    }

    [Theory]
    [InlineData(LogLevel.Trace)]
    [InlineData(LogLevel.Debug)]
    public async Task Exceptions_are_a_trace_of_the_cpu_and_told_only_where_it_is_followed(LogLevel least)
    {
        // UD2, without a table of interrupts.
        var image = KernelImages.MultibootFlat();
        ((byte[])[0x0F, 0x0B]).CopyTo(image, 0x40);
        File.WriteAllBytes(_folder.Kernel, image);
        _loggers.Least = least;
        await using (var machine = Machine.Create(Definition() with { Engine = EngineChoice.Translator, NoReboot = true }, new MachineHooks().WithLogger(_loggers)))
            Assert.Equal(MachineEnd.TripleFault, (await machine.RunAsync(TestContext.Current.CancellationToken)).End);

        var faults = _loggers.Lines.Where(line => line.Category == "Lamina.vcpus/0").ToArray();
        Assert.Equal(least == LogLevel.Trace, faults.Length != 0);
        Assert.All(faults, line => Assert.Equal((LogLevel.Trace, 202, "Fault"), (line.Level, line.Event.Id, line.Event.Name)));
        Assert.DoesNotContain(_loggers.Lines, line => line.Level < _loggers.Least);
    }

    [Theory]
    [InlineData(Core.Logging.LogLevel.Trace, LogLevel.Trace)]
    [InlineData(Core.Logging.LogLevel.Debug, LogLevel.Debug)]
    [InlineData(Core.Logging.LogLevel.Information, LogLevel.Information)]
    [InlineData(Core.Logging.LogLevel.Warning, LogLevel.Warning)]
    [InlineData(Core.Logging.LogLevel.Error, LogLevel.Error)]
    public void Levels_are_those_of_the_logger_which_is_asked_for_each_line(Core.Logging.LogLevel level, LogLevel theirs)
    {
        var log = new MachineHooks().WithLogger(_loggers).Log!.CreateLog("unit");
        _loggers.Least = theirs;

        Assert.True(log.IsEnabled(level));
        log.Write(level, Core.Logging.LogEvent.Share, "braces {stay} as they are");
        _loggers.Least = theirs + 1;
        Assert.False(log.IsEnabled(level));

        Assert.Equal((theirs, "braces {stay} as they are"), (Assert.Single(_loggers.Lines).Level, _loggers.Lines.Single().Text));
    }

    private MachineDefinition Definition() => new() { Boot = new BootSource { KernelPath = _folder.Kernel } };

    private sealed record Line(LogLevel Level, string Category, EventId Event, string Text, IReadOnlyDictionary<string, object?> Values);

    private sealed class Loggers : ILoggerFactory
    {
        internal ConcurrentQueue<Line> Lines { get; } = [];

        internal LogLevel Least { get; set; } = LogLevel.Information;

        public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }

    private sealed class Logger(Loggers loggers, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= loggers.Least;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var values = Assert.IsAssignableFrom<IEnumerable<KeyValuePair<string, object?>>>(state);
            loggers.Lines.Enqueue(new Line(logLevel, category, eventId, formatter(state, exception), values.ToDictionary()));
        }
    }
}
