// What of a machine's definition can be other while it runs, and how that is brought about: one table, a line a property. What is not in it
// takes effect at the machine's next start.
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Groups;

namespace Lamina.Hypervisor.Serving;

/// <summary>A property that a running machine takes.</summary>
/// <param name="Name">What it is called in sentences and answers.</param>
/// <param name="Plan">What there is to do where two definitions differ in it: the one that runs, and the one that is wanted.</param>
internal sealed record LiveProperty(string Name, Func<LiveMachine, MachineDefinition, IEnumerable<LiveStep>> Plan);

/// <summary>A machine whose definition changes.</summary>
/// <param name="Definition">What it is by now, each device with its name.</param>
/// <param name="Ram">Its RAM in bytes.</param>
/// <param name="MemoryGroup">The control group that keeps its memory limit; null where none does.</param>
/// <param name="Handed">Files that were opened for it.</param>
internal sealed record LiveMachine(MachineDefinition Definition, ulong Ram, ControlGroup? MemoryGroup, HandedFiles Handed);

/// <summary>One thing to do to it.</summary>
/// <param name="Part">Which part of the machine that is, where it is not all of it.</param>
/// <param name="Do">Does it.</param>
/// <param name="Undo">Does the opposite.</param>
/// <param name="Change">What the definition is then.</param>
internal sealed record LiveStep(string Part, Func<Machine, Task> Do, Func<Machine, Task> Undo, Func<MachineDefinition, MachineDefinition> Change)
{
    internal LiveStep(string part, MachineAction doing, MachineAction undoing, Func<MachineDefinition, MachineDefinition> change)
        : this(part, machine => machine.DoAsync(doing, CancellationToken.None), machine => machine.DoAsync(undoing, CancellationToken.None), change)
    {
    }
}

/// <summary>The table.</summary>
internal static class LiveProperties
{
    internal static IReadOnlyList<LiveProperty> All { get; } =
    [
        new("memory", Memory),
        new("publish", (machine, wanted) => Cards(machine, wanted,
            card => (card.Link as NetworkLink.User)?.Published, (one, other) => one.SequenceEqual(other),
            (card, ports) => card with { Link = (NetworkLink.User)card.Link with { Published = ports } },
            (name, ports) => new MachineAction.Publish(name, ports))),
        new("plugged", (machine, wanted) => Cards<bool?>(machine, wanted,
            card => card.Plugged, (one, other) => one == other,
            (card, plugged) => card with { Plugged = plugged!.Value },
            (name, plugged) => new MachineAction.Plug(name, plugged!.Value))),
        new("cpu-cap, cpu-weight, cpu-pin", Processors),
        new("memory-limit", MemoryLimit),
        new("rate, iops, packets, burst", Rates),
        new("path of a CD drive", Discs),
    ];

    // The balloon holds what the guest is to do without. Without a balloon, or beyond the RAM, there is nothing that could be done.
    private static IEnumerable<LiveStep> Memory(LiveMachine machine, MachineDefinition wanted)
    {
        var (now, bytes) = (machine.Definition.MemoryBytes, wanted.MemoryBytes);
        if (now == bytes || bytes > machine.Ram || !machine.Definition.DevicesOf<BalloonDevice>().Any()) return [];
        return [new LiveStep("", new MachineAction.ResizeBalloon(machine.Ram - bytes), new MachineAction.ResizeBalloon(machine.Ram - now), definition => definition with { MemoryBytes = bytes })];
    }

    private static IEnumerable<LiveStep> Processors(LiveMachine machine, MachineDefinition wanted)
    {
        var (now, limit) = (machine.Definition.CpuLimit, wanted.CpuLimit);
        if (now != limit) yield return new LiveStep("", new MachineAction.SetCpuLimit(limit), new MachineAction.SetCpuLimit(now), definition => definition with { CpuLimit = limit });
    }

    // Where no control group keeps it, the next start says so.
    private static IEnumerable<LiveStep> MemoryLimit(LiveMachine machine, MachineDefinition wanted)
    {
        var (now, limit) = (machine.Definition.MemoryLimit, wanted.MemoryLimit);
        if (now == limit || machine.MemoryGroup is not { } group) yield break;
        yield return new LiveStep("", _ => SetAsync(limit), _ => SetAsync(now), definition => definition with { MemoryLimit = limit });

        Task SetAsync(ulong? bytes)
        {
            try
            {
                group.SetMemory(bytes);
                return Task.CompletedTask;
            }
            catch (HostException refused)
            {
                throw new MachineException(MachineError.Host, $"the host refuses this memory limit, which the machine may be over already: {refused.Message}", refused);
            }
        }
    }

    // What disks and cards move that both definitions have.
    private static IEnumerable<LiveStep> Rates(LiveMachine machine, MachineDefinition wanted)
    {
        foreach (var change in DefinitionDifference.Between(machine.Definition, wanted).Devices)
        {
            if (LimitOf(change.Before) is not { } old || LimitOf(change.After) is not { } now || old == now) continue;
            var name = change.Before!.Name;
            yield return new LiveStep(name, new MachineAction.SetRate(name, now), new MachineAction.SetRate(name, old), definition => definition.WithRate(name, now));
        }

        static RateLimit? LimitOf(DeviceDefinition? device) => device switch { DiskDevice disk => disk.Limit, NetworkDevice card => card.Limit, _ => null };
    }

    // The disc in a drive that both definitions have. Its file is opened by whoever asks for it: the machine's process may open none that it did not begin with.
    private static IEnumerable<LiveStep> Discs(LiveMachine machine, MachineDefinition wanted)
    {
        foreach (var change in DefinitionDifference.Between(machine.Definition, wanted).Devices)
        {
            if (change is not { Before: CdromDevice before, After: CdromDevice after } || before.Path == after.Path || before.Bus != after.Bus) continue;
            yield return new LiveStep(before.Name, of => ChangeAsync(of, after.Path), of => ChangeAsync(of, before.Path),
                definition => definition with { Devices = [.. definition.Devices.Select(device => device is CdromDevice cdrom && cdrom.Name == before.Name ? cdrom with { Path = after.Path } : device)] });

            async Task ChangeAsync(Machine of, string path)
            {
                using var file = machine.Handed.Take(path);
                await of.DoAsync(new MachineAction.ChangeDisc(before.Name, path) { File = file }, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    // A value of network cards that have it in both definitions.
    private static IEnumerable<LiveStep> Cards<T>(LiveMachine machine, MachineDefinition wanted, Func<NetworkDevice, T?> get, Func<T, T, bool> same, Func<NetworkDevice, T, NetworkDevice> set, Func<string, T, MachineAction> act)
    {
        foreach (var change in DefinitionDifference.Between(machine.Definition, wanted).Devices)
        {
            if (change is not { Before: NetworkDevice before, After: NetworkDevice after } || get(before) is not { } old || get(after) is not { } now || same(old, now)) continue;
            yield return new LiveStep(before.Name, act(before.Name, now), act(before.Name, old),
                definition => definition with { Devices = [.. definition.Devices.Select(device => device is NetworkDevice card && card.Name == before.Name ? set(card, now) : device)] });
        }
    }
}
