// Output of a character device into a file. There is no input. A file that cannot be written any more (a full disk) is
// reported once and costs the output of that time, never the guest.
using Lamina.Core.Char;
using Lamina.Core.Logging;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Char;

/// <summary>Writes output to a file.</summary>
public sealed class FileCharBackend : ICharBackend
{
    private readonly FileStream _file;
    private readonly OutputPump _pump;
    private readonly ILog? _log;
    private volatile ICharReceiver? _receiver;
    private bool _reported;

    /// <summary>Opens the file, creating it where it is missing.</summary>
    /// <param name="path">The file.</param>
    /// <param name="append">Whether to keep what it holds.</param>
    /// <param name="log">Told once when writing fails; on a thread of the backend's.</param>
    /// <param name="options">What happens where the file takes nothing; by default the guest is held back.</param>
    /// <exception cref="HostException">The file cannot be opened for writing.</exception>
    public FileCharBackend(string path, bool append = false, ILog? log = null, OutputOptions? options = null)
    {
        Check(path);
        try
        {
            // No buffer of its own, so that what the guest printed is seen at once.
            _file = HostFiles.CreatePrivate(path, append ? FileMode.Append : FileMode.Create);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw CannotOpen(path, failure);
        }
        _log = log;
        _pump = new OutputPump("char-file", Put, pieceLength: 64 * 1024, options ?? new OutputOptions(), () => _receiver?.ReadyToSend());
    }

    /// <summary>Refuses a path that can be no file for output, before anything is made.</summary>
    /// <exception cref="HostException">Why, as a sentence.</exception>
    public static void Check(string path)
    {
        // Opening a pipe waits for who reads it.
        if (NamedFile.KindOf(path) is { } kind and (NamedKind.Pipe or NamedKind.Socket))
            throw new HostException($"{path} is {NamedFile.Describe(kind)}, and the guest's output goes to a file; for a program that reads along use unix:PATH") { IsOfTheName = true };
        if (Directory.Exists(path) || (Path.GetDirectoryName(path) is { Length: > 0 } folder && !Directory.Exists(folder))) throw CannotOpen(path, new DirectoryNotFoundException());
    }

    /// <inheritdoc/>
    public long Lost => _pump.Lost;

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> data) => _pump.Write(data);

    /// <inheritdoc/>
    public void Attach(ICharReceiver receiver) => _receiver = receiver;

    /// <inheritdoc/>
    public void ReadyToReceive()
    {
        // There is never any input.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _pump.Dispose();
        _file.Dispose();
    }

    private static HostException CannotOpen(string path, Exception failure) =>
        new($"cannot open {path} for the guest's output: {HostFiles.Reason(failure, path)}; name another file", failure) { IsOfTheName = failure is DirectoryNotFoundException };

    private int Put(ReadOnlySpan<byte> data)
    {
        try
        {
            _file.Write(data);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            if (!_reported) _log.Error(LogEvent.OutputLost, $"the guest's output cannot be written to {_file.Name} and is being lost: {failure.Message}");
            _reported = true;
            _pump.Lose(data.Length);
        }
        return data.Length;
    }
}
