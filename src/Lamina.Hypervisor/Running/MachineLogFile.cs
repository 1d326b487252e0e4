// The log of a machine's process, in its folder: a line for each thing that its user should know, with the time. It is bounded as the
// console's is, and where it cannot be written the machine goes on without.
using System.Globalization;
using System.Text;
using Lamina.Host;

namespace Lamina.Hypervisor.Running;

/// <summary>A log file.</summary>
/// <param name="path">The file; what it holds of earlier runs stays.</param>
internal sealed class MachineLogFile(string path) : IDisposable
{
    /// <summary>How long one file becomes. There are two at most.</summary>
    internal const int MostBytes = 1 << 20;

    private readonly Lock _gate = new();
    private FileStream _file = HostFiles.OpenLog(path);

    /// <summary>Writes a line. Any thread.</summary>
    internal void Write(string sentence)
    {
        var line = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{DateTimeOffset.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {sentence}\n"));
        lock (_gate)
        {
            try
            {
                if (_file.Length + line.Length > MostBytes)
                {
                    File.Move(path, path + Stored.MachineHome.OldSuffix, overwrite: true);
                    _file.Dispose();
                    _file = HostFiles.CreatePrivate(path, FileMode.CreateNew);
                }
                _file.Write(line);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                // There is nowhere else to say it.
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate) _file.Dispose();
    }
}
