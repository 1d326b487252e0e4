// A node is what was looked up, whatever becomes of its name: what the guest holds on to while names are removed, replaced, moved
// and linked, by itself and by others on the host.
using System.Text;
using Lamina.Backends.Share;
using Xunit;
using static Lamina.Tests.Backends.Share.FuseClient;

namespace Lamina.Tests.Backends.Share;

public sealed class ShareNodesTests : IDisposable
{
    private const int NotFound = 2, Stale = 116, TooLong = 36, NoData = 61, NotSupported = 95, NotImplemented = 38, TooSmall = 34;
    private const uint ReadWrite = 2, AppendFlag = 0x400, ExclusiveFlag = 0x80;

    private readonly ShareFolder _folder = new();
    private readonly FuseClient _guest;

    public ShareNodesTests() => _guest = new FuseClient(_folder.Path, new ShareOptions { ExtendedAttributes = true });

    public void Dispose()
    {
        _guest.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_file_without_a_name_is_what_it_was(bool replaced)
    {
        File.WriteAllText(_folder["status"], "old");
        File.WriteAllText(_folder["status-new"], "newer");
        var node = (ulong)_guest.Find("status");
        var handle = (ulong)_guest.OpenNode((long)node, ReadWrite);
        Assert.Equal(0, replaced ? _guest.Ask(Rename2, 1, [.. Longs(1), .. Words(0, 0), .. Text("status-new"), .. Text("status")], out _) : _guest.Ask(Unlink, 1, Text("status"), out _));

        // fstat, fchmod, fchown and futimens come without the handle.
        Assert.Equal((3ul, 0u), SizeAndLinks(node));
        Assert.Equal(0, _guest.SetAttributesOf(node, 1, mode: 0b110_000_000));
        Assert.Equal(0, _guest.SetAttributesOf(node, 2 | 4, user: uint.MaxValue, group: uint.MaxValue));
        Assert.Equal(0, _guest.SetAttributesOf(node, 16 | 32, change: 1_000_000_000));
        Assert.Equal(0, _guest.SetAttributesOf(node, 8, size: 2));
        Assert.Equal(0, _guest.Ask(Release, 0, Longs(handle, 0, 0), out _));

        // Neither do those of somebody who has it mapped, or works in it.
        Assert.Equal((2ul, 0u), SizeAndLinks(node));
        Assert.True(_guest.OpenNode((long)node) > 0);
        if (replaced) Assert.Equal("newer", _guest.ReadAll("status"));
        else Assert.Equal(-NotFound, _guest.Find("status"));
        _guest.Ask(Forget, node, Longs(1), out _);
        Assert.Equal(NotFound, _guest.Ask(GetAttributes, node, Words(0, 0, 0, 0), out _));
    }

    [Fact]
    public void A_file_that_loses_its_name_unopened_is_what_it_was()
    {
        File.WriteAllText(_folder["file"], "text");
        var node = _guest.Find("file");
        Assert.Equal(0, _guest.Ask(Unlink, 1, Text("file"), out _));

        Assert.Equal((4ul, 0u), SizeAndLinks((ulong)node));
        Assert.Equal("text", _guest.ReadNode(node));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_removed_folder_is_listed_and_takes_nothing(bool byGuest)
    {
        Directory.CreateDirectory(_folder["work"]);
        var node = _guest.Find("work");
        if (byGuest) Assert.Equal(0, _guest.Ask(RemoveFolder, 1, Text("work"), out _));
        else Directory.Delete(_folder["work"]);

        var handle = _guest.OpenNode(node, operation: OpenFolder);
        Assert.True(handle > 0, $"error {-handle}");
        // The kernel says that there is nothing in what is gone.
        Assert.Equal(NotFound, _guest.Ask(ReadFolder, 0, [.. Longs((ulong)handle, 0), .. Words(4096, 0), .. Longs(0, 0)], out _));
        Assert.Equal(0, _guest.Ask(GetAttributes, (ulong)node, Words(0, 0, 0, 0), out _));
        Assert.Equal(NotFound, _guest.Ask(MakeFolder, (ulong)node, [.. Words(0b111_101_101, 0), .. Text("new")], out _));
    }

    [Fact]
    public void What_is_open_of_a_node_serves_all_who_know_it()
    {
        File.WriteAllText(_folder["file"], "text");
        var node = _guest.Find("file");
        var first = _guest.OpenNode(node);
        var second = _guest.OpenNode(node, ReadWrite);
        var third = _guest.OpenNode(node);
        File.Delete(_folder["file"]);

        foreach (var handle in (long[])[second, third, first])
        {
            // Of what the host has removed nothing is known but what is open, and the last one of these is kept.
            Assert.Equal((4ul, 0u), SizeAndLinks((ulong)node));
            Assert.Equal(0, _guest.SetAttributesOf((ulong)node, 8, size: 4));
            Assert.Equal(0, _guest.Ask(Release, 0, Longs((ulong)handle, 0, 0), out _));
        }
        Assert.Equal(Stale, _guest.Ask(GetAttributes, (ulong)node, Words(0, 0, 0, 0), out _));
    }

    [Fact]
    public void Two_names_of_a_file_are_one_node()
    {
        File.WriteAllText(_folder["first"], "text");
        Directory.CreateDirectory(_folder["folder"]);
        _folder.Run("ln", _folder["first"], _folder["folder/second"]);
        var node = _guest.Find("first");
        Assert.Equal(node, _guest.Find("folder/second"));
        Assert.Equal(0, _guest.Ask(Link, 1, [.. Longs((ulong)node), .. Text("third")], out var made));
        Assert.Equal((ulong)node, BitConverter.ToUInt64(made));
        Assert.Equal((4ul, 3u), SizeAndLinks((ulong)node));

        // Whichever name goes: the node stays, and is found by a name that there is.
        foreach (var name in (string[])["third", "first"]) Assert.Equal(0, _guest.Ask(Unlink, 1, Text(name), out _));
        Assert.Equal((4ul, 1u), SizeAndLinks((ulong)node));
        Assert.Equal(node, _guest.Find("folder/second"));
        Assert.Equal(0, _guest.Share.Statistics.Lost);
        Assert.Equal("text", _guest.ReadNode(node));
    }

    [Fact]
    public void Renaming_one_name_of_a_file_to_another_leaves_both()
    {
        File.WriteAllText(_folder["first"], "text");
        _folder.Run("ln", _folder["first"], _folder["second"]);
        var node = _guest.Find("first");
        Assert.Equal(node, _guest.Find("second"));

        Assert.Equal(0, _guest.Ask(Rename2, 1, [.. Longs(1), .. Words(0, 0), .. Text("first"), .. Text("second")], out _));

        Assert.Equal((4ul, 2u), SizeAndLinks((ulong)node));
        Assert.Equal(0, _guest.Share.Statistics.HeldNodes);
        Assert.Equal("text", _guest.ReadNode(node));
    }

    [Fact]
    public void What_somebody_else_has_put_in_a_files_place_is_another_file()
    {
        File.WriteAllText(_folder["file"], "first");
        var node = _guest.Find("file");
        File.WriteAllText(_folder["other"], "second");
        File.Move(_folder["other"], _folder["file"], overwrite: true);

        Assert.Equal(Stale, _guest.Ask(GetAttributes, (ulong)node, Words(0, 0, 0, 0), out _));
        Assert.Equal(-Stale, _guest.OpenNode(node));
        Assert.Equal(Stale, _guest.SetAttributesOf((ulong)node, 1, mode: 0));
        Assert.Equal(Stale, _guest.Ask(Link, 1, [.. Longs((ulong)node), .. Text("third")], out _));
        var now = _guest.Find("file");
        Assert.NotEqual(node, now);
        Assert.Equal("second", _guest.ReadNode(now));
        Assert.Equal(4, _guest.Share.Statistics.Lost);
    }

    [Fact]
    public void What_is_renamed_and_exchanged_is_found_where_it_is()
    {
        Directory.CreateDirectory(_folder["a/below"]);
        Directory.CreateDirectory(_folder["b"]);
        File.WriteAllText(_folder["a/below/file"], "deep");
        File.WriteAllText(_folder["other"], "other");
        var (a, b, file, other) = (_guest.Find("a"), _guest.Find("b"), _guest.Find("a/below/file"), _guest.Find("other"));

        Assert.Equal(0, _guest.Ask(Rename2, 1, [.. Longs((ulong)b), .. Words(0, 0), .. Text("a"), .. Text("moved")], out _));
        Assert.Equal("deep", _guest.ReadNode(file));
        Assert.Equal(0, _guest.Ask(Rename2, (ulong)b, [.. Longs(1), .. Words(2, 0), .. Text("moved"), .. Text("other")], out _));
        Assert.Equal("deep", _guest.ReadNode(file));
        Assert.Equal("other", _guest.ReadNode(other));
        Assert.Equal("other", File.ReadAllText(_folder["b/moved"]));
        Assert.Equal(a, _guest.Find("other"));
    }

    [Fact]
    public void A_folder_that_seems_to_lie_in_itself_is_no_trap()
    {
        Directory.CreateDirectory(_folder["above/below"]);
        var (above, below) = ((ulong)_guest.Find("above"), (ulong)_guest.Find("above/below"));
        // Somebody else moves "below" out of "above" after the guest has looked, and before "above" goes into it.
        Directory.Move(_folder["above/below"], _folder["below"]);
        Assert.Equal(0, _guest.Ask(Rename2, 1, [.. Longs(below), .. Words(0, 0), .. Text("above"), .. Text("above")], out _));

        Assert.Equal((long)above, _guest.Find("below/above"));
        Assert.Equal(0, _guest.Ask(GetAttributes, above, Words(0, 0, 0, 0), out _));
        Assert.Equal(0, _guest.Ask(GetAttributes, below, Words(0, 0, 0, 0), out _));
        _guest.Ask(Forget, below, Longs(ulong.MaxValue), out _);
        _guest.Ask(Forget, above, Longs(ulong.MaxValue), out _);
        var left = _guest.Share.Statistics;
        Assert.Equal((1, 0), (left.Nodes, left.HeldNodes));
    }

    [Fact]
    public void Names_are_as_long_as_the_hosts()
    {
        var (longest, longer, endless) = (new string('x', 255), new string('x', 256), new string('x', 5000));
        Assert.Equal(0, _guest.Ask(MakeFolder, 1, [.. Words(0b111_101_101, 0), .. Text(longest)], out _));
        Assert.True(_guest.Find(longest) > 0);
        foreach (var name in (string[])[longer, endless])
        {
            Assert.Equal(-TooLong, _guest.Find(name));
            Assert.Equal(TooLong, _guest.Ask(MakeFolder, 1, [.. Words(0b111_101_101, 0), .. Text(name)], out _));
            Assert.Equal(TooLong, _guest.Ask(MakeNode, 1, [.. Words(0x8000 | 0b110_100_100, 0, 0, 0), .. Text(name)], out _));
            Assert.Equal(TooLong, _guest.Ask(Create, 1, [.. Words(2, 0b110_100_100, 0, 0), .. Text(name)], out _));
            Assert.Equal(TooLong, _guest.Ask(SymbolicLink, 1, [.. Text(name), .. Text("target")], out _));
            Assert.Equal(TooLong, _guest.Ask(Unlink, 1, Text(name), out _));
            Assert.Equal(TooLong, _guest.Ask(RemoveFolder, 1, Text(name), out _));
            Assert.Equal(TooLong, _guest.Ask(Rename, 1, [.. Longs(1), .. Text(longest), .. Text(name)], out _));
            Assert.Equal(TooLong, _guest.Ask(Rename, 1, [.. Longs(1), .. Text(name), .. Text(longest)], out _));
            Assert.Equal(TooLong, _guest.Ask(Link, 1, [.. Longs((ulong)_guest.Find(longest)), .. Text(name)], out _));
        }
        Assert.Equal(TooLong, _guest.Ask(SymbolicLink, 1, [.. Text("link"), .. Text(endless)], out _));
    }

    [Fact]
    public void A_file_without_a_name_gets_one()
    {
        var error = _guest.Ask(CreateNameless, 1, [.. Words(ReadWrite, 0b110_110_110, 0, 0), .. Text("/")], out var made);
        Assert.SkipWhen(error == NotSupported, "the file system of the temporary folder has no files without a name");
        Assert.Equal(0, error);
        var (node, handle) = (BitConverter.ToUInt64(made), BitConverter.ToUInt64(made, 128));
        Assert.Equal(0, _guest.Ask(Write, node, [.. Longs(handle, 0), .. Words(4, 0), .. Longs(0, 0), .. "text"u8], out _));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
        Assert.Equal((4ul, 0u), SizeAndLinks(node));

        Assert.Equal(0, _guest.Ask(Link, 1, [.. Longs(node), .. Text("name")], out _));
        Assert.Equal(0, _guest.Ask(Release, 0, Longs(handle, 0, 0), out _));
        Assert.Equal("text", File.ReadAllText(_folder["name"]));
        Assert.Equal((UnixFileMode)0b110_110_110, File.GetUnixFileMode(_folder["name"]));
        Assert.Equal((long)node, _guest.Find("name"));

        Assert.Equal(0, _guest.Ask(CreateNameless, 1, [.. Words(ReadWrite | ExclusiveFlag, 0b110_110_110, 0, 0), .. Text("/")], out made));
        Assert.Equal(NotFound, _guest.Ask(Link, 1, [.. Longs(BitConverter.ToUInt64(made)), .. Text("never")], out _));
        Assert.Equal(22, _guest.Ask(CreateNameless, 1, [.. Words(0, 0b110_110_110, 0, 0), .. Text("/")], out _));
    }

    [Fact]
    public void What_is_appended_goes_behind_what_others_append_and_pages_go_to_their_place()
    {
        File.WriteAllText(_folder["log"], "host\n");
        var node = _guest.Find("log");
        var handle = (ulong)_guest.OpenNode(node, 1 | AppendFlag);
        File.AppendAllText(_folder["log"], "host again\n");

        Assert.Equal(0, _guest.Ask(Write, 0, [.. Longs(handle, 5), .. Words(6, 0), .. Longs(0, 0), .. "guest\n"u8], out _));
        // Out of a page that somebody else has mapped.
        Assert.Equal(0, _guest.Ask(Write, 0, [.. Longs(handle, 0), .. Words(4, 1), .. Longs(0, 0), .. "HOST"u8], out _));

        Assert.Equal("HOST\nhost again\nguest\n", File.ReadAllText(_folder["log"]));
    }

    [Fact]
    public void Permissions_are_those_that_the_guest_asks_for()
    {
        // This process's own mask takes write permission of others away.
        Assert.Equal(0, _guest.Ask(MakeFolder, 1, [.. Words(0b1_111_111_111, 0), .. Text("tmp")], out _));
        Assert.Equal(0, _guest.Ask(Create, 1, [.. Words(ReadWrite, 0b110_110_110, 0, 0), .. Text("file")], out var made));
        Assert.Equal(0, _guest.Ask(MakeNode, 1, [.. Words(0x1000 | 0b110_110_110, 0, 0, 0), .. Text("pipe")], out _));

        Assert.Equal((UnixFileMode)0b1_111_111_111, File.GetUnixFileMode(_folder["tmp"]));
        Assert.Equal((UnixFileMode)0b110_110_110, File.GetUnixFileMode(_folder["file"]));
        Assert.Equal((UnixFileMode)0b110_110_110, File.GetUnixFileMode(_folder["pipe"]));
        // Of a folder the bit says whose group new files have; of a program, whose rights it takes.
        Assert.Equal(0, _guest.SetAttributesOf((ulong)_guest.Find("tmp"), 1, mode: 0b010_111_101_101));
        Assert.Equal(0, _guest.SetAttributesOf(BitConverter.ToUInt64(made), 1, mode: 0b010_111_101_101));
        Assert.Equal((UnixFileMode)0b010_111_101_101, File.GetUnixFileMode(_folder["tmp"]));
        Assert.Equal((UnixFileMode)0b111_101_101, File.GetUnixFileMode(_folder["file"]));
    }

    [Fact]
    public void A_program_that_runs_as_its_owner_stops_doing_so_when_somebody_changes_it()
    {
        foreach (var name in (string[])["written", "opened", "cut"])
        {
            File.WriteAllText(_folder[name], "program");
            File.SetUnixFileMode(_folder[name], (UnixFileMode)0b110_111_101_101);
        }
        var handle = (ulong)_guest.OpenNode(_guest.Find("written"), ReadWrite);

        Assert.Equal(0, _guest.Ask(Write, 0, [.. Longs(handle, 0), .. Words(1, 4), .. Longs(0, 0), .. "P"u8], out _));
        Assert.Equal(0, _guest.Ask(Open, (ulong)_guest.Find("opened"), Words(0x201, 1), out _));
        Assert.Equal(0, _guest.SetAttributesOf((ulong)_guest.Find("cut"), 8 | 1 << 11, size: 1));

        foreach (var name in (string[])["written", "opened", "cut"]) Assert.Equal((UnixFileMode)0b111_101_101, File.GetUnixFileMode(_folder[name]));
    }

    [Fact]
    public void Extended_attributes_of_users_are_the_hosts_and_others_are_not_there()
    {
        File.WriteAllText(_folder["file"], "x");
        var node = (ulong)_guest.Find("file");
        byte[] value = [.. "value"u8];
        var error = _guest.Ask(SetExtended, node, [.. Words(5, 0), .. Text("user.name"), .. value], out _);
        Assert.SkipWhen(error == NotSupported, "the file system of the temporary folder has no extended attributes");
        Assert.Equal(0, error);

        Assert.Equal(0, _guest.Ask(GetExtended, node, [.. Words(0, 0), .. Text("user.name")], out var size));
        Assert.Equal(5u, BitConverter.ToUInt32(size));
        Assert.Equal(0, _guest.Ask(GetExtended, node, [.. Words(100, 0), .. Text("user.name")], out var read));
        Assert.Equal(value, read);
        Assert.Equal(0, _guest.Ask(GetExtended, node, [.. Words(5, 0), .. Text("user.name")], out read, room: 16 + 5));
        Assert.Equal(value, read);
        Assert.Equal(TooSmall, _guest.Ask(GetExtended, node, [.. Words(4, 0), .. Text("user.name")], out _, room: 16 + 4));
        Assert.Equal(22, _guest.Ask(GetExtended, node, [.. Words(0, 0), .. Text("user.name")], out _, room: 16 + 7));
        Assert.Equal(NoData, _guest.Ask(GetExtended, node, [.. Words(4, 0), .. Text("user.none")], out _));
        Assert.Equal(17, _guest.Ask(SetExtended, node, [.. Words(5, 1), .. Text("user.name"), .. value], out _));
        Assert.Equal(22, _guest.Ask(SetExtended, node, [.. Words(6, 0), .. Text("user.name"), .. value], out _));
        Assert.Equal(0, _guest.Ask(ListExtended, node, Words(100, 0), out var names));
        Assert.Equal("user.name\0", Encoding.ASCII.GetString(names));
        Assert.Equal(0, _guest.Ask(ListExtended, node, Words(0, 0), out size));
        Assert.Equal(10u, BitConverter.ToUInt32(size));
        Assert.Equal(TooSmall, _guest.Ask(ListExtended, node, Words(9, 0), out _));

        // After the name is gone as well.
        Assert.Equal(0, _guest.Ask(Unlink, 1, Text("file"), out _));
        Assert.Equal(0, _guest.Ask(RemoveExtended, node, Text("user.name"), out _));
        Assert.Equal(NoData, _guest.Ask(RemoveExtended, node, Text("user.name"), out _));
        foreach (var name in (string[])["security.capability", "trusted.name", "system.posix_acl_access", "name", ""])
        {
            Assert.Equal(NotSupported, _guest.Ask(SetExtended, node, [.. Words(5, 0), .. Text(name), .. value], out _));
            Assert.Equal(NotSupported, _guest.Ask(GetExtended, node, [.. Words(0, 0), .. Text(name)], out _));
        }
        using var without = new FuseClient(_folder.Path);
        Assert.Equal(NotImplemented, without.Ask(SetExtended, 1, [.. Words(5, 0), .. Text("user.name"), .. value], out _));
        Assert.Equal(NotImplemented, without.Ask(ListExtended, 1, Words(0, 0), out _));
    }

    [Fact]
    public void A_file_system_that_is_mounted_below_is_announced()
    {
        using var guest = new FuseClient("/", new ShareOptions { ReadOnly = true });

        // /proc is mounted wherever this runs.
        Assert.Equal(0, guest.Ask(Lookup, 1, Text("proc"), out var mounted));
        Assert.Equal(0, guest.Ask(Lookup, BitConverter.ToUInt64(mounted), Text("sys"), out var inside));

        Assert.Equal(1u, BitConverter.ToUInt32(mounted, 40 + 84));
        Assert.Equal(0u, BitConverter.ToUInt32(inside, 40 + 84));
    }

    [Fact]
    public void The_guests_sync_is_the_hosts()
    {
        File.WriteAllText(_folder["file"], "x");
        Assert.Equal(0, _guest.Ask(SyncFileSystem, 1, Longs(0), out _));
        Assert.Equal(0, _guest.Ask(SyncFileSystem, (ulong)_guest.Find("file"), Longs(0), out _));
        Assert.Equal(NotFound, _guest.Ask(SyncFileSystem, 4711, Longs(0), out _));
    }

    private (ulong Size, uint Links) SizeAndLinks(ulong node)
    {
        var error = _guest.Ask(GetAttributes, node, Words(0, 0, 0, 0), out var body);
        Assert.True(error == 0, $"error {error}");
        return (BitConverter.ToUInt64(body, 16 + 8), BitConverter.ToUInt32(body, 16 + 64));
    }
}
