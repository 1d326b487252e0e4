// Starts a machine's process, locked before its first instruction, and waits until the machine runs, or until it is said why it cannot.
using System.Collections;
using System.Runtime.InteropServices;
using System.Text.Json;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Running;

/// <summary>Starts machines, each in a process of its own.</summary>
/// <param name="program">The program to start: one that hands its words after <paramref name="words"/> to <see cref="MachineProcess"/>, the store's folder, the machine's name, a word on the lock that it is in, one on its control groups, and its number.</param>
/// <param name="words">The words before these.</param>
public sealed class MachineLauncher(string program, params IReadOnlyList<string> words)
{
    /// <summary>The last word of a process that is to wait: it is for <see cref="WaitingProcess"/>.</summary>
    public const string Waits = "waits";

    /// <summary>The same of one that a machine is to come to: it is for <see cref="ArrivingProcess"/>.</summary>
    public const string Arrives = "arrives";

    /// <summary>The same of one that takes the place of another process: it is for <see cref="SucceedingProcess"/>.</summary>
    public const string Succeeds = "succeeds";

    private const string Scratch = "TMPDIR";

    // Of a thread that does one thing.
    private const int SmallStack = 1 << 16;

    /// <summary>Starts a machine's process.</summary>
    /// <param name="store">Its store.</param>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Ends the wait; the process goes on.</param>
    /// <exception cref="MachineException">The machine cannot run; the sentence is the one of its process.</exception>
    public async Task StartAsync(MachineStore store, string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        var home = store.Find(name);
        var known = MachineStore.Look(home);
        if (!known.IsRunning) MigrationRecord.Check(home);
        // One that was suspended goes on as it was, whatever its definition says by now.
        var definition = known.Suspended is { } suspended ? suspended.Moved(Machine.DefinitionOf(suspended.StateOf(home)), home) : known.Definition;
        if (known.Suspended is not null) HostClaim.Check(home, MachineFile.ReadStarted(home), definition!);
        else if (definition is not null && !known.IsRunning)
        {
            // Its process reaches files that there are.
            Machine.MakeDisks(definition);
            Machine.UnpackKernel(MachineDisks.Whole(home, definition));
            MachineFile.WriteStarted(home, definition);
        }
        var pools = definition?.Pool is { } pool ? new PoolStore(store).WithParents(pool) : [];
        using var reserved = definition is null ? null : Reservations.Take(store, new Reserving(name, definition), pools);
        using var process = Start(home, definition, pools, store.Folder, null);
        await BeginAsync(process, $"the process of the machine {name}", name, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Starts a process that waits to be a copy of a machine (<see cref="WaitingProcess"/>). Done when it waits.</summary>
    /// <param name="store">The store.</param>
    /// <param name="home">Its folder, in which all lies that the copy needs.</param>
    /// <param name="definition">What the copy is to be.</param>
    /// <param name="channel">The channel that leads to the machine's process.</param>
    /// <param name="cancellationToken">Ends the wait; the process goes on.</param>
    /// <exception cref="MachineException">It cannot wait; the sentence is the one of its process.</exception>
    internal async Task StartWaitingAsync(MachineStore store, MachineHome home, MachineDefinition definition, SafeHandle channel, CancellationToken cancellationToken)
    {
        var pools = definition.Pool is { } pool ? new PoolStore(store).WithParents(pool) : [];
        using var process = Start(home, definition, pools, store.Folder, channel);
        await BeginAsync(process, "the process of a copy", home.Name, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Starts a process that a machine is to come to (<see cref="ArrivingProcess"/>). Done when it has built it.</summary>
    /// <param name="store">The store.</param>
    /// <param name="home">Its folder, in which all lies that it needs.</param>
    /// <param name="definition">What it is to be.</param>
    /// <param name="link">Leads to where it comes from.</param>
    /// <param name="cancellationToken">Ends the wait; the process goes on.</param>
    /// <exception cref="MachineException">It cannot be; the sentence is the one of its process.</exception>
    internal async Task StartArrivingAsync(MachineStore store, MachineHome home, MachineDefinition definition, SafeHandle link, CancellationToken cancellationToken)
    {
        using var process = Start(home, definition, [], store.Folder, link, Arrives);
        await BeginAsync(process, $"the process of the machine {home.Name}", home.Name, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Starts a process that takes the place of a machine's process (<see cref="SucceedingProcess"/>). Done when the machine runs in it.</summary>
    /// <param name="store">The store.</param>
    /// <param name="home">The machine's folder.</param>
    /// <param name="definition">What it is.</param>
    /// <param name="link">Leads to the process that has it.</param>
    /// <param name="cancellationToken">Ends the wait, and the process.</param>
    /// <exception cref="MachineException">It cannot; the sentence is the one of its process.</exception>
    internal async Task StartSucceedingAsync(MachineStore store, MachineHome home, MachineDefinition definition, SafeHandle link, CancellationToken cancellationToken)
    {
        var pools = definition.Pool is { } pool ? new PoolStore(store).WithParents(pool) : [];
        ConfinedProcess process;
        using (link) process = Start(home, definition, pools, store.Folder, link, Succeeds);
        using (process)
        {
            // What it says is read until it ends.
            await using var ends = cancellationToken.UnsafeRegister(_ => HostProcess.Kill(process.Id), null).ConfigureAwait(false);
            await BeginAsync(process, $"the new process of the machine {home.Name}", home.Name, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>The same for one that nobody waits for: where it cannot wait there is one less.</summary>
    /// <exception cref="IOException">The host makes no process.</exception>
    internal void StartWaiting(MachineStore store, MachineHome home, MachineDefinition definition, SafeHandle channel)
    {
        var pools = definition.Pool is { } pool ? new PoolStore(store).WithParents(pool) : [];
        using var process = Start(home, definition, pools, store.Folder, channel);
        new Thread(() => _ = process.Wait(), SmallStack) { IsBackground = true, Name = "waits for a process" }.Start();
    }

    private static async Task BeginAsync(ConfinedProcess process, string what, string name, CancellationToken cancellationToken)
    {
        // A process that has ended keeps its number until somebody has asked for its end.
        var ended = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => ended.SetResult(process.Wait()), SmallStack) { IsBackground = true, Name = $"waits for {name}" }.Start();
        using var output = new StreamReader(process.Output);
        var said = await output.ReadLineAsync(cancellationToken).ConfigureAwait(false);
        if (said is null)
        {
            // It died before it could say anything in the agreed form.
            using var reader = new StreamReader(process.Errors);
            var errors = await reader.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
            var code = await ended.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            var last = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault();
            throw new MachineException(MachineError.Host, $"{what} ended at once with exit code {code}{(last is null ? "" : $": {last}")}");
        }
        using var answer = Parse(said) ?? throw new MachineException(MachineError.Host, $"{what} says what is not understood: {said}");
        var root = answer.RootElement;
        if (root.TryGetProperty(ControlSpec.Ok, out _)) return;
        throw ControlErrors.ToException(root.TryGetProperty(ControlSpec.Error, out var refusal) ? refusal.GetString() ?? "" : "", root.TryGetProperty(ControlSpec.Message, out var message) ? message.GetString() ?? said : said);
    }

    private ConfinedProcess Start(MachineHome home, MachineDefinition? definition, IReadOnlyList<Pool> pools, string folder, SafeHandle? channel, string role = Waits)
    {
        var plan = LockPlan.Of(home, definition, HostProcess.IsRoot);
        // In a user namespace the process could not.
        if (!MachineStore.IsHeld(home)) MachineUser.TakeBack(home);
        // Where it writes what is of no name: it reaches no other place.
        var scratch = Directory.CreateDirectory(home.Work, MachineStore.Private).FullName;
        // It is mounted upon, and the last process may have left something else there.
        if (NamedFile.KindOf(home.Root, followsLink: false) is { } kind and not NamedKind.Folder) throw new MachineException(MachineError.File, $"{home.Root} is {NamedFile.Describe(kind)}, and no folder; remove it, since no machine leaves such a thing there");
        var groups = LimitGroups.Make(home, pools, sentence => Say(home, sentence));
        var ofGroups = groups.Paths.Select(path => new PathRule(path, PathRights.Read | PathRights.Write)).ToList();
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(variable => KeyValuePair.Create((string)variable.Key, (string)variable.Value!)).Where(variable => variable.Key != Scratch).Append(KeyValuePair.Create(Scratch, scratch));
        return ConfinedProcess.Start(program, confined => [.. words, folder, home.Name, LockReport.Of(confined, plan).Word, groups.ToString(), ConfinedProcess.OwnNumber, .. channel is null ? Array.Empty<string>() : [role]], environment, new Confinement
        {
            Wanted = plan.Parts,
            // A machine that comes may go on before all of its memory is there: its process opens that before it enters its last root.
            Paths = [.. MachineLock.Paths(home, definition, program), .. ofGroups, .. role == Arrives && channel is not null ? [new PathRule(PageFaults.Device, PathRights.Read | PathRights.Write | PathRights.Control)] : Array.Empty<PathRule>()],
            Later = [.. MachineLock.Later(home, definition, program), .. ofGroups],
            Place = plan.Parts.HasFlag(ConfinementParts.Root) ? Directory.CreateDirectory(home.Root, MachineStore.Private).FullName : "",
            UsesTcp = MachineLock.UsesTcp(definition),
            Keeps = MachineLock.Keeps(definition),
        }, channel);
    }

    private static void Say(MachineHome home, string sentence)
    {
        using var log = new MachineLogFile(home.Log);
        log.Write(sentence);
    }

    private static JsonDocument? Parse(string said)
    {
        try
        {
            return JsonDocument.Parse(said) is { RootElement.ValueKind: JsonValueKind.Object } document ? document : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
