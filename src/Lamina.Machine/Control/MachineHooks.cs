// What is alive beside a machine's definition: who is told of what happens, the channels and networks that a program gives a
// machine of its own, and its clock. A definition can be written to a file; these cannot.
using Lamina.Core.Char;
using Lamina.Core.Logging;
using Lamina.Core.Net;

namespace Lamina.Control;

/// <summary>What a program connects a machine with.</summary>
public sealed record MachineHooks
{
    /// <summary>
    /// Makes the logs of the machine's units, by their names: what goes wrong while it runs and does not end it (a host's disk that fails),
    /// what happens in its life, down to each exit and exception. <see cref="Core.Logging.Log.To"/> makes one from a function; the package
    /// Lamina.Logging one from an ILoggerFactory. Null for nobody.
    /// </summary>
    public ILogFactory? Log { get; init; }

    /// <summary>The channels of serial ports and consoles that lead to <see cref="ConsoleTarget.Own"/>, by the device's name. The machine attaches to them and disposes them.</summary>
    public IReadOnlyDictionary<string, ICharBackend> Channels { get; init; } = new Dictionary<string, ICharBackend>();

    /// <summary>The networks of cards that are plugged into <see cref="NetworkLink.Own"/>, by the device's name. The machine attaches to them, starts them and disposes them.</summary>
    public IReadOnlyDictionary<string, INetBackend> Networks { get; init; } = new Dictionary<string, INetBackend>();

    /// <summary>
    /// Asks a guest to power off that does not listen to the power button: by a program of its own, for one. Says whether it was asked.
    /// Null: the plug is pulled then.
    /// </summary>
    public Func<CancellationToken, Task<bool>>? AsksToPowerOff { get; init; }

    /// <summary>
    /// Called when every part of a machine that was saved has taken its state up, before the guest runs: from here on it writes to its disks, to
    /// which the saved state does not fit any more. What this throws ends the machine.
    /// </summary>
    public Action? TakenUp { get; init; }

    /// <summary>
    /// Whether no other machine goes on from where one that was saved goes on: it was suspended, and its state is used up. Else its guest is told that it may be a copy (the virtual
    /// machine's generation ID), for which it makes its random numbers anew. What is copied of a running machine (<see cref="MachineAction.Fork"/>) is told in any case, and one that migrates never.
    /// </summary>
    public bool GoesOnAlone { get; init; }

    /// <summary>
    /// Which memory the guest of a machine that was saved touched first when it went on from there, or from a state like it, before (<see cref="Lamina.Machine.WorkingSetAsync"/>): it
    /// is fetched before the guest runs. A hint, which changes nothing but time; empty for none.
    /// </summary>
    public ReadOnlyMemory<byte> WorkingSet { get; init; }

    /// <summary>
    /// The file in which firmware's variables (UEFI's) are kept from one machine to the next, as its flash chip has them; made where there is none. Null: they
    /// end with the machine. Firmware without a flash chip has no use for it.
    /// </summary>
    public string? FirmwareVariables { get; init; }

    /// <summary>The host's own means to keep the virtual CPUs to their share of processor time; null where there are none, and the machine does it by itself.</summary>
    public IHostCpus? Cpus { get; init; }

    /// <summary>Measures where the vCPUs' time goes, which costs a few percent; <see cref="Lamina.Machine.Counters"/> tells it.</summary>
    public bool MeasuresTime { get; init; }

    /// <summary>Ends the making of the machine, by an <see cref="OperationCanceledException"/>, while it waits for a boot file that is a pipe.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Measures <see cref="MachineDefinition.Timeout"/> and what the machine waits for on the host.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
