// "lamina disk snapshot": the snapshots inside a qcow2 image.
using System.CommandLine;
using System.Globalization;
using Lamina.Backends.Disk;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "disk snapshot".</summary>
internal static class DiskSnapshotVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create() => new Verb("snapshot", "Lists, takes, restores and deletes snapshots inside a qcow2 image.")
    {
        CreateList(),
        CreateChange("create", "Takes a snapshot of the disk as it is now.", (path, name) => DiskTools.CreateSnapshot(path, name, DateTimeOffset.UtcNow)),
        CreateChange("apply", "Makes the disk what it was; what was written since the snapshot is lost.", DiskTools.ApplySnapshot),
        CreateChange("rm", "Deletes a snapshot; what only it used is free then.", DiskTools.DeleteSnapshot),
    };

    private static Command CreateList()
    {
        var path = DiskVerb.PathArgument();
        var verb = new Verb("list", "Shows the snapshots in an image.");
        verb.Arguments.Add(path);
        verb.SetAction(parsed =>
        {
            string[][] rows = [["ID", "NAME", "TAKEN", "DISK", "STATE"], .. DiskTools.Snapshots(parsed.GetRequiredValue(path)).Select(Row)];
            int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
            foreach (var row in rows) parsed.InvocationConfiguration.Output.WriteLine(string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
            return ExitCode.Success;
        });
        return verb;
    }

    private static string[] Row(DiskSnapshot snapshot) =>
    [
        DiskVerb.Printable(snapshot.Id),
        DiskVerb.Printable(snapshot.Name),
        snapshot.Taken.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture),
        snapshot.DiskSize is { } size ? ByteSize.Format(size) : "-",
        snapshot.VmStateSize == 0 ? "-" : ByteSize.Format(snapshot.VmStateSize),
    ];

    private static Command CreateChange(string name, string description, Action<string, string> change)
    {
        var path = DiskVerb.PathArgument();
        var snapshot = new Argument<string>("name") { HelpName = "NAME", Description = "The snapshot's name; its number does as well, where there is one." };
        var verb = new Verb(name, description);
        verb.Arguments.Add(path);
        verb.Arguments.Add(snapshot);
        verb.SetAction(parsed =>
        {
            change(parsed.GetRequiredValue(path), parsed.GetRequiredValue(snapshot));
            return ExitCode.Success;
        });
        return verb;
    }
}
