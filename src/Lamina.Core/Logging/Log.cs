// How lines are written in one call: a log that is not there takes none, and a line that nobody reads is not made.
using System.Runtime.CompilerServices;

namespace Lamina.Core.Logging;

/// <summary>A line as a program gets it that reads them by a function.</summary>
/// <param name="Level">How much it matters.</param>
/// <param name="Unit">The name of the unit that wrote it.</param>
/// <param name="Event">What it is about.</param>
/// <param name="Message">The line.</param>
public readonly record struct LogLine(LogLevel Level, string Unit, LogEvent Event, string Message);

/// <summary>Logs that a function reads, and writing to logs.</summary>
public static class Log
{
    /// <summary>Has a function read what all units of a machine write.</summary>
    /// <param name="read">Gets each line, from any thread; what it throws is the writer's.</param>
    /// <param name="least">The lowest level that it is given.</param>
    public static ILogFactory To(Action<LogLine> read, LogLevel least = LogLevel.Information)
    {
        ArgumentNullException.ThrowIfNull(read);
        return new ToFunction(read, least);
    }

    /// <summary>Says that something was lost.</summary>
    public static void Error(this ILog? log, LogEvent what, string message) => log?.Write(LogLevel.Error, what, message);

    /// <summary>Says what the machine's user should know.</summary>
    public static void Warn(this ILog? log, LogEvent what, string message) => log?.Write(LogLevel.Warning, what, message);

    /// <summary>Says what a guest does wrong.</summary>
    public static void Debug(this ILog? log, LogEvent what, string message) => log?.Write(LogLevel.Debug, what, message);

    /// <summary>Says what a guest's CPU does. Where nobody follows that, the line is not made.</summary>
    public static void Trace(this ILog? log, LogEvent what, [InterpolatedStringHandlerArgument(nameof(log))] ref TraceText text)
    {
        if (text.IsWanted) log!.Write(LogLevel.Trace, what, text.ToStringAndClear());
    }

    private sealed class ToFunction(Action<LogLine> read, LogLevel least) : ILogFactory
    {
        public ILog CreateLog(string unit) => new UnitLog(unit, read, least);
    }

    private sealed class UnitLog(string unit, Action<LogLine> read, LogLevel least) : ILog
    {
        public bool IsEnabled(LogLevel level) => level >= least;

        public void Write(LogLevel level, LogEvent what, string message)
        {
            if (IsEnabled(level)) read(new LogLine(level, unit, what, message));
        }
    }
}

/// <summary>The text of a line of the trace, which is put together only where somebody follows it. Compilers make these.</summary>
[InterpolatedStringHandler]
public ref struct TraceText
{
    private DefaultInterpolatedStringHandler _text;

    /// <summary>Begins a line.</summary>
    /// <param name="literalLength">How many characters of it stand in the source.</param>
    /// <param name="formattedCount">How many values it has.</param>
    /// <param name="log">The log that it is for.</param>
    /// <param name="isWanted">Whether it is to be put together.</param>
    public TraceText(int literalLength, int formattedCount, ILog? log, out bool isWanted)
    {
        IsWanted = isWanted = log is not null && log.IsEnabled(LogLevel.Trace);
        if (isWanted) _text = new DefaultInterpolatedStringHandler(literalLength, formattedCount);
    }

    internal readonly bool IsWanted { get; }

    /// <summary>Adds a piece of the source.</summary>
    public void AppendLiteral(string value) => _text.AppendLiteral(value);

    /// <summary>Adds a value.</summary>
    public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

    /// <summary>Adds a value in a format.</summary>
    public void AppendFormatted<T>(T value, string? format) => _text.AppendFormatted(value, format);

    internal string ToStringAndClear() => _text.ToStringAndClear();
}
