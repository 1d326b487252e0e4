// Has a machine that runs go on in a process of this program, in its folder, with all that it has open: disks, networks, consoles. Its process hands the memory over while the guest
// runs, closes all, and a new one opens it. Where that one cannot, the machine is written down, and the program that it had goes on with it.
using System.Diagnostics;
using System.Text.Json;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Running;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Migrating;

/// <summary>How a machine came into a new process.</summary>
/// <param name="IsSame">Whether it ran by this program already and was left as it was.</param>
/// <param name="StoodStill">For how long it stood still.</param>
/// <param name="SentBytes">What of it was sent, in bytes.</param>
/// <param name="Rounds">How many rounds there were.</param>
public sealed record Upgraded(bool IsSame, TimeSpan StoodStill, ulong SentBytes, int Rounds);

/// <summary>Gives machines new processes.</summary>
/// <param name="launcher">Starts machines' processes by another program: makes what does, of the program's path.</param>
/// <param name="program">The program that is to run them.</param>
/// <param name="store">The machines.</param>
public sealed class MachineUpgrade(Func<string, MachineLauncher> launcher, string program, MachineStore store)
{
    // A process that cannot go on with the machine says so soon, or ends; one that can has said so.
    private static readonly TimeSpan SaidWithin = TimeSpan.FromSeconds(5), RunsWithin = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan WrittenWithin = TimeSpan.FromMinutes(2), LookAgain = TimeSpan.FromMilliseconds(20);

    /// <summary>Gives one a new process. When this returns it runs in it, or runs by this program as it did before.</summary>
    /// <param name="name">The machine, which runs.</param>
    /// <param name="force">Whether it gets a new process even where it runs by this program already.</param>
    /// <param name="silence">For how long the new process may say nothing before the machine stays in the one that it has; null for two minutes.</param>
    /// <param name="cancellationToken">Leaves it as it is, as long as it runs where it was.</param>
    /// <exception cref="MachineException">It does not run, or could not go into a new process; the sentence says why and what became of it.</exception>
    public async Task<Upgraded> RunAsync(string name, bool force, TimeSpan? silence = null, CancellationToken cancellationToken = default)
    {
        var home = store.Find(name);
        using var order = await Task.Run(() => SnapshotStore.Lock(home), cancellationToken).ConfigureAwait(false);
        var client = await MachineControl.ConnectAsync(home, cancellationToken).ConfigureAwait(false);
        await using var owned = client.ConfigureAwait(false);
        using var former = FormerProgram.Of(home);
        if (!force && former?.IsSameAs(program) == true) return new Upgraded(IsSame: true, TimeSpan.Zero, 0, 0);
        var definition = MachineDisks.Whole(home, MachineFile.ReadStarted(home));
        if (definition.Pool is { } pool && new PoolStore(store).WithParents(pool).FirstOrDefault(above => above.Definition.MemoryLimit is not null) is { } limited)
            throw new MachineException(MachineError.State, $"the machine {name} is in the pool {limited.Name}, whose memory limit would count its memory twice for a moment; suspend it and start it again, or lift the limit meanwhile");
        var again = former?.Keep(home);
        try
        {
            return await HandOverAsync(client, home, definition, (again, silence), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // One that runs needs no name.
            if (again == Path.Combine(home.Folder, "former-program")) File.Delete(again);
        }
    }

    private async Task<Upgraded> HandOverAsync(MachineClient client, MachineHome home, MachineDefinition definition, (string? Again, TimeSpan? Silence) how, CancellationToken cancellationToken)
    {
        var starting = Task.CompletedTask;
        // From then on nobody waits for the new process, which ends. It may have the machine where the former one said nothing at its end.
        using var ends = new CancellationTokenSource();
        var isKnown = false;
        JsonElement outcome;
        try
        {
            outcome = await client.HandOverAsync(link => starting = Task.Run(() => launcher(program).StartSucceedingAsync(store, home, definition, link, ends.Token), CancellationToken.None), () => isKnown = true, how.Silence, cancellationToken).ConfigureAwait(false);
        }
        catch (MachineException refused)
        {
            // The new process knows better why.
            var sentence = await WhyAsync(starting, isKnown ? SaidWithin : RunsWithin, isKnown ? ends : null).ConfigureAwait(false) ?? refused.Message;
            throw new MachineException(refused.Error, MachineStore.IsHeld(home) ? $"the machine {home.Name} goes on as it was: {sentence}" : $"the machine {home.Name} was not handed over: {sentence}", refused);
        }
        if (outcome.TryGetProperty(ControlSpec.Message, out var message)) throw await GoBackAsync(home, how.Again, await WhyAsync(starting, SaidWithin, ends).ConfigureAwait(false) ?? message.GetString()!).ConfigureAwait(false);
        if (await WhyAsync(starting, RunsWithin, null).ConfigureAwait(false) is { } lost) throw new MachineException(MachineError.Host, $"the machine {home.Name} was handed over, and its new process did not say that it runs: {lost}");
        return new Upgraded(IsSame: false, TimeSpan.FromMilliseconds(outcome.GetProperty("stood-still-ms").GetDouble()), outcome.GetProperty("sent-bytes").GetUInt64(), outcome.GetProperty("rounds").GetInt32());
    }

    // The machine is being written down; its process gives the lock back when it is.
    private async Task<MachineException> GoBackAsync(MachineHome home, string? again, string sentence)
    {
        for (var begin = Stopwatch.GetTimestamp(); MachineStore.IsHeld(home) && Stopwatch.GetElapsedTime(begin) < WrittenWithin;) await Task.Delay(LookAgain).ConfigureAwait(false);
        var what = $"this program could not go on with the machine {home.Name} ({sentence.TrimEnd('.')})";
        if (MachineStore.IsHeld(home)) return new MachineException(MachineError.Busy, $"{what}; the process that it had is still writing it down, and when that has ended, 'lamina start {home.Name}' goes on there");
        try
        {
            await launcher(again ?? program).StartAsync(store, home.Name).ConfigureAwait(false);
            return new MachineException(MachineError.Host, $"{what}; the one that it had goes on with it");
        }
        catch (Exception failure) when (failure is MachineException or IOException)
        {
            return new MachineException(MachineError.Host, $"{what}, nor could the one that it had; it is suspended, and 'lamina start {home.Name}' goes on there when that is mended", failure);
        }
    }

    // One that says nothing is ended, where it has not got the machine.
    private static async Task<string?> WhyAsync(Task starting, TimeSpan within, CancellationTokenSource? ends)
    {
        var isSilent = await Task.WhenAny(starting, Task.Delay(within)).ConfigureAwait(false) != starting;
        if (isSilent && ends is null) return "it has said nothing since";
        if (isSilent) await ends!.CancelAsync().ConfigureAwait(false);
        try
        {
            await starting.ConfigureAwait(false);
            return null;
        }
        catch (Exception failure) when (failure is MachineException or IOException)
        {
            return isSilent ? null : failure.Message;
        }
    }
}
