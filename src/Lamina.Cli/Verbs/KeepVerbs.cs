// The verbs that make machines, name them and remove them: create, clone, rename, rm, prune.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;
using Lamina.Images;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs that change which machines there are.</summary>
internal static class KeepVerbs
{
    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> CreateAll() => [Create(), Clone(), Rename(), Remove(), Prune()];

    private static Verb Create()
    {
        var name = new Argument<string>("name") { HelpName = "NAME", Description = "The machine's name: lower-case letters, digits and hyphens." };
        var verb = new Verb("create", "Makes a machine that is kept; \"lamina start\" lets it run.")
        {
            Sections = () =>
            [
                .. RunVerb.DeviceSections(),
                new("Examples",
                [
                    ("lamina create web debian --memory 2G --cpus 2 --publish 8080:80", ""),
                    ("lamina create db debian --disk-size 40G --ssh-key ~/.ssh/id_ed25519.pub", ""),
                    ("lamina create probe --kernel bzImage --initrd initrd.cpio", ""),
                ]),
            ],
        };
        verb.Arguments.Add(name);
        var options = new RunOptions();
        options.AddKept(verb);
        verb.SetAction(parsed =>
        {
            var store = MachineStore.OfUser();
            var home = store.HomeOf(parsed.GetRequiredValue(name));
            if (File.Exists(home.Definition)) throw new MachineException(MachineError.Busy, $"there is a machine {home.Name} already; choose another name, or remove that one with 'lamina rm {home.Name}'");
            var source = NewMachine.Read(parsed, options, home.Name);
            store.Create(home.Name, source.Complete(), source.Image, source.Prepare);
            parsed.InvocationConfiguration.Output.WriteLine(home.Name);
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Clone()
    {
        var name = MachineNames.One("Which machine; it must not run.");
        var to = new Argument<string>("to") { HelpName = "NEW", Description = "The new machine's name." };
        var verb = new Verb("clone", "Makes a machine of its own that begins with what stands on another's disk, without copying it.") { Sections = () => [new("Example", [("lamina clone web web-2", "")])] };
        verb.Arguments.Add(name);
        verb.Arguments.Add(to);
        verb.SetAction(parsed =>
        {
            var notes = MachineStore.OfUser().Clone(parsed.GetRequiredValue(name), parsed.GetRequiredValue(to));
            parsed.InvocationConfiguration.Output.WriteLine(parsed.GetRequiredValue(to));
            foreach (var note in notes) Stderr.Say(note);
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Rename()
    {
        var name = MachineNames.One();
        var to = new Argument<string>("to") { HelpName = "NEW-NAME", Description = "Its name from now on." };
        var verb = new Verb("rename", "Gives a machine another name.") { Sections = () => [new("Example", [("lamina rename web web-old", "")])] };
        verb.Arguments.Add(name);
        verb.Arguments.Add(to);
        verb.SetAction(parsed =>
        {
            MachineStore.OfUser().Rename(parsed.GetRequiredValue(name), parsed.GetRequiredValue(to));
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Remove()
    {
        var names = MachineNames.Many();
        var force = new Option<bool>("--force", "-f") { Description = "Pull the plug of one that runs, first." };
        var verb = new Verb("rm", "Removes machines with all that is on their disks.") { Sections = () => [new("Example", [("lamina rm web", "")])] };
        verb.Arguments.Add(names);
        verb.AddGroup("Options", force);
        verb.SetAction(parsed => MachineNames.ForEach(parsed.GetRequiredValue(names), async (store, name, cancellation) =>
        {
            var home = store.HomeOf(name);
            // What is damaged can be removed, too: only its folder counts.
            if (!Directory.Exists(home.Folder)) home = store.Find(name);
            if (parsed.GetValue(force) && MachineStore.IsHeld(home)) await MachineControl.KillAsync(home, cancellation).ConfigureAwait(false);
            if (store.Remove(home.Name) is { } folder) parsed.InvocationConfiguration.Output.WriteLine($"removed {folder}");
        }));
        return verb;
    }

    private static Verb Prune()
    {
        var dry = new Option<bool>("--dry-run") { Description = "Only say what would be removed." };
        var verb = new Verb("prune", "Removes what interrupted programs left of machines that never were.") { Sections = () => [new("Example", [("lamina prune --dry-run", "")])] };
        verb.AddGroup("Options", dry);
        verb.SetAction(parsed =>
        {
            foreach (var folder in MachineStore.OfUser().Prune(parsed.GetValue(dry))) parsed.InvocationConfiguration.Output.WriteLine($"{(parsed.GetValue(dry) ? "would remove" : "removed")} {folder}");
            return ExitCode.Success;
        });
        return verb;
    }
}
