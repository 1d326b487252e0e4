// A machine's control groups: made by whoever starts the machine's process, before it begins, and entered by the process before it does
// anything. They lie in those of the machine's pools. For processor time there is a group of the process and one below it of the virtual CPUs' threads:
// the weight is the first one's, the cap the second's, so that the machine answers at its socket however little its guest may have.
// Groups stay when a machine has ended and go when a later one is started; an empty one costs nothing.
using System.Security.Cryptography;
using System.Text;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Groups;
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Limiting;

/// <summary>The groups of one machine.</summary>
/// <param name="Cpu">The one for processor time; or null.</param>
/// <param name="Memory">The one for memory, which in version 2 is the same; or null.</param>
internal sealed record LimitGroups(ControlGroup? Cpu, ControlGroup? Memory) : IHostCpus
{
    private const string Ours = "lamina", Cpus = "cpus", CpuController = "cpu", MemoryController = "memory";

    // What stands for "there is none" in a word, and what is between the two.
    private const string Nothing = "-", Between = "|";

    // What is reserved is kept by a weight that those who reserve nothing have no chance against: a hundred for each percent of a processor.
    private const int WeightOfPercent = 100;

    // No start takes so long.
    private static readonly TimeSpan Start = TimeSpan.FromMinutes(1);

    /// <summary>None: the machine does by itself what it can.</summary>
    internal static LimitGroups None { get; } = new(null, null);

    /// <inheritdoc/>
    public string Means => MeansOf(Cpu)!;

    /// <summary>By what its limits are kept, in a word or two; null where they are not.</summary>
    internal static string? MeansOf(ControlGroup? group) => group is null ? null : $"cgroup v{group.Version}";

    /// <summary>The folders that the machine's process writes to, to change its limits while it runs.</summary>
    internal IEnumerable<string> Paths => ((ControlGroup?[])[Cpu, Memory]).OfType<ControlGroup>().Select(group => group.Path).Distinct();

    /// <summary>Makes a machine's groups as far as this user can, with those of its pools, whose limits are put in force.</summary>
    /// <param name="home">The machine's folder.</param>
    /// <param name="pools">The pool that it is in and those above, in this order.</param>
    /// <param name="say">Told in a sentence what cannot be had.</param>
    internal static LimitGroups Make(MachineHome home, IReadOnlyList<Pool> pools, Action<string> say)
    {
        var stores = Path.GetDirectoryName(home.Folder)!;
        var cpu = Make(CpuController, stores, home.Name, pools, say);
        var memory = Make(MemoryController, stores, home.Name, pools, say);
        if (cpu is not null) cpu = TryMakeCpus(cpu, say);
        if (cpu is null && pools.Any(pool => pool.Definition.CpuCap is not null)) say("the cap on processor time of the machine's pools is not kept: this user has no control groups here");
        if (memory is null && pools.Any(pool => pool.Definition.MemoryLimit is not null)) say("the memory limit of the machine's pools is not kept: this user has no control groups here");
        return new LimitGroups(cpu, memory);
    }

    /// <summary>Puts a pool's limits in force for the machines that run in it.</summary>
    /// <param name="machines">The machines' store.</param>
    /// <param name="chain">The pool and those above, in this order.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    internal static void Apply(MachineStore machines, IReadOnlyList<Pool> chain)
    {
        foreach (var controller in (string[])[CpuController, MemoryController])
        {
            if (Root(controller) is not { } group) continue;
            foreach (var pool in chain.Reverse()) group = group.Below(NameOf("pool", pool.Name, machines.Folder));
            if (group.Exists) Set(group, controller, chain[0].Definition);
        }
    }

    /// <summary>Whether the host's kernel ended a machine's process in its last run since the machine, or a pool that it is in, had reached its memory limit.</summary>
    internal static bool WasEndedForMemory(MachineHome home, IReadOnlyList<Pool> pools) =>
        Root(MemoryController) is { } root && Place(root, Path.GetDirectoryName(home.Folder)!, home.Name, pools)[^1].KilledForMemory() != 0;

    /// <summary>What a process is told of them by whoever starts it, as a word.</summary>
    public override string ToString() => string.Join(Between, ((ControlGroup?[])[Cpu, Memory]).Select(group => group is null ? Nothing : $"{group.Version}:{group.Path}"));

    /// <summary>The groups of a word.</summary>
    /// <exception cref="MachineException">It is none.</exception>
    internal static LimitGroups Parse(string word) => word.Split(Between) is [var cpu, var memory] ? new LimitGroups(ParseOne(cpu), ParseOne(memory)) : throw NoGroups(word);

    /// <summary>Puts this process into them.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    internal void EnterProcess()
    {
        Cpu?.EnterProcess();
        if (Memory != Cpu) Memory?.EnterProcess();
    }

    /// <inheritdoc/>
    public void Enter() => Cpu!.Below(Cpus).EnterThread();

    /// <inheritdoc/>
    public void Set(CpuLimit limit, int? reserve)
    {
        Cpu!.SetWeight(WeightOf(limit.Weight, reserve));
        Cpu!.Below(Cpus).SetCap(limit.Cap);
    }

    // The weight that keeps a reservation.
    private static int WeightOf(int weight, int? reserve) => Math.Clamp((reserve ?? 0) * WeightOfPercent, weight, CpuLimit.MostWeight);

    private static ControlGroup? Root(string controller) => GroupTree.Find(controller) is { } tree ? new ControlGroup(tree.Version, tree.Path).Below(Ours) : null;

    private static ControlGroup? Make(string controller, string store, string machine, IReadOnlyList<Pool> pools, Action<string> say)
    {
        if (Root(controller) is not { } group) return null;
        try
        {
            group.Make(controller);
            RemoveEmpty(group);
            var place = Place(group, store, machine, pools);
            for (var i = 0; i < pools.Count; i++)
            {
                place[i].Make(controller);
                Set(place[i], controller, pools[pools.Count - 1 - i].Definition);
            }
            // A fresh one, which knows of no earlier run.
            place[^1].Below(Cpus).TryRemove();
            place[^1].TryRemove();
            place[^1].Make(controller);
            return place[^1];
        }
        catch (HostException refused)
        {
            say($"no control groups are used for {controller}: {refused.Message}");
            return null;
        }
    }

    // The groups of the pools from the outermost on, and then the machine's.
    private static List<ControlGroup> Place(ControlGroup root, string store, string machine, IReadOnlyList<Pool> pools)
    {
        var place = new List<ControlGroup>();
        foreach (var pool in pools.Reverse()) place.Add(root = root.Below(NameOf("pool", pool.Name, store)));
        place.Add(root.Below(NameOf("machine", machine, store)));
        return place;
    }

    private static ControlGroup? TryMakeCpus(ControlGroup machine, Action<string> say)
    {
        try
        {
            var cpus = machine.Below(Cpus);
            cpus.Make(CpuController);
            cpus.MakeThreaded();
            return machine;
        }
        catch (HostException refused)
        {
            say($"no control groups are used for {CpuController}: {refused.Message}");
            return null;
        }
    }

    private static void Set(ControlGroup group, string controller, PoolDefinition pool)
    {
        if (controller == MemoryController)
        {
            group.SetMemory(pool.MemoryLimit);
            return;
        }
        group.SetWeight(WeightOf(pool.CpuWeight, pool.CpuReserve));
        group.SetCap(pool.CpuCap);
    }

    // Whoever is in one keeps it; one that was made just now may be about to be entered.
    private static void RemoveEmpty(ControlGroup group)
    {
        foreach (var name in Directory.EnumerateDirectories(group.Path).ToList())
        {
            var below = new ControlGroup(group.Version, name);
            if (below.Read("cgroup.procs") is { Length: > 0 } || DateTime.UtcNow - Directory.GetCreationTimeUtc(name) < Start) continue;
            RemoveEmpty(below);
            below.TryRemove();
        }
    }

    // Stores of several folders, and users, have machines of the same name.
    private static string NameOf(string kind, string name, string store) => $"{kind}-{name}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(store)))[..8]}";

    private static ControlGroup? ParseOne(string word) => word == Nothing ? null
        : word.Split(':', 2) is [("1" or "2") and var version, { Length: > 0 } path] ? new ControlGroup(version[0] - '0', path)
        : throw NoGroups(word);

    private static MachineException NoGroups(string word) => new($"'{word}' names no control groups");
}
