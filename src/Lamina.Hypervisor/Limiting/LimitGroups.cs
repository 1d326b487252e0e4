// A machine's control groups: made by whoever starts the machine's process, before it begins, and entered by the process before it does
// anything. For processor time there is a group of the process and one below it of the virtual CPUs' threads: the weight is the first one's,
// the cap the second's, so that the machine answers at its socket however little its guest may have. Groups stay when a machine has ended
// and go when the next one is started; an empty one costs nothing.
using System.Security.Cryptography;
using System.Text;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Groups;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Limiting;

/// <summary>The groups of one machine.</summary>
/// <param name="Cpu">The one for processor time; or null.</param>
internal sealed record LimitGroups(ControlGroup? Cpu) : IHostCpus
{
    private const string Ours = "lamina", Cpus = "cpus", Controller = "cpu";

    // No start takes so long.
    private static readonly TimeSpan Start = TimeSpan.FromMinutes(1);

    // What stands for "there are none" in a word.
    private const string Nothing = "-";

    /// <summary>None: the machine does by itself what it can.</summary>
    internal static LimitGroups None { get; } = new((ControlGroup?)null);

    /// <inheritdoc/>
    public string Means => $"cgroup v{Cpu!.Version}";

    /// <summary>Makes a machine's groups as far as this user can.</summary>
    /// <param name="home">The machine's folder.</param>
    /// <param name="log">Told in a sentence what cannot be had although the host offers it.</param>
    internal static LimitGroups Make(MachineHome home, Action<string> log)
    {
        if (GroupTree.Find(Controller) is not { } tree) return None;
        try
        {
            var ours = new ControlGroup(tree.Version, tree.Path).Below(Ours);
            ours.Make(Controller);
            RemoveEmpty(ours);
            var machine = ours.Below(NameOf(home));
            machine.Make(Controller);
            var cpus = machine.Below(Cpus);
            cpus.Make(Controller);
            cpus.MakeThreaded();
            return new LimitGroups(machine);
        }
        catch (HostException refused)
        {
            log($"no control groups are used: {refused.Message}");
            return None;
        }
    }

    /// <summary>What a process is told of them by whoever starts it, as a word.</summary>
    public override string ToString() => Cpu is null ? Nothing : $"{Cpu.Version}:{Cpu.Path}";

    /// <summary>The groups of a word.</summary>
    /// <exception cref="MachineException">It is none.</exception>
    internal static LimitGroups Parse(string word) => word == Nothing ? None
        : word.Split(':', 2) is [("1" or "2") and var version, { Length: > 0 } path] ? new LimitGroups(new ControlGroup(version[0] - '0', path))
        : throw new MachineException($"'{word}' names no control groups");

    /// <summary>The folders that the machine's process writes to, to change its limits while it runs.</summary>
    internal IEnumerable<string> Paths => Cpu is null ? [] : [Cpu.Path];

    /// <summary>Puts this process into them.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    internal void EnterProcess() => Cpu?.EnterProcess();

    /// <inheritdoc/>
    public void Enter() => Cpu!.Below(Cpus).EnterThread();

    /// <inheritdoc/>
    public void Set(CpuLimit limit)
    {
        Cpu!.SetWeight(limit.Weight);
        Cpu!.Below(Cpus).SetCap(limit.Cap);
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
    private static string NameOf(MachineHome home) => $"{home.Name}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(home.Folder)))[..8]}";
}
