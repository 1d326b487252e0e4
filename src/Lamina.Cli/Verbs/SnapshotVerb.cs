// lamina snapshot create | list | show | restore | rm | diff: what is kept of a machine at some moments, and how it gets back there.
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "snapshot".</summary>
internal static class SnapshotVerb
{
    private const string TimeFormat = "yyyy-MM-dd HH:mm:ss";

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var verb = new Verb("snapshot", "Keeps a machine as it is at a moment, and puts it back there.")
        {
            Sections = () =>
            [
                new("Examples",
                [
                    ("lamina snapshot create web before-upgrade", ""),
                    ("lamina snapshot list web", ""),
                    ("lamina stop web; lamina snapshot restore --start web before-upgrade", ""),
                ]),
            ],
        };
        verb.Subcommands.Add(Take());
        verb.Subcommands.Add(List());
        verb.Subcommands.Add(Show());
        verb.Subcommands.Add(Restore());
        verb.Subcommands.Add(Remove());
        verb.Subcommands.Add(Diff());
        return verb;
    }

    private static Verb Take()
    {
        var machine = MachineNames.One();
        var name = new Argument<string?>("snapshot") { HelpName = "SNAPSHOT", Description = "Its name; the time, where none is given.", Arity = ArgumentArity.ZeroOrOne };
        var diskOnly = new Option<bool>("--disk-only") { Description = "Keep its disk alone: it boots from there. File systems are stilled meanwhile, where the guest has an agent." };
        var compress = new Option<bool>("--compress") { Description = "Compress its memory (zstd): it takes less room, and is read whole when the machine goes on there." };
        var incremental = new Option<bool>("--incremental") { Description = "Keep of its memory what is other than in the snapshot before it." };
        var description = new Option<string>("--description", "-d") { HelpName = "TEXT", Description = "What there is to say of it, in a line.", DefaultValueFactory = _ => "" };
        var verb = new Verb("create", "Takes a snapshot. A machine that runs goes on after a moment.");
        verb.Arguments.Add(machine);
        verb.Arguments.Add(name);
        verb.AddGroup("Options", diskOnly, compress, incremental, description);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var given = parsed.GetValue(name) ?? string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyyMMdd-HHmmss}");
            if (parsed.GetValue(compress) && parsed.GetValue(incremental)) throw new UsageException("what is other than in another memory is not compressed; leave out --compress or --incremental");
            var memory = parsed.GetValue(compress) ? SnapshotMemory.Compressed : parsed.GetValue(incremental) ? SnapshotMemory.Changes : SnapshotMemory.Whole;
            var taken = await SnapshotStore.CreateAsync(store.Find(parsed.GetRequiredValue(machine)), given, parsed.GetRequiredValue(description), parsed.GetValue(diskOnly), memory, cancellation).ConfigureAwait(false);
            if (taken.WhyWhole is { } why) parsed.InvocationConfiguration.Error.WriteLine($"lamina: the memory of {taken.Name} is kept whole, since {why}");
            parsed.InvocationConfiguration.Output.WriteLine(taken.Name);
            return ExitCode.Success;
        }));
        return verb;
    }

    private static Verb List()
    {
        var machine = MachineNames.One();
        var json = new Option<bool>("--json") { Description = "Print JSON instead of a table." };
        var verb = new Verb("list", "Shows the snapshots of a machine: each below the one before it. A star is behind the one that the machine went on from.");
        verb.Arguments.Add(machine);
        verb.AddGroup("Options", json);
        verb.SetAction(parsed =>
        {
            var home = MachineStore.OfUser().Find(parsed.GetRequiredValue(machine));
            var (snapshots, current) = (SnapshotStore.List(home), SnapshotStore.CurrentOf(home));
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
            {
                output.Write(Json(list =>
                {
                    list.WriteStartArray();
                    foreach (var snapshot in snapshots)
                    {
                        list.WriteStartObject();
                        Write(list, snapshot, home, current);
                        list.WriteEndObject();
                    }
                    list.WriteEndArray();
                }));
                return ExitCode.Success;
            }
            var rows = new List<string[]> { new[] { "NAME", "TAKEN", "GOES ON", "SIZE", "DESCRIPTION" } };
            Add(null, 0);
            Columns.Write(output, rows, Columns.TerminalWidth(), 3);
            return ExitCode.Success;

            // One whose parent is not there stands at the left.
            void Add(string? parent, int depth)
            {
                foreach (var snapshot in snapshots.Where(snapshot => parent is null ? snapshot.Parent is null || snapshots.All(other => other.Name != snapshot.Parent) : snapshot.Parent == parent))
                {
                    rows.Add([$"{new string(' ', 2 * depth)}{snapshot.Name}{(snapshot.Name == current ? " *" : "")}", Time(snapshot.Taken), snapshot.Damage is not null ? "damaged" : snapshot.HasMemory ? "there" : "boots", ByteSize.Format((ulong)SnapshotStore.SpaceOf(home, snapshot)), snapshot.Damage ?? snapshot.Description]);
                    if (depth < snapshots.Count) Add(snapshot.Name, depth + 1);
                }
            }
        });
        return verb;
    }

    private static Verb Show()
    {
        var (machine, name) = (MachineNames.One(), Which());
        var verb = new Verb("show", "Shows a snapshot as JSON, with the machine's definition as it was.");
        verb.Arguments.Add(machine);
        verb.Arguments.Add(name);
        verb.SetAction(parsed =>
        {
            var home = MachineStore.OfUser().Find(parsed.GetRequiredValue(machine));
            var which = parsed.GetRequiredValue(name);
            // One that is damaged is shown as that.
            var damaged = SnapshotStore.List(home).FirstOrDefault(one => one.Name == which && one.Damage is not null);
            var snapshot = damaged ?? SnapshotStore.Find(home, which);
            var definition = damaged is null ? SnapshotStore.DefinitionOf(home, snapshot) : null;
            parsed.InvocationConfiguration.Output.Write(Json(one =>
            {
                one.WriteStartObject();
                Write(one, snapshot, home, SnapshotStore.CurrentOf(home));
                if (definition is not null)
                {
                    one.WritePropertyName("definition");
                    DefinitionJson.Write(one, definition);
                }
                one.WriteEndObject();
            }));
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Restore()
    {
        var (machine, name) = (MachineNames.One(), Which());
        var start = new Option<bool>("--start") { Description = "Start it, too." };
        var verb = new Verb("restore", "Puts a machine that is off back to a snapshot: disk, definition, and where it was. What it did since and is in no snapshot is lost.");
        verb.Arguments.Add(machine);
        verb.Arguments.Add(name);
        verb.AddGroup("Options", start);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var which = parsed.GetRequiredValue(machine);
            SnapshotStore.Restore(store.Find(which), parsed.GetRequiredValue(name));
            if (parsed.GetValue(start)) await LifeVerbs.Launcher.StartAsync(store, which, cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return verb;
    }

    private static Verb Remove()
    {
        var machine = MachineNames.One();
        var names = new Argument<string[]>("snapshots") { HelpName = "SNAPSHOT…", Description = "Which snapshots.", Arity = ArgumentArity.OneOrMore };
        var verb = new Verb("rm", "Removes snapshots. The machine, and snapshots that were taken later, stay as they are.");
        verb.Arguments.Add(machine);
        verb.Arguments.Add(names);
        verb.SetAction(parsed =>
        {
            var home = MachineStore.OfUser().Find(parsed.GetRequiredValue(machine));
            foreach (var name in parsed.GetRequiredValue(names).Distinct()) SnapshotStore.Remove(home, name);
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Diff()
    {
        var (machine, name) = (MachineNames.One(), Which());
        var other = new Argument<string?>("other") { HelpName = "OTHER", Description = "The snapshot that it is compared with; its parent, where none is given.", Arity = ArgumentArity.ZeroOrOne };
        var verb = new Verb("diff", "Says what is other in a snapshot than in another: the definition, memory, what was written to the disk between.");
        verb.Arguments.Add(machine);
        verb.Arguments.Add(name);
        verb.Arguments.Add(other);
        verb.SetAction(parsed =>
        {
            var home = MachineStore.OfUser().Find(parsed.GetRequiredValue(machine));
            var snapshot = SnapshotStore.Find(home, parsed.GetRequiredValue(name));
            var before = parsed.GetValue(other) ?? snapshot.Parent ?? throw new MachineException($"the snapshot {snapshot.Name} is the first; name another one to compare it with");
            foreach (var line in SnapshotDifference.Between(home, SnapshotStore.Find(home, before), snapshot)) parsed.InvocationConfiguration.Output.WriteLine(line);
            return ExitCode.Success;
        });
        return verb;
    }

    private static Argument<string> Which() => new("snapshot") { HelpName = "SNAPSHOT", Description = "Which snapshot." };

    private static string Time(DateTimeOffset time) => time.ToLocalTime().ToString(TimeFormat, CultureInfo.InvariantCulture);

    private static void Write(Utf8JsonWriter json, Snapshot snapshot, MachineHome home, string? current)
    {
        json.WriteString("name", snapshot.Name);
        json.WriteString("taken", snapshot.Taken);
        json.WriteString("parent", snapshot.Parent);
        json.WriteBoolean("current", snapshot.Name == current);
        json.WriteBoolean("memory", snapshot.HasMemory);
        json.WriteString("layer", snapshot.Layer);
        json.WriteNumber("bytes", SnapshotStore.SpaceOf(home, snapshot));
        json.WriteString("program", snapshot.Program);
        if (snapshot.StoodStill > TimeSpan.Zero) json.WriteNumber("stood-still-ms", snapshot.StoodStill.TotalMilliseconds);
        json.WriteBoolean("stilled", snapshot.IsStilled);
        json.WriteBoolean("compressed", snapshot.IsCompressed);
        json.WriteBoolean("incremental", snapshot.IsIncremental);
        json.WriteString("description", snapshot.Description);
        if (snapshot.Damage is { } damage) json.WriteString("damage", damage);
    }

    private static string Json(Action<Utf8JsonWriter> write)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) write(json);
        return Encoding.UTF8.GetString(text.ToArray()) + "\n";
    }
}
