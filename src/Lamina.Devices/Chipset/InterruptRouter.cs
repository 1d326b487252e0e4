// The wires from devices to the interrupt controllers. A GSI is an input of the I/O APIC; the ISA interrupts reach the
// 8259 pair as well. Several devices may share one: it is asserted while at least one of them asserts it.
using Lamina.Core.Interrupts;

namespace Lamina.Devices.Chipset;

/// <summary>
/// Constants of a PC's interrupt wiring, and what the MADT must say of it: one interrupt source override for
/// <see cref="TimerIrq"/> → <see cref="TimerGsi"/> with flags 0, and one for the SCI → its GSI with <see cref="LevelHighFlags"/>.
/// </summary>
public static class InterruptRouterSpec
{
    /// <summary>GSIs 0 to 23.</summary>
    public const int Gsis = IoApicSpec.Inputs;

    /// <summary>ISA interrupts 0 to 15.</summary>
    public const int IsaIrqs = Pic8259Spec.Inputs;

    /// <summary>The GSI that only carries the 8259 pair's output (ExtINT).</summary>
    public const int ExternalGsi = 0;

    /// <summary>The ISA timer interrupt, which is another GSI.</summary>
    public const int TimerIrq = 0, TimerGsi = 2;

    /// <summary>MPS INTI flags of an active-high, level-triggered interrupt (ACPI 6.5, table 5.26).</summary>
    public const ushort LevelHighFlags = 0xd;

    /// <summary>The GSI of an ISA interrupt.</summary>
    public static int GsiOf(int isaIrq) => isaIrq == TimerIrq ? TimerGsi : isaIrq;
}

/// <summary>Hands out interrupt lines.</summary>
public sealed class InterruptRouter
{
    private readonly Input[] _inputs;

    /// <summary>Wires the inputs of the two controllers.</summary>
    public InterruptRouter(Pic8259Pair pic, IoApic ioApic)
    {
        _inputs = new Input[InterruptRouterSpec.Gsis];
        for (var gsi = 0; gsi < _inputs.Length; gsi++) _inputs[gsi] = new Input(gsi, pic, ioApic);
    }

    /// <summary>A new line to a GSI, for one device. Lines to the same GSI share it.</summary>
    /// <param name="gsi">1 to 23.</param>
    public IInterruptLine CreateLine(int gsi)
    {
        if (gsi is <= InterruptRouterSpec.ExternalGsi or >= InterruptRouterSpec.Gsis)
            throw new ArgumentOutOfRangeException(nameof(gsi), gsi, $"a device's GSI is from 1 to {InterruptRouterSpec.Gsis - 1}");
        return new Source(_inputs[gsi]);
    }

    /// <summary>A new line to an ISA interrupt.</summary>
    /// <param name="irq">0 to 15, but not 2, which is the cascade.</param>
    public IInterruptLine CreateIsaLine(int irq)
    {
        if (irq is < 0 or >= InterruptRouterSpec.IsaIrqs or Pic8259Spec.CascadeInput)
            throw new ArgumentOutOfRangeException(nameof(irq), irq, "an ISA interrupt is from 0 to 15 and not 2");
        return CreateLine(InterruptRouterSpec.GsiOf(irq));
    }

    /// <summary>One GSI: counts the sources that assert it. Its lock keeps the order of changes and stands before the controllers'.</summary>
    private sealed class Input(int gsi, Pic8259Pair pic, IoApic ioApic)
    {
        private readonly Lock _gate = new();
        private readonly int _picInput = gsi == InterruptRouterSpec.TimerGsi ? InterruptRouterSpec.TimerIrq
            : gsi < InterruptRouterSpec.IsaIrqs ? gsi : -1;
        private int _asserted;

        public void Change(Source source, bool asserted)
        {
            lock (_gate)
            {
                if (source.Level == asserted) return;
                source.Level = asserted;
                _asserted += asserted ? 1 : -1;
                if (_asserted != (asserted ? 1 : 0)) return;
                if (_picInput >= 0) pic.SetLine(_picInput, asserted);
                ioApic.SetLine(gsi, asserted);
            }
        }
    }

    private sealed class Source(Input input) : IInterruptLine
    {
        /// <summary>Written under the input's lock; a device drives its own line from under its own lock and so sees its last value.</summary>
        public bool Level { get; set; }

        public void SetLevel(bool asserted)
        {
            if (Level != asserted) input.Change(this, asserted);
        }
    }
}
