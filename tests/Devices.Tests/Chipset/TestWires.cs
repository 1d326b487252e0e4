// The other ends of a device's wires, recorded.
using Lamina.Core.Bus;
using Lamina.Core.Char;
using Lamina.Core.Interrupts;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

internal sealed class RecordingLine : IInterruptLine
{
    public bool Level { get; private set; }

    /// <summary>Rising edges so far.</summary>
    public int Edges { get; private set; }

    public void SetLevel(bool asserted)
    {
        if (asserted && !Level) Edges++;
        Level = asserted;
    }
}

internal sealed class RecordingSignal : IVcpuSignal
{
    public int Pending { get; private set; }

    public int NonMaskable { get; private set; }

    public int Inits { get; private set; }

    public List<byte> StartUps { get; } = [];

    public void InterruptPending() => Pending++;

    public void NonMaskableInterrupt() => NonMaskable++;

    public void Init() => Inits++;

    public void StartUp(byte vector) => StartUps.Add(vector);
}

/// <summary>A backend that keeps what was written and offers input when told to.</summary>
internal sealed class ScriptedBackend : ICharBackend
{
    private readonly Queue<byte> _input = new();
    private ICharReceiver? _receiver;

    public List<byte> Written { get; } = [];

    public int ReadyCalls { get; private set; }

    public int Waiting => _input.Count;

    /// <summary>How many more bytes of output it takes.</summary>
    public int Room { get; set; } = int.MaxValue;

    public int Write(ReadOnlySpan<byte> data)
    {
        var taken = Math.Min(data.Length, Room);
        Written.AddRange(data[..taken]);
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

    /// <summary>How often time was to pass.</summary>
    public int Lingers { get; private set; }

    public void Linger() => Lingers++;

    public void Type(params ReadOnlySpan<byte> data)
    {
        foreach (var value in data) _input.Enqueue(value);
        Offer();
    }

    /// <summary>What a backend's thread does after ReadyToReceive.</summary>
    public void Offer()
    {
        var taken = _receiver!.Receive(_input.ToArray());
        while (taken-- > 0) _input.Dequeue();
    }

    public void Dispose()
    {
    }
}

internal static class BusDeviceExtensions
{
    public static byte In(this IBusDevice device, ulong offset)
    {
        Span<byte> data = stackalloc byte[1];
        Assert.Equal(AccessResult.Ok, device.Read(offset, data));
        return data[0];
    }

    public static void Out(this IBusDevice device, ulong offset, int value) =>
        Assert.Equal(AccessResult.Ok, device.Write(offset, [(byte)value]));

    public static uint In32(this IBusDevice device, ulong offset)
    {
        Span<byte> data = stackalloc byte[4];
        Assert.Equal(AccessResult.Ok, device.Read(offset, data));
        return BitConverter.ToUInt32(data);
    }

    public static void Out32(this IBusDevice device, ulong offset, uint value) =>
        Assert.Equal(AccessResult.Ok, device.Write(offset, BitConverter.GetBytes(value)));
}
