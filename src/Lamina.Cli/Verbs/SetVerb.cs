// "lamina set": changes what a machine is. Its words are those of "create", which say properties and add devices, and a few more that
// take away. What the running machine can take it takes at once; all is kept for its next start.
using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "set".</summary>
internal static class SetVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var name = MachineNames.One();
        var device = new Option<string[]>("--device") { HelpName = "NAME,PROPERTY=VALUE…", Description = "Change a device's properties, as definitions have them; without a value one is as it is by default: network0,plugged=off. Repeatable." };
        var remove = new Option<string[]>("--remove") { HelpName = "DEVICE", Description = "Take a device away: disk0, network1, or the name that it was given. Repeatable." };
        var unpublish = new Option<string[]>("--unpublish") { HelpName = "[ADDRESS:]HOST[/udp]", Description = "Publish a port of the host no more. Repeatable." };
        var unset = new Option<string[]>("--unset") { HelpName = "PROPERTY", Description = "Let a property of the machine be as it is by default. Repeatable." };
        var json = JsonOption();
        var verb = new Verb("set", "Changes what a machine is: at once what it can take while it runs, the rest at its next start.")
        {
            Sections = () =>
            [
                .. RunVerb.DeviceSections(),
                new("Examples",
                [
                    ("lamina set web --memory 2G", "at once, up to its memory-most"),
                    ("lamina set web --publish 8081:81 --unpublish 8080", "at once"),
                    ("lamina set web --device network0,plugged=off", "pulls the cable, at once"),
                    ("lamina set web --disk data.qcow2 --cpus 4", "at its next start"),
                    ("lamina set web --remove disk0 --unset timeout", ""),
                ]),
            ],
        };
        verb.Arguments.Add(name);
        var options = new RunOptions();
        options.AddChanging(verb);
        verb.AddGroup("Changing and taking away", device, remove, unpublish, unset, json);
        remove.CompletionSources.Add(context => Devices(context.ParseResult.GetValue(name)));
        device.CompletionSources.Add(context => Devices(context.ParseResult.GetValue(name)).Select(known => $"{known},"));
        unset.CompletionSources.Add([.. MachineShape.Shape.Properties.Select(property => property.Name)]);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            if (parsed.Tokens.Count < (parsed.GetValue(json) ? 4 : 3)) throw new UsageException("there is nothing to set; name what is to be other, like --memory 2G");
            var changed = await MachineChanges.ChangeAsync(store, parsed.GetRequiredValue(name), machine =>
            {
                foreach (var gone in parsed.GetValue(remove) ?? []) machine = Without(machine, gone);
                foreach (var text in parsed.GetValue(unset) ?? []) machine = Unset(machine, text);
                foreach (var text in parsed.GetValue(device) ?? []) machine = WithDevice(machine, text);
                foreach (var text in parsed.GetValue(unpublish) ?? []) machine = Unpublish(machine, text);
                return options.Change(parsed, machine);
            }, cancellation).ConfigureAwait(false);
            Tell(parsed.InvocationConfiguration.Output, parsed.GetRequiredValue(name), changed, parsed.GetValue(json));
            return ExitCode.Success;
        }));
        return verb;
    }

    /// <summary>--json of verbs that change machines.</summary>
    internal static Option<bool> JsonOption() => new("--json") { Description = "Say what became of it as JSON." };

    /// <summary>Says what became of a change.</summary>
    /// <param name="output">Where.</param>
    /// <param name="name">The machine.</param>
    /// <param name="changed">What became of it.</param>
    /// <param name="isJson">Whether as JSON.</param>
    /// <param name="wasMade">Whether the machine was made by it.</param>
    internal static void Tell(TextWriter output, string name, MachineChanged changed, bool isJson, bool wasMade = false)
    {
        if (isJson)
        {
            output.WriteLine(Json(name, changed, wasMade));
            return;
        }
        if (changed.IsNothing) output.WriteLine($"{name}: nothing is other than it was");
        if (changed.InForce.Count > 0) output.WriteLine($"{name}: in force now: {string.Join(", ", changed.InForce)}");
        if (changed.AtNextStart.Count > 0) output.WriteLine($"{name}: {(changed.IsOnTerminal ? "it runs on a terminal; " : "")}takes effect at the next start: {string.Join(", ", changed.AtNextStart)}");
    }

    private static string Json(string name, MachineChanged changed, bool wasMade)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteBoolean("made", wasMade);
            json.WriteBoolean("running", changed.IsRunning);
            PsVerb.WriteWords(json, "inForce", changed.InForce);
            PsVerb.WriteWords(json, "atNextStart", changed.AtNextStart);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>The devices of a machine that can be had, by the names that they have or get.</summary>
    internal static IEnumerable<string> Devices(string? machine)
    {
        try
        {
            return machine is null || MachineStore.Look(MachineStore.OfUser().Find(machine)).Definition is not { } definition ? [] : definition.Complete().Devices.Take(definition.Devices.Count).Select(device => device.Name);
        }
        catch (MachineException)
        {
            return [];
        }
    }

    private static (int At, DeviceDefinition Device) Find(MachineDefinition machine, string option, string name)
    {
        var all = machine.Complete().Devices;
        var names = all.Take(machine.Devices.Count).Select(device => device.Name).ToList();
        var at = names.IndexOf(name);
        if (at < 0) throw new UsageException($"{option}: the machine has no device {name}{(Spelling.Nearest(name, names) is { } meant ? $"; did you mean {meant}?" : names.Count == 0 ? "" : $"; it has {Property.Enumerate(names)}")}");
        return (at, machine.Devices[at]);
    }

    private static MachineDefinition Without(MachineDefinition machine, string name)
    {
        var (at, _) = Find(machine, "--remove", name);
        return machine with { Devices = [.. machine.Devices.Where((_, index) => index != at)] };
    }

    private static MachineDefinition WithDevice(MachineDefinition machine, string text)
    {
        var words = Words.Split(text);
        var (at, device) = Find(machine, "--device", words[0]);
        if (words.Count < 2) throw new UsageException($"--device: say what is to be other of {words[0]}, like {words[0]},name=PROPERTY");
        var kind = DeviceKind.Of(device);
        foreach (var word in words.Skip(1))
        {
            var (property, value) = Words.Pair(word);
            try
            {
                device = value == "" ? Unset(kind, device, property) : kind.With(device, property, value);
            }
            catch (MachineException refused)
            {
                throw new UsageException($"--device: {refused.Message}");
            }
        }
        return machine with { Devices = [.. machine.Devices.Select((known, index) => index == at ? device : known)] };
    }

    // All that is said of it but one property.
    private static DeviceDefinition Unset(DeviceKind kind, DeviceDefinition device, string property)
    {
        if (kind.KindOf(device, property) is null) return kind.With(device, property, null);
        var (written, fresh) = (kind.Write(device).Where(known => known.Name != property), kind.Empty);
        foreach (var known in written)
            foreach (var value in known.Values) fresh = kind.With(fresh, known.Name, value);
        return fresh;
    }

    private static MachineDefinition Unset(MachineDefinition machine, string property)
    {
        var names = MachineShape.Shape.Properties.Select(known => known.Name).ToList();
        if (!names.Contains(property)) throw new UsageException($"--unset: a machine has no property {property}{(Spelling.Nearest(property, names) is { } meant ? $"; did you mean {meant}?" : "; 'lamina set --help' shows what there is")}");
        var fresh = new MachineDefinition { Devices = machine.Devices };
        foreach (var known in MachineShape.Shape.Write(machine).Where(known => known.Name != property))
            foreach (var value in known.Values) fresh = MachineShape.Shape.With(fresh, known.Name, value);
        return fresh;
    }

    // By the host's end, which is its own: [ADDRESS:]HOST[/udp].
    private static MachineDefinition Unpublish(MachineDefinition machine, string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        PublishedPort meant;
        try
        {
            meant = PublishedPort.Parse(slash < 0 ? $"{text}:1" : $"{text[..slash]}:1{text[slash..]}");
        }
        catch (MachineException)
        {
            throw new UsageException($"--unpublish: '{text}' is no port of the host; write it like 8080, [::1]:8080 or 53/udp");
        }
        var found = false;
        var devices = machine.Devices.Select(device =>
        {
            if (device is not NetworkDevice { Link: NetworkLink.User link } card) return device;
            var left = link.Published.Where(port => port.IsUdp != meant.IsUdp || !port.Host.Equals(meant.Host)).ToList();
            found |= left.Count < link.Published.Count;
            return left.Count == link.Published.Count ? device : card with { Link = link with { Published = left } };
        }).ToList();
        return found ? machine with { Devices = devices } : throw new UsageException($"--unpublish: the machine publishes no {(meant.IsUdp ? "UDP" : "TCP")} port {meant.Host}");
    }
}
