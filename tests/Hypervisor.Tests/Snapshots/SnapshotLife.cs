// What becomes of a machine with snapshots, in a process that is watched: some are taken of it, off and suspended in the middle of what it did, some are removed, and it is put back. Before each of these and behind it the process leaves a
// mark: it removes a name that is not there.
using Lamina.Backends.Disk;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;
using Lamina.Images;

namespace Lamina.Tests.Hypervisor.Snapshots;

internal static class SnapshotLife
{
    internal const string Word = "snapshot-life", Machine = "web";

    /// <summary>A mark's parts: what is done, the snapshot, and whether it is over.</summary>
    internal const string Takes = "takes", Removes = "removes", Begins = "begins", Done = "done";

    private const ulong Ram = 16 << 20;

    // A Multiboot header whose addresses count (flag 16), for 2 MiB, and a guest behind it that halts.
    private static readonly uint[] s_kernel = [0x1BADB002, 0x10000, unchecked(0u - 0x1BADB002 - 0x10000), 0x200000, 0x200000, 0x200030, 0x200030, 0x200020, 0xFDEBF4];

    /// <summary>What each snapshot has: the first byte of the disk, what firmware kept, whether it goes on in the middle.</summary>
    internal static IReadOnlyDictionary<string, (byte Disk, byte? Variables, bool HasMemory)> Kept { get; } = new Dictionary<string, (byte, byte?, bool)>(StringComparer.Ordinal)
    {
        ["one"] = (0x11, null, false),
        ["two"] = (0x22, 2, true),
        ["three"] = (0x33, 2, false),
        ["four"] = (0x44, null, false),
        ["five"] = (0x22, 2, true),
        ["six"] = (0x22, 2, true),
    };

    /// <summary>Makes the machine.</summary>
    internal static void Make(string folder)
    {
        var image = Directory.CreateDirectory(Path.Combine(folder, "image")).FullName;
        string kernel = Path.Combine(image, "kernel"), disk = Path.Combine(image, "disk.qcow2");
        File.WriteAllBytes(kernel, [.. s_kernel.SelectMany(BitConverter.GetBytes), .. new byte[12]]);
        DiskTools.Create(new DiskCreation { Path = disk, Size = 1 << 20 });
        var made = new Image("some", "1.0", image, kernel, null, "quiet") { DiskPath = disk, Memory = Ram };
        Directory.CreateDirectory(Store(folder).Folder);
        Store(folder).Create(Machine, MachineStore.Of(made) with { Engine = EngineChoice.Translator, Devices = [new SerialDevice { To = new ConsoleTarget.Null() }] }, made);
    }

    internal static MachineStore Store(string folder) => new(Path.Combine(folder, "machines"));

    /// <summary>Lives it.</summary>
    /// <param name="folder">Where it was made.</param>
    /// <param name="upTo">The snapshot behind which it ends; null for all of it.</param>
    /// <param name="second">How the memory of the snapshot two is kept.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal static async Task<int> RunAsync(string folder, string? upTo = null, SnapshotMemory second = SnapshotMemory.Whole, CancellationToken cancellationToken = default)
    {
        var home = Store(folder).Find(Machine);
        WriteDisk(home, 0x11);
        await TakeAsync(folder, home, "one");
        WriteDisk(home, 0x22);
        Directory.CreateDirectory(home.Work);
        HostFiles.Replace(home.Variables, [2], durable: true);
        await SuspendAsync(home, cancellationToken);
        if (second == SnapshotMemory.Changes)
        {
            await TakeAsync(folder, home, "basis");
            await SuspendOtherwiseAsync(home, cancellationToken);
        }
        await TakeAsync(folder, home, "two", second);
        if (second == SnapshotMemory.Changes) Remove(folder, home, "basis");
        SuspendRecord.Drop(home);
        WriteDisk(home, 0x33);
        await TakeAsync(folder, home, "three");
        if (upTo == "three") return 0;
        SnapshotStore.Restore(home, "one");
        WriteDisk(home, 0x44);
        await TakeAsync(folder, home, "four");
        Remove(folder, home, "three");
        SnapshotStore.Restore(home, "two");
        // Of what it is to go on from.
        await TakeAsync(folder, home, "five", SnapshotMemory.Compressed);
        await SuspendOtherwiseAsync(home, cancellationToken);
        await TakeAsync(folder, home, "six", SnapshotMemory.Changes);
        SuspendRecord.Drop(home);
        Remove(folder, home, "two");
        Remove(folder, home, "one");
        return 0;
    }

    internal static byte ReadDisk(MachineHome home)
    {
        var device = MachineDisks.DiskOf(home)!;
        using var disk = DiskImages.Open(new DiskOptions { Path = device.Path, Backing = device.Backing, ReadOnly = true });
        using var buffer = new HostBuffer(512);
        disk.Read(0, [IoVector.Of(buffer, 0, 512)]);
        return buffer.Span[0];
    }

    private static async Task TakeAsync(string folder, MachineHome home, string name, SnapshotMemory memory = SnapshotMemory.Whole)
    {
        Mark(folder, Takes, name, Begins);
        await SnapshotStore.CreateAsync(home, name, memory: memory);
        Mark(folder, Takes, name, Done);
    }

    private static void Remove(string folder, MachineHome home, string name)
    {
        Mark(folder, Removes, name, Begins);
        SnapshotStore.Remove(home, name);
        Mark(folder, Removes, name, Done);
    }

    private static void Mark(string folder, string what, string name, string state) => _ = HostFiles.TryUnlink(Path.Combine(folder, $"{what} {name} {state}"));

    // As the machine's process does.
    private static async Task SuspendAsync(MachineHome home, CancellationToken cancellationToken)
    {
        var definition = MachineDisks.Whole(home, MachineFile.Read(home)!);
        MachineFile.WriteStarted(home, MachineFile.Read(home)!);
        using var disks = new HeldDisks(definition);
        await using (var machine = Lamina.Machine.Create(definition))
        {
            var run = machine.RunAsync(cancellationToken);
            await machine.SuspendAsync(home.Suspended, cancellationToken);
            await run.WaitAsync(cancellationToken);
        }
        SuspendRecord.Write(home, disks);
    }

    // Once more, with some of its memory other than before.
    private static async Task SuspendOtherwiseAsync(MachineHome home, CancellationToken cancellationToken)
    {
        SuspendRecord.Drop(home);
        await SuspendAsync(home, cancellationToken);
        using var memory = File.OpenWrite(Path.Combine(home.Suspended, "memory"));
        foreach (var at in (int[])[0x9000, 0x300000, (int)Ram - 4096])
        {
            memory.Position = at;
            memory.Write([1, 2, 3]);
        }
        memory.Flush(flushToDisk: true);
    }

    internal static void WriteDisk(MachineHome home, byte value)
    {
        var device = MachineDisks.DiskOf(home)!;
        using var disk = DiskImages.Open(new DiskOptions { Path = device.Path, Backing = device.Backing });
        using var buffer = new HostBuffer(4096);
        buffer.Span.Fill(value);
        disk.Write(0, [IoVector.Of(buffer, 0, 4096)]);
        disk.Flush();
    }
}
