// Words that name machines, and what verbs do with several of them: each in turn or all at once, and what fails for one does not keep it
// from the others.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>Names of machines on the command line.</summary>
internal static class MachineNames
{
    /// <summary>A word that names one machine.</summary>
    public static Argument<string> One(string description = "Which machine.")
    {
        var name = new Argument<string>("name") { HelpName = "NAME", Description = description };
        name.CompletionSources.Add(_ => MachineStore.OfUser().Names);
        return name;
    }

    /// <summary>Words that name machines, one at least.</summary>
    public static Argument<string[]> Many(string description = "Which machines.")
    {
        var names = new Argument<string[]>("names") { HelpName = "NAME…", Description = description, Arity = ArgumentArity.OneOrMore };
        names.CompletionSources.Add(_ => MachineStore.OfUser().Names);
        return names;
    }

    /// <summary>Words that name machines, or an option that means each that runs.</summary>
    /// <param name="verb">The verb that gets both.</param>
    /// <returns>Reads what was named.</returns>
    public static Func<ParseResult, IReadOnlyList<string>> ManyOrAll(Verb verb)
    {
        var (names, all) = (Many(), new Option<bool>("--all", "-a") { Description = "Each machine that runs." });
        names.Arity = ArgumentArity.ZeroOrMore;
        verb.Arguments.Add(names);
        verb.AddGroup("Which", all);
        return parsed => (parsed.GetValue(names) ?? [], parsed.GetValue(all)) switch
        {
            ([], false) => throw new UsageException("which machine? name it, or take each that runs by --all"),
            ({ Length: > 0 }, true) => throw new UsageException("--all is each machine that runs; leave out it or the names"),
            (_, true) => [.. MachineStore.OfUser() is var store ? store.Names.Where(name => MachineStore.IsHeld(store.HomeOf(name))) : []],
            var (given, _) => given,
        };
    }

    /// <summary>Does something with each of some machines, all at once. What went wrong is said for each.</summary>
    /// <returns>The exit code: that of the first that failed.</returns>
    public static int ForEach(IReadOnlyList<string> names, Func<MachineStore, string, CancellationToken, Task> act)
    {
        using var signals = new EndingSignals();
        var store = MachineStore.OfUser();
        var codes = Task.WhenAll(names.Distinct().Select(name => TryAsync(name))).GetAwaiter().GetResult();
        return signals.ExitCode ?? codes.FirstOrDefault(code => code != ExitCode.Success);

        async Task<int> TryAsync(string name)
        {
            try
            {
                await act(store, name, signals.Token).ConfigureAwait(false);
                return ExitCode.Success;
            }
            catch (Exception failure)
            {
                return Failures.Report(failure);
            }
        }
    }

    /// <summary>Connects to the agent in a machine's guest; a signal ends the wait.</summary>
    /// <param name="name">The machine.</param>
    /// <param name="wait">How long a guest that is starting may take; null: as long as is usual.</param>
    /// <exception cref="MachineException">It does not run, or has no agent.</exception>
    /// <exception cref="EndedBySignalException">A signal came.</exception>
    public static AgentConnection Reach(string name, TimeSpan? wait)
    {
        using var signals = new EndingSignals();
        try
        {
            return MachineControl.ReachAgentAsync(MachineStore.OfUser().Find(name), wait, signals.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (signals.ExitCode is { } code)
        {
            throw new EndedBySignalException(code);
        }
    }

    /// <summary>Does something that a signal may end.</summary>
    public static int Run(Func<MachineStore, CancellationToken, Task<int>> act)
    {
        using var signals = new EndingSignals();
        try
        {
            return act(MachineStore.OfUser(), signals.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (signals.ExitCode is { } code)
        {
            return code;
        }
    }
}
