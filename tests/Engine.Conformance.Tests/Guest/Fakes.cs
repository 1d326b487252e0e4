// The rest of a machine, as little of it as an engine needs.
using System.Collections.Concurrent;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Time;

namespace Lamina.Tests.Engine.Conformance.Guest;

/// <summary>Ports and memory where nothing is, but for one port whose writes are told.</summary>
internal sealed class FakeBus : IVcpuBus
{
    /// <summary>Called at a write to <see cref="GuestTables.EndPort"/>.</summary>
    public Action? Ended { get; set; }

    /// <summary>Called at other ports.</summary>
    public Action<ushort>? PortWritten { get; set; }

    public void ReadPort(ushort port, Span<byte> data) => data.Fill(0xff);

    public void WritePort(ushort port, ReadOnlySpan<byte> data)
    {
        if (port == GuestTables.EndPort) Ended?.Invoke();
        else PortWritten?.Invoke(port);
    }

    public void ReadMemory(ulong address, Span<byte> data) => data.Fill(0xff);

    public void WriteMemory(ulong address, ReadOnlySpan<byte> data)
    {
    }
}

/// <summary>A local APIC that hands out the vectors it is given.</summary>
internal sealed class FakeApic : ILocalInterruptController, IBusDevice
{
    private readonly ConcurrentQueue<byte> _pending = [];

    public bool HasInterrupt => !_pending.IsEmpty;

    public byte TaskPriority { get; set; }

    public ulong? MmioBase => null;

    public IBusDevice Mmio => this;

    public void Raise(byte vector) => _pending.Enqueue(vector);

    public int Acknowledge() => _pending.TryDequeue(out var vector) ? vector : -1;

    public bool TryReadMsr(uint index, out ulong value)
    {
        value = index == 0x1b ? 0xfee0_0900 : 0;
        return index == 0x1b;
    }

    public bool TryWriteMsr(uint index, ulong value) => index == 0x1b;

    public void Init() => _pending.Clear();

    public void Reset() => _pending.Clear();

    public AccessResult Read(ulong offset, Span<byte> data) => AccessResult.Unclaimed;

    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data) => AccessResult.Unclaimed;
}

/// <summary>A clock that stands still.</summary>
internal sealed class FakeClock : IMachineClock
{
    public long NowNanoseconds => 0;

    public DateTimeOffset WallClock => DateTimeOffset.UnixEpoch;

    public ulong TscHz => 1_000_000_000;

    public ulong ReadTsc() => 0;

    public IDeviceTimer CreateTimer(Action expired) => new Timer();

    private sealed class Timer : IDeviceTimer
    {
        public void Arm(long deadlineNanoseconds)
        {
        }

        public void Cancel()
        {
        }

        public void Dispose()
        {
        }
    }
}
