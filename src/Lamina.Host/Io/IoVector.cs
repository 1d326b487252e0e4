// Pieces of memory that the kernel reads into or writes from without a copy between: struct iovec, and native memory to
// make some of. Whoever holds a vector knows that its memory lives as long.
using System.Runtime.InteropServices;

namespace Lamina.Host.Io;

/// <summary>A piece of memory that does not move. Laid out as struct iovec (readv(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly unsafe struct IoVector
{
    private readonly nint _base;
    private readonly nuint _length;

    private IoVector(nint start, nuint length) => (_base, _length) = (start, length);

    /// <summary>The length in bytes.</summary>
    public int Length => (int)_length;

    /// <summary>Its bytes; somebody else may change them at any time.</summary>
    // Holds: vectors are made below only, from memory that is not the collector's, with its bounds checked.
    public Span<byte> Span => new((void*)_base, (int)_length);

    /// <summary>A part of a reservation, which must be mapped.</summary>
    public static IoVector Of(HostReservation memory, ulong offset, int length)
    {
        _ = memory.Slice(offset, length);
        return new IoVector(memory.Address + (nint)offset, (nuint)length);
    }

    /// <summary>A part of a buffer.</summary>
    public static IoVector Of(HostBuffer buffer, int offset, int length)
    {
        _ = buffer.Span.Slice(offset, length);
        return new IoVector(buffer.Address + offset, (nuint)length);
    }

    /// <summary>A part of this piece.</summary>
    public IoVector Slice(int start, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)start, (uint)Length, nameof(start));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)(Length - start), nameof(length));
        return new IoVector(_base + start, (nuint)length);
    }

    /// <summary>Whether address and length are multiples of a power of two, as O_DIRECT asks for.</summary>
    public bool IsAligned(int alignment) => (((ulong)_base | _length) & (ulong)(alignment - 1)) == 0;
}

/// <summary>Native memory, zeroed, aligned to a host page.</summary>
public sealed unsafe class HostBuffer : IDisposable
{
    private nint _address;

    /// <summary>Takes memory from the host.</summary>
    /// <param name="length">Length in bytes, at least 1.</param>
    public HostBuffer(int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        _address = (nint)NativeMemory.AlignedAlloc((nuint)length, HostReservation.PageSize);
        Length = length;
        Span.Clear();
    }

    /// <summary>Gives the memory back where nobody disposed it.</summary>
    ~HostBuffer() => Free();

    /// <summary>The length in bytes.</summary>
    public int Length { get; }

    /// <summary>Its bytes.</summary>
    // Holds: the memory is ours until it is freed, and a freed buffer has no address.
    public Span<byte> Span => new((void*)Address, Length);

    /// <summary>All of it as one vector; not to be used after the buffer is disposed.</summary>
    public IoVector Vector => IoVector.Of(this, 0, Length);

    internal nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address == 0, this);
            return _address;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (Interlocked.Exchange(ref _address, 0) is var address and not 0) NativeMemory.AlignedFree((void*)address);
    }
}
