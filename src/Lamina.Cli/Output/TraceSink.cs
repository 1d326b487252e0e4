// Where --trace goes. Lines come from any thread; a file gets them buffered and whole.
using Lamina.Host;

namespace Lamina.Cli.Output;

/// <summary>The receiver of a trace.</summary>
internal sealed class TraceSink : IDisposable
{
    private readonly Lock _gate = new();
    private readonly StreamWriter? _file;
    private bool _closed;

    private TraceSink(StreamWriter? file) => _file = file;

    /// <summary>Opens a sink.</summary>
    /// <param name="path">The file; null for standard error.</param>
    /// <exception cref="UsageException">The file cannot be written.</exception>
    public static TraceSink Open(string? path)
    {
        try
        {
            return new TraceSink(path is null ? null : new StreamWriter(HostFiles.CreatePrivate(path, FileMode.Create), bufferSize: 1 << 16));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"--trace: {path} cannot be written ({HostFiles.Reason(failure, path!)}); name another file");
        }
    }

    /// <summary>Writes a line.</summary>
    public void Write(string line)
    {
        if (_file is null)
        {
            Stderr.Line(line);
            return;
        }
        lock (_gate)
        {
            if (!_closed) _file.WriteLine(line);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            _file?.Dispose();
        }
    }
}
