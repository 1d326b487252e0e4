// What a vCPU has been asked and has not done yet, as part of its state. What it is in the middle of (blocked NMIs, an interrupt
// shadow, HLT) stands beside it in VcpuState; a kick is no part of either, because it is the host's affair.
namespace Lamina.Core.Engine;

/// <summary>Events that are to be taken at the next boundary of instructions that lets them in (SDM vol. 3, table 6-2).</summary>
public readonly record struct PendingEvents
{
    /// <summary>An INIT, which is taken before all others and takes an NMI that waits with it.</summary>
    public bool Init { get; init; }

    /// <summary>A start-up IPI for a vCPU that waits for one, or will once its INIT is taken: the page to start at.</summary>
    public byte? StartUp { get; init; }

    /// <summary>A non-maskable interrupt.</summary>
    public bool Nmi { get; init; }

    /// <summary>
    /// The vector of an interrupt that its controller has handed over, so that nobody else remembers it, and that the vCPU has
    /// not been able to take.
    /// </summary>
    public byte? Interrupt { get; init; }

    /// <summary>Bits of DR6 for a debug trap that is to be taken before the next instruction, or behind it where a load of SS holds it back (<see cref="VcpuState.Shadow"/>; SDM vol. 3, 6.8.3); 0 for none.</summary>
    public ulong DebugTrap { get; init; }
}
