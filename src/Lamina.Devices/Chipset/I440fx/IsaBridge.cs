// The ISA bridge: the PIRQ router's registers, and others that are kept and change nothing. Interrupt controllers, timers and the reset
// control register, which are in the same chip, are devices of their own; edge and level of ISA interrupts are the 8259 pair's.
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Pci;
using static Lamina.Devices.Chipset.I440fx.I440fxSpec;

namespace Lamina.Devices.Chipset.I440fx;

/// <summary>Function 0 of the south bridge, which has others.</summary>
public sealed class IsaBridge : PciFunction
{
    private readonly PirqRouter _router;

    /// <summary>Makes it.</summary>
    /// <param name="wires">What it is connected with.</param>
    /// <param name="router">What its registers route.</param>
    public IsaBridge(PciWires wires, PirqRouter router) : base(I440fxSpec.Isa, wires)
    {
        _router = router;
        Fix(PciSpec.HeaderType, PciSpec.MoreFunctions, 1);
        // It answers at every address that nobody else takes.
        Fix(PciSpec.Command, PciSpec.AnswersPorts | PciSpec.AnswersMemory | PciSpec.BusMaster, sizeof(ushort));
        for (var i = PciSpec.FirstOwn; i < PciSpec.SpaceLength; i += 4) Fix(i, 0, sizeof(uint), uint.MaxValue);
        for (var pirq = 0; pirq < Pirqs; pirq++) Fix(PirqRoute + pirq, RouteOff, 1, writable: RouteOff | 15);
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("PIIX3 ISA bridge", 1);

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        base.Inspect(node);
        WithSpace(() =>
        {
            for (var pirq = 0; pirq < Pirqs; pirq++) node.Say($"PIRQ {(char)('A' + pirq)}", PirqRouter.IsaInterruptOf(Space[PirqRoute + pirq]) is { } irq ? $"interrupt {irq}" : "nowhere");
        });
    }

    /// <inheritdoc/>
    protected override void Written(int offset, int length)
    {
        for (var pirq = 0; pirq < Pirqs; pirq++) _router.Route(pirq, Space[PirqRoute + pirq]);
    }
}
