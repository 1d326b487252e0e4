// The wires from devices to the interrupt controllers. A GSI is an input of the I/O APIC; the ISA interrupts reach the
// 8259 pair as well. Several devices may share one: it is asserted while at least one of them asserts it.
using Lamina.Core.Interrupts;

namespace Lamina.Devices.Chipset;

/// <summary>Hands out interrupt lines.</summary>
public sealed class InterruptRouter
{
    private readonly Input[] _inputs;

    /// <summary>Wires the inputs of the two controllers.</summary>
    public InterruptRouter(Pic8259Pair pic, IoApic ioApic)
        : this((gsi, asserted) =>
        {
            if (InterruptRouterSpec.PicInputOf(gsi) is { } input) pic.SetLine(input, asserted);
            ioApic.SetLine(gsi, asserted);
        })
    {
    }

    /// <summary>Wires the inputs to controllers that sort out GSIs themselves.</summary>
    /// <param name="setLine">Drives a GSI. Called with the GSI's lock held, once for each change.</param>
    public InterruptRouter(Action<int, bool> setLine)
    {
        _inputs = new Input[InterruptRouterSpec.Gsis];
        for (var gsi = 0; gsi < _inputs.Length; gsi++) _inputs[gsi] = new Input(gsi, setLine);
    }

    /// <summary>A new line to a GSI, for one device. Lines to the same GSI share it. Any time: devices come and go.</summary>
    /// <param name="gsi">1 to 23.</param>
    public IInterruptSource CreateLine(int gsi)
    {
        if (gsi is <= InterruptRouterSpec.ExternalGsi or >= InterruptRouterSpec.Gsis)
            throw new ArgumentOutOfRangeException(nameof(gsi), gsi, $"a device's GSI is from 1 to {InterruptRouterSpec.Gsis - 1}");
        return new Source(_inputs[gsi]);
    }

    /// <summary>A new line to an ISA interrupt.</summary>
    /// <param name="irq">0 to 15, but not 2, which is the cascade.</param>
    public IInterruptSource CreateIsaLine(int irq)
    {
        if (irq is < 0 or >= InterruptRouterSpec.IsaIrqs or Pic8259Spec.CascadeInput)
            throw new ArgumentOutOfRangeException(nameof(irq), irq, "an ISA interrupt is from 0 to 15 and not 2");
        return CreateLine(InterruptRouterSpec.GsiOf(irq));
    }

    /// <summary>One GSI: counts the sources that assert it. Its lock keeps the order of changes and stands before the controllers'.</summary>
    private sealed class Input(int gsi, Action<int, bool> setLine)
    {
        private readonly Lock _gate = new();
        private int _asserted;

        public void Change(Source source, bool asserted, bool gone = false)
        {
            lock (_gate)
            {
                if (source.IsGone) return;
                source.IsGone = gone;
                if (source.Level == asserted) return;
                source.Level = asserted;
                _asserted += asserted ? 1 : -1;
                if (_asserted == (asserted ? 1 : 0)) setLine(gsi, asserted);
            }
        }
    }

    private sealed class Source(Input input) : IInterruptSource
    {
        /// <summary>Written under the input's lock; a device drives its own line from under its own lock and so sees its last value.</summary>
        public bool Level { get; set; }

        /// <summary>Written under the input's lock: nothing is asserted by it any more.</summary>
        public bool IsGone { get; set; }

        public void SetLevel(bool asserted)
        {
            if (Level != asserted) input.Change(this, asserted);
        }

        public void Dispose() => input.Change(this, asserted: false, gone: true);
    }
}
