// Ctrl-C, SIGTERM and SIGHUP as cancellations and an exit code, for as long as an instance lives. The first says that the end is
// wanted; a second, where somebody asks for it, that it is wanted now. The next one ends the process at once, as it would without us.
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
    private readonly CancellationTokenSource _source = new(), _again = new();
    private readonly bool _takesTwo;
    private int _count;
    private readonly PosixSignalRegistration[] _registrations;
    private int _exitCode;

    /// <summary>Begins to listen.</summary>
    /// <param name="takesTwo">Whether a second signal cancels <see cref="Again"/>, too.</param>
    public EndingSignals(bool takesTwo = false)
    {
        _takesTwo = takesTwo;
        _registrations =
        [
            Listen(PosixSignal.SIGINT, Cli.ExitCode.Interrupted),
            Listen(PosixSignal.SIGTERM, Cli.ExitCode.Terminated),
            Listen(PosixSignal.SIGHUP, Cli.ExitCode.HungUp),
        ];
    }

    /// <summary>Is cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>Is cancelled by the second signal.</summary>
    public CancellationToken Again => _again.Token;

    /// <summary>The exit code of the first signal; null where none came.</summary>
    public int? ExitCode => Volatile.Read(ref _exitCode) is var code and not 0 ? code : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
        _again.Dispose();
    }

    private PosixSignalRegistration Listen(PosixSignal signal, int exitCode) => PosixSignalRegistration.Create(signal, context =>
    {
        var number = Interlocked.Increment(ref _count);
        if (number > (_takesTwo ? 2 : 1)) return;
        context.Cancel = true;
        if (number == 2)
        {
            _again.Cancel();
            return;
        }
        Volatile.Write(ref _exitCode, exitCode);
        _source.Cancel();
    });
}
