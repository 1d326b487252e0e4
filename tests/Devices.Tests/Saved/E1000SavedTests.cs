// Gigabit cards against the contract of saving: registers, a frame that has begun, contexts, memory that is read bit by bit, a PHY, interrupts that wait.
using System.Globalization;
using System.Text;
using Lamina.Devices.Ethernet;
using Lamina.Tests.Devices.Ethernet;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

/// <summary>A 82540EM.</summary>
public sealed class E1000SavedTests() : E1000SavedContract(E1000Model.E1000);

/// <summary>A 82574L.</summary>
public sealed class E1000eSavedTests() : E1000SavedContract(E1000Model.E1000e);

public abstract class E1000SavedContract(E1000Model model) : SavedUnitTests<E1000Card>, IDisposable
{
    private readonly Dictionary<E1000Card, E1000Guest> _guests = [];
    private readonly Queue<E1000Guest> _made = [];
    private List<(ulong Address, byte[] Content)>? _pages;

    public void Dispose()
    {
        foreach (var guest in _guests.Values) guest.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override E1000Card Create()
    {
        // Of the many that are made here two at a time are in use.
        while (_guests.Count > 3 && _made.TryDequeue(out var old))
        {
            old.Dispose();
            _guests.Remove(old.Card);
        }
        var guest = new E1000Guest(model);
        guest.Card.Reset();
        _guests[guest.Card] = guest;
        _made.Enqueue(guest);
        return guest.Card;
    }

    // What the rings hold is in memory, which is saved apart: its pages that are not all zero.
    protected override E1000Card CreateForLoading()
    {
        if (_pages is null)
        {
            var from = Create();
            Disturb(from);
            _pages = [.. Enumerable.Range(0, 0x300).Select(page => ((ulong)page << 12, _guests[from].Bytes((ulong)page << 12, 0x1000))).Where(page => page.Item2.AsSpan().ContainsAnyExcept((byte)0))];
        }
        var unit = Create();
        foreach (var (address, content) in _pages) _guests[unit].Memory.TryWrite(address, content);
        return unit;
    }

    protected override void Disturb(E1000Card unit)
    {
        var guest = _guests[unit];
        guest.Connect();
        guest.Started();
        guest.Write(0xd0, 0x94);
        guest.Write(0x10, 0x40);
        guest.Write(0x10, 0x46);
        guest.Write(0x10, 0x47);
        guest.Phy(4, 0x0061);
        guest.Receive(TestFrames.Of(100));
        guest.Write(0x2820, 7);
        guest.Write(0x3820, 9);
        guest.Receive(TestFrames.Of(100, udp: true));
        guest.QueueContext(14, 24, 33, 34, 50);
        guest.QueueContext(14, 24, 33, 34, 50, 54, 1000, 1 << 26 | 1 << 24);
        guest.Queue(TestFrames.Of(10), 9u << 24 | 1u << 31);
        guest.Queue(TestFrames.Of(10).AsSpan(0, 30), 0);
        guest.Ring();
        guest.Pci.Ports.Write(E1000Guest.Ports, BitConverter.GetBytes(0x5204));
        guest.Card.Pause();
        guest.Queue(TestFrames.Of(10).AsSpan(30), 1 << 24);
        guest.Ring();
    }

    protected override string Observe(E1000Card unit)
    {
        var guest = _guests[unit];
        guest.Net.Sent.Clear();
        unit.Resume();
        guest.Workers.Run();
        guest.Clock.Advance(1_000_000);
        var seen = new StringBuilder();
        foreach (var register in (int[])[0x0, 0x8, 0x10, 0xd0, 0x100, 0x2810, 0x2818, 0x3810, 0x3818, 0x4074, 0x5404]) seen.Append(CultureInfo.InvariantCulture, $"{guest.Read(register):x} ");
        seen.Append(CultureInfo.InvariantCulture, $"{guest.Phy(4):x} {guest.Pci.Line.Level} {guest.Read(0xc0):x} {guest.Pci.ReadPort(E1000Guest.Ports, 4):x} ");
        foreach (var (frame, _) in guest.Net.Sent) seen.Append(Convert.ToHexString(frame)).Append(' ');
        guest.Receive(TestFrames.Of(20));
        return seen.Append(Convert.ToHexString(guest.Bytes(E1000Guest.ReceiveRing, 128))).ToString();
    }

    protected override void Use(E1000Card unit)
    {
        _guests[unit].Connect();
        Observe(unit);
    }
}
