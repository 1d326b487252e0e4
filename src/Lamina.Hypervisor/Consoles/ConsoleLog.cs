// The file that keeps what a guest printed: written by a thread of its own, and bounded. When it is full it becomes the old one, in place
// of the one before, and a new one begins; so the last bytes are always there, at least as many as one file holds.
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Consoles;

/// <summary>Gives the log's thread what it has not written yet, waiting for some; 0 where there is no more.</summary>
internal delegate int TakeOutput(Span<byte> destination);

/// <summary>Writes a console's output to a file.</summary>
internal sealed class ConsoleLog : IDisposable
{
    /// <summary>How long one file becomes. There are two at most.</summary>
    internal const int MostBytes = MachineHome.LongestLog;

    private const int Piece = 64 * 1024;

    // Guests print byte by byte; so long a rest after each write gathers what comes.
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(2);

    private readonly string _path;
    private readonly Action<string> _report;
    private readonly int _most;
    private FileStream _file;
    private Thread? _thread;
    private long _lost;
    private bool _reported;

    /// <summary>Opens the file; what it holds of earlier runs stays.</summary>
    /// <param name="path">The file.</param>
    /// <param name="report">Told once, in a sentence, where it cannot be written.</param>
    /// <param name="most">How long it becomes.</param>
    /// <exception cref="IOException">It cannot be opened.</exception>
    internal ConsoleLog(string path, Action<string> report, int most = MostBytes)
    {
        (_path, _report, _most) = (path, report, most);
        _file = HostFiles.OpenLog(path);
    }

    /// <summary>The last bytes of a log's file; none where it cannot be read.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">How many at most.</param>
    internal static byte[] Latest(string path, int most)
    {
        try
        {
            using var file = NamedFile.OpenFile(path);
            var length = RandomAccess.GetLength(file);
            var bytes = new byte[Math.Min(length, most)];
            return bytes[..RandomAccess.Read(file, bytes, length - bytes.Length)];
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>How many bytes could not be written.</summary>
    internal long Lost => Interlocked.Read(ref _lost);

    /// <summary>Begins to write.</summary>
    internal void Start(TakeOutput take)
    {
        _thread = new Thread(() => Run(take)) { Name = "console-log", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Waits until all is written; whoever gives it says before that there is no more.</summary>
    public void Dispose()
    {
        _thread?.Join();
        _file.Dispose();
    }

    private void Run(TakeOutput take)
    {
        var buffer = new byte[Piece];
        int count;
        while ((count = take(buffer)) != 0)
        {
            Put(buffer.AsSpan(0, count));
            if (count < buffer.Length) Thread.Sleep(Rest);
        }
    }

    private void Put(ReadOnlySpan<byte> data)
    {
        try
        {
            if (_file.Length + data.Length > _most && _file.Length > 0) Turn();
            _file.Write(data);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Interlocked.Add(ref _lost, data.Length);
            if (!_reported) _report($"what the guest prints cannot be written to {_path} and is being lost there: {HostFiles.Reason(failure, _path)}");
            _reported = true;
        }
    }

    private void Turn()
    {
        File.Move(_path, _path + MachineHome.OldSuffix, overwrite: true);
        var next = HostFiles.CreatePrivate(_path, FileMode.CreateNew);
        _file.Dispose();
        _file = next;
    }
}
