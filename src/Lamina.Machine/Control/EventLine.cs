// A machine's events as lines of its log.
using Lamina.Core.Logging;

namespace Lamina.Control;

/// <summary>A line about an event.</summary>
/// <param name="Level">How much it matters.</param>
/// <param name="What">What it is about.</param>
/// <param name="Message">The line.</param>
internal readonly record struct EventLine(LogLevel Level, LogEvent What, string Message)
{
    /// <summary>The line about what happens to a machine as a whole; null for what one of its units says by itself.</summary>
    internal static EventLine? Of(MachineEvent told) => told switch
    {
        MachineEvent.Started => new(LogLevel.Information, LogEvent.Started, "started"),
        MachineEvent.Paused(var reasons) => new(LogLevel.Information, LogEvent.Paused, $"paused ({reasons})"),
        MachineEvent.Resumed => new(LogLevel.Information, LogEvent.Resumed, "goes on"),
        MachineEvent.WasReset(var cause) => new(LogLevel.Information, LogEvent.Reset, $"reset ({cause})"),
        MachineEvent.PowerButtonPressed(var listens) => new(LogLevel.Information, LogEvent.PowerButton, $"the power button was pressed; the guest {(listens ? "listens" : "does not listen")} to it"),
        MachineEvent.Saved(var to) => new(LogLevel.Information, LogEvent.Saved, $"saved in {to.Folder}"),
        MachineEvent.GuestPanicked(var message) => new(LogLevel.Warning, LogEvent.GuestPanic, message),
        MachineEvent.Ended(var result) => new(result.End == MachineEnd.Failed ? LogLevel.Error : LogLevel.Information, LogEvent.Ended, result.Message is { } message ? $"ended ({result.End}): {message}" : $"ended ({result.End})"),
        _ => null,
    };
}
