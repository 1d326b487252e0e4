// Machines that are saved, thrown away and loaded at random moments while their driver and the host's side go on with what they do. All
// that went in comes out, once, in order and unharmed, and everybody waits only for what they were promised.
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Block;
using Lamina.Devices.Virtio.Console;
using Lamina.Devices.Virtio.Net;
using Lamina.Host;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

public sealed class VirtioModelTests
{
    private const int Steps = 400, Runs = 8;

    public static MatrixTheoryData<bool, bool, bool> Layouts => new([false, true], [false, true], [false, true]);

    [Theory]
    [MemberData(nameof(Layouts))]
    public void A_disk_that_is_full_now_and_then_does_every_request(bool packed, bool events, bool indirect) =>
        Run((layout, random) => new ModelDisk(layout, random), new ModelLayout(packed, events, indirect));

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Frames_come_whole_and_in_order_both_ways(bool packed, bool events, bool indirect) =>
        Run((layout, random) => new ModelNet(layout, random), new ModelLayout(packed, events, indirect));

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Bytes_of_a_console_come_in_order_both_ways(bool packed, bool events, bool indirect) =>
        Run((layout, random) => new ModelConsole(layout, random), new ModelLayout(packed, events, indirect));

    private static void Run(Func<ModelLayout, Random, ModelMachine> create, ModelLayout layout)
    {
        for (var run = 0; run < Runs; run++)
        {
            var random = new Random(1000 + run);
            using var machine = create(layout, random);
            machine.Start();
            for (var step = 0; step < Steps; step++)
            {
                switch (random.Next(10))
                {
                    case < 4:
                        machine.Drive();
                        break;
                    case < 6:
                        machine.Host();
                        break;
                    case < 8:
                        machine.Work(random.Next(3));
                        break;
                    case 8:
                        machine.TakeInterrupt();
                        break;
                    default:
                        machine.Move(really: random.Next(2) == 0);
                        break;
                }
            }
            machine.Settle();
        }
    }
}

/// <summary>A machine with one device, whose driver waits for interrupts.</summary>
internal abstract class ModelMachine(ModelLayout layout, Random random, int queues, ulong features) : IDisposable
{
    protected const ulong RamLength = 0x4_0000, Data = TestGuest.Ram + 0x1_0000;

    private TestWorkers _helpers = null!;

    protected Random Random => random;

    protected ModelRing[] Rings { get; } = [.. Enumerable.Range(0, queues).Select(i => new ModelRing((uint)i, layout, TestGuest.Ram + (ulong)i * 0x1000))];

    protected TestGuest Guest { get; private set; } = null!;

    /// <summary>A fresh device, with a fresh host's side.</summary>
    protected abstract IVirtioDevice Make(GuestMemory memory, TestWorkers helpers);

    /// <summary>The driver does something.</summary>
    public abstract void Drive();

    /// <summary>Something happens on the host's side.</summary>
    public abstract void Host();

    /// <summary>The driver has a buffer back.</summary>
    protected abstract void Completed(ModelRing ring, int slot, uint length);

    /// <summary>The host's side does all that it can now.</summary>
    protected abstract void HostGoesOn();

    /// <summary>Whether all that went in came out.</summary>
    protected abstract bool IsDone { get; }

    /// <summary>Looks at the sums, when nobody has anything to do any more.</summary>
    protected abstract void AssertDone();

    public void Start()
    {
        Plug();
        Assert.Equal(11u, Guest.Negotiate(layout.Features | features));
        foreach (var ring in Rings)
        {
            ring.Place();
            ring.Unmask();
        }
        Guest.DriverOk();
    }

    /// <summary>Workers have their turn.</summary>
    public void Work(int turns)
    {
        Guest.Workers.Run(turns);
        if (random.Next(2) == 0) _helpers.Run(turns);
    }

    public void TakeInterrupt()
    {
        if (!Guest.Line.Level) return;
        Guest.Acknowledge();
        foreach (var ring in Rings)
        {
            do
            {
                ring.Mask();
                while (ring.TakeUsed() is { } used) Completed(ring, used.Slot, used.Length);
                ring.Unmask();
            }
            while (ring.HasUsed);
        }
    }

    /// <summary>The machine is saved, and goes on or is thrown away and loaded.</summary>
    public void Move(bool really)
    {
        // What helpers have begun is waited for by a pause, and here they run by nobody else.
        _helpers.Run();
        Guest.Transport.Pause();
        var saved = SavedFields.Write(1, Guest.Transport.Save);
        if (really)
        {
            var before = Guest;
            Plug();
            var bytes = new byte[RamLength];
            Assert.True(before.Memory.TryRead(TestGuest.Ram, bytes) && Guest.Memory.TryWrite(TestGuest.Ram, bytes));
            Guest.Transport.Pause();
            SavedFields.Read(saved, 1, Guest.Transport.Load);
            Assert.Equal((before.Line.Level, before.Read(0x60), before.Status), (Guest.Line.Level, Guest.Read(0x60), Guest.Status));
            before.Dispose();
        }
        Guest.Transport.Resume();
    }

    public void Settle()
    {
        // A lost notification, interrupt or buffer makes it wait for ever.
        for (var round = 0; round < 5000 && !IsDone; round++)
        {
            HostGoesOn();
            Guest.Workers.Run();
            _helpers.Run();
            Guest.Workers.Run();
            TakeInterrupt();
        }
        Assert.Empty(Guest.Log);
        Assert.Equal(15u, Guest.Status);
        AssertDone();
    }

    protected bool Toss() => random.Next(2) == 0;

    private void Plug()
    {
        var helpers = _helpers = new TestWorkers();
        Guest = new TestGuest(memory => Make(memory, helpers), ramLength: RamLength);
        foreach (var ring in Rings) ring.Guest = Guest;
    }

    public void Dispose() => Guest.Dispose();
}

/// <summary>Reads and writes of sectors, no two of one sector at a time.</summary>
internal sealed class ModelDisk(ModelLayout layout, Random random) : ModelMachine(layout, random, 1, 1 << 9)
{
    private const int Sectors = 16;

    private readonly TestDisk _disk = new(Sectors);
    private readonly byte[] _written = new byte[Sectors];
    private readonly (bool IsWrite, int Sector, byte Value)[] _requests = new (bool, int, byte)[ModelRing.Slots];
    private readonly HashSet<int> _busy = [];
    private VirtioBlock _block = null!;
    private int _done;

    protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers) =>
        _block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 2, WaitsForSpace = _ => { }, WritesWait = true }, helpers);

    public override void Drive()
    {
        var slot = Rings[0].NextSlot;
        var sector = Random.Next(Sectors);
        if (slot < 0 || !_busy.Add(sector)) return;
        var (isWrite, value) = (Toss(), (byte)Random.Next(1, 256));
        _requests[slot] = (isWrite, sector, value);
        var at = Data + (ulong)slot * 0x800;
        Guest.Store(at, isWrite ? 1ul : 0);
        Guest.Store(at + 8, (ulong)sector);
        Guest.Store(at + 0x10, (byte)0xff);
        Assert.True(Guest.Memory.TryWrite(at + 0x100, Enumerable.Repeat(isWrite ? value : (byte)0, 512).ToArray()));
        Rings[0].Offer(slot, Toss(), new Part(at, 16), new Part(at + 0x100, 512, !isWrite), new Part(at + 0x10, 1, true));
    }

    public override void Host()
    {
        _disk.Failure = Toss() ? null : new HostException("full") { IsDiskFull = true };
        if (_disk.Failure is null && Toss()) _block.Retry();
    }

    protected override void Completed(ModelRing ring, int slot, uint length)
    {
        var (isWrite, sector, value) = _requests[slot];
        var at = Data + (ulong)slot * 0x800;
        Assert.Equal((0, isWrite ? 1u : 513u), (Guest.Load<byte>(at + 0x10), length));
        if (isWrite) _written[sector] = value;
        Assert.Equal(_written[sector], _disk.Content[sector * 512 + 511]);
        if (!isWrite) Assert.Equal(_written[sector], Guest.Load<byte>(at + 0x100 + 511));
        _busy.Remove(sector);
        _done++;
    }

    protected override void HostGoesOn()
    {
        _disk.Failure = null;
        _block.Retry();
    }

    protected override bool IsDone => Rings[0].Out == 0;

    protected override void AssertDone()
    {
        Assert.Equal(0, Rings[0].Out);
        Assert.InRange(_done, 10, int.MaxValue);
    }
}

/// <summary>Numbered frames, of which those for the guest take several buffers.</summary>
internal sealed class ModelNet(ModelLayout layout, Random random) : ModelMachine(layout, random, 2, 1 << 15)
{
    private static readonly byte[] Mac = [2, 0, 0, 0, 0, 1];

    private readonly Queue<byte[]> _arriving = [];
    private readonly List<byte> _frame = [];
    private TestNet? _net;
    private int _readyCalls, _arrived, _received, _offered, _sent;
    private bool _waits;
    private int _buffersLeft;

    protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers)
    {
        if (_net is not null) LookAtSent();
        // A network that is made anew has no reason to wait.
        (_net, _readyCalls, _waits) = (new TestNet(), 0, false);
        return new VirtioNet(_net, new VirtioNetOptions(Mac));
    }

    public override void Drive() => Drive(Rings[Random.Next(2)]);

    private void Drive(ModelRing ring)
    {
        var slot = ring.NextSlot;
        if (slot < 0) return;
        var at = Data + ring.Index * 0x8000 + (ulong)slot * 0x800;
        if (ring.Index == 0)
        {
            // All eight hold the longest frame.
            ring.Offer(slot, Toss(), new Part(at, 20, true), new Part(at + 20, (uint)Random.Next(40, 100), true));
            return;
        }
        Assert.True(Guest.Memory.TryWrite(at, [.. new byte[12], .. Frame(_offered++, 60)]));
        ring.Offer(slot, Toss(), new Part(at, 12), new Part(at + 12, 60));
    }

    public override void Host()
    {
        _arriving.Enqueue(Frame(_arrived++, Random.Next(60, 400)));
        Deliver();
        LookAtSent();
    }

    protected override void Completed(ModelRing ring, int slot, uint length)
    {
        if (ring.Index == 1) return;
        var bytes = new byte[length];
        Assert.True(Guest.Memory.TryRead(Data + (ulong)slot * 0x800, bytes));
        if (_buffersLeft == 0)
        {
            // 5.1.6.4: num_buffers.
            _buffersLeft = bytes[10];
            Assert.NotEqual(0, _buffersLeft);
            bytes = bytes[12..];
        }
        _frame.AddRange(bytes);
        if (--_buffersLeft > 0) return;
        Assert.Equal(Convert.ToHexString(Frame(_received++, _frame.Count)), Convert.ToHexString([.. _frame]));
        _frame.Clear();
    }

    protected override void HostGoesOn()
    {
        Drive(Rings[0]);
        Deliver();
        LookAtSent();
    }

    protected override bool IsDone => (_sent, Rings[1].Out, _received) == (_offered, 0, _arrived);

    protected override void AssertDone()
    {
        Assert.Equal((_offered, 0, _arrived), (_sent, Rings[1].Out, _received));
        Assert.InRange(Math.Min(_arrived, _offered), 5, int.MaxValue);
    }

    private void Deliver()
    {
        if (_waits && _net!.ReadyCalls == _readyCalls) return;
        _readyCalls = _net!.ReadyCalls;
        for (_waits = false; !_waits && _arriving.TryPeek(out var frame);)
        {
            _waits = !_net!.Receiver.Receive(frame, default);
            if (!_waits) _arriving.Dequeue();
        }
    }

    private void LookAtSent()
    {
        foreach (var (frame, _) in _net!.Sent) Assert.Equal(Convert.ToHexString(Frame(_sent++, 60)), Convert.ToHexString(frame));
        _net!.Sent.Clear();
    }

    private static byte[] Frame(int number, int length)
    {
        var frame = new byte[length];
        Mac.CopyTo(frame, 0);
        for (var i = 12; i < length; i++) frame[i] = (byte)(number * 7 + i);
        (frame[12], frame[13], frame[14]) = (0x88, 0xb5, (byte)number);
        return frame;
    }
}

/// <summary>Numbered bytes.</summary>
internal sealed class ModelConsole(ModelLayout layout, Random random) : ModelMachine(layout, random, 2, 0)
{
    private readonly List<byte> _keys = [];
    private TestBackend? _backend;
    private int _readyCalls, _typed, _read, _written, _seen;

    protected override IVirtioDevice Make(GuestMemory memory, TestWorkers helpers)
    {
        if (_backend is { } before)
        {
            LookAtOutput(before);
            _keys.InsertRange(0, Enumerable.Range(_typed - _keys.Count - before.Waiting, before.Waiting).Select(i => (byte)i));
        }
        (_backend, _readyCalls) = (new TestBackend(), 0);
        return new VirtioConsole([new ConsolePort(_backend)]);
    }

    public override void Drive() => Drive(Rings[Random.Next(2)]);

    private void Drive(ModelRing ring)
    {
        var slot = ring.NextSlot;
        if (slot < 0) return;
        var at = Data + ring.Index * 0x8000 + (ulong)slot * 0x800;
        var length = Random.Next(1, 200);
        if (ring.Index == 1) Assert.True(Guest.Memory.TryWrite(at, Enumerable.Range(_written, length).Select(i => (byte)i).ToArray()));
        if (ring.Index == 1) _written += length;
        ring.Offer(slot, Toss(), new Part(at, (uint)length, ring.Index == 0));
    }

    public override void Host()
    {
        for (var count = Random.Next(1, 1500); count > 0; count--) _keys.Add((byte)_typed++);
        Type();
        LookAtOutput(_backend!);
    }

    protected override void Completed(ModelRing ring, int slot, uint length)
    {
        if (ring.Index == 1) return;
        var bytes = new byte[length];
        Assert.True(Guest.Memory.TryRead(Data + (ulong)slot * 0x800, bytes));
        foreach (var key in bytes) Assert.Equal((byte)_read++, key);
    }

    protected override void HostGoesOn()
    {
        Drive(Rings[0]);
        Type();
        LookAtOutput(_backend!);
    }

    protected override bool IsDone => (_read, _seen, Rings[1].Out) == (_typed, _written, 0);

    protected override void AssertDone()
    {
        Assert.Equal((_typed, _written, 0), (_read, _seen, Rings[1].Out));
        Assert.InRange(Math.Min(_typed, _written), 100, int.MaxValue);
    }

    // Into a backend that waits for nothing, or was told that it need not any more.
    private void Type()
    {
        var backend = _backend!;
        if (backend.Waiting != 0 && backend.ReadyCalls == _readyCalls) return;
        _readyCalls = backend.ReadyCalls;
        backend.Type([.. _keys]);
        _keys.Clear();
    }

    private void LookAtOutput(TestBackend backend)
    {
        foreach (var character in backend.Output) Assert.Equal((byte)_seen++, character);
        backend.Output.Clear();
    }
}
