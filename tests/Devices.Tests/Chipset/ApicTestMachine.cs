// The interrupt controllers of a machine with recorded vCPUs, and short words for what a guest does to a local APIC.
using Lamina.Core.Interrupts;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

internal sealed class ApicTestMachine
{
    public ApicTestMachine(int vcpus = 1)
    {
        Controllers = new InterruptControllers(Clock, vcpus);
        Signals = [.. Controllers.LocalApics.Select(_ => new RecordingSignal())];
        for (var i = 0; i < vcpus; i++) Controllers.LocalApics[i].Attach(Signals[i]);
    }

    public ManualClock Clock { get; } = new();

    public InterruptControllers Controllers { get; }

    public RecordingSignal[] Signals { get; }

    public LocalApic this[int vcpu] => Controllers.LocalApics[vcpu];

    /// <summary>Sets the software enable of all local APICs.</summary>
    public ApicTestMachine Enabled()
    {
        foreach (var apic in Controllers.LocalApics) apic.Set(0xf0, 0x1ff);
        return this;
    }

    public bool Send(InterruptDeliveryMode mode, byte vector, uint destination = 0, bool logical = false, bool level = false) =>
        Controllers.Bus!.Deliver(new InterruptMessage(destination, logical, mode, vector, level));

    public void InitialisePic()
    {
        var pic = Controllers.Pic!;
        foreach (var (chip, vector, cascade) in new[] { (pic.Master, 0x20, 4), (pic.Slave, 0x28, 2) })
        {
            chip.Out(0, 0x11);
            chip.Out(1, vector);
            chip.Out(1, cascade);
            chip.Out(1, 0x01);
        }
    }
}

internal static class LocalApicExtensions
{
    private const ulong Enable = 0x800, X2Apic = 0x400;

    /// <summary>Reads a register of the xAPIC page.</summary>
    public static uint Get(this LocalApic apic, ulong offset) => apic.Mmio.In32(offset);

    /// <summary>Writes a register of the xAPIC page.</summary>
    public static void Set(this LocalApic apic, ulong offset, uint value) => apic.Mmio.Out32(offset, value);

    public static ulong ReadMsr(this LocalApic apic, uint index)
    {
        Assert.True(apic.TryReadMsr(index, out var value));
        return value;
    }

    public static void WriteMsr(this LocalApic apic, uint index, ulong value) => Assert.True(apic.TryWriteMsr(index, value));

    public static void EnterX2Apic(this LocalApic apic) => apic.WriteMsr(0x1b, apic.ReadMsr(0x1b) | Enable | X2Apic);

    /// <summary>Takes everything that waits, ending each, in order.</summary>
    public static List<int> Drain(this LocalApic apic)
    {
        var vectors = new List<int>();
        while (apic.HasInterrupt)
        {
            vectors.Add(apic.Acknowledge());
            apic.Set(0xb0, 0);
        }
        return vectors;
    }
}
