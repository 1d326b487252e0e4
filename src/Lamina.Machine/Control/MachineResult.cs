// How a machine's run ended.
namespace Lamina.Control;

/// <summary>Why a run ended.</summary>
public enum MachineEnd
{
    /// <summary>The guest powered off.</summary>
    PoweredOff,

    /// <summary>The guest asked for a reset, and <see cref="MachineDefinition.NoReboot"/> is set.</summary>
    Reset,

    /// <summary>The guest reported a panic (pvpanic device).</summary>
    GuestPanic,

    /// <summary>The guest's CPU gave up (triple fault), and <see cref="MachineDefinition.NoReboot"/> is set.</summary>
    TripleFault,

    /// <summary><see cref="MachineDefinition.Timeout"/> passed.</summary>
    TimedOut,

    /// <summary><see cref="Lamina.Machine.StopAsync"/>, cancellation, disposal or a debugger's kill.</summary>
    Stopped,

    /// <summary>The guest wrote to <see cref="MachineDefinition.DebugExitPort"/>.</summary>
    DebugExit,

    /// <summary>It was written down, to go on from there (<see cref="Lamina.Machine.SuspendAsync"/>).</summary>
    Suspended,

    /// <summary>It went to another process or host, and goes on there (<see cref="Lamina.Machine.MigrateAsync"/>).</summary>
    Migrated,

    /// <summary>The engine or the host failed; <see cref="MachineResult.Message"/> says why.</summary>
    Failed,
}

/// <summary>The end of a run.</summary>
/// <param name="End">Why it ended.</param>
/// <param name="DebugExitCode">(v &lt;&lt; 1) | 1 for <see cref="MachineEnd.DebugExit"/> (a process exit code keeps the low 8 bits), else null.</param>
/// <param name="Message">A sentence where there is more to say, else null.</param>
public sealed record MachineResult(MachineEnd End, int? DebugExitCode = null, string? Message = null);
