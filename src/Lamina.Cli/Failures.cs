// Turns what went wrong into one sentence on standard error and an exit code. The details of a fault of our own go to a
// file, not to the user's terminal; LAMINA_DEBUG=1 shows them there as well.
using System.Diagnostics;
using Lamina.Backends.Disk;
using Lamina.Cli.Output;
using Lamina.Host;

namespace Lamina.Cli;

/// <summary>The end of a run that failed.</summary>
internal static class Failures
{
    /// <summary>Says what went wrong.</summary>
    /// <returns>The exit code.</returns>
    public static int Report(Exception failure)
    {
        // What the host refused while something was made for the first time, or on several threads, is that refusal.
        while (failure is TypeInitializationException or AggregateException { InnerExceptions.Count: 1 } && failure.InnerException is { } inner) failure = inner;
        if (Environment.GetEnvironmentVariable("LAMINA_DEBUG") is not (null or "" or "0")) Stderr.Line(failure.ToString());
        var code = CodeOf(failure);
        if (code == ExitCode.Internal) Stderr.Say(Fault(failure));
        else if (failure is not (OperationCanceledException or EndedBySignalException)) Stderr.Say(failure.Message);
        return code;
    }

    /// <summary>The exit code of a failure.</summary>
    internal static int CodeOf(Exception failure) => failure switch
    {
        MachineException { Error: MachineError.Host or MachineError.Busy } => ExitCode.Host,
        UsageException or MachineException or DiskImageException or FileNotFoundException => ExitCode.Usage,
        HostException { IsOfTheName: true } => ExitCode.Usage,
        IOException or UnauthorizedAccessException or OutOfMemoryException => ExitCode.Host,
        EndedBySignalException ended => ended.ExitCode,
        OperationCanceledException => ExitCode.Interrupted,
        _ => ExitCode.Internal,
    };

    /// <summary>Writes a fault's details to a file that is its owner's alone.</summary>
    /// <returns>The sentence that says where they are.</returns>
    internal static string Fault(Exception failure)
    {
        var file = Path.Combine(Path.GetTempPath(), $"lamina-fault-{Environment.ProcessId}-{Stopwatch.GetTimestamp():x}.txt");
        try
        {
            using var stream = new StreamWriter(HostFiles.CreatePrivate(file, FileMode.CreateNew));
            stream.WriteLine($"lamina {typeof(Failures).Assembly.GetName().Version}, {DateTimeOffset.UtcNow:O}, {Environment.CommandLine}");
            stream.WriteLine(failure);
            return $"internal error ({failure.GetType().Name}): this is a fault of lamina's, the details are in {file}";
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return $"internal error ({failure.GetType().Name}): this is a fault of lamina's, LAMINA_DEBUG=1 shows the details";
        }
    }
}
