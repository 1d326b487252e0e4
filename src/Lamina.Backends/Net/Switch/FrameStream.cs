// Frames over a stream socket, each behind its length in four bytes, the highest first: the way in which QEMU's stream
// networks, passt and our switches talk (qemu(1), -netdev stream). What is sent is gathered and written at once; where the
// other end is slow, frames are dropped rather than kept without bound. Not thread safe.
using System.Buffers.Binary;
using System.Net.Sockets;
using Lamina.Backends.Net.Wire;
using Lamina.Host.Io;

namespace Lamina.Backends.Net.Switch;

/// <summary>One end of a stream of frames.</summary>
internal sealed class FrameStream : IDisposable
{
    /// <summary>The most bytes of frames that wait to be written.</summary>
    internal const int MostPending = 1 << 20;

    private const int LengthBytes = 4, WriteAt = 256 << 10;

    private readonly Socket _socket;
    private readonly byte[] _input = new byte[(Ethernet.LongestFrame + LengthBytes) * 2];
    private byte[] _output = new byte[64 << 10];
    private int _inputStart, _inputEnd, _outputStart, _outputEnd;

    /// <summary>Takes over a connected socket.</summary>
    internal FrameStream(Socket socket)
    {
        _socket = socket;
        socket.Blocking = false;
    }

    /// <summary>For waiting.</summary>
    internal int Descriptor => (int)_socket.SafeHandle.DangerousGetHandle();

    /// <summary>Whether bytes wait for the other end to take them.</summary>
    internal bool IsBehind => _outputStart != _outputEnd;

    /// <summary>Frames that were dropped because the other end was slow.</summary>
    internal long Dropped { get; private set; }

    /// <summary>Sends a frame, at the latest with <see cref="Flush"/>.</summary>
    internal void Send(ReadOnlySpan<byte> frame)
    {
        if (_outputEnd - _outputStart + LengthBytes + frame.Length > MostPending)
        {
            Dropped++;
            return;
        }
        Reserve(LengthBytes + frame.Length);
        BinaryPrimitives.WriteInt32BigEndian(_output.AsSpan(_outputEnd), frame.Length);
        frame.CopyTo(_output.AsSpan(_outputEnd + LengthBytes));
        _outputEnd += LengthBytes + frame.Length;
        if (_outputEnd - _outputStart >= WriteAt) _ = Flush();
    }

    /// <summary>Writes what the other end takes now. False: it is gone.</summary>
    internal bool Flush()
    {
        while (IsBehind)
        {
            var written = HostIo.Write(Descriptor, _output.AsSpan(_outputStart, _outputEnd - _outputStart));
            if (written < 0) return false;
            if (written == 0) return true;
            _outputStart += written;
        }
        _outputStart = _outputEnd = 0;
        return true;
    }

    /// <summary>Reads what is there.</summary>
    /// <returns>Whether there was something; null: the other end is gone.</returns>
    internal bool? Fill()
    {
        if (_inputStart != 0)
        {
            _input.AsSpan(_inputStart, _inputEnd - _inputStart).CopyTo(_input);
            (_inputStart, _inputEnd) = (0, _inputEnd - _inputStart);
        }
        var count = HostIo.ReadNow(Descriptor, _input.AsSpan(_inputEnd));
        if (count is null) return false;
        if (count <= 0) return null;
        _inputEnd += count.Value;
        return true;
    }

    /// <summary>Takes the next whole frame, valid until the next call of any kind.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="isBroken">The stream makes no sense; it is to be closed.</param>
    internal bool TryTake(out ReadOnlySpan<byte> frame, out bool isBroken)
    {
        frame = default;
        isBroken = false;
        var input = _input.AsSpan(_inputStart, _inputEnd - _inputStart);
        if (input.Length < LengthBytes) return false;
        var length = BinaryPrimitives.ReadInt32BigEndian(input);
        if (length is < Ethernet.HeaderLength or > Ethernet.LongestFrame)
        {
            isBroken = true;
            return false;
        }
        if (input.Length < LengthBytes + length) return false;
        frame = input.Slice(LengthBytes, length);
        _inputStart += LengthBytes + length;
        return true;
    }

    public void Dispose() => _socket.Dispose();

    private void Reserve(int count)
    {
        if (_outputEnd + count <= _output.Length) return;
        var pending = _output.AsSpan(_outputStart, _outputEnd - _outputStart);
        var room = pending.Length + count <= _output.Length ? _output : new byte[Math.Min(MostPending, Math.Max(_output.Length * 2, pending.Length + count))];
        pending.CopyTo(room);
        (_output, _outputStart, _outputEnd) = (room, 0, pending.Length);
    }
}
