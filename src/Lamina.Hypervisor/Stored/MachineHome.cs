// The folder of a machine: what lies in it, by name, for whoever runs the machine and whoever asks. What the machine's process writes
// beside its disk lies in a folder below: it reaches nothing else, least of all its own definition.
using System.Globalization;

namespace Lamina.Hypervisor.Stored;

/// <summary>A machine's folder.</summary>
/// <param name="Folder">Its path.</param>
public sealed record MachineHome(string Folder)
{
    /// <summary>What stands behind the name of a log that was full: what it held before the one that has the name now.</summary>
    public const string OldSuffix = ".old";

    /// <summary>How long a log becomes, in bytes, before it is put aside; one more piece may go behind it.</summary>
    public const int LongestLog = 8 << 20;

    /// <summary>The machine's name, which is the folder's.</summary>
    public string Name => Path.GetFileName(Folder);

    /// <summary>Its definition.</summary>
    public string Definition => In("machine.json");

    /// <summary>What it was last started with: what it may have of the host where it goes on in the middle of what it did.</summary>
    internal string Started => In("started.json");

    /// <summary>What a process holds that runs the machine, or changes it.</summary>
    public string Lock => In("lock");

    /// <summary>What its process writes.</summary>
    public string Work => In("run");

    /// <summary>The socket at which its process is asked for things.</summary>
    public string Socket => InWork("control.sock");

    /// <summary>The socket of its socket device, by which its guest's agent is reached, where its definition names none.</summary>
    public string Sockets => InWork("vsock");

    /// <summary>What is said of the process while it runs.</summary>
    public string Run => InWork("run.json");

    /// <summary>How its last run ended.</summary>
    public string End => InWork("end.json");

    /// <summary>The state of a machine that was suspended.</summary>
    public string Suspended => InWork("suspended");

    /// <summary>What is said of that state; where there is none, there is no state.</summary>
    public string SuspendedRecord => InWork("suspended.json");

    /// <summary>What is said of a machine that has gone to another place, or has not come wholly.</summary>
    internal string Migrated => InWork("migrated.json");

    /// <summary>What its firmware keeps of its variables (UEFI), where it has some.</summary>
    public string Variables => InWork("uefi-variables.fd");

    /// <summary>Which memory its guest touched first when it went on from a saved state.</summary>
    internal string WorkingSet => InWork("working-set");

    /// <summary>What its process writes of itself while somebody takes a snapshot of it.</summary>
    internal string SnapshotState => InWork("snapshot");

    /// <summary>The image that is to take what is written to its disk from a snapshot on, until it has its place.</summary>
    internal string SnapshotDisk => InWork("snapshot.qcow2");

    /// <summary>Where a machine that was forked from another one goes on at its first start: that one's state, which it shares with others.</summary>
    internal string Forked => In("forked");

    /// <summary>The folder of its snapshots.</summary>
    public string Snapshots => In("snapshots");

    /// <summary>Which system call ended its process, where its lock did.</summary>
    public string Blocked => InWork("blocked");

    /// <summary>The translator's code of earlier runs: its own, since who writes it has other machines run it.</summary>
    public string Code => InWork("code");

    /// <summary>An empty folder, upon which its process has a root folder of its own mounted; nobody else sees that.</summary>
    public string Root => InWork("root");

    /// <summary>What its process had to say.</summary>
    public string Log => InWork("log");

    /// <summary>What its guest printed at its first console.</summary>
    public string ConsoleOutput => ConsoleOutputOf(null);

    /// <summary>The disk that is its own.</summary>
    public string Disk => In("disk.qcow2");

    /// <summary>What that disk is based on.</summary>
    public string Base => In("base.qcow2");

    /// <summary>What stood on its disk when it was copied: each based on the one before it, the first on <see cref="Base"/>. Machines that were copied from one another share them, and nobody writes them.</summary>
    public IReadOnlyList<string> Layers => !Directory.Exists(Folder) ? [] : [.. Directory.EnumerateFiles(Folder, "layer-*.qcow2").Where(path => LayerNumber(path) > 0).OrderBy(LayerNumber)];

    /// <summary>A layer.</summary>
    internal string Layer(int number) => In($"layer-{number.ToString(CultureInfo.InvariantCulture)}.qcow2");

    /// <summary>A layer's number; 0 for what is none.</summary>
    internal static int LayerNumber(string path) =>
        Path.GetFileName(path) is { } name && name.StartsWith("layer-", StringComparison.Ordinal) && name.EndsWith(".qcow2", StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(6, name.Length - 12), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 && name == $"layer-{number.ToString(CultureInfo.InvariantCulture)}.qcow2" ? number : 0;

    /// <summary>The disk with its settings.</summary>
    public string Seed => In("seed.img");

    /// <summary>The kernel of its image.</summary>
    public string Kernel => In("kernel");

    /// <summary>The initial RAM disk of its image.</summary>
    public string Initrd => In("initrd");

    /// <summary>What its guest printed at a console.</summary>
    /// <param name="device">The console's device; null for the first.</param>
    public string ConsoleOutputOf(string? device) => InWork(device is null ? "console.log" : $"console-{device}.log");

    private string In(string name) => Path.Combine(Folder, name);

    private string InWork(string name) => Path.Combine(Work, name);
}
