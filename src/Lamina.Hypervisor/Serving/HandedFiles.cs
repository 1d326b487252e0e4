// Files that whoever asks a machine's process for something has opened for it, since it may open none by itself: a disc for a CD drive. They come over
// the control socket before the request that needs them, and are closed behind it.
using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Hypervisor.Serving;

/// <summary>Open files, by the names by which they are meant.</summary>
internal sealed class HandedFiles : IDisposable
{
    private const int Most = 16;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, SafeFileHandle> _files = [];

    /// <summary>Takes a file that was handed in; null where there is none of that name.</summary>
    internal SafeFileHandle? Take(string path)
    {
        lock (_gate) return _files.Remove(path, out var file) ? file : null;
    }

    /// <summary>Closes what nobody took.</summary>
    internal void Clear()
    {
        lock (_gate)
        {
            foreach (var file in _files.Values) file.Dispose();
            _files.Clear();
        }
    }

    /// <summary>Waits for a file on a socket, and keeps it.</summary>
    internal async Task ReceiveAsync(NetworkStream stream, string path, PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        reader.AdvanceTo(early.End);
        try
        {
            byte[] answer;
            try
            {
                using var message = await Task.Run(() => DescriptorChannel.Receive(stream.Socket.SafeHandle, (int)Patience.TotalMilliseconds), cancellationToken).ConfigureAwait(false);
                if (message is not { Files: [var file] }) throw new ControlRequestException("behind \"file\" comes a message with one open file");
                Keep(path, new SafeFileHandle(file.DangerousGetHandle(), ownsHandle: true));
                file.SetHandleAsInvalid();
                answer = ControlLines.Answer(null, null);
            }
            catch (Exception failure) when (failure is not (OutOfMemoryException or OperationCanceledException))
            {
                answer = ControlLines.Refusal(null, failure);
            }
            await stream.WriteAsync(answer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Whoever asked has gone.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    private void Keep(string path, SafeFileHandle file)
    {
        lock (_gate)
        {
            if (_files.Remove(path, out var before)) before.Dispose();
            if (_files.Count < Most)
            {
                _files[path] = file;
                return;
            }
        }
        file.Dispose();
        throw new ControlRequestException($"more than {Most} files wait to be used");
    }
}
