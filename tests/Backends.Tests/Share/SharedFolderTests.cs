// A shared folder from the guest's side: files made, read, renamed and removed, and every way out of the folder tried.
using System.Text;
using Lamina.Backends.Share;
using Xunit;
using static Lamina.Tests.Backends.Share.FuseClient;

namespace Lamina.Tests.Backends.Share;

public sealed class SharedFolderTests : IDisposable
{
    private const int NotPermitted = 1, NotFound = 2, BadHandle = 9, Exists = 17, Invalid = 22, ReadOnlySystem = 30, NotEmpty = 39, TooManyLinks = 40, NotSupported = 38, NotFolder = 20, Stale = 116;

    private readonly DirectoryInfo _outside = Directory.CreateTempSubdirectory("lamina-share-");
    private readonly string _root;
    private readonly FuseClient _guest;

    public SharedFolderTests()
    {
        File.WriteAllText(Path.Combine(_outside.FullName, "secret"), "secret");
        _root = _outside.CreateSubdirectory("shared").FullName;
        _guest = new FuseClient(_root);
    }

    public void Dispose()
    {
        _guest.Dispose();
        // Names that are no text are beyond .NET.
        using var remove = System.Diagnostics.Process.Start("rm", ["-rf", _outside.FullName]);
        remove.WaitForExit();
    }

    [Fact]
    public void Files_are_read_and_folders_listed()
    {
        Directory.CreateDirectory(In("a/b"));
        File.WriteAllText(In("a/b/file"), "content");
        for (var i = 0; i < 200; i++) File.WriteAllText(In($"a/file number {i}"), "");

        Assert.Equal("content", _guest.ReadAll("a/b/file"));
        var names = _guest.List("a");
        Assert.Equal(203, names.Count);
        Assert.Equal(203, names.Distinct().Count());
        Assert.Equal(-NotFound, _guest.Find("a/missing"));
    }

    [Fact]
    public void Files_are_made_written_changed_and_removed()
    {
        Assert.Equal(0, _guest.Ask(MakeFolder, 1, [.. Words(0b111_101_101, 0), .. Text("folder")], out _));
        var folder = _guest.Find("folder");
        Assert.Equal(0, _guest.Ask(Create, (ulong)folder, [.. Words(2, 0b110_100_100, 0, 0), .. Text("file")], out var made));
        var (node, handle) = (BitConverter.ToUInt64(made), BitConverter.ToUInt64(made, 128));
        Assert.Equal(0, _guest.Ask(Write, node, [.. Longs(handle, 3), .. Words(4, 0), .. Longs(0, 0), .. "text"u8], out _));
        Assert.Equal("\0\0\0text", File.ReadAllText(In("folder/file")));

        Assert.Equal(0, _guest.SetAttributesOf(node, 8 | 1, size: 5, mode: 0b110_000_000));
        Assert.Equal(5, new FileInfo(In("folder/file")).Length);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(In("folder/file")));
        Assert.Equal(0, _guest.Ask(Rename2, (ulong)folder, [.. Longs(1), .. Words(0, 0), .. Text("file"), .. Text("moved")], out _));
        Assert.Equal("\0\0\0te", _guest.ReadAll("moved"));
        Assert.Equal(0, _guest.Ask(GetAttributes, node, Words(0, 0, 0, 0), out _));
        Assert.Equal(0, _guest.Ask(RemoveFolder, 1, Text("folder"), out _));
        Assert.Equal(0, _guest.Ask(Unlink, 1, Text("moved"), out _));

        // What is open can be used after its name is gone.
        Assert.Equal(0, _guest.Ask(GetAttributes, node, Words(0, 0, 0, 0), out _));
        Assert.Equal(0, _guest.Ask(GetAttributes, node, [.. Words(1, 0), .. Longs(handle)], out _));
        Assert.Equal(0, _guest.Ask(Write, node, [.. Longs(handle, 0), .. Words(1, 0), .. Longs(0, 0), .. "x"u8], out _));
        Assert.Empty(Directory.GetFileSystemEntries(_root));
    }

    [Fact]
    public void Times_links_and_errors_are_the_hosts()
    {
        File.WriteAllText(In("file"), "x");
        var node = (ulong)_guest.Find("file");
        Assert.Equal(0, _guest.SetAttributesOf(node, 32, change: 1_000_000_000));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_000_000_000), File.GetLastWriteTimeUtc(In("file")));
        Assert.Equal(0, _guest.Ask(Link, 1, [.. Longs(node), .. Text("second")], out _));
        Assert.Equal("x", File.ReadAllText(In("second")));
        Assert.Equal(0, _guest.Ask(SymbolicLink, 1, [.. Text("link"), .. Text("file")], out _));
        Assert.Equal(0, _guest.Ask(ReadLink, (ulong)_guest.Find("link"), [], out var target));
        Assert.Equal("file", Encoding.UTF8.GetString(target));
        Directory.CreateDirectory(In("full/of"));

        Assert.Equal(NotEmpty, _guest.Ask(RemoveFolder, 1, Text("full"), out _));
        Assert.Equal(Exists, _guest.Ask(MakeFolder, 1, [.. Words(0, 0), .. Text("full")], out _));
        Assert.Equal(Exists, _guest.Ask(Rename2, 1, [.. Longs(1), .. Words(1, 0), .. Text("file"), .. Text("second")], out _));
        Assert.Equal(BadHandle, _guest.Ask(Read, 1, [.. Longs(77, 0), .. Words(1, 0), .. Longs(0, 0)], out _));
        Assert.Equal(NotFound, _guest.Ask(GetAttributes, 4711, Words(0, 0, 0, 0), out _));
        Assert.Equal(NotSupported, _guest.Ask(39, 1, new byte[64], out _));
    }

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("../secret")]
    [InlineData("a/../../secret")]
    [InlineData("/etc/passwd")]
    public void No_name_leads_out_of_the_folder(string name)
    {
        Directory.CreateDirectory(In("a"));

        Assert.Equal(Invalid, _guest.Ask(Lookup, 1, Text(name), out _));
        Assert.Equal(Invalid, _guest.Ask(Create, 1, [.. Words(2, 0b110_100_100, 0, 0), .. Text(name)], out _));
        Assert.Equal(Invalid, _guest.Ask(MakeFolder, 1, [.. Words(0, 0), .. Text(name)], out _));
        Assert.Equal(Invalid, _guest.Ask(Unlink, 1, Text(name), out _));
        Assert.Equal(Invalid, _guest.Ask(Rename, 1, [.. Longs(1), .. Text("a"), .. Text(name)], out _));
        Assert.Equal(Invalid, _guest.Ask(Rename, 1, [.. Longs(1), .. Text(name), .. Text("mine")], out _));
        Assert.Equal(["secret", "shared"], Directory.GetFileSystemEntries(_outside.FullName).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_symbolic_link_is_never_followed_here()
    {
        File.CreateSymbolicLink(In("up"), "..");
        File.CreateSymbolicLink(In("secret"), Path.Combine(_outside.FullName, "secret"));

        Assert.Equal(-NotFolder, _guest.Find("up/secret"));
        var node = _guest.Find("secret");
        Assert.True(node > 1);
        Assert.Equal(-TooManyLinks, _guest.OpenNode(node));
        Assert.Equal(TooManyLinks, _guest.Ask(Create, 1, [.. Words(1, 0b110_100_100, 0, 0), .. Text("secret")], out _));
        Assert.NotEqual(0, _guest.SetAttributesOf((ulong)node, 8));
        Assert.NotEqual(0, _guest.SetAttributesOf((ulong)node, 1, mode: 0b111_111_111));
        Assert.Equal(0, _guest.Ask(Link, 1, [.. Longs((ulong)node), .. Text("second")], out _));
        Assert.Equal(Path.Combine(_outside.FullName, "secret"), new FileInfo(In("second")).LinkTarget);
        Assert.Equal("secret", File.ReadAllText(Path.Combine(_outside.FullName, "secret")));
    }

    [Fact]
    public void A_folder_that_is_replaced_by_a_link_while_it_is_used_does_not_lead_out()
    {
        Directory.CreateDirectory(In("folder"));
        File.WriteAllText(In("folder/secret"), "harmless");
        var folder = (ulong)_guest.Find("folder");
        var file = _guest.Find("folder/secret");
        Directory.Delete(In("folder"), recursive: true);
        Directory.CreateSymbolicLink(In("folder"), "..");

        // The guest's folder is the one that is gone, not what has its name now.
        Assert.Equal(NotFound, _guest.Ask(Lookup, folder, Text("secret"), out _));
        Assert.Equal(-Stale, _guest.OpenNode(file));
        Assert.Equal(NotFound, _guest.Ask(Unlink, folder, Text("secret"), out _));
        Assert.Equal(NotFound, _guest.Ask(Create, folder, [.. Words(2, 0b110_100_100, 0, 0), .. Text("new")], out _));
        Assert.False(File.Exists(Path.Combine(_outside.FullName, "new")));
    }

    [Fact]
    public void While_a_folder_and_a_link_are_exchanged_all_the_time_nothing_outside_is_read()
    {
        Directory.CreateDirectory(In("folder"));
        File.WriteAllText(In("folder/secret"), "harmless");
        Directory.CreateSymbolicLink(In("link"), "..");
        using var other = new FuseClient(_root);
        var stop = false;
        var exchange = Waiting.Run(() =>
        {
            while (!Volatile.Read(ref stop)) other.Ask(Rename2, 1, [.. Longs(1), .. Words(2, 0), .. Text("folder"), .. Text("link")], out _);
        });

        var seen = 0;
        for (var i = 0; i < 3000; i++)
        {
            if (_guest.Find("folder/secret") is not (> 0 and var node) || _guest.OpenNode(node) is not (> 0 and var handle)) continue;
            Assert.Equal(0, _guest.Ask(Read, 0, [.. Longs((ulong)handle, 0), .. Words(100, 0), .. Longs(0, 0)], out var content));
            _guest.Ask(Release, 0, Longs((ulong)handle, 0, 0), out _);
            Assert.Equal("harmless", Encoding.UTF8.GetString(content));
            seen++;
        }
        Volatile.Write(ref stop, true);
        exchange.Join();
        Assert.NotEqual(0, seen);
    }

    [Fact]
    public void Devices_are_not_made_and_neither_they_nor_pipes_are_opened()
    {
        foreach (var type in (uint[])[0x2000, 0x6000, 0x4000, 0xa000, 0x3000])
            Assert.Equal(NotPermitted, _guest.Ask(MakeNode, 1, [.. Words(type | 0b110_110_110, 0x103, 0, 0), .. Text("device")], out _));
        Assert.Equal(0, _guest.Ask(MakeNode, 1, [.. Words(0x1000 | 0b110_110_110, 0, 0, 0), .. Text("pipe")], out _));
        Assert.Equal(0, _guest.Ask(MakeNode, 1, [.. Words(0xc000 | 0b110_110_110, 0, 0, 0), .. Text("socket")], out _));

        Assert.Equal(-NotPermitted, _guest.OpenNode(_guest.Find("socket")));
        Assert.Equal(-NotPermitted, _guest.OpenNode(_guest.Find("pipe")));
        // Without waiting for the pipe's other end.
        Assert.Equal(NotPermitted, _guest.Ask(Create, 1, [.. Words(1, 0b110_100_100, 0, 0), .. Text("pipe")], out _));
    }

    [Fact]
    public void A_guest_cannot_make_a_program_that_runs_as_somebody_else()
    {
        Assert.Equal(0, _guest.Ask(Create, 1, [.. Words(2, 0xdff, 0, 0), .. Text("program")], out var made));
        Assert.Equal(0, _guest.SetAttributesOf(BitConverter.ToUInt64(made), 1, mode: 0xdff));

        Assert.Equal((UnixFileMode)0, File.GetUnixFileMode(In("program")) & (UnixFileMode.SetUser | UnixFileMode.SetGroup));
    }

    [Fact]
    public void A_share_for_reading_takes_no_changes()
    {
        File.WriteAllText(In("file"), "x");
        using var guest = new FuseClient(_root, new ShareOptions { ReadOnly = true });
        var node = (ulong)guest.Find("file");

        Assert.Equal("x", guest.ReadAll("file"));
        Assert.Equal(-ReadOnlySystem, guest.OpenNode((long)node, 1));
        Assert.Equal(-ReadOnlySystem, guest.OpenNode((long)node, 0x200));
        foreach (var operation in (uint[])[SetAttributes, SymbolicLink, MakeNode, MakeFolder, Unlink, RemoveFolder, Rename, Link, Create, Rename2, Write, 43, SetExtended, RemoveExtended, CreateNameless])
            Assert.Equal(ReadOnlySystem, guest.Ask(operation, node, [.. new byte[200], .. Text("a"), .. Text("b")], out _));
        Assert.Equal("x", File.ReadAllText(In("file")));
    }

    [Fact]
    public void What_is_forgotten_is_gone_and_what_is_not_stays()
    {
        File.WriteAllText(In("file"), "x");
        var node = _guest.Find("file");
        Assert.Equal(node, _guest.Find("file"));
        _guest.Ask(Forget, (ulong)node, Longs(1), out _);
        Assert.True(_guest.OpenNode(node) > 0);
        _guest.Ask(Forget, (ulong)node, Longs(ulong.MaxValue), out _);
        _guest.Ask(Forget, 1, Longs(ulong.MaxValue), out _);

        Assert.Equal(-NotFound, _guest.OpenNode(node));
        Assert.True(_guest.Find("file") > node);
    }

    [Fact]
    public void Requests_that_make_no_sense_are_answered_or_dropped()
    {
        File.WriteAllText(In("file"), "x");
        var random = new Random(5);
        for (var i = 0; i < 20_000; i++)
        {
            var arguments = new byte[random.Next(120)];
            random.NextBytes(arguments);
            // Small numbers hit handles and nodes more often than large ones.
            for (var at = 0; at < arguments.Length; at += 4) if (random.Next(2) == 0) arguments.AsSpan(at + 1, Math.Min(3, arguments.Length - at - 1)).Clear();
            _guest.Ask((uint)random.Next(54), (ulong)random.Next(6), arguments, out _, room: random.Next(300));
        }
        Assert.Equal(0, _guest.Share.Answer(new byte[39], new byte[100]));
        Assert.Equal(0, _guest.Share.Answer(new byte[40], new byte[100]));
        Assert.Equal(["secret", "shared"], Directory.GetFileSystemEntries(_outside.FullName).Select(Path.GetFileName).Order());
    }

    private string In(string path) => Path.Combine(_root, path);
}
