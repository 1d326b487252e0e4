// lamina fork: copies of a machine that runs, which run too.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Snapshots;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "fork".</summary>
internal static class ForkVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var machine = MachineNames.One("Which machine: one that runs, or is suspended.");
        var names = new Argument<string[]>("names") { HelpName = "NEW…", Description = "The copies' names.", Arity = ArgumentArity.ZeroOrMore };
        var count = new Option<int?>("--count", "-n") { HelpName = "N", Description = "So many copies, named NAME-1, NAME-2 and so on." };
        var verb = new Verb("fork", "Makes copies of a machine that go on where it is, each by itself, while it goes on too. They share its memory and its disk until they write there.")
        {
            Sections = () => [new("Examples", [("lamina fork web web-trial", ""), ("lamina fork --count 8 worker", "")])],
        };
        verb.Arguments.Add(machine);
        verb.Arguments.Add(names);
        verb.AddGroup("Options", count);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var name = parsed.GetRequiredValue(machine);
            var given = parsed.GetValue(names) ?? [];
            if (given.Length > 0 && parsed.GetValue(count) is not null) throw new UsageException("names say how many copies there are to be; leave out --count, or them");
            if (parsed.GetValue(count) is <= 0 or > MachineFork.Most) throw new UsageException($"--count is 1 to {MachineFork.Most}");
            if (given.Distinct().Count() < given.Length) throw new UsageException("two copies cannot have one name");
            _ = store.Find(name);
            var to = given.Length > 0 ? given : MachineFork.NamesFor(store, name, parsed.GetValue(count) ?? 1);
            await MachineFork.MakeAsync(store, name, to, cancellation).ConfigureAwait(false);
            var codes = await Task.WhenAll(to.Select(async copy =>
            {
                try
                {
                    await MachineFork.StartAsync(LifeVerbs.Launcher, store, copy, cancellation).ConfigureAwait(false);
                    lock (verb) parsed.InvocationConfiguration.Output.WriteLine(copy);
                    return ExitCode.Success;
                }
                catch (Exception failure) when (failure is not OperationCanceledException)
                {
                    return Failures.Report(failure);
                }
            })).ConfigureAwait(false);
            return codes.FirstOrDefault(code => code != ExitCode.Success);
        }));
        return verb;
    }
}
