// Runs a program of the host to its end, without a shell and without a terminal, and hands back what it said.
// Whoever cancels gets the program and its children killed before the exception arrives.
using System.ComponentModel;
using System.Diagnostics;

namespace Lamina.Images;

/// <summary>What a program said.</summary>
/// <param name="ExitCode">0 is success; 128 + n where signal n ended it.</param>
/// <param name="Output">Its standard output, by lines.</param>
/// <param name="Errors">Its standard error, by lines.</param>
internal sealed record CommandResult(int ExitCode, IReadOnlyList<string> Output, IReadOnlyList<string> Errors);

/// <summary>A program of the host that was found in PATH.</summary>
internal sealed class HostCommand
{
    private const int KilledBySignal = 128;

    private HostCommand(string file) => File = file;

    /// <summary>Its path.</summary>
    public string File { get; }

    /// <summary>Finds a program in PATH (absolute folders only, so never in the current one) or in another folder; null where it is not installed.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="elsewhere">Folders to look in after those in PATH.</param>
    public static HostCommand? Find(string name, params ReadOnlySpan<string> elsewhere)
    {
        foreach (var folder in (string[])[.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'), .. elsewhere])
        {
            if (!Path.IsPathRooted(folder)) continue;
            var file = Path.Combine(folder, name);
            if (System.IO.File.Exists(file) && (System.IO.File.GetUnixFileMode(file) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0)
                return new HostCommand(file);
        }
        return null;
    }

    /// <summary>A program at a known path.</summary>
    public static HostCommand At(string path) => new(path);

    /// <summary>Runs the program.</summary>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="folder">Its current folder.</param>
    /// <param name="line">Called for each line of standard output as it arrives.</param>
    /// <param name="cancellationToken">Kills it.</param>
    /// <param name="errorLine">Called for each line of standard error as it arrives.</param>
    /// <exception cref="ImageException">The program cannot be started.</exception>
    /// <exception cref="OperationCanceledException">Cancelled, or a signal for the whole terminal (Ctrl-C) ended the program first.</exception>
    public async Task<CommandResult> RunAsync(IEnumerable<string> arguments, string folder, Action<string>? line, CancellationToken cancellationToken, Action<string>? errorLine = null)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var process = new Process { StartInfo = StartInfo(arguments, folder) };
        List<string> output = [], errors = [];
        try
        {
            process.Start();
        }
        catch (Win32Exception failure)
        {
            throw new ImageException($"{File} cannot be started ({failure.Message})", failure);
        }
        process.StandardInput.Close();
        var readers = Task.WhenAll(
            ReadLines(process.StandardOutput, text => { output.Add(text); line?.Invoke(text); }),
            ReadLines(process.StandardError, text => { errors.Add(text); errorLine?.Invoke(text); }));
        try
        {
            await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        await readers.ConfigureAwait(false);
        if (process.ExitCode is KilledBySignal + 1 or KilledBySignal + 2 or KilledBySignal + 15)
            throw new OperationCanceledException($"{File} was ended by signal {process.ExitCode - KilledBySignal}");
        return new CommandResult(process.ExitCode, output, errors);
    }

    private ProcessStartInfo StartInfo(IEnumerable<string> arguments, string folder)
    {
        var info = new ProcessStartInfo(File)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in arguments) info.ArgumentList.Add(argument);
        info.Environment["LC_ALL"] = "C.UTF-8";
        info.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        return info;
    }

    private static async Task ReadLines(StreamReader reader, Action<string> line)
    {
        while (await reader.ReadLineAsync().ConfigureAwait(false) is { } text) line(text);
    }
}
