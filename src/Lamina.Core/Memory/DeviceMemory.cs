// Memory of a device's own that guests can have in their address space as well: a frame buffer. The device reaches its bytes at any
// time, wherever the guest has them and where it has them nowhere; CPUs load and store there without the device hearing of it.
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>A device's memory. Pages cost host memory as they are touched.</summary>
public sealed class DeviceMemory : IDisposable
{
    private readonly GuestMemory _memory;
    private readonly SharedMemory _file;
    private readonly HostReservation _mapping;
    private readonly MemoryRegion _region;

    /// <summary>Makes it, zero; guests have it nowhere at first.</summary>
    /// <param name="memory">The machine's.</param>
    /// <param name="name">Its name, unique in the machine.</param>
    /// <param name="length">Its length in bytes: whole pages.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public DeviceMemory(GuestMemory memory, string name, int length)
    {
        ArgumentNullException.ThrowIfNull(memory);
        (_memory, Length) = (memory, length);
        _file = SharedMemory.Create(name, (ulong)length);
        try
        {
            _mapping = HostReservation.Reserve((ulong)length);
            _mapping.MapShared(0, (ulong)length, _file, 0, MappingAccess.ReadWrite);
            _region = memory.CreateRegion(name, (ulong)length, MemoryKind.Ram, MemoryBacking.Shared(_file), isDevices: true);
        }
        catch
        {
            _mapping?.Dispose();
            _file.Dispose();
            throw;
        }
    }

    /// <summary>Its length in bytes.</summary>
    public int Length { get; }

    /// <summary>Where guests have it; null while they have it nowhere.</summary>
    public MemoryRange? Place => _region.Start is { } start ? new MemoryRange(start, (ulong)Length) : null;

    /// <summary>Its bytes. A guest may change them at any time.</summary>
    public Span<byte> Bytes => _mapping.Slice(0, Length);

    /// <summary>How many bytes of the host's memory it takes.</summary>
    public ulong Resident => _mapping.Resident(0, (ulong)Length);

    /// <summary>Puts it to a place in guests' address space.</summary>
    /// <returns>False where other memory lies there, or the host refuses; guests then have it nowhere.</returns>
    public bool TryMove(ulong start)
    {
        try
        {
            return _region.TryMove(start);
        }
        catch (HostException)
        {
            return false;
        }
    }

    /// <summary>Takes it out of guests' address space; its bytes stay.</summary>
    public void SwitchOff() => _region.SwitchOff();

    /// <summary>The device has written some of its bytes: who keeps what is derived from them hears of it, where guests have it.</summary>
    public void NotifyWritten(int offset, int length)
    {
        if (_region.Start is { } start) _memory.NotifyWritten(start + (ulong)offset, (ulong)length);
    }

    /// <summary>Makes a part zero, and gives the host back what whole pages of it there are.</summary>
    public void Clear(int offset, int length)
    {
        const int Page = HostReservation.PageSize;
        var (first, last) = ((offset + Page - 1) & ~(Page - 1), (offset + length) & ~(Page - 1));
        if (first >= last) Bytes.Slice(offset, length).Clear();
        else
        {
            Bytes[offset..first].Clear();
            try
            {
                _mapping.DiscardShared((ulong)first, (ulong)(last - first));
            }
            catch (HostException)
            {
                Bytes[first..last].Clear();
            }
            Bytes[last..(offset + length)].Clear();
        }
        NotifyWritten(offset, length);
    }

    /// <summary>Whether a part may hold anything but zeros; to look at its bytes would cost memory where it does not.</summary>
    public bool MayHold(int offset, int length) => _file.HasData((ulong)offset, (ulong)length);

    /// <inheritdoc/>
    public void Dispose()
    {
        _region.Dispose();
        _mapping.Dispose();
        _file.Dispose();
    }
}
