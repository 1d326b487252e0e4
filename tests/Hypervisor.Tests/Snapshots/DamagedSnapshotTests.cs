// A snapshot whose files are not what they were: it is told of as damaged, and why; the others are listed, put back, taken and removed as ever, nothing of it goes with them, and it can be removed.
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Snapshots;

public sealed class DamagedSnapshotTests : IDisposable
{
    // In place of a content.
    private const string Gone = "(gone)", Half = "(half)", Folder = "(folder)";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-damaged-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Aside => Path.Combine(_folder, "aside");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string, string, string> Damages => new()
    {
        { "snapshot.json", "", "snapshot.json is damaged" },
        { "snapshot.json", Half, "snapshot.json is damaged" },
        { "snapshot.json", "[1]", "snapshot.json is damaged" },
        { "snapshot.json", """{ "format": "1", "taken": 5, "machine": [], "memory": "yes" }""", "snapshot.json is damaged" },
        { "snapshot.json", """{ "format": 1, "taken": "2026-01-01T00:00:00Z", "machine": "/srv/web", "memory": true, "layer": 7 }""", "snapshot.json is damaged" },
        { "snapshot.json", """{ "format": 1, "taken": "2026-01-01T00:00:00Z", "machine": "/srv/web", "memory": true, "layer": "../layer-1.qcow2" }""", "snapshot.json is damaged" },
        { "snapshot.json", """{ "format": 1, "taken": "2026-01-01T00:00:00Z", "machine": "/srv/web", "memory": false, "layer": "\u001b[2J" }""", "snapshot.json is damaged" },
        { "snapshot.json", """{ "format": 1, "taken": "2026-01-01T00:00:00Z", "machine": "/srv/web", "memory": false, "description": "\u001b[2J" }""", "snapshot.json is damaged" },
        { "snapshot.json", """{ "format": 4 }""", "snapshot.json is of format 4, and this program knows up to 3" },
        { "snapshot.json", Gone, "snapshot.json is damaged" },
        { "snapshot.json", Folder, "snapshot.json is damaged" },
        { "machine.json", Gone, "machine.json is gone" },
        { "machine.json", Half, "machine.json is damaged" },
        { "memory", Gone, "memory is gone" },
        { "memory", Folder, "memory is a folder, and no file" },
        { "state", Gone, "state is gone" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task It_is_told_of_and_the_others_are_as_ever(string file, string content, string sentence)
    {
        var home = await LiveAsync();
        var path = Path.Combine(home.Snapshots, "two", file);
        Damage(path, content);

        var all = SnapshotStore.List(home);
        Assert.Equal(["one", "three", "two"], all.Select(snapshot => snapshot.Name).Order(StringComparer.Ordinal));
        var damaged = Assert.Single(all, snapshot => snapshot.Damage is not null);
        Assert.Equal("two", damaged.Name);
        Assert.Contains(sentence, damaged.Damage, StringComparison.Ordinal);
        Assert.Contains("lamina", damaged.Damage, StringComparison.Ordinal);
        Assert.DoesNotContain("lamina rm", damaged.Damage, StringComparison.Ordinal);
        Assert.Equal(damaged.Damage, Assert.Throws<MachineException>(() => SnapshotStore.Find(home, "two")).Message);
        var before = File.ReadAllBytes(home.Disk);
        Assert.Equal(damaged.Damage, Assert.Throws<MachineException>(() => SnapshotStore.Restore(home, "two")).Message);
        Assert.Equal(before, File.ReadAllBytes(home.Disk));

        // Each of these removes layers that nothing needs.
        SnapshotStore.Remove(home, "three");
        SnapshotStore.Restore(home, "one");
        Assert.Equal(0x11, SnapshotLife.ReadDisk(home));
        await SnapshotStore.CreateAsync(home, "next", cancellationToken: Token);
        Assert.Equal(["next", "one", "two"], SnapshotStore.List(home).Select(snapshot => snapshot.Name).Order(StringComparer.Ordinal));

        // All that was its own is there: mended, it is what it was.
        Mend(path);
        SnapshotStore.Restore(home, "two");
        Assert.Equal((0x22, true), (SnapshotLife.ReadDisk(home), SuspendRecord.Read(home) is not null));
        SuspendRecord.Drop(home);
        SnapshotStore.Restore(home, "one");

        Damage(path, content);
        SnapshotStore.Remove(home, "two");
        Assert.Equal(["next", "one"], SnapshotStore.List(home).Select(snapshot => snapshot.Name).Order(StringComparer.Ordinal));
        Assert.All(SnapshotStore.List(home), snapshot => Assert.Null(snapshot.Damage));
        // And with it what it alone needed.
        Assert.Equal([SnapshotStore.Find(home, "one").Layer], home.Layers.Select(Path.GetFileName));
        SnapshotStore.Restore(home, "next");
        Assert.Equal(0x11, SnapshotLife.ReadDisk(home));
    }

    [Fact]
    public async Task No_other_layer_gets_the_name_of_one_that_was_lost()
    {
        var home = await LiveAsync();
        SnapshotStore.Remove(home, "three");
        var lost = Path.Combine(home.Folder, SnapshotStore.Find(home, "two").Layer!);
        SnapshotStore.Restore(home, "one");
        Damage(lost, Gone);
        SnapshotLife.WriteDisk(home, 0x55);

        await SnapshotStore.CreateAsync(home, "next", cancellationToken: Token);

        Assert.False(File.Exists(lost));
        Assert.NotNull(SnapshotStore.List(home).Single(snapshot => snapshot.Name == "two").Damage);
    }

    // The layers below a snapshot are known by its own; where that cannot be read, all stay.
    [Theory]
    [InlineData(Gone, "layer-3.qcow2 is gone; the snapshot")]
    [InlineData("no image", "layer-3.qcow2 is no image of a disk any more; the snapshot")]
    public async Task Of_one_whose_disk_cannot_be_read_nothing_goes_and_the_others_can_be_removed(string content, string sentence)
    {
        var home = await LiveAsync();
        SnapshotStore.Restore(home, "one");
        var path = home.Layer(3);
        Damage(path, content);
        var layers = home.Layers;
        var damaged = Assert.Single(SnapshotStore.List(home), snapshot => snapshot.Damage is not null);
        Assert.Equal("three", damaged.Name);
        Assert.Contains(sentence, damaged.Damage, StringComparison.Ordinal);

        SnapshotStore.Remove(home, "two");
        SnapshotStore.Remove(home, "one");

        Assert.Equal(layers, home.Layers);
        Mend(path);
        SnapshotStore.Restore(home, "three");
        Assert.Equal(0x33, SnapshotLife.ReadDisk(home));
        Damage(path, content);
        SnapshotStore.Remove(home, "three");
        Assert.Empty(SnapshotStore.List(home));
    }

    [Fact]
    public async Task A_layer_that_is_gone_is_told_of_with_each_that_is_based_on_it()
    {
        var home = await LiveAsync();
        Damage(home.Layer(2), Gone);

        var damages = SnapshotStore.List(home).Where(snapshot => snapshot.Damage is not null).ToDictionary(snapshot => snapshot.Name, snapshot => snapshot.Damage!);

        Assert.Equal(["three", "two"], damages.Keys.Order(StringComparer.Ordinal));
        Assert.All(damages.Values, damage => Assert.Contains("layer-2.qcow2 is gone", damage, StringComparison.Ordinal));
        SnapshotStore.Restore(home, "one");
        Assert.Equal(0x11, SnapshotLife.ReadDisk(home));
    }

    // Three snapshots; the second is of a machine in the middle of what it did.
    private async Task<MachineHome> LiveAsync()
    {
        SnapshotLife.Make(_folder);
        await SnapshotLife.RunAsync(_folder, upTo: "three", cancellationToken: Token);
        return SnapshotLife.Store(_folder).Find(SnapshotLife.Machine);
    }

    private void Damage(string path, string content)
    {
        File.Move(path, Aside);
        switch (content)
        {
            case Gone:
                break;
            case Folder:
                Directory.CreateDirectory(path);
                break;
            case Half:
                File.WriteAllBytes(path, File.ReadAllBytes(Aside)[..(int)(new FileInfo(Aside).Length / 2)]);
                break;
            default:
                File.WriteAllText(path, content);
                break;
        }
    }

    private void Mend(string path)
    {
        if (Directory.Exists(path)) Directory.Delete(path);
        File.Move(Aside, path, overwrite: true);
    }
}
