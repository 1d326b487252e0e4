// Pages of this process's memory that are not there yet: whoever touches one, the kernel on this process's behalf as well, waits until somebody has put it in its
// place. Sources: userfaultfd(2), ioctl_userfaultfd(2), include/uapi/linux/userfaultfd.h.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Lamina.Host.Io;

namespace Lamina.Host;

/// <summary>Who is told of touches of missing pages, and puts them in. Any thread, but for <see cref="Wait"/>, which is one thread's.</summary>
public sealed unsafe class PageFaults : IDisposable
{
    /// <summary>The file by which a process without root's rights is told, who may open it.</summary>
    public const string Device = "/dev/userfaultfd";

    private const ulong Api = 0xaa, Missing = 1;
    private const byte PageFault = 0x12;
    private const nuint New = 0xaa00, AskApi = 0xc018_aa3f, RegisterRange = 0xc020_aa00, UnregisterRange = 0x8010_aa01, WakeRange = 0x8010_aa02, CopyPages = 0xc028_aa03, ZeroPages = 0xc020_aa04;

    // What a registered range must be good for: _UFFDIO_WAKE, _UFFDIO_COPY, _UFFDIO_ZEROPAGE.
    private const ulong Wanted = 1 << 2 | 1 << 3 | 1 << 4;

    private readonly DeviceFile _faults;
    private readonly EventDescriptor _ends = new();

    private PageFaults(DeviceFile faults) => _faults = faults;

    [StructLayout(LayoutKind.Sequential)]
    private struct ApiRequest
    {
        public ulong Api, Features, Requests;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct RangeRequest
    {
        public ulong Start, Length, Mode, Result;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CopyRequest
    {
        public ulong To, From, Length, Mode;
        public long Copied;
    }

    // uffd_msg of a page fault.
    [StructLayout(LayoutKind.Sequential)]
    private struct Message
    {
        public ulong Event, Flags, Address, Thread;
    }

    /// <summary>Begins, where this process may be told of the kernel's touches as well: root may, and who may open /dev/userfaultfd, and everybody with vm.unprivileged_userfaultfd=1.</summary>
    /// <param name="refusal">Why not, as a part of a sentence that says what would help.</param>
    public static PageFaults? TryOpen(out string refusal)
    {
        refusal = "";
        const int Flags = Libc.O_CLOEXEC | Libc.O_NONBLOCK;
        var error = 0;
        // A process that is locked has few of root's rights, but the file.
        using (var device = DeviceFile.TryOpen(Device, out _))
        {
            var made = device?.Request(New, Flags) ?? -1;
            if (made < 0)
            {
                made = (int)Libc.syscall(Libc.SYS_userfaultfd, Flags, 0, 0, 0);
                error = made < 0 ? Marshal.GetLastPInvokeError() : 0;
            }
            if (made >= 0)
            {
                var faults = DeviceFile.Own(made);
                var request = new ApiRequest { Api = Api };
                if (faults.Request(AskApi, &request) == 0) return new PageFaults(faults);
                faults.Dispose();
            }
        }
        refusal = $"the host does not tell of missing pages ({DeviceFile.Describe(error)}); as root it does, or with vm.unprivileged_userfaultfd=1";
        return null;
    }

    /// <summary>Has touches of pages that are not there in a part of a reservation wait from now on.</summary>
    /// <exception cref="HostException">The host cannot for this kind of memory.</exception>
    public void Register(HostReservation memory, ulong offset, ulong length)
    {
        var request = new RangeRequest { Start = At(memory, offset, length), Length = length, Mode = Missing };
        if (_faults.Request(RegisterRange, &request) is var result && (result != 0 || (request.Result & Wanted) != Wanted)) throw new HostException($"the host does not tell of missing pages in the machine's memory ({DeviceFile.Describe(-result)})");
    }

    /// <summary>Ends that: what is not there is zero, and whoever waits goes on.</summary>
    public void Unregister(HostReservation memory, ulong offset, ulong length)
    {
        var request = new RangeRequest { Start = At(memory, offset, length), Length = length };
        _ = _faults.Request(UnregisterRange, &request);
    }

    /// <summary>Has whoever waits for a page look again.</summary>
    public void Wake(HostReservation memory, ulong offset, ulong length)
    {
        var request = new RangeRequest { Start = At(memory, offset, length), Length = length };
        _ = _faults.Request(WakeRange, &request);
    }

    /// <summary>Puts whole pages where none are, and has go on whoever waits for them; those that are there stay.</summary>
    /// <exception cref="HostException">The host has no memory for them.</exception>
    public void Put(HostReservation memory, ulong offset, ReadOnlySpan<byte> pages)
    {
        var to = At(memory, offset, (ulong)pages.Length);
        fixed (byte* from = pages)
        {
            for (ulong done = 0; done < (ulong)pages.Length;)
            {
                var request = new CopyRequest { To = to + done, From = (ulong)from + done, Length = (ulong)pages.Length - done };
                var result = _faults.Request(CopyPages, &request);
                done += Done(result, request.Copied, (ulong)pages.Length - done);
            }
        }
    }

    /// <summary>Likewise, pages of zeros.</summary>
    /// <exception cref="HostException">The host has no memory for them.</exception>
    public void PutZero(HostReservation memory, ulong offset, ulong length)
    {
        var to = At(memory, offset, length);
        for (ulong done = 0; done < length;)
        {
            var request = new RangeRequest { Start = to + done, Length = length - done };
            var result = _faults.Request(ZeroPages, &request);
            done += Done(result, (long)request.Result, length - done);
        }
    }

    /// <summary>Waits for touches.</summary>
    /// <param name="memory">What is registered.</param>
    /// <param name="offsets">Gets where in it they are; one page may be touched several times.</param>
    /// <returns>How many there are; 0 for the end (<see cref="End"/>).</returns>
    public int Wait(HostReservation memory, Span<ulong> offsets)
    {
        ArgumentNullException.ThrowIfNull(memory);
        const int Most = 16;
        var messages = stackalloc Message[Most];
        while (true)
        {
            var (faults, ends) = HostIo.Wait((_faults.Descriptor, HostPoll.Readable), (_ends.Descriptor, HostPoll.Readable), -1);
            if (ends != HostPoll.None) return 0;
            if (faults == HostPoll.None) continue;
            var count = Libc.read(_faults.Descriptor, (byte*)messages, (nuint)(sizeof(Message) * Math.Min(Most, offsets.Length)));
            var found = 0;
            for (var i = 0; i < (int)count / sizeof(Message); i++)
                if ((byte)messages[i].Event == PageFault) offsets[found++] = messages[i].Address - (ulong)memory.Address;
            if (found > 0) return found;
        }
    }

    /// <summary>Ends <see cref="Wait"/>, now or when it is called.</summary>
    public void End() => _ends.Set();

    /// <inheritdoc/>
    public void Dispose()
    {
        _faults.Dispose();
        _ends.Dispose();
    }

    // How far a request came; the page that stopped it was there.
    private static ulong Done(int result, long done, ulong all)
    {
        if (result == 0) return all;
        if (done > 0) return (ulong)done;
        return -result switch
        {
            DeviceFile.Again => 0,
            DeviceFile.Exists => HostReservation.PageSize,
            _ => throw new HostException($"the host does not put a page of the machine's memory in its place ({DeviceFile.Describe(-result)})"),
        };
    }

    private static ulong At(HostReservation memory, ulong offset, ulong length)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (length == 0 || (offset | length) % HostReservation.PageSize != 0 || offset > memory.Length || length > memory.Length - offset) throw new ArgumentOutOfRangeException(nameof(offset));
        return (ulong)memory.Address + offset;
    }
}
