// The PIRQ router: four interrupt inputs that PCI functions share by level, each led to an ISA interrupt that software chooses. Where an
// input leads elsewhere, what it asserts moves with it.
using Lamina.Core.Interrupts;
using static Lamina.Devices.Chipset.I440fx.I440fxSpec;

namespace Lamina.Devices.Chipset.I440fx;

/// <summary>PIRQ A to D.</summary>
public sealed class PirqRouter
{
    private readonly Input[] _inputs;

    /// <summary>Makes one whose inputs lead nowhere.</summary>
    /// <param name="interrupts">Gives the lines to the ISA interrupts.</param>
    public PirqRouter(InterruptRouter interrupts) => _inputs = [.. Enumerable.Range(0, Pirqs).Select(_ => new Input(interrupts))];

    /// <summary>The input that pin INTA of a device is wired to, as firmware and operating systems know it: devices 1, 2, 3, 4 begin with A, B, C, D.</summary>
    public static int InputOf(int device) => (device - 1) & (Pirqs - 1);

    /// <summary>A line of a function's own to an input.</summary>
    public IInterruptLine CreateLine(int input) => new Source(_inputs[input]);

    /// <summary>Leads an input to what its register says: bit 7, reserved interrupts: nowhere.</summary>
    internal void Route(int input, byte route) => _inputs[input].Route(IsaInterruptOf(route));

    /// <summary>The ISA interrupt that a register names, or null: 0, 1, 2, 8 and 13 are not to be had (PIIX3, 2.1.16).</summary>
    internal static int? IsaInterruptOf(byte route) => (route & RouteOff) == 0 && (route & 15) is not (0 or 1 or 2 or 8 or 13) and var irq ? irq : null;

    private sealed class Input(InterruptRouter interrupts)
    {
        private readonly Lock _gate = new();
        private readonly IInterruptLine?[] _lines = new IInterruptLine?[InterruptRouterSpec.IsaIrqs];
        private IInterruptLine? _line;
        private int _asserted;

        internal void Change(Source source, bool asserted)
        {
            lock (_gate)
            {
                if (source.Level == asserted) return;
                source.Level = asserted;
                _asserted += asserted ? 1 : -1;
                if (_asserted == (asserted ? 1 : 0)) _line?.SetLevel(asserted);
            }
        }

        internal void Route(int? irq)
        {
            lock (_gate)
            {
                var line = irq is { } number ? _lines[number] ??= interrupts.CreateIsaLine(number) : null;
                if (line == _line) return;
                _line?.SetLevel(false);
                _line = line;
                _line?.SetLevel(_asserted != 0);
            }
        }
    }

    private sealed class Source(Input input) : IInterruptLine
    {
        internal bool Level { get; set; }

        public void SetLevel(bool asserted) => input.Change(this, asserted);
    }
}
