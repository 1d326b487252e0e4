// Starts a machine's process, locked, and waits until the machine runs, or until it is said why it cannot.
using System.Diagnostics;
using System.Text.Json;
using Lamina.Host.Locks;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Running;

/// <summary>Starts machines, each in a process of its own.</summary>
/// <param name="program">The program to start: one that hands its words after <paramref name="words"/> to <see cref="MachineProcess"/>, the store's folder, the machine's name, a word on the lock that it is in and one on its control groups.</param>
/// <param name="words">The words before these.</param>
public sealed class MachineLauncher(string program, params IReadOnlyList<string> words)
{
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
        // One that was suspended goes on as it was, whatever its definition says by now.
        var definition = known.Suspended is { } suspended ? suspended.Moved(Machine.DefinitionOf(home.Suspended), home) : known.Definition;
        var pools = definition?.Pool is { } pool ? new PoolStore(store).WithParents(pool) : [];
        using var reserved = definition is null ? null : Reservations.Take(store, new Reserving(name, definition), pools);
        using var process = Start(home, definition, pools, store.Folder);
        process.StandardInput.Close();
        var said = await process.StandardOutput.ReadLineAsync(cancellationToken).ConfigureAwait(false);
        if (said is null)
        {
            // It died before it could say anything in the agreed form.
            var errors = await process.StandardError.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
            await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
            var last = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault();
            throw new MachineException(MachineError.Host, $"the process of the machine {name} ended at once with exit code {process.ExitCode}{(last is null ? "" : $": {last}")}");
        }
        using var answer = Parse(said) ?? throw new MachineException(MachineError.Host, $"the process of the machine {name} says what is not understood: {said}");
        var root = answer.RootElement;
        if (root.TryGetProperty(ControlSpec.Ok, out _)) return;
        throw ControlErrors.ToException(root.TryGetProperty(ControlSpec.Error, out var code) ? code.GetString() ?? "" : "", root.TryGetProperty(ControlSpec.Message, out var message) ? message.GetString() ?? said : said);
    }

    private Process Start(MachineHome home, MachineDefinition? definition, IReadOnlyList<Pool> pools, string folder)
    {
        var mode = definition?.Lock ?? LockMode.On;
        var held = LockReport.OfLandlock(mode == LockMode.Off ? 0 : PathLock.Version);
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/" };
        // Where it writes what is of no name: it reaches no other place.
        start.Environment["TMPDIR"] = Directory.CreateDirectory(home.Work, MachineStore.Private).FullName;
        var groups = LimitGroups.Make(home, pools, sentence => Say(home, sentence));
        foreach (var word in (IEnumerable<string>)[.. words, folder, home.Name, held.ToString(), groups.ToString()]) start.ArgumentList.Add(word);
        var process = held.InForce.Count == 0 ? Process.Start(start) : LockedStart.Start(start, [.. MachineLock.Paths(home, definition, program), .. groups.Paths.Select(path => new PathRule(path, PathRights.Read | PathRights.Write))], MachineLock.UsesTcp(definition));
        return process ?? throw new MachineException(MachineError.Host, $"cannot start {program}");
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
