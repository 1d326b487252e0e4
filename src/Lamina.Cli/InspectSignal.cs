// SIGUSR1 as a look inside the machine, for as long as an instance lives: "lamina run --inspect". A file is there whole or as it was
// before; what cannot be written is said and ends nothing.
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Cli.Output;
using Lamina.Host;

namespace Lamina.Cli;

/// <summary>Writes the state of a machine when the signal comes.</summary>
internal sealed class InspectSignal : IDisposable
{
    // The signal's number on Linux/x86-64 (signal(7)); .NET has no name for it.
    private const int UserSignal = 10;

    private readonly string? _path;
    private readonly PosixSignalRegistration _registration;
    private Machine? _machine;

    /// <summary>Begins to listen.</summary>
    /// <param name="path">The file; null for standard error.</param>
    public InspectSignal(string? path)
    {
        _path = path;
        if (Directory.Exists(path)) throw new UsageException($"--inspect: {path} is a folder; name a file in it");
        if (path is not null && Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder && !Directory.Exists(folder)) throw new UsageException($"--inspect: there is no folder {folder}; name another file");
        _registration = PosixSignalRegistration.Create((PosixSignal)UserSignal, context =>
        {
            context.Cancel = true;
            if (Volatile.Read(ref _machine) is { } machine) _ = LookAsync(machine);
        });
    }

    /// <summary>The folders that it writes: that of its file, in which another one takes that one's place.</summary>
    public IEnumerable<string> Writes => _path is null ? [] : [Path.GetDirectoryName(Path.GetFullPath(_path)) ?? "/"];

    /// <summary>Names the machine.</summary>
    public void LookAt(Machine machine) => Volatile.Write(ref _machine, machine);

    /// <inheritdoc/>
    public void Dispose() => _registration.Dispose();

    private async Task LookAsync(Machine machine)
    {
        try
        {
            var seen = await machine.InspectAsync().ConfigureAwait(false);
            if (_path is null) Stderr.Line(seen.ToString());
            else HostFiles.Replace(_path, Encoding.UTF8.GetBytes(_path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? seen.ToJson() + "\n" : seen.ToString()));
        }
        catch (Exception failure) when (failure is MachineException or ObjectDisposedException)
        {
            Stderr.Say($"--inspect: {failure.Message}");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Stderr.Say($"--inspect: {_path} cannot be written ({HostFiles.Reason(failure, _path!)})");
        }
    }
}
