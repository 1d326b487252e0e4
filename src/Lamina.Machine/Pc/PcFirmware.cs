// What firmware does to a PC's chipset before it loads an operating system, for a kernel that is loaded without one: leads the PIRQ
// router's inputs to interrupts and makes those level triggered, puts the power management blocks to their ports, gives every PCI
// function's base address registers a place, and tells it the interrupt of its pin. All by way of configuration space, as firmware does.
using System.Buffers.Binary;
using Lamina.Acpi;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.I440fx;
using Lamina.Devices.Pci;

namespace Lamina.Pc;

/// <summary>Sets a chipset up.</summary>
/// <param name="bus">Its PCI bus.</param>
/// <param name="wide">Where PCI devices may be put above RAM; or null.</param>
internal sealed class PcFirmware(PciBus bus, PciWindow? wide)
{
    private sealed record Register(int Function, int Offset, uint Flags, ulong Length)
    {
        internal bool IsPorts => (Flags & PciSpec.BarIsPorts) != 0;

        internal bool Is64Bits => !IsPorts && (Flags & PciSpec.BarIs64Bits) != 0;
    }

    /// <summary>Does all of it. No vCPU runs.</summary>
    /// <param name="controllers">The interrupt controllers, after their reset.</param>
    internal void Run(InterruptControllers controllers)
    {
        var isa = PciBus.Number(I440fxSpec.IsaDevice, 0);
        for (var pirq = 0; pirq < I440fxSpec.Pirqs; pirq++) Write(isa, I440fxSpec.PirqRoute + pirq, PcLayout.Routes[pirq], 1);
        MakeLevelTriggered(controllers);
        var power = PciBus.Number(I440fxSpec.IsaDevice, I440fxSpec.PowerFunction);
        Write(power, I440fxSpec.PowerBase, PcLayout.PowerPorts, sizeof(uint));
        Write(power, I440fxSpec.PowerMiscellaneous, I440fxSpec.PowerEnable, 1);
        Write(power, I440fxSpec.SmBusBase, PcLayout.SmBusPorts, sizeof(uint));
        Write(power, I440fxSpec.SmBusConfiguration, 1, 1);
        Write(power, PciSpec.InterruptLine, AcpiPmSpec.SciGsi, 1);
        var functions = Enumerable.Range(0, PciBus.Devices * PciBus.FunctionsOfDevice).Where(function => Read(function, PciSpec.Vendor, sizeof(ushort)) != ushort.MaxValue).ToArray();
        Place([.. functions.SelectMany(Registers)]);
        foreach (var function in functions)
        {
            Write(function, PciSpec.Command, Read(function, PciSpec.Command, sizeof(ushort)) | PciSpec.AnswersPorts | PciSpec.AnswersMemory, sizeof(ushort));
            if (Read(function, PciSpec.InterruptPin, 1) is > 0 and var pin)
                Write(function, PciSpec.InterruptLine, PcLayout.Routes[(PirqRouter.InputOf(function / PciBus.FunctionsOfDevice) + (int)pin - 1) % I440fxSpec.Pirqs], 1);
        }
    }

    // Ports 0x4D0 and 0x4D1, wherever the 8259 pair is.
    private static void MakeLevelTriggered(InterruptControllers controllers)
    {
        var image = controllers.Save();
        var slave = image.Slave;
        foreach (var irq in PcLayout.Routes) slave.LevelTriggered |= (byte)(1 << (irq - 8));
        controllers.Load(image with { Slave = slave });
    }

    // 6.2.5.1: what stays 0 of all ones says the size.
    private IEnumerable<Register> Registers(int function)
    {
        for (var index = 0; index < PciSpec.Bars; index++)
        {
            var offset = PciSpec.FirstBar + (index * PciSpec.BarLength);
            var before = Read(function, offset, sizeof(uint));
            Write(function, offset, uint.MaxValue, sizeof(uint));
            var answer = Read(function, offset, sizeof(uint));
            Write(function, offset, before, sizeof(uint));
            if (answer == 0) continue;
            var flags = answer & ((answer & PciSpec.BarIsPorts) != 0 ? PciSpec.PortsBarFlags : PciSpec.MemoryBarFlags);
            yield return new Register(function, offset, flags, ~(answer & ~flags) + 1ul);
            // Registers of 4 GiB or more are not for this: what is above the first 32 bits is the address's other half.
            if ((flags & (PciSpec.BarIsPorts | PciSpec.BarIs64Bits)) == PciSpec.BarIs64Bits) index++;
        }
    }

    // The largest first, which leaves no gaps; what the hole has no room for goes above RAM where it can.
    private void Place(IReadOnlyList<Register> registers)
    {
        ulong ports = PcLayout.PciPorts, low = PcLayout.PciMemory.First, high = wide?.First ?? 0;
        foreach (var register in registers.OrderByDescending(register => register.Length))
        {
            if (register.IsPorts) Put(register, ref ports, ushort.MaxValue);
            else if (!Put(register, ref low, PcLayout.PciMemory.Last) && register.Is64Bits && wide is { } above) Put(register, ref high, above.Last);
        }
    }

    private bool Put(Register register, ref ulong next, ulong last)
    {
        var start = (next + register.Length - 1) & ~(register.Length - 1);
        if (start + register.Length - 1 > last) return false;
        Write(register.Function, register.Offset, (uint)start, sizeof(uint));
        if (register.Is64Bits) Write(register.Function, register.Offset + PciSpec.BarLength, (uint)(start >> 32), sizeof(uint));
        next = start + register.Length;
        return true;
    }

    private uint Read(int function, int offset, int length)
    {
        Span<byte> data = stackalloc byte[sizeof(uint)];
        data.Clear();
        bus.Read(function, offset, data[..length]);
        return BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    private void Write(int function, int offset, uint value, int length)
    {
        Span<byte> data = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        bus.Write(function, offset, data[..length]);
    }
}
