// Ctrl-C, SIGTERM and SIGHUP as a cancellation and an exit code, for as long as an instance lives. A second signal of
// these ends the process at once, as it would without us.
using System.Runtime.InteropServices;

namespace Lamina.Cli;

/// <summary>A signal asked the program to end; the exit code says which.</summary>
internal sealed class EndedBySignalException(int exitCode) : Exception($"ended by signal {exitCode - 128}")
{
    /// <summary>128 + the signal's number.</summary>
    public int ExitCode { get; } = exitCode;
}

/// <summary>Listens for signals that ask the program to end.</summary>
internal sealed class EndingSignals : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;
    private int _exitCode;

    /// <summary>Begins to listen.</summary>
    public EndingSignals() => _registrations =
    [
        Listen(PosixSignal.SIGINT, Cli.ExitCode.Interrupted),
        Listen(PosixSignal.SIGTERM, Cli.ExitCode.Terminated),
        Listen(PosixSignal.SIGHUP, Cli.ExitCode.HungUp),
    ];

    /// <summary>Is cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>The exit code of the first signal; null where none came.</summary>
    public int? ExitCode => Volatile.Read(ref _exitCode) is var code and not 0 ? code : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }

    private PosixSignalRegistration Listen(PosixSignal signal, int exitCode) => PosixSignalRegistration.Create(signal, context =>
    {
        if (Interlocked.CompareExchange(ref _exitCode, exitCode, 0) != 0) return;
        context.Cancel = true;
        _source.Cancel();
    });
}
