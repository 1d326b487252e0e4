// IDE and its drives against the contract of saving: a read half taken by the host, a DMA transfer that waits, a drive with settings.
using System.Globalization;
using System.Text;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Ata;
using Lamina.Devices.Ata.Ahci;
using Lamina.Devices.Ata.Ide;
using Lamina.Devices.Ata.Packet;
using Lamina.Devices.Media;
using Lamina.Tests.Devices.Ata;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

/// <summary>A part on a PC with a disk and a CD drive.</summary>
public abstract class AtaSavedTests<T> : SavedUnitTests<T>, IDisposable where T : class, ISavedUnit
{
    private readonly Dictionary<T, IdeGuest> _guests = [];

    // One for all, which each begins with as if it were new: there are many.
    private readonly GuestMemory _memory = IdeGuest.MakeMemory();

    private protected IdeGuest GuestOf(T unit) => _guests[unit];

    private protected abstract T PartOf(PiixIde ide, AtaDisk disk, CdDrive cd);

    protected override T Create()
    {
        var disk = new AtaDisk(IdeGuest.Disk(64), new AtaDiskOptions { Serial = "saved" });
        var cd = new CdDrive(IdeGuest.Disk(64, readOnly: true), "cd", new DriveOptions());
        var guest = new IdeGuest(new Dictionary<int, AtaDrive> { [0] = disk, [2] = cd }, memory: _memory);
        foreach (var place in (ReadOnlySpan<ulong>)[0, IdeGuest.Data]) guest.Store(place, new byte[0x2000]);
        var unit = PartOf(guest.Function, disk, cd);
        _guests[unit] = guest;
        return unit;
    }

    public void Dispose()
    {
        foreach (var guest in _guests.Values) guest.Dispose();
        _memory.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static string Hash(byte[] data) => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(data));
}

public sealed class PiixIdeSavedTests : AtaSavedTests<PiixIde>
{
    private protected override PiixIde PartOf(PiixIde ide, AtaDisk disk, CdDrive cd) => ide;

    protected override void Disturb(PiixIde unit)
    {
        var guest = GuestOf(unit).SwitchOn();
        // A disk that waits for its bus master's second half, and a CD drive whose sectors are taken half.
        guest.SetTable((IdeGuest.Data, 512), (IdeGuest.Data + 0x1000, 512));
        guest.WideCommand(0x25, 17, 2);
        guest.StartMaster(toMemory: true);
        guest.Packet([0x28, 0, 0, 0, 0, 3, 0, 0, 1], limit: 1000);
        guest.Workers.Run();
        guest.ReadData(200, 1);
        guest.WideCommand(0x25, 40, 2);
        guest.StartMaster(toMemory: true);
        guest.Function.Pause();
    }

    protected override PiixIde CreateForLoading()
    {
        var unit = Create();
        var guest = GuestOf(unit);
        guest.SetTable((IdeGuest.Data, 512), (IdeGuest.Data + 0x1000, 512));
        unit.Pause();
        return unit;
    }

    protected override string Observe(PiixIde unit)
    {
        var guest = GuestOf(unit);
        var seen = new StringBuilder();
        for (var offset = 0; offset < 0x100; offset += 4) seen.Append(CultureInfo.InvariantCulture, $"{guest.Machine.Read(IdeGuest.Device, offset):x8} ");
        foreach (var port in (int[])[0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x3f6, 0x172, 0x174, 0x175, 0x176, 0x376, IdeGuest.Master, IdeGuest.Master + 2, IdeGuest.Master + 10]) seen.Append(CultureInfo.InvariantCulture, $"{guest.In(port):x2} ");
        seen.Append(CultureInfo.InvariantCulture, $"{guest.Lines[0].Level} {guest.Lines[1].Level}\n");
        unit.Resume();
        guest.Workers.Run();
        var rest = new byte[1848];
        for (var i = 0; i < rest.Length; i += 2) BitConverter.TryWriteBytes(rest.AsSpan(i), (ushort)guest.Machine.ReadPort(0x170, 2));
        seen.Append(CultureInfo.InvariantCulture, $"{Hash(rest)} {guest.In(0x377 - 1):x2} {guest.In(0x1f7):x2} {Hash(guest.Load(IdeGuest.Data, 0x2000))}");
        return seen.ToString();
    }

    protected override void Use(PiixIde unit)
    {
        var guest = GuestOf(unit);
        unit.Resume();
        guest.Workers.Run();
        unit.Inspect(new InspectNode("unit"));
        for (var i = 0; i < 100; i++)
        {
            guest.Machine.ReadPort(0x170, 2);
            guest.Machine.Ports.Write(0x1f0, [1, 2]);
        }
        guest.Workers.Run();
        guest.Function.Reset();
        guest.SwitchOn().Command(0xec);
        Assert.Equal(512, guest.ReadData(512).Length);
    }
}

public sealed class AtaDiskSavedTests : AtaSavedTests<AtaDisk>
{
    private protected override AtaDisk PartOf(PiixIde ide, AtaDisk disk, CdDrive cd) => disk;

    protected override void Disturb(AtaDisk unit)
    {
        var guest = GuestOf(unit).SwitchOn();
        guest.Command(0xc6, count: 8);
        foreach (var features in (ReadOnlySpan<int>)[0x82, 0x55, 0x66])
        {
            guest.Workers.Run();
            guest.Command(0xef, features: features);
        }
        guest.Workers.Run();
        guest.Command(0xef, features: 3, count: 0x21);
        guest.Command(0x91, count: 17, device: 0xa7);
        guest.Command(0x20, 3, 2);
        guest.ReadData(1024);
        guest.Command(0x30, 4, 1);
        guest.WriteData(new byte[512]);
        guest.Workers.Run();
    }

    protected override string Observe(AtaDisk unit)
    {
        var guest = GuestOf(unit).SwitchOn();
        guest.Command(0xec);
        var counters = new CounterList();
        counters.Ask("disk", unit);
        return Convert.ToHexString(guest.ReadData(512)) + string.Join(' ', counters.All.Select(counter => counter.Value));
    }
}

public sealed class CdDriveSavedTests : AtaSavedTests<CdDrive>
{
    private protected override CdDrive PartOf(PiixIde ide, AtaDisk disk, CdDrive cd) => cd;

    protected override void Disturb(CdDrive unit)
    {
        var guest = GuestOf(unit).SwitchOn();
        guest.Command(0xef, features: 3, count: 0x21, channel: 1);
        guest.Ask([0x28, 0, 0, 0, 0, 3, 0, 0, 2]);
        _ = unit.Change(IdeGuest.Disk(64, readOnly: true));
        // The tray opens and is locked, and what is asked of it then is refused.
        Assert.NotEmpty(guest.Ask([3, 0, 0, 0, 18]));
        guest.Ask([0x1b, 0, 0, 0, 2]);
        guest.Ask([0x1e, 0, 0, 0, 1]);
        guest.Ask([0x28, 0, 0, 0, 0, 3, 0, 0, 2]);
    }

    protected override string Observe(CdDrive unit)
    {
        var guest = GuestOf(unit).SwitchOn();
        var seen = new StringBuilder();
        byte[][] questions = [[3, 0, 0, 0, 18], [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8], [0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0]];
        foreach (var question in questions) seen.Append(Convert.ToHexString(guest.Ask(question))).Append(' ');
        guest.Command(0xa1, channel: 1);
        return seen.Append(Hash(guest.ReadData(512, 1))).ToString();
    }
}

public sealed class AhciSavedTests : SavedUnitTests<AhciController>, IDisposable
{
    private readonly Dictionary<AhciController, AhciGuest> _guests = [];
    private readonly GuestMemory _memory = IdeGuest.MakeMemory();

    public void Dispose()
    {
        foreach (var guest in _guests.Values) guest.Dispose();
        _memory.Dispose();
    }

    protected override AhciController Create()
    {
        var guest = new AhciGuest(new Dictionary<int, AtaDrive> { [0] = new AtaDisk(IdeGuest.Disk(64), new AtaDiskOptions()), [1] = new CdDrive(IdeGuest.Disk(64, readOnly: true), "cd", new DriveOptions()) }, memory: _memory);
        foreach (var place in (ReadOnlySpan<ulong>)[AhciGuest.Lists, AhciGuest.Lists + 0x1000, AhciGuest.Tables, AhciGuest.Data]) guest.Store(place, new byte[0x1000]);
        _guests[guest.Function] = guest;
        return guest.Function;
    }

    protected override AhciController CreateForLoading()
    {
        var unit = Create();
        Fill(_guests[unit]);
        unit.Pause();
        return unit;
    }

    private static void Fill(AhciGuest guest)
    {
        guest.Fill(0, 3, 0x25, 5, 4, regions: [(AhciGuest.Data, 1024), (AhciGuest.Data + 0x800, 1024)]);
        guest.Fill(1, 0, 0xec);
    }

    // A disk with a command in its list, and a CD drive of which one failed.
    protected override void Disturb(AhciController unit)
    {
        var guest = _guests[unit].SwitchOn().StartPort(0).StartPort(1);
        Fill(guest);
        guest.Issue(1, 1);
        unit.Pause();
        guest.WritePort(0, AhciGuest.SactAt, 1 << 9);
        guest.Issue(0, 1 << 3);
    }

    protected override string Observe(AhciController unit)
    {
        var guest = _guests[unit];
        var seen = new StringBuilder();
        for (var register = 0; register < 0x240; register += 4) seen.Append(CultureInfo.InvariantCulture, $"{guest.Read(register):x} ");
        unit.Resume();
        guest.Workers.Run();
        return seen.Append(CultureInfo.InvariantCulture, $"{guest.ReadPort(0, AhciGuest.CiAt)} {guest.Machine.Line.Level} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(guest.Load(AhciGuest.Data, 0x1000)))}").ToString();
    }

    protected override void Use(AhciController unit)
    {
        var guest = _guests[unit];
        unit.Resume();
        guest.Workers.Run();
        unit.Inspect(new InspectNode("unit"));
        unit.Reset();
        guest.SwitchOn().StartPort(0).Fill(0, 0, 0xec, regions: (AhciGuest.Data, 512));
        guest.Issue(0, 1);
        Assert.Equal(512u, guest.Moved(0, 0));
    }
}
