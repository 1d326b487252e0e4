// "lamina machine": the machines with disks of their own, which "lamina run" makes and keeps.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "machine".</summary>
internal static class MachineVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create() => new Verb("machine", "Lists and removes the machines that keep a disk between runs.")
    {
        CreateList(),
        CreateRemove(),
    };

    private static Command CreateList()
    {
        var verb = new Verb("list", "Shows the machines there are.");
        verb.SetAction(parsed =>
        {
            var machines = MachineStore.OfUser().List();
            string[][] rows = [["NAME", "IMAGE", "STATE", "DISK", "PATH"], .. machines.Select(Row)];
            int[] widths = [.. Enumerable.Range(0, 4).Select(column => rows.Max(row => row[column].Length))];
            foreach (var row in rows)
                parsed.InvocationConfiguration.Output.WriteLine($"{row[0].PadRight(widths[0])}  {row[1].PadRight(widths[1])}  {row[2].PadRight(widths[2])}  {row[3].PadLeft(widths[3])}  {row[4]}");
            foreach (var machine in machines)
                if (machine.Problem is { } problem) Stderr.Say(problem);
            return ExitCode.Success;
        });
        return verb;

        static string[] Row(MachineListing machine) =>
        [
            machine.Name,
            machine.Definition is { } definition ? $"{definition.Image} {definition.ImageVersion}" : "-",
            machine.IsRunning ? "running" : machine.Problem is null ? "off" : "damaged",
            ByteSize.Format((ulong)machine.Size),
            machine.Folder,
        ];
    }

    private static Command CreateRemove()
    {
        var name = new Argument<string>("name") { HelpName = "NAME", Description = "Which machine." };
        name.CompletionSources.Add(_ => MachineStore.OfUser().List().Select(machine => machine.Name));
        var verb = new Verb("rm", "Removes a machine with all that is on its disk.");
        verb.Arguments.Add(name);
        verb.SetAction(parsed =>
        {
            var machine = parsed.GetRequiredValue(name);
            if (MachineStore.OfUser().Remove(machine) is { } folder) parsed.InvocationConfiguration.Output.WriteLine($"removed {folder}");
            else Stderr.Say($"there is no machine {machine}, so there was nothing to remove");
            return ExitCode.Success;
        });
        return verb;
    }
}
