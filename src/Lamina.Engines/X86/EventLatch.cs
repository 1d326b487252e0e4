// What others ask of a vCPU, and what it is doing: the one place of kicks, NMIs, INIT, start-up and HLT, for both engines. Anybody
// may ask, from any thread; only the vCPU's own thread takes. How an event changes registers is the engine's affair, and so is to
// wake the thread; maskable interrupts wait in their controller.
using Lamina.Core.Engine;

namespace Lamina.Engines.X86;

/// <summary>Pending events of one vCPU.</summary>
/// <param name="isBootstrap">Whether INIT starts it at the reset vector rather than making it wait for a start-up IPI (SDM vol. 3, 9.4.1).</param>
internal sealed class EventLatch(bool isBootstrap)
{
    private const int Kick = 1, Nmi = 2, Init = 4, StartUp = 8, Resets = Init | StartUp | VectorMask;
    private const int VectorShift = 8, VectorMask = 0xff << VectorShift;

    // One word, so that an INIT and the start-up IPIs around it keep their order.
    private int _asked;

    /// <summary>What the vCPU is doing. Its own thread's.</summary>
    public VcpuActivity Activity { get; set; } = isBootstrap ? VcpuActivity.Running : VcpuActivity.WaitForStartUp;

    /// <summary>The vector of an interrupt that its controller has handed over and that is not delivered yet, or -1. The vCPU's own thread's.</summary>
    public int Interrupt { get; set; } = -1;

    /// <summary>Whether somebody wants the vCPU's thread back.</summary>
    public bool IsKicked => (Volatile.Read(ref _asked) & Kick) != 0;

    /// <summary>Whether a non-maskable interrupt waits.</summary>
    public bool HasNmi => (Volatile.Read(ref _asked) & Nmi) != 0;

    /// <summary>Whether an INIT or a start-up IPI waits.</summary>
    public bool HasReset => (Volatile.Read(ref _asked) & (Init | StartUp)) != 0;

    // ---- any thread ----

    /// <summary>Wants the thread back.</summary>
    public void AskKick() => Interlocked.Or(ref _asked, Kick);

    /// <summary>A non-maskable interrupt; one more than one that waits is lost (SDM vol. 3, 6.7.1).</summary>
    public void AskNmi() => Interlocked.Or(ref _asked, Nmi);

    /// <summary>INIT: only a start-up IPI that comes after it counts.</summary>
    public void AskInit() => Change(static (asked, _) => asked & ~Resets | Init, 0);

    /// <summary>A start-up IPI; the last one counts.</summary>
    public void AskStartUp(byte vector) => Change(static (asked, vector) => asked & ~VectorMask | StartUp | vector << VectorShift, vector);

    // ---- the vCPU's thread ----

    /// <summary>Takes a kick; false where there is none.</summary>
    public bool TryTakeKick() => (Interlocked.And(ref _asked, ~Kick) & Kick) != 0;

    /// <summary>Takes a non-maskable interrupt; false where none waits.</summary>
    public bool TryTakeNmi() => (Interlocked.And(ref _asked, ~Nmi) & Nmi) != 0;

    /// <summary>
    /// Takes an INIT and a start-up IPI, and sets <see cref="Activity"/>. INIT takes an NMI that waits with it; one that comes while
    /// the vCPU waits for start-up waits, too. A start-up IPI that nobody waits for is dropped (SDM vol. 3, 9.4.4).
    /// </summary>
    /// <returns>Whether there was an INIT; and the page to start at, or -1.</returns>
    public (bool Init, int StartUp) TakeReset()
    {
        var asked = Change(static (asked, _) => asked & ~((asked & Init) != 0 ? Resets | Nmi : Resets), 0);
        var init = (asked & Init) != 0;
        if (init) (Activity, Interrupt) = (isBootstrap ? VcpuActivity.Running : VcpuActivity.WaitForStartUp, -1);
        if ((asked & StartUp) == 0 || Activity != VcpuActivity.WaitForStartUp) return (init, -1);
        Activity = VcpuActivity.Running;
        return (init, (asked & VectorMask) >> VectorShift);
    }

    /// <summary>What waits, as part of a state.</summary>
    public PendingEvents Save()
    {
        var asked = Volatile.Read(ref _asked);
        return new PendingEvents
        {
            Init = (asked & Init) != 0,
            StartUp = (asked & StartUp) != 0 ? (byte)(asked >> VectorShift) : null,
            Nmi = (asked & Nmi) != 0,
            Interrupt = Interrupt >= 0 ? (byte)Interrupt : null,
        };
    }

    /// <summary>Has a state's events wait instead of all others; a kick stays.</summary>
    public void Load(in PendingEvents events)
    {
        var asked = (events.Init ? Init : 0) | (events.Nmi ? Nmi : 0) | (events.StartUp is { } vector ? StartUp | vector << VectorShift : 0);
        Change(static (old, asked) => old & Kick | asked, asked);
        Interrupt = events.Interrupt ?? -1;
    }

    // Returns what was there before.
    private int Change(Func<int, int, int> next, int argument)
    {
        while (true)
        {
            var asked = Volatile.Read(ref _asked);
            if (Interlocked.CompareExchange(ref _asked, next(asked, argument), asked) == asked) return asked;
        }
    }
}
