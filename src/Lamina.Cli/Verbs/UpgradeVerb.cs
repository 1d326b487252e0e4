// lamina upgrade-running: machines that run go on in processes of this program.
using System.CommandLine;
using System.Globalization;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Migrating;
using Lamina.Hypervisor.Running;

namespace Lamina.Cli.Verbs;

/// <summary>The verb that gives machines new processes.</summary>
internal static class UpgradeVerb
{
    private static readonly TimeSpan LongestSilence = TimeSpan.FromHours(1);

    /// <summary>Builds the command.</summary>
    public static Verb Create()
    {
        var force = new Option<bool>("--force") { Description = "Give them new processes even where they run by this program already." };
        var silence = new Option<string?>("--silence") { HelpName = "TIME", Description = "For how long a new process may say nothing before the machine stays in the one that it has: 2m by default." };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say for how long the guests stood still." };
        var verb = new Verb("upgrade-running", "Has machines that run go on in processes of this program, as after an upgrade: their guests stand still for a moment.")
        {
            Sections = () => [new("Examples", [("lamina upgrade-running web db", ""), ("lamina upgrade-running --all", "")])],
        };
        var names = MachineNames.ManyOrAll(verb);
        verb.AddGroup("Options", force, silence, verbose);
        verb.SetAction(parsed => MachineNames.ForEach(names(parsed), async (store, name, cancellation) =>
        {
            var time = parsed.GetValue(silence) is not { } text ? (TimeSpan?)null : Duration.TryParse(text, out var read) && read > TimeSpan.Zero && read <= LongestSilence ? read : throw new UsageException($"--silence: '{parsed.GetValue(silence)}' is no time of up to an hour; write it like 30s or 2m");
            var program = Environment.ProcessPath!;
            var upgraded = await new MachineUpgrade(path => new MachineLauncher(path, LifeVerbs.ProcessVerb), program, store).RunAsync(name, parsed.GetValue(force), time, cancellation).ConfigureAwait(false);
            var output = parsed.InvocationConfiguration.Output;
            if (upgraded.IsSame) output.WriteLine($"{name} runs by this program already");
            else if (parsed.GetValue(verbose)) Stderr.Say(string.Create(CultureInfo.InvariantCulture, $"{name} stood still for {upgraded.StoodStill.TotalMilliseconds:0.0} ms; {ByteSize.Format(upgraded.SentBytes)} were sent in {upgraded.Rounds} rounds"));
        }));
        return verb;
    }
}
