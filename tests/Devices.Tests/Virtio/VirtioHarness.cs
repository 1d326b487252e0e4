// What virtio tests share: a machine's memory, workers that run when the test says so, an interrupt line that counts,
// and a driver that speaks the MMIO registers as a guest does, rightly or wrongly.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Char;
using Lamina.Core.Interrupts;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.Work;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Mmio;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

internal sealed class TestLine : IInterruptLine
{
    public bool Level { get; private set; }

    public int Rises { get; private set; }

    public void SetLevel(bool asserted)
    {
        if (asserted && !Level) Rises++;
        Level = asserted;
    }
}

/// <summary>Workers whose work runs inside <see cref="Run"/>.</summary>
internal sealed class TestWorkers : IWorkerFactory
{
    private readonly List<Worker> _workers = [];

    public int Created => _workers.Count;

    public bool AllDisposed => _workers.All(worker => worker.Disposed);

    public IWorker Create(string name, Action work)
    {
        var worker = new Worker(work);
        _workers.Add(worker);
        return worker;
    }

    /// <summary>Runs whatever was woken until nothing is, or for so many rounds.</summary>
    public void Run(int rounds = 1000)
    {
        while (rounds-- > 0 && _workers.FirstOrDefault(worker => worker.Woken) is { } next) next.RunOnce();
    }

    private sealed class Worker(Action work) : IWorker
    {
        public bool Woken { get; private set; }

        public bool Disposed { get; private set; }

        public void Wake() => Woken = true;

        public void RunOnce()
        {
            Woken = false;
            work();
        }

        public void Dispose() => Disposed = true;
    }
}

/// <summary>Counts the writes that the engine would be told of.</summary>
internal sealed class TestWatcher : IGuestMemoryWatcher
{
    public List<(ulong Address, ulong Length)> Writes { get; } = [];

    public void Written(ulong address, ulong length) => Writes.Add((address, length));
}

/// <summary>A device whose queue work is the test's.</summary>
internal class TestDevice(int queues, ushort size = 16, ulong features = 1) : IVirtioDevice
{
    public IVirtioHost Host { get; private set; } = null!;

    public ulong ActivatedFeatures { get; private set; }

    public int Activations { get; private set; }

    public int Resets { get; private set; }

    public List<int> StoppedQueues { get; } = [];

    public byte[] Config { get; } = [1, 2, 3, 4, 5, 6, 7, 8];

    public ulong Refused { get; set; }

    /// <summary>What to do with a queue; by default every buffer is given back with nothing written.</summary>
    public Func<Virtqueue, bool> Work { get; set; } = queue =>
    {
        while (queue.TryTake(out var chain)) queue.Complete(chain, 0);
        return false;
    };

    public VirtioDeviceType Type => VirtioDeviceType.Block;

    public ulong Features => features;

    public IReadOnlyList<VirtioQueueSpec> Queues { get; } = [.. Enumerable.Range(0, queues).Select(i => new VirtioQueueSpec(size, i))];

    public uint ConfigGeneration { get; set; }

    public void Attach(IVirtioHost host) => Host = host;

    public bool Accepts(ulong features) => (features & Refused) == 0;

    public void ReadConfig(int offset, Span<byte> data)
    {
        data.Clear();
        for (var i = 0; i < data.Length && offset + i < Config.Length; i++) data[i] = Config[offset + i];
    }

    public void WriteConfig(int offset, ReadOnlySpan<byte> data)
    {
        for (var i = 0; i < data.Length && offset + i < Config.Length; i++) Config[offset + i] = data[i];
    }

    public void Activate(ulong features)
    {
        ActivatedFeatures = features;
        Activations++;
    }

    public bool ProcessQueue(int index) => Work(Host.Queues[index]);

    public void StopQueue(int index) => StoppedQueues.Add(index);

    public void Reset() => Resets++;
}

/// <summary>Collects output; offers input until it is taken, when the device says so.</summary>
internal class TestBackend : ICharBackend
{
    private readonly List<byte> _input = [];
    private ICharReceiver? _receiver;

    public List<byte> Output { get; } = [];

    public int ReadyCalls { get; private set; }

    public int Waiting => _input.Count;

    /// <summary>How many more bytes of output it takes.</summary>
    public int Room { get; set; } = int.MaxValue;

    public int Write(ReadOnlySpan<byte> data)
    {
        var taken = Math.Min(data.Length, Room);
        Output.AddRange(data[..taken]);
        if (Room != int.MaxValue) Room -= taken;
        return taken;
    }

    /// <summary>Takes more output from now on and says so.</summary>
    public void MakeRoom(int bytes = int.MaxValue)
    {
        Room = bytes;
        _receiver!.ReadyToSend();
    }

    public void Attach(ICharReceiver receiver) => _receiver = receiver;

    public void ReadyToReceive() => ReadyCalls++;

    /// <summary>Has input delivered as far as the device takes it now.</summary>
    public void Type(params ReadOnlySpan<byte> data)
    {
        _input.AddRange(data);
        if (_input.Count != 0) _input.RemoveRange(0, _receiver!.Receive([.. _input]));
    }

    public void Dispose()
    {
    }
}

internal sealed class TestConnectedBackend : TestBackend, ICharConnection
{
    public bool IsConnected { get; private set; }

    public event Action? ConnectionChanged;

    public void SetConnected(bool connected)
    {
        IsConnected = connected;
        ConnectionChanged?.Invoke();
    }
}

/// <summary>Where the driver's side of queues lies.</summary>
internal interface ITestGuest
{
    T Load<T>(ulong address) where T : unmanaged;

    void Store<T>(ulong address, T value) where T : unmanaged;

    void PlaceQueue(uint index, uint size, ulong descriptors, ulong driver, ulong device);
}

/// <summary>A guest with one virtio device.</summary>
internal sealed class TestGuest : ITestGuest, IDisposable
{
    public const ulong Ram = 0x10_0000;
    public const ulong RamLength = 0x40_0000;

    public TestGuest(IVirtioDevice device, bool packedRings = true, ulong ramLength = RamLength) : this(_ => device, packedRings, ramLength)
    {
    }

    /// <summary>A guest whose device needs its memory.</summary>
    public TestGuest(Func<GuestMemory, IVirtioDevice> device, bool packedRings = true, ulong ramLength = RamLength)
    {
        Memory = new GuestMemory([new MemoryRange(Ram, ramLength)]);
        Memory.Watch(Watcher);
        Transport = new VirtioMmio(device(Memory), new VirtioOptions(Memory, Workers, Core.Logging.Log.To(line => Log.Add(line.Message), LogLevel.Trace).CreateLog("test"), packedRings), Line);
    }

    public GuestMemory Memory { get; }

    public TestWatcher Watcher { get; } = new();

    public TestWorkers Workers { get; } = new();

    public TestLine Line { get; } = new();

    public List<string> Log { get; } = [];

    public VirtioMmio Transport { get; }

    public uint Status => Read(0x70);

    public bool NeedsReset => (Status & 64) != 0;

    public uint Read(ulong offset)
    {
        Span<byte> data = stackalloc byte[4];
        Assert.Equal(AccessResult.Ok, Transport.Read(offset, data));
        return BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    public void Write(ulong offset, uint value)
    {
        Span<byte> data = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        Assert.Equal(AccessResult.Ok, Transport.Write(offset, data));
    }

    public byte[] ReadConfig(ulong offset, int length)
    {
        var data = new byte[length];
        Assert.Equal(AccessResult.Ok, Transport.Read(0x100 + offset, data));
        return data;
    }

    public ulong OfferedFeatures()
    {
        Write(0x14, 0);
        ulong features = Read(0x10);
        Write(0x14, 1);
        return features | (ulong)Read(0x10) << 32;
    }

    /// <summary>Goes through initialization up to FEATURES_OK; the status that stands then.</summary>
    public uint Negotiate(ulong features)
    {
        Write(0x70, 0);
        Write(0x70, 1);
        Write(0x70, 3);
        Write(0x24, 0);
        Write(0x20, (uint)features);
        Write(0x24, 1);
        Write(0x20, (uint)(features >> 32));
        Write(0x70, 11);
        return Status;
    }

    public void PlaceQueue(uint index, uint size, ulong descriptors, ulong driver, ulong device)
    {
        Write(0x30, index);
        Write(0x38, size);
        Write(0x80, (uint)descriptors);
        Write(0x84, (uint)(descriptors >> 32));
        Write(0x90, (uint)driver);
        Write(0x94, (uint)(driver >> 32));
        Write(0xa0, (uint)device);
        Write(0xa4, (uint)(device >> 32));
        Write(0x44, 1);
    }

    public void DriverOk() => Write(0x70, 15);

    public void Notify(uint queue)
    {
        Write(0x50, queue);
        Workers.Run();
    }

    public uint Acknowledge()
    {
        var causes = Read(0x60);
        Write(0x64, causes);
        return causes;
    }

    public T Load<T>(ulong address) where T : unmanaged
    {
        Assert.True(Memory.TryRead(address, out T value));
        return value;
    }

    public void Store<T>(ulong address, T value) where T : unmanaged => Assert.True(Memory.TryWrite(address, value));

    public void Dispose()
    {
        Transport.Dispose();
        Memory.Dispose();
    }
}
