// Virtio devices behind their transport against the contract of saving: what a driver and the host's side find out of a device that
// was saved with buffers in hand, others offered and not told of, and interrupts not taken is what they find out of one that goes on.
// The devices themselves are in VirtioDevicesSavedTests.cs.
using System.Globalization;
using System.Text;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Mmio;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

/// <summary>A device with a driver; all queues of 16 descriptors in one layout.</summary>
public abstract class VirtioSavedTests(bool packed, int queues, ulong features) : SavedUnitTests<VirtioMmio>, IDisposable
{
    private protected const ulong RamLength = 0x4_0000, RingStride = 0x1000, Data = TestGuest.Ram + 0x1_8000, Input = TestGuest.Ram + 0x2_8000;

    private readonly Dictionary<VirtioMmio, Bench> _benches = [];
    private Action<Bench>? _more;
    private (Bench Bench, byte[] Memory)? _before;

    private protected sealed class Bench(TestGuest guest, object host, TestWorkers helpers)
    {
        private ITestRing[]? _rings;

        public TestGuest Guest => guest;

        public object Host => host;

        public TestWorkers Helpers => helpers;

        /// <summary>Where the driver's side of the queues comes from, if it is needed.</summary>
        public required Func<Bench, ITestRing[]> Placed { private get; init; }

        public ITestRing[] Rings => _rings ??= Placed(this);

        public void Run()
        {
            Guest.Workers.Run();
            Helpers.Run();
            Guest.Workers.Run();
        }
    }

    protected override string Variant => "-" + GetType().Name.Replace("SavedTests", "", StringComparison.Ordinal).Insert(packed ? 6 : 5, "-").ToLowerInvariant();

    /// <summary>Makes a device, and what stands on the host's side of it.</summary>
    private protected abstract IVirtioDevice Make(GuestMemory memory, TestWorkers helpers, out object host);

    /// <summary>Makes the host's side of a machine that is loaded what it was when the machine was saved, as far as it is kept at all.</summary>
    private protected virtual void Inherit(object from, object to)
    {
    }

    /// <summary>The device is live: brings it to where it is to be saved.</summary>
    private protected abstract void Disturb(Bench bench);

    /// <summary>The machine goes on: works with the device, whatever comes of it.</summary>
    private protected abstract void GoOn(Bench bench);

    /// <summary>What came out on the host's side.</summary>
    private protected abstract string Seen(Bench bench);

    protected sealed override VirtioMmio Create() => CreateBench(Place).Guest.Transport;

    protected sealed override VirtioMmio CreateForLoading()
    {
        _before ??= DisturbedWithMemory();
        var (before, memory) = _before.Value;
        var bench = CreateBench(TakeOver);
        Assert.True(bench.Guest.Memory.TryWrite(TestGuest.Ram, memory));
        Inherit(before.Host, bench.Host);
        bench.Guest.Transport.Pause();
        return bench.Guest.Transport;
    }

    // The driver's side as it stands at the end of what is done before a save.
    private ITestRing[] TakeOver(Bench bench)
    {
        var rings = _benches[Disturbed()].Rings;
        foreach (var ring in rings) ring.MoveTo(bench.Guest);
        return rings;
    }

    private ITestRing[] Place(Bench bench) => [.. Enumerable.Range(0, queues).Select(ITestRing (i) => packed
        ? new PackedDriver(bench.Guest, (uint)i, 16, TestGuest.Ram + (ulong)i * RingStride).Place()
        : new SplitDriver(bench.Guest, (uint)i, 16, TestGuest.Ram + (ulong)i * RingStride).Place())];

    private (Bench, byte[]) DisturbedWithMemory()
    {
        var bench = _benches[Disturbed()];
        var memory = new byte[RamLength];
        Assert.True(bench.Guest.Memory.TryRead(TestGuest.Ram, memory));
        return (bench, memory);
    }

    protected sealed override void Disturb(VirtioMmio unit)
    {
        var bench = _benches[unit];
        var guest = bench.Guest;
        Assert.Equal(11u, guest.Negotiate((packed ? TestFeatures.Packed : TestFeatures.Plain) | features));
        Assert.Equal(queues, bench.Rings.Length);
        guest.DriverOk();
        bench.Run();
        Disturb(bench);
        _more?.Invoke(bench);
        guest.Write(0x14, 1);
        unit.Pause();
    }

    protected sealed override string Observe(VirtioMmio unit)
    {
        var bench = _benches[unit];
        var seen = new StringBuilder();
        seen.Append(CultureInfo.InvariantCulture, $"{bench.Guest.Read(0x10):x} {bench.Guest.Read(0x34)} {bench.Guest.Read(0x44)} {bench.Guest.Read(0x60)} {bench.Guest.Line.Level}\n");
        GoOn(bench);
        bench.Run();
        seen.Append(CultureInfo.InvariantCulture, $"{bench.Guest.Status:x} {bench.Guest.Read(0x60)} {bench.Guest.Line.Level} {bench.Guest.Read(0xfc)} {Convert.ToHexString(bench.Guest.ReadConfig(0, 64))}\n");
        foreach (var ring in bench.Rings)
        {
            var used = new List<string>();
            while (ring.TakeUsed() is { } buffer) used.Add($"{buffer.Id}+{buffer.Length}");
            // Requests that were under way together may end in any order.
            seen.AppendJoin(' ', used.Order(StringComparer.Ordinal)).Append('\n');
        }
        var bytes = new byte[RamLength - (Data - TestGuest.Ram)];
        Assert.True(bench.Guest.Memory.TryRead(Data, bytes));
        seen.Append(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(bytes))).Append('\n').Append(Seen(bench));
        return seen.ToString();
    }

    // The rings of a damaged state may be anything, so their driver does not look at what came back.
    protected sealed override void Use(VirtioMmio unit)
    {
        var bench = _benches[unit];
        GoOn(bench);
        bench.Run();
        for (uint queue = 0; queue < queues; queue++) bench.Guest.Notify(queue);
        bench.Helpers.Run();
        bench.Guest.Write(0x70, 0);
        Assert.Equal(11u, bench.Guest.Negotiate((packed ? TestFeatures.Packed : TestFeatures.Plain) | features));
    }

    private protected static void Store(Bench bench, ulong address, params ReadOnlySpan<byte> bytes) => Assert.True(bench.Guest.Memory.TryWrite(address, bytes));

    /// <summary>A machine that was loaded, whose host's side was changed before; the one of before did something more before it was saved.</summary>
    private protected Bench Loaded(Action<object> before, Action<Bench>? more = null)
    {
        _more = more;
        var saved = SavedFields.Write(1, Disturbed().Save);
        var unit = CreateForLoading();
        before(_benches[unit].Host);
        SavedFields.Read(saved, 1, unit.Load);
        return _benches[unit];
    }

    private VirtioMmio Disturbed()
    {
        var unit = Create();
        Disturb(unit);
        return unit;
    }

    private Bench CreateBench(Func<Bench, ITestRing[]> placed)
    {
        var helpers = new TestWorkers();
        object host = null!;
        var guest = new TestGuest(memory => Make(memory, helpers, out host), ramLength: RamLength);
        var bench = new Bench(guest, host, helpers) { Placed = placed };
        _benches.Add(guest.Transport, bench);
        return bench;
    }

    public void Dispose()
    {
        foreach (var bench in _benches.Values) bench.Guest.Dispose();
        GC.SuppressFinalize(this);
    }
}
