// What is alive beside a machine's definition: who is told of what happens, the channels and networks that a program gives a
// machine of its own, and its clock. A definition can be written to a file; these cannot.
using Lamina.Core.Char;
using Lamina.Core.Net;

namespace Lamina.Control;

/// <summary>What a program connects a machine with.</summary>
public sealed record MachineHooks
{
    /// <summary>Told in a sentence of what goes wrong while the machine runs and does not end it (a host's disk that fails); any thread; null for nobody.</summary>
    public Action<string>? Report { get; init; }

    /// <summary>Gets one line for each exit and exception, from any thread; null for none.</summary>
    public Action<string>? Trace { get; init; }

    /// <summary>The channels of serial ports and consoles that lead to <see cref="ConsoleTarget.Own"/>, by the device's name. The machine attaches to them and disposes them.</summary>
    public IReadOnlyDictionary<string, ICharBackend> Channels { get; init; } = new Dictionary<string, ICharBackend>();

    /// <summary>The networks of cards that are plugged into <see cref="NetworkLink.Own"/>, by the device's name. The machine attaches to them, starts them and disposes them.</summary>
    public IReadOnlyDictionary<string, INetBackend> Networks { get; init; } = new Dictionary<string, INetBackend>();

    /// <summary>Measures where the vCPUs' time goes, which costs a few percent; <see cref="Lamina.Machine.Counters"/> tells it.</summary>
    public bool MeasuresTime { get; init; }

    /// <summary>Measures <see cref="MachineDefinition.Timeout"/> and what the machine waits for on the host.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
