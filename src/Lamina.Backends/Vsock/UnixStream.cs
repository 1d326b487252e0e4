// The host's end of one connection of the guest's: a Unix socket, with what was read and what is to be written kept between
// it and the device. Two loops, one a direction, that wait for the socket; the device never does.
using System.Net.Sockets;
using System.Text;
using Lamina.Core.Sockets;

namespace Lamina.Backends.Vsock;

internal sealed class UnixStream(Socket socket, Action ready) : IHostStream
{
    /// <summary>So much is read ahead of the guest, and what one read gives.</summary>
    internal const int MostRead = 64 * 1024;

    private readonly Lock _lock = new();
    private readonly ByteRing _in = new(), _out = new();
    private readonly SemaphoreSlim _room = new(0), _toSend = new(0);
    private int _greeting;
    private bool _readerWaits, _writeEnded, _atEnd, _broken, _disposed;

    /// <inheritdoc/>
    public int Available
    {
        get
        {
            lock (_lock) return _in.Count;
        }
    }

    /// <inheritdoc/>
    public bool IsAtEnd
    {
        get
        {
            lock (_lock) return _atEnd && _in.Count == 0;
        }
    }

    /// <inheritdoc/>
    public bool IsBroken
    {
        get
        {
            lock (_lock) return _broken;
        }
    }

    /// <inheritdoc/>
    public int Unsent
    {
        get
        {
            // The greeting is ours and not the guest's.
            lock (_lock) return Math.Max(0, _out.Count - _greeting);
        }
    }

    /// <inheritdoc/>
    public void Accept(uint port)
    {
        var greeting = Encoding.ASCII.GetBytes($"OK {port}\n");
        lock (_lock)
        {
            _out.Add(greeting);
            _greeting = greeting.Length;
        }
        _toSend.Release();
    }

    /// <inheritdoc/>
    public int Read(Span<byte> into)
    {
        int count;
        bool wakes;
        lock (_lock)
        {
            count = _in.Peek(into);
            _in.Remove(count);
            wakes = _readerWaits && _in.Count < MostRead;
            if (wakes) _readerWaits = false;
        }
        if (wakes) _room.Release();
        return count;
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> data)
    {
        lock (_lock)
        {
            if (_broken || _disposed) return;
            _out.Add(data);
        }
        _toSend.Release();
    }

    /// <inheritdoc/>
    public void EndWrite()
    {
        lock (_lock) _writeEnded = true;
        _toSend.Release();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
        }
        socket.Dispose();
        // Both loops see that it is over. The semaphores have nothing to give back: nobody asked for their handles.
        _room.Release();
        _toSend.Release();
    }

    /// <summary>The loop that reads, until there is nothing more to read.</summary>
    internal async Task ReceiveAsync()
    {
        var buffer = new byte[MostRead / 2];
        try
        {
            while (await socket.ReceiveAsync(buffer).ConfigureAwait(false) is var count && count > 0)
            {
                bool waits;
                lock (_lock)
                {
                    _in.Add(buffer.AsSpan(0, count));
                    waits = _readerWaits = _in.Count >= MostRead && !_disposed;
                }
                ready();
                if (waits) await _room.WaitAsync().ConfigureAwait(false);
            }
            lock (_lock) _atEnd = true;
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            lock (_lock) _atEnd = _broken = true;
        }
        ready();
    }

    /// <summary>The loop that writes, until there is nothing more to write.</summary>
    internal async Task SendAsync()
    {
        var buffer = new byte[MostRead / 2];
        try
        {
            while (true)
            {
                int count;
                bool ended;
                lock (_lock)
                {
                    count = _out.Peek(buffer);
                    ended = _writeEnded;
                    if (_disposed) return;
                }
                if (count == 0)
                {
                    if (ended) break;
                    await _toSend.WaitAsync().ConfigureAwait(false);
                    continue;
                }
                count = await socket.SendAsync(buffer.AsMemory(0, count)).ConfigureAwait(false);
                lock (_lock)
                {
                    _out.Remove(count);
                    _greeting = Math.Max(0, _greeting - count);
                }
                ready();
            }
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            lock (_lock)
            {
                _broken = true;
                _out.Remove(_out.Count);
                _greeting = 0;
            }
            ready();
        }
    }
}
