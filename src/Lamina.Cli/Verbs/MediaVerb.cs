// "lamina media": changes the disc in a CD drive, at once where the machine runs. It is a change of the machine's definition like any other ("lamina set"
// could say it, too).
using System.CommandLine;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "media".</summary>
internal static class MediaVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var name = MachineNames.One();
        var words = new Argument<string[]>("disc") { HelpName = "[DRIVE] FILE", Description = "The drive, where the machine has several (cdrom0), and the disc: an ISO image.", Arity = new ArgumentArity(0, 2) };
        var eject = new Option<bool>("--eject") { Description = "Take the disc out." };
        var json = SetVerb.JsonOption();
        var verb = new Verb("media", "Changes the disc in a machine's CD drive, or takes it out.")
        {
            Sections = () => [new("Examples", [("lamina media web install.iso", ""), ("lamina media web cdrom1 drivers.iso", ""), ("lamina media web --eject", "")])],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(words);
        verb.AddGroup("What becomes of it", eject, json);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var (drive, disc) = (parsed.GetValue(words) ?? [], parsed.GetValue(eject)) switch
            {
                ([], true) => ((string?)null, ""),
                ([var one], true) => (one, ""),
                ([var file], false) => (null, Path.GetFullPath(file)),
                ([var one, var file], false) => (one, Path.GetFullPath(file)),
                (_, true) => throw new UsageException("--eject takes the disc out, and puts none in; leave out it or the disc"),
                _ => throw new UsageException("which disc? name an ISO image, or take out what is there by --eject"),
            };
            var changed = await MachineChanges.ChangeAsync(store, parsed.GetRequiredValue(name), machine => With(machine, drive, disc), cancellation).ConfigureAwait(false);
            SetVerb.Tell(parsed.InvocationConfiguration.Output, parsed.GetRequiredValue(name), changed, parsed.GetValue(json));
            return ExitCode.Success;
        }));
        return verb;
    }

    private static MachineDefinition With(MachineDefinition machine, string? drive, string disc)
    {
        var drives = machine.Complete().Devices.Take(machine.Devices.Count).Index().Where(device => device.Item is CdromDevice).ToList();
        if (drives.Count == 0) throw new UsageException("the machine has no CD drive; 'lamina set' gives it one at its next start: --cdrom none");
        if (drive is null && drives.Count > 1) throw new UsageException($"the machine has {drives.Count} CD drives; say which: {Property.Enumerate([.. drives.Select(device => device.Item.Name)])}");
        var found = drives.FindIndex(device => drive is null || device.Item.Name == drive);
        if (found < 0) throw new UsageException($"the machine has no CD drive {drive}; it has {Property.Enumerate([.. drives.Select(device => device.Item.Name)])}");
        return machine with { Devices = [.. machine.Devices.Select((device, at) => at == drives[found].Index ? (CdromDevice)device with { Path = disc } : device)] };
    }
}
