// Both directions of an NBD connection: numbers and bytes, with a small buffer each, so that headers cost no system call of their own. One thread reads, and one
// at a time writes.
using System.Buffers.Binary;

namespace Lamina.Backends.Nbd;

/// <summary>Reads from a stream.</summary>
/// <param name="stream">It; another's to close.</param>
internal sealed class NbdReader(Stream stream)
{
    /// <summary>The buffer's length in bytes.</summary>
    internal const int BufferLength = 32 << 10;

    private readonly byte[] _buffer = new byte[BufferLength];
    private int _from, _to;

    /// <summary>Whether bytes have come that nobody read yet.</summary>
    internal bool HasMore => _from < _to;

    /// <summary>Waits for a byte; false at the end of the stream.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal bool WaitForMore()
    {
        if (_from < _to) return true;
        (_from, _to) = (0, stream.Read(_buffer, 0, _buffer.Length));
        return _to > 0;
    }

    /// <summary>Reads so many bytes.</summary>
    /// <exception cref="IOException">The connection is broken, or ends before.</exception>
    internal void Read(Span<byte> into)
    {
        while (into.Length > 0)
        {
            if (_from == _to && into.Length >= BufferLength)
            {
                var count = stream.Read(into);
                if (count <= 0) throw Ended();
                into = into[count..];
                continue;
            }
            if (!WaitForMore()) throw Ended();
            var part = Math.Min(into.Length, _to - _from);
            _buffer.AsSpan(_from, part).CopyTo(into);
            _from += part;
            into = into[part..];
        }
    }

    /// <summary>Passes over so many bytes.</summary>
    /// <exception cref="IOException">The connection is broken, or ends before.</exception>
    internal void Skip(long count)
    {
        while (count > 0)
        {
            if (!WaitForMore()) throw Ended();
            var part = (int)Math.Min(count, _to - _from);
            _from += part;
            count -= part;
        }
    }

    /// <summary>Reads bytes.</summary>
    /// <param name="count">How many; the caller has bounded it.</param>
    /// <exception cref="IOException">The connection is broken, or ends before.</exception>
    internal byte[] ReadBytes(int count)
    {
        var bytes = new byte[count];
        Read(bytes);
        return bytes;
    }

    /// <summary>Reads a number of 16 bits.</summary>
    /// <exception cref="IOException">The connection is broken, or ends before.</exception>
    internal ushort ReadU16()
    {
        Span<byte> bytes = stackalloc byte[2];
        Read(bytes);
        return BinaryPrimitives.ReadUInt16BigEndian(bytes);
    }

    /// <summary>Reads a number of 32 bits.</summary>
    /// <exception cref="IOException">The connection is broken, or ends before.</exception>
    internal uint ReadU32()
    {
        Span<byte> bytes = stackalloc byte[4];
        Read(bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    /// <summary>Reads a number of 64 bits.</summary>
    /// <exception cref="IOException">The connection is broken, or ends before.</exception>
    internal ulong ReadU64()
    {
        Span<byte> bytes = stackalloc byte[8];
        Read(bytes);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }

    private static EndOfStreamException Ended() => new("the other end hung up");
}

/// <summary>Writes to a stream; what is written is under way after <see cref="Flush"/>.</summary>
/// <param name="stream">It; another's to close.</param>
internal sealed class NbdWriter(Stream stream)
{
    /// <summary>The buffer's length in bytes.</summary>
    internal const int BufferLength = 32 << 10;

    private readonly byte[] _buffer = new byte[BufferLength];
    private int _count;

    /// <summary>Writes bytes.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal void Write(ReadOnlySpan<byte> bytes)
    {
        // A header goes with the first of what follows it.
        while (bytes.Length > 0)
        {
            if (_count == 0 && bytes.Length >= BufferLength)
            {
                stream.Write(bytes);
                return;
            }
            var part = Math.Min(bytes.Length, BufferLength - _count);
            bytes[..part].CopyTo(_buffer.AsSpan(_count));
            _count += part;
            bytes = bytes[part..];
            if (_count == BufferLength) Flush();
        }
    }

    /// <summary>Writes a number of 16 bits.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal void WriteU16(ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        Write(bytes);
    }

    /// <summary>Writes a number of 32 bits.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal void WriteU32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        Write(bytes);
    }

    /// <summary>Writes a number of 64 bits.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal void WriteU64(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        Write(bytes);
    }

    /// <summary>Hands over what is kept.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal void Flush()
    {
        if (_count == 0) return;
        stream.Write(_buffer, 0, _count);
        _count = 0;
    }
}
