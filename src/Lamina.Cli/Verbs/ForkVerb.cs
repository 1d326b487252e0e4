// lamina fork: copies of a machine that runs, which run too.
using System.CommandLine;
using System.Globalization;
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
        var spare = new Option<int?>("--spare") { HelpName = "N", Description = "So many processes wait for the next fork of the machine, which then takes no start of a process; 1 by default, 0 for none. They end with the machine, or after ten minutes." };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say how long the machine stood still, and when each copy's guest went on and its agent answered." };
        verb.Arguments.Add(machine);
        verb.Arguments.Add(names);
        verb.AddGroup("Options", count, spare, verbose);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var name = parsed.GetRequiredValue(machine);
            var given = parsed.GetValue(names) ?? [];
            if (given.Length > 0 && parsed.GetValue(count) is not null) throw new UsageException("names say how many copies there are to be; leave out --count, or them");
            if (parsed.GetValue(count) is <= 0 or > MachineFork.Most) throw new UsageException($"--count is 1 to {MachineFork.Most}");
            if (parsed.GetValue(spare) is < 0 or > MachineFork.MostSpare) throw new UsageException($"--spare is 0 to {MachineFork.MostSpare}");
            if (given.Distinct().Count() < given.Length) throw new UsageException("two copies cannot have one name");
            _ = store.Find(name);
            var fork = new MachineFork(LifeVerbs.Launcher, store);
            var forked = await fork.MakeAsync(name, given.Length > 0 ? given : fork.NamesFor(name, parsed.GetValue(count) ?? 1), cancellation).ConfigureAwait(false);
            var code = ExitCode.Success;
            if (parsed.GetValue(verbose) && forked.StoodStill > TimeSpan.Zero) Stderr.Say(string.Create(CultureInfo.InvariantCulture, $"{name} stood still for {forked.StoodStill.TotalMilliseconds:0.0} ms"));
            foreach (var copy in forked.Copies)
            {
                if (copy.Refusal is { } refusal)
                {
                    var failed = Failures.Report(refusal);
                    if (code == ExitCode.Success) code = failed;
                    continue;
                }
                parsed.InvocationConfiguration.Output.WriteLine(copy.Name);
                if (copy.IsPulled) Stderr.Say($"{copy.Name} has no network: its guest has no agent that gives its cards addresses of their own, and {name} has those that it uses; when it has others, 'lamina set {copy.Name} --device NAME,plugged=on' puts a cable in");
                if (parsed.GetValue(verbose) && copy.RunsAfter is { } runs) Stderr.Say(string.Create(CultureInfo.InvariantCulture, $"{copy.Name} went on after {runs.TotalMilliseconds:0.0} ms{(copy.AnswersAfter is { } answers ? $", its agent answered after {answers.TotalMilliseconds:0.0} ms" : "")}"));
            }
            await TryHaveWaitAsync(fork, name, parsed.GetValue(spare) ?? 1, cancellation).ConfigureAwait(false);
            return code;
        }));
        return verb;
    }

    // The copies are made; the next ones take longer where this fails.
    private static async Task TryHaveWaitAsync(MachineFork fork, string name, int count, CancellationToken cancellation)
    {
        try
        {
            if (count > 0) await fork.HaveWaitAsync(name, count, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is MachineException or IOException)
        {
        }
    }
}
