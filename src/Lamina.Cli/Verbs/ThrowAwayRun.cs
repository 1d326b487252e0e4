// "lamina run --rm IMAGE -- COMMAND…": a machine that runs one command and is gone with it. What the command prints is all that is printed,
// its exit code is the program's, and files go in before and come out behind it. The machine goes on from a template where one can be had
// (Hypervisor/Templates), and leaves one where it could have been; that it does so nobody can tell but by the time.
using System.CommandLine;
using System.Security.Cryptography;
using Lamina.Cli.Output;
using Lamina.Control;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Stored;
using Lamina.Hypervisor.Templates;

namespace Lamina.Cli.Verbs;

/// <summary>Runs a command in a machine of its own.</summary>
internal sealed class ThrowAwayRun : IDisposable
{
    // A whole Debian on the translator takes half of that on a slow host.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan HangUpToEnd = TimeSpan.FromSeconds(1);

    private const int SeedBytes = 64;

    private readonly AgentCommand _command;
    private readonly (string From, string To)[] _ins, _outs;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-run-");
    private readonly TemplateStore? _templates;
    private readonly TaskCompletionSource _takenUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string _socket = "";
    private string? _key;
    private string _workingSet = "";
    private bool _goesOn, _isKnown;

    private ThrowAwayRun(AgentCommand command, (string, string)[] ins, (string, string)[] outs, TemplateStore? templates) => (_command, _ins, _outs, _templates) = (command, ins, outs, templates);

    /// <summary>Reads what is to be done; null where the words are for a machine on this terminal.</summary>
    /// <exception cref="UsageException">Words do not go together.</exception>
    public static ThrowAwayRun? Read(ParseResult parsed, RunOptions options)
    {
        var words = options.Command;
        var copies = RunOptions.AreGiven(parsed, options.CopyIn, options.CopyOut, options.Cold).FirstOrDefault();
        if (!parsed.GetValue(options.Rm))
        {
            if (words.Count > 0) throw new UsageException($"'{words[0]}' is one word too many; 'lamina run --rm IMAGE -- COMMAND' runs a command");
            return copies is null ? null : throw new UsageException($"{copies} is for a machine that runs a command; add --rm, and the command behind --");
        }
        if (words.Count == 0) throw new UsageException("--rm runs a command in a machine that is gone with it; write the command behind --, like 'lamina run --rm tiny -- uname -a'");
        if (RunOptions.AreGiven(parsed, options.Name, options.Ephemeral, options.Gdb).FirstOrDefault() is { } other) throw new UsageException($"{other} is not for a machine that runs one command and is gone with it; leave out {other} or --rm");
        var ins = (parsed.GetValue(options.CopyIn) ?? []).Select(text => CopyVerb.ReadPair(options.CopyIn.Name, text, guestIsFirst: false)).ToArray();
        var outs = (parsed.GetValue(options.CopyOut) ?? []).Select(text => CopyVerb.ReadPair(options.CopyOut.Name, text, guestIsFirst: true)).ToArray();
        if (ins.FirstOrDefault(pair => !Path.Exists(pair.First)).First is { } missing) throw new UsageException($"{options.CopyIn.Name}: {missing} does not exist");
        return new ThrowAwayRun(new AgentCommand { Words = words }, ins, outs, parsed.GetValue(options.Cold) ? null : TemplateStore.OfUser());
    }

    /// <summary>Whether files are copied, in or out.</summary>
    public bool Copies => _ins.Length + _outs.Length > 0;

    /// <summary>What of this host it reads beside the machine's own, from the guest's first instruction on.</summary>
    public IEnumerable<string> Reads => _ins.Select(pair => pair.From);

    /// <summary>The folders that it writes.</summary>
    public IEnumerable<string> Writes
    {
        get
        {
            yield return _folder.FullName;
            if (_templates?.TryMake() is { } templates) yield return templates;
            foreach (var (_, to) in _outs) yield return Directory.Exists(to) ? to : Path.GetDirectoryName(Path.GetFullPath(to)) ?? "/";
        }
    }

    /// <summary>What this run does with whatever machine it is: a console that nobody sees, and the way to the agent.</summary>
    public MachineDefinition Complete(MachineDefinition definition, bool saysSerial)
    {
        if (!saysSerial) definition = definition.Without<SerialDevice>().With(new SerialDevice { To = new ConsoleTarget.Null() });
        if (!definition.DevicesOf<VsockDevice>().Any()) definition = definition.With(new VsockDevice { Path = Path.Combine(_folder.FullName, "vsock") });
        _socket = definition.DevicesOf<VsockDevice>().Single().Path;
        return definition;
    }

    /// <summary>Makes the machine, of a template where there is one.</summary>
    /// <param name="definition">What it is to be, of <see cref="Complete"/>'s.</param>
    /// <param name="hooks">What it is connected with.</param>
    public Machine Create(MachineDefinition definition, MachineHooks hooks)
    {
        _key = _templates is null ? null : TemplateStore.KeyOf(definition);
        if (_key is null || _templates!.Find(_key) is not { } folder) return Machine.Create(definition, hooks);
        try
        {
            _workingSet = TemplateStore.WorkingSetOf(folder);
            var known = WorkingSetFile.Read(_workingSet);
            var machine = Machine.Restore(folder, hooks with { TakenUp = _takenUp.SetResult, WorkingSet = known }, saved => Here(saved, definition));
            _isKnown = known.Length > 0;
            _goesOn = true;
            return machine;
        }
        catch (MachineException)
        {
            // Of another host's CPU, damaged, or removed just now: it is made anew. What is wrong with the machine itself is said by the other way.
            _templates.Drop(_key);
            return Machine.Create(definition, hooks);
        }
    }

    /// <summary>Runs the machine, and the command in it.</summary>
    /// <param name="machine">A machine of <see cref="Create"/>'s.</param>
    /// <returns>The exit code; null where the template was of no use, and is gone: another machine will boot.</returns>
    public async Task<int?> RunAsync(Machine machine)
    {
        using var plug = new CancellationTokenSource();
        var run = machine.RunAsync(plug.Token);
        // With the machine everything ends that is asked of its guest.
        using var over = new CancellationTokenSource();
        _ = run.ContinueWith(_ => over.Cancel(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        if (_goesOn && await Task.WhenAny(run, _takenUp.Task).ConfigureAwait(false) == run)
        {
            _templates!.Drop(_key!);
            return null;
        }
        try
        {
            return await InGuestAsync(machine, run, over.Token).ConfigureAwait(false);
        }
        catch (AgentException) when (!run.IsCompleted && EndsSoon(run))
        {
            return Ended(await run.ConfigureAwait(false));
        }
        catch (Exception gone) when (gone is OperationCanceledException or AgentException && run.IsCompleted)
        {
            return Ended(await run.ConfigureAwait(false));
        }
        finally
        {
            await plug.CancelAsync().ConfigureAwait(false);
            _ = await run.ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _folder.Delete(recursive: true);

    private async Task<int> InGuestAsync(Machine machine, Task<MachineResult> run, CancellationToken over)
    {
        int code;
        using (var signals = new EndingSignals())
        {
            using var both = CancellationTokenSource.CreateLinkedTokenSource(signals.Token, over);
            try
            {
                if (_goesOn)
                {
                    await FreshenAsync(both.Token).ConfigureAwait(false);
                    if (!_isKnown) WorkingSetFile.TryWrite(_workingSet, (await machine.WorkingSetAsync().ConfigureAwait(false)).Span);
                }
                else if (_key is not null) await KeepAsync(machine, both.Token).ConfigureAwait(false);
                foreach (var (from, to) in _ins) CopyVerb.Tell(await Files.CopyInAsync(from, to, both.Token).ConfigureAwait(false), "this host's");
                var connection = await ReachAsync(both.Token).ConfigureAwait(false);
                // From here on signals are the command's.
                signals.Dispose();
                code = await GuestCommand.RunAsync(connection, _command, hasInput: true, over).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (signals.ExitCode is { } signal && !run.IsCompleted)
            {
                return signal;
            }
        }
        foreach (var (from, to) in _outs) CopyVerb.Tell(await Files.CopyOutAsync(from, to, over).ConfigureAwait(false), "the guest's");
        return code;
    }

    // What the machine leads to on this host is this run's.
    private static MachineDefinition Here(MachineDefinition saved, MachineDefinition definition) => saved with
    {
        CodeArchive = definition.CodeArchive,
        Timeout = definition.Timeout,
        Devices = [.. saved.Devices.Select(device => device is VsockDevice socket ? socket with { Path = definition.DevicesOf<VsockDevice>().Single().Path } : device)],
    };

    // A guest that goes on where others do has their randomness, and the time of its template.
    private async Task FreshenAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(
            AskAsync(agent => agent.SetClockAsync(DateTimeOffset.UtcNow, cancellationToken)),
            AskAsync(agent => agent.ReseedAsync(RandomNumberGenerator.GetBytes(SeedBytes), cancellationToken))).ConfigureAwait(false);

        async Task AskAsync(Func<AgentConnection, Task> ask)
        {
            var agent = await ReachAsync(cancellationToken).ConfigureAwait(false);
            await using (agent.ConfigureAwait(false)) await ask(agent).ConfigureAwait(false);
        }
    }

    // The guest has done nothing yet but start.
    private async Task KeepAsync(Machine machine, CancellationToken cancellationToken)
    {
        await using (var agent = (await ReachAsync(cancellationToken).ConfigureAwait(false)).ConfigureAwait(false))
        {
        }
        try
        {
            await _templates!.KeepAsync(_key!, machine, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception refused) when (refused is MachineException or IOException or UnauthorizedAccessException)
        {
            // No space, or a folder that is not this user's: the next machine boots, as this one did.
        }
    }

    // A guest that powers off hangs up first.
    private static bool EndsSoon(Task run) => run.Wait(HangUpToEnd);

    private GuestFiles Files => new(ReachAsync);

    private async Task<AgentConnection> ReachAsync(CancellationToken cancellationToken)
    {
        var stream = await AgentSocket.TryConnectAsync(_socket, Patience, () => false, cancellationToken).ConfigureAwait(false)
            ?? throw new AgentException($"no agent has answered in the guest for {Patience.TotalSeconds:0} s, so the command could not be run; the images tiny and debian have one, and docs/agent.md says how another guest gets it");
        return await AgentConnection.OpenAsync(stream, cancellationToken).ConfigureAwait(false);
    }

    // The guest went before the command's end was told.
    private static int Ended(MachineResult result)
    {
        Stderr.Say("the machine ended before the command did");
        var code = RunVerb.Conclude(result, null);
        return code == ExitCode.Success ? ExitCode.Host : code;
    }
}
