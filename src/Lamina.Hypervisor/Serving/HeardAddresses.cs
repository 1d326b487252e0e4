// What a guest's agent said last of its addresses. It is asked when somebody asks the machine's process, at most once at a time and once in some seconds;
// whoever asks waits for a moment at most, and what takes the agent longer is there for the next who asks.
using Lamina.Hypervisor.Contract;

namespace Lamina.Hypervisor.Serving;

/// <summary>A guest's addresses, as its agent told them.</summary>
/// <param name="ask">Asks the agent; null where there is none.</param>
/// <param name="clock">What tells how old an answer is.</param>
internal sealed class HeardAddresses(Func<CancellationToken, Task<IReadOnlyList<GuestInterface>?>> ask, TimeProvider clock)
{
    /// <summary>How long whoever asks waits for an agent.</summary>
    internal static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(500);

    /// <summary>For how long what was said, or that nothing was, is told again without asking.</summary>
    internal static readonly TimeSpan Fresh = TimeSpan.FromSeconds(2);

    /// <summary>How long an agent may take.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private IReadOnlyList<GuestInterface>? _said;
    private long? _when;
    private Task _asking = Task.CompletedTask;

    /// <summary>What was said last, however long ago; null where nothing was.</summary>
    internal IReadOnlyList<GuestInterface>? Last
    {
        get
        {
            lock (_gate) return _said;
        }
    }

    /// <summary>The addresses; null where no agent has told any.</summary>
    internal async Task<IReadOnlyList<GuestInterface>?> GetAsync(CancellationToken cancellationToken)
    {
        Task asking;
        lock (_gate)
        {
            if (_when is { } when && clock.GetElapsedTime(when) < Fresh) return _said;
            if (_asking.IsCompleted) _asking = Task.Run(AskAsync, CancellationToken.None);
            asking = _asking;
        }
        try
        {
            await asking.WaitAsync(Moment, clock, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
        }
        return Last;
    }

    private async Task AskAsync()
    {
        IReadOnlyList<GuestInterface>? said = null;
        using var patience = new CancellationTokenSource(Patience, clock);
        try
        {
            said = await ask(patience.Token).ConfigureAwait(false);
        }
        catch (Exception none) when (none is MachineException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // It refuses, does not answer, or has gone.
        }
        lock (_gate) (_said, _when) = (said, clock.GetTimestamp());
    }
}
