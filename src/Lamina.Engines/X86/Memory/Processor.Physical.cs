// Guest-physical accesses: memory directly, the vCPU's own xAPIC page, and the bus for all else.
using System.Runtime.CompilerServices;
using Lamina.Core.Memory;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private readonly GuestMemory _memory;
    private readonly byte* _ramBase;

    /// <summary>The host address of guest memory, or null where loads, or stores, of a byte of the range are not memory's. It is there.</summary>
    /// <exception cref="Host.HostException">It is elsewhere, and will not come.</exception>
    public byte* HostPointer(ulong physical, int length, bool write)
    {
        var view = _memory.View;
        foreach (ref readonly var range in (write ? view.Writable : view.Readable).AsSpan())
        {
            if (physical - range.Start >= range.Length || (ulong)length > range.Length - (physical - range.Start)) continue;
            _memory.Require(physical, (ulong)length);
            return _ramBase + physical;
        }
        return null;
    }

    /// <summary>Reads guest-physical memory; does not cross a page.</summary>
    private void ReadPhysical(ulong physical, Span<byte> data)
    {
        var host = HostPointer(physical, data.Length, write: false);
        if (host != null) CopyFromRam(host, data);
        else ReadDevice(physical, data);
    }

    /// <summary>Writes guest-physical memory; does not cross a page.</summary>
    private void WritePhysical(ulong physical, ReadOnlySpan<byte> data)
    {
        var host = HostPointer(physical, data.Length, write: true);
        if (host != null)
        {
            CopyToRam(host, data);
            _cache.RamWritten(physical, data.Length);
        }
        else WriteDevice(physical, data);
    }

    /// <summary>One 32- or 64-bit paging-structure entry or other aligned word; all ones where nothing answers.</summary>
    private T ReadPhysical<T>(ulong physical) where T : unmanaged
    {
        var host = HostPointer(physical, sizeof(T), write: false);
        if (host != null) return Unsafe.ReadUnaligned<T>(host);
        Unsafe.SkipInit(out T value);
        ReadDevice(physical, new Span<byte>(&value, sizeof(T)));
        return value;
    }

    // Values of 1, 2, 4 and 8 bytes are copied by one access: other vCPUs and devices see no half of them.
    private static void CopyFromRam(byte* host, Span<byte> data)
    {
        switch (data.Length)
        {
            case 1: data[0] = *host; break;
            case 2: Unsafe.WriteUnaligned(ref data[0], Unsafe.ReadUnaligned<ushort>(host)); break;
            case 4: Unsafe.WriteUnaligned(ref data[0], Unsafe.ReadUnaligned<uint>(host)); break;
            case 8: Unsafe.WriteUnaligned(ref data[0], Unsafe.ReadUnaligned<ulong>(host)); break;
            default: new ReadOnlySpan<byte>(host, data.Length).CopyTo(data); break;
        }
    }

    private static void CopyToRam(byte* host, ReadOnlySpan<byte> data)
    {
        switch (data.Length)
        {
            case 1: *host = data[0]; break;
            case 2: Unsafe.WriteUnaligned(host, Unsafe.ReadUnaligned<ushort>(in data[0])); break;
            case 4: Unsafe.WriteUnaligned(host, Unsafe.ReadUnaligned<uint>(in data[0])); break;
            case 8: Unsafe.WriteUnaligned(host, Unsafe.ReadUnaligned<ulong>(in data[0])); break;
            default: data.CopyTo(new Span<byte>(host, data.Length)); break;
        }
    }

    /// <summary>Reads at a linear address that leads to a page which is no memory; within that page.</summary>
    /// <param name="physicalPage">The page.</param>
    /// <param name="linear">The address.</param>
    /// <param name="data">Where to.</param>
    public void ReadDevicePage(ulong physicalPage, ulong linear, Span<byte> data)
    {
        // Memory may have come there meanwhile.
        ReadPhysical(physicalPage | (linear & (PageSize - 1)), data);
        if (HasDataBreakpoints) NoteDataAccess(linear & LinearMask, data.Length, write: false);
    }

    private void ReadDevice(ulong physical, Span<byte> data)
    {
        _memory.RequireNotLost();
        while (data.Length > 0)
        {
            var size = DevicePiece(physical, data.Length);
            var piece = data[..size];
            // A range may begin in RAM and end outside it, or the other way round, only at page borders; an access never crosses one.
            if (OwnApicOffset(physical) is { } offset)
            {
                if (Apic.Mmio.Read(offset, piece) != Core.Bus.AccessResult.Ok) piece.Fill(0xff);
            }
            else _bus.ReadMemory(physical, piece);
            data = data[size..];
            physical += (ulong)size;
        }
    }

    private void WriteDevice(ulong physical, ReadOnlySpan<byte> data)
    {
        _memory.RequireNotLost();
        while (data.Length > 0)
        {
            var size = DevicePiece(physical, data.Length);
            if (OwnApicOffset(physical) is { } offset)
            {
                _ = Apic.Mmio.Write(offset, data[..size]);
                NoteTaskPriority();
            }
            else _bus.WriteMemory(physical, data[..size]);
            data = data[size..];
            physical += (ulong)size;
        }
    }

    private ulong? OwnApicOffset(ulong physical) =>
        _apic.MmioBase is { } apicBase && physical - apicBase < 0x1000 ? physical - apicBase : null;

    /// <summary>Devices see accesses of 1, 2, 4 or 8 bytes, naturally aligned unless the guest's whole access is of such a size.</summary>
    private static int DevicePiece(ulong physical, int length)
    {
        if (length is 1 or 2 or 4 or 8) return length;
        var size = 8;
        while (size > length || (physical & (ulong)(size - 1)) != 0) size >>= 1;
        return size;
    }
}
