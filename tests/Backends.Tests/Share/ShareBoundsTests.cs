// What a guest can have the host remember, open and hold for a shared folder, and what happens there. Run alone, since descriptors and
// memory are the whole process's.
using System.Text;
using Lamina.Backends.Share;
using Xunit;
using static Lamina.Tests.Backends.Share.FuseClient;

namespace Lamina.Tests.Backends.Share;

[Collection(Alone.Name)]
public sealed class ShareBoundsTests : IDisposable
{
    private const int NoMemory = 12, TooManyOpen = 23, NoDescriptor = 24, Stale = 116;

    private static readonly ShareLimits Small = new(OpenFiles: 8, HeldNodes: 16, NodeBytes: 1 << 20);

    private readonly ShareFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Descriptors_of_folders_are_bounded_and_the_others_found_again()
    {
        const int count = 100;
        for (var i = 0; i < count; i++) Directory.CreateDirectory(_folder[$"{i}/below"]);
        using var guest = new FuseClient(_folder.Path, new ShareOptions { Limits = Small });
        var before = OpenDescriptors();

        var nodes = Enumerable.Range(0, count).Select(i => (ulong)guest.Find($"{i}/below")).ToArray();
        Assert.InRange(OpenDescriptors() - before, 1, Small.HeldNodes);
        for (var i = 0; i < count; i++) Assert.Equal(0, guest.Ask(MakeFolder, nodes[i], [.. Words(0b111_101_101, 0), .. Text("new")], out _));

        var figures = guest.Share.Statistics;
        Assert.InRange(figures.HeldNodes, 1, Small.HeldNodes);
        Assert.InRange(OpenDescriptors() - before, 1, Small.HeldNodes);
        Assert.Equal((3 * count + 1, 0), (figures.Nodes, figures.Lost));
        Assert.True(figures.FoundAgain >= count - Small.HeldNodes);
    }

    [Fact]
    public void A_path_deeper_than_any_text_of_one_is_walked_with_few_descriptors()
    {
        const int levels = 300;
        var name = new string('d', 200);
        using var guest = new FuseClient(_folder.Path, new ShareOptions { Limits = Small });
        ulong node = 1;
        for (var i = 0; i < levels; i++)
        {
            Assert.Equal(0, guest.Ask(MakeFolder, node, [.. Words(0b111_101_101, 0), .. Text(name)], out var made));
            node = BitConverter.ToUInt64(made);
        }
        Assert.Equal(0, guest.Ask(Create, node, [.. Words(2, 0b110_100_100, 0, 0), .. Text("file")], out var created));
        Assert.Equal(0, guest.Ask(Release, 0, Longs(BitConverter.ToUInt64(created, 128), 0, 0), out _));
        // Others take the descriptors.
        for (var i = 0; i < 50; i++) Assert.Equal(0, guest.Ask(MakeFolder, 1, [.. Words(0b111_101_101, 0), .. Text($"other {i}")], out _));

        var file = BitConverter.ToUInt64(created);
        Assert.Equal(0, guest.SetAttributesOf(file, 8, size: 1_000));
        Assert.True(guest.OpenNode((long)file, 2) > 0);
        Assert.Equal(0, guest.Ask(Rename2, node, [.. Longs(1), .. Words(0, 0), .. Text("file"), .. Text("up")], out _));

        Assert.Equal(1_000, new FileInfo(_folder["up"]).Length);
        Assert.Equal(0, guest.Share.Statistics.Lost);
        Assert.InRange(guest.Share.Statistics.HeldNodes, 1, Small.HeldNodes);
    }

    [Fact]
    public void Of_what_has_lost_its_name_so_much_is_held_and_the_oldest_is_lost()
    {
        const int count = 50;
        for (var i = 0; i < count; i++) File.WriteAllText(_folder[$"{i}"], "x");
        Directory.CreateDirectory(_folder["folder"]);
        using var guest = new FuseClient(_folder.Path, new ShareOptions { Limits = Small });
        var folder = guest.Find("folder");
        var nodes = Enumerable.Range(0, count).Select(i => (ulong)guest.Find($"{i}")).ToArray();
        for (var i = 0; i < count; i++) Assert.Equal(0, guest.Ask(Unlink, 1, Text($"{i}"), out _));

        Assert.Equal(Stale, guest.Ask(GetAttributes, nodes[0], Words(0, 0, 0, 0), out _));
        Assert.Equal(0, guest.Ask(GetAttributes, nodes[^1], Words(0, 0, 0, 0), out _));
        Assert.Equal(Small.HeldNodes, guest.Share.Statistics.HeldNodes);
        // What has a name is not worse off for it.
        Assert.Equal(0, guest.Ask(MakeFolder, (ulong)folder, [.. Words(0b111_101_101, 0), .. Text("new")], out _));
        foreach (var node in nodes) guest.Ask(Forget, node, Longs(1), out _);
        Assert.InRange(guest.Share.Statistics.HeldNodes, 0, 2);
        Assert.Equal(3, guest.Share.Statistics.Nodes);
    }

    [Fact]
    public void So_many_files_are_open_at_once()
    {
        File.WriteAllText(_folder["file"], "x");
        using var guest = new FuseClient(_folder.Path, new ShareOptions { Limits = Small });
        var node = guest.Find("file");
        var handles = Enumerable.Range(0, Small.OpenFiles).Select(_ => guest.OpenNode(node)).ToArray();

        Assert.All(handles, handle => Assert.True(handle > 0));
        Assert.Equal(-TooManyOpen, guest.OpenNode(node));
        Assert.Equal(TooManyOpen, guest.Ask(Create, 1, [.. Words(2, 0b110_100_100, 0, 0), .. Text("new")], out _));
        Assert.Equal(TooManyOpen, guest.Ask(CreateNameless, 1, [.. Words(2, 0b110_100_100, 0, 0), .. Text("/")], out _));
        Assert.False(File.Exists(_folder["new"]));
        Assert.Equal(Small.OpenFiles, guest.Share.Statistics.OpenFiles);
        Assert.Equal(0, guest.Ask(Release, 0, Longs((ulong)handles[3], 0, 0), out _));
        Assert.True(guest.OpenNode(node) > 0);
    }

    [Fact]
    public void Memory_for_nodes_is_bounded_and_comes_back()
    {
        var name = new string('n', 240);
        const int count = 3000;
        for (var i = 0; i < count; i++) File.WriteAllText(_folder[$"{name}{i}"], "");
        using var guest = new FuseClient(_folder.Path, new ShareOptions { Limits = Small });
        var empty = guest.Share.Statistics.NodeBytes;
        var nodes = Enumerable.Range(0, count).Select(i => guest.Find($"{name}{i}")).ToArray();

        Assert.True(nodes[0] > 0);
        Assert.Equal(-NoMemory, nodes[^1]);
        Assert.InRange(guest.Share.Statistics.NodeBytes, Small.NodeBytes / 2, Small.NodeBytes);
        // What is known already takes nothing more.
        Assert.Equal(nodes[0], guest.Find($"{name}0"));
        foreach (var node in nodes.Where(node => node > 0)) guest.Ask(Forget, (ulong)node, Longs(2), out _);
        Assert.Equal((1, empty), (guest.Share.Statistics.Nodes, guest.Share.Statistics.NodeBytes));
        Assert.True(guest.Find($"{name}{count - 1}") > 0);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(200)]
    public void Nodes_take_no_more_memory_than_is_counted(int length)
    {
        // The tables have grown just before.
        const int count = 8_500;
        var name = new string('n', length);
        File.WriteAllText(_folder["file"], "");
        using var guest = new FuseClient(_folder.Path);
        // Files that are gone stay known: one name after the other of a file that is made anew.
        byte[] Named(int i) => [.. Encoding.ASCII.GetBytes($"{name}{i}"), 0];
        for (var i = 0; i < 10; i++) guest.Ask(MakeNode, 1, [.. Words(0x8000 | 0b110_100_100, 0, 0, 0), .. Named(i)], out _);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var counted = guest.Share.Statistics.NodeBytes;
        for (var i = 10; i < count; i++) Assert.Equal(0, guest.Ask(MakeNode, 1, [.. Words(0x8000 | 0b110_100_100, 0, 0, 0), .. Named(i)], out _, room: 256));

        var taken = GC.GetTotalMemory(forceFullCollection: true) - before;
        counted = guest.Share.Statistics.NodeBytes - counted;
        Assert.True(taken <= counted, $"{taken / count} bytes a node are taken, {counted / count} counted");
    }

    [Fact]
    public void Where_the_process_has_no_descriptor_left_folders_give_theirs()
    {
        for (var i = 0; i < 40; i++) Directory.CreateDirectory(_folder[$"{i}"]);
        File.WriteAllText(_folder["file"], "text");
        using var guest = new FuseClient(_folder.Path);
        for (var i = 0; i < 40; i++) Assert.True(guest.Find($"{i}") > 0);
        Assert.Equal(40, guest.Share.Statistics.HeldNodes);

        using (new NoDescriptors(isFull: true))
        {
            Assert.Equal("text", guest.ReadAll("file"));
            Assert.InRange(guest.Share.Statistics.HeldNodes, 1, 39);
            Assert.Equal(0, guest.Ask(Create, (ulong)guest.Find("7"), [.. Words(2, 0b110_100_100, 0, 0), .. Text("new")], out _));
        }
        using (new NoDescriptors())
        {
            // And where none helps, the guest is told.
            Assert.Equal(NoDescriptor, guest.Ask(Open, 1, Words(0, 0), out _));
        }
        Assert.Equal("text", guest.ReadAll("file"));
    }

    private static int OpenDescriptors() => Directory.GetFileSystemEntries("/proc/self/fd").Length;
}
