// Accesses at linear addresses: paging, page crossings, devices, data breakpoints. A store that crosses a page checks
// both before a byte is written. The runtime calls the public part for operands that generated code cannot reach.
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const int PageSize = 4096;

    /// <summary>The mask of linear addresses: 64 bits in 64-bit mode and for system tables in IA-32e mode, else 32.</summary>
    private ulong LinearMask => IsLongMode ? ulong.MaxValue : uint.MaxValue;

    /// <summary>Reads at a linear address (canonical in IA-32e mode; at most 4 KiB). System accesses are implicit supervisor-mode.</summary>
    /// <returns>False: <see cref="Fault"/> is set.</returns>
    public bool TryReadLinear(ulong address, Span<byte> data, bool systemAccess = false) =>
        TryReadLinear(address, data, systemAccess ? AccessMode.Implicit : AccessMode.Current);

    /// <summary>Writes at a linear address; nothing is written unless all can be.</summary>
    public bool TryWriteLinear(ulong address, ReadOnlySpan<byte> data, bool systemAccess = false) =>
        TryWriteLinear(address, data, systemAccess ? AccessMode.Implicit : AccessMode.Current);

    /// <summary>Whether an access of at most 4 KiB with the current rights would succeed; accessed and dirty bits are set as if it did.</summary>
    public bool TryProbe(ulong address, int length, AccessKind kind) => TryProbe(address, length, kind, AccessMode.Current);

    private bool TryProbe(ulong address, int length, AccessKind kind, AccessMode mode)
    {
        address &= LinearMask;
        if (!CheckSystemAddress(address, length, mode) || !TryTranslate(address, kind, mode, out _)) return false;
        var last = (address + (ulong)(length - 1)) & LinearMask;
        return (last ^ address) < PageSize || TryTranslate(last & ~0xfffUL, kind, mode, out _);
    }

    private bool TryReadLinear(ulong address, Span<byte> data, AccessMode mode)
    {
        address &= LinearMask;
        if (!CheckSystemAddress(address, data.Length, mode) || !TryTranslate(address, AccessKind.Read, mode, out var first)) return false;
        var offset = address & 0xfff;
        var inFirst = (int)Math.Min(PageSize - offset, (ulong)data.Length);
        if (inFirst == data.Length) ReadPhysical(first.PhysicalPage | offset, data);
        else
        {
            if (!TryTranslate((address + (ulong)inFirst) & LinearMask, AccessKind.Read, mode, out var second)) return false;
            ReadPhysical(first.PhysicalPage | offset, data[..inFirst]);
            ReadPhysical(second.PhysicalPage, data[inFirst..]);
        }
        if (HasDataBreakpoints && mode != AccessMode.Implicit) NoteDataAccess(address, data.Length, write: false);
        return true;
    }

    private bool TryWriteLinear(ulong address, ReadOnlySpan<byte> data, AccessMode mode)
    {
        if (!TryPlaceStore(address, data.Length, mode, out var place)) return false;
        StoreAt(place, 0, data, mode);
        return true;
    }

    /// <summary>Finds out where a store of at most 4 KiB goes, with the current rights; accessed and dirty bits are set as if it were made.</summary>
    public bool TryPlaceStore(ulong address, int length, out StorePlace place) => TryPlaceStore(address, length, AccessMode.Current, out place);

    private bool TryPlaceStore(ulong address, int length, AccessMode mode, out StorePlace place)
    {
        place = default;
        address &= LinearMask;
        if (!CheckSystemAddress(address, length, mode) || !TryTranslate(address, AccessKind.Write, mode, out var first)) return false;
        var inFirst = PageSize - (address & 0xfff);
        Translation second = default;
        if (inFirst < (ulong)length && !TryTranslate((address + inFirst) & LinearMask, AccessKind.Write, mode, out second)) return false;
        place = new StorePlace(address, first.PhysicalPage, second.PhysicalPage);
        return true;
    }

    /// <summary>Makes a store, or a part of it.</summary>
    /// <param name="place">Where it goes.</param>
    /// <param name="offset">Where in it the data begin.</param>
    /// <param name="data">Bytes, within what the place was found for.</param>
    public void StoreAt(in StorePlace place, int offset, ReadOnlySpan<byte> data) => StoreAt(place, offset, data, AccessMode.Current);

    private void StoreAt(in StorePlace place, int offset, ReadOnlySpan<byte> data, AccessMode mode)
    {
        var at = (place.Linear & 0xfff) + (ulong)offset;
        var inFirst = at >= PageSize ? 0 : (int)Math.Min(PageSize - at, (ulong)data.Length);
        if (inFirst > 0) WritePhysical(place.FirstPage | at, data[..inFirst]);
        if (inFirst < data.Length) WritePhysical(place.SecondPage + (at + (ulong)inFirst - PageSize), data[inFirst..]);
        if (HasDataBreakpoints && mode != AccessMode.Implicit) NoteDataAccess((place.Linear + (ulong)offset) & LinearMask, data.Length, write: true);
    }

    /// <summary>System structures have no segment whose check would have caught a non-canonical address.</summary>
    private bool CheckSystemAddress(ulong address, int length, AccessMode mode) =>
        mode != AccessMode.Implicit || !IsLongMode || (IsCanonical(address) && IsCanonical(address + (ulong)(length - 1))) || GeneralProtection();

    /// <summary>Reads a little-endian value of 1, 2, 4 or 8 bytes, zero-extended.</summary>
    public bool TryReadLinear(ulong address, int size, out ulong value, AccessMode mode = AccessMode.Current)
    {
        ulong buffer = 0;
        var done = TryReadLinear(address, new Span<byte>(&buffer, size), mode);
        value = buffer;
        return done;
    }

    /// <summary>Writes a little-endian value of 1, 2, 4 or 8 bytes.</summary>
    public bool TryWriteLinear(ulong address, int size, ulong value, AccessMode mode = AccessMode.Current) =>
        TryWriteLinear(address, new ReadOnlySpan<byte>(&value, size), mode);

    /// <summary>
    /// The host address of an operand that is read and written, for host atomics; null (and true) where it crosses a page
    /// or is not RAM. Write permission is checked, and the dirty bit set. Who has updated it calls <see cref="Updated"/>.
    /// </summary>
    private bool TryPinForUpdate(ulong linear, int size, out byte* host)
    {
        host = null;
        if (!TryProbe(linear, size, AccessKind.Write)) return false;
        if ((linear & 0xfff) + (ulong)size > PageSize) return true;
        if (!TryTranslate(linear, AccessKind.Write, AccessMode.Current, out var page)) return false;
        host = HostPointer(page.PhysicalPage | (linear & 0xfff), size, write: true);
        return true;
    }

    /// <summary>What <see cref="TryPinForUpdate"/> found was stored to.</summary>
    private void Updated(ulong linear, byte* host, int size)
    {
        if (HasDataBreakpoints) NoteDataAccess(linear, size, write: true);
        _cache.RamWritten((ulong)(host - _ramBase), size);
    }

    /// <summary>Reads for a debugger: no rights, no faults.</summary>
    public bool TryReadForDebugger(ulong address, Span<byte> data)
    {
        while (data.Length > 0)
        {
            if (!TryTranslateForDebugger(address, out var physical)) return false;
            var size = (int)Math.Min(PageSize - (address & 0xfff), (ulong)data.Length);
            if (!_memory.TryRead(physical, data[..size])) return false;
            data = data[size..];
            address += (ulong)size;
        }
        return true;
    }

    /// <summary>Writes for a debugger, read-only pages too.</summary>
    public bool TryWriteForDebugger(ulong address, ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            if (!TryTranslateForDebugger(address, out var physical)) return false;
            var size = (int)Math.Min(PageSize - (address & 0xfff), (ulong)data.Length);
            if (!_memory.TryWrite(physical, data[..size])) return false;
            data = data[size..];
            address += (ulong)size;
        }
        return true;
    }
}
