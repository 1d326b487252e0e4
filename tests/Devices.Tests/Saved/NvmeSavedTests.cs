// An NVMe controller against the contract of saving: queues with commands that wait, requests for events, features, doorbell buffers.
using System.Globalization;
using System.Text;
using Lamina.Devices.Media;
using Lamina.Devices.Nvme;
using Lamina.Tests.Devices.Nvme;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

public sealed class NvmeSavedTests : SavedUnitTests<NvmeController>, IDisposable
{
    private const int MostGuests = 8;

    private readonly Dictionary<NvmeController, NvmeGuest> _guests = [];
    private readonly Queue<NvmeController> _order = [];
    private List<(ulong Address, byte[] Content)>? _pages;

    public void Dispose()
    {
        foreach (var guest in _guests.Values) guest.Dispose();
    }

    protected override NvmeController Create()
    {
        var guest = new NvmeGuest(new TestDisk(64), drive: new DriveOptions());
        guest.Controller.Reset();
        _guests[guest.Controller] = guest;
        _order.Enqueue(guest.Controller);
        // Each has a memory, and a test looks at the last few.
        if (_order.Count > MostGuests && _guests.Remove(_order.Dequeue(), out var former)) former.Dispose();
        return guest.Controller;
    }

    // What the rings of the disturbed one hold is in memory, which is saved apart: its pages that are not all zero.
    protected override NvmeController CreateForLoading()
    {
        if (_pages is null)
        {
            var from = Create();
            Disturb(from);
            _pages = [.. Enumerable.Range(0, 0x200).Select(page => ((ulong)page << 12, _guests[from].Bytes((ulong)page << 12, 0x1000))).Where(page => page.Item2.AsSpan().ContainsAnyExcept((byte)0))];
        }
        var unit = Create();
        foreach (var (address, content) in _pages) _guests[unit].Memory.TryWrite(address, content);
        return unit;
    }

    protected override void Disturb(NvmeController unit)
    {
        var guest = _guests[unit];
        guest.Connect();
        guest.Started();
        guest.Admin(9, word10: 1, word11: 3);
        guest.Move(1, writes: true, 3, 1, NvmeGuest.Data);
        guest.Move(1, writes: false, 3, 1, NvmeGuest.Data);
        guest.Admin(0x7c, prp1: 0xa0000, prp2: 0xa1000);
        guest.Submit(0, 12, 0, 0, 0, 0, 0, 0);
        guest.Submit(0, 12, 0, 0, 0, 0, 0, 0);
        guest.Wait();
        guest.Write(0x1000 + 16, 0);
        guest.Wait();
        guest.Write(0x1000 + 24, 0);
        guest.Write(0x1008, 77);
        guest.Write(0x0c, 4);
        guest.Controller.Pause();
        guest.Submit(1, 2, 1, NvmeGuest.Data, 0, 5, 0, 0);
        guest.Memory.TryWrite(0xa0008, (uint)guest.TailOf(1));
        guest.Write(0x14, 0x0046_4001);
    }

    protected override string Observe(NvmeController unit)
    {
        var guest = _guests[unit];
        var seen = new StringBuilder();
        for (var register = 0; register < 0x40; register += 4) seen.Append(CultureInfo.InvariantCulture, $"{guest.Read(register):x} ");
        guest.Disk.Calls.Clear();
        unit.Resume();
        guest.Workers.Run();
        seen.Append(string.Join(", ", guest.Disk.Calls)).Append(CultureInfo.InvariantCulture, $" {guest.Read(0x1c):x} ");
        return seen.Append(Convert.ToHexString(guest.Bytes(NvmeGuest.Completions(1), 128))).ToString();
    }

    protected override void Use(NvmeController unit)
    {
        _guests[unit].Connect();
        Observe(unit);
    }
}
