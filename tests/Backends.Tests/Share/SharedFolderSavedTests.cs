// A shared folder that is saved and loaded: what the guest knows and has open goes on where it can be found as it was, and is an error
// for the guest and a sentence for the user where it cannot.
using System.Text;
using Lamina.Backends.Share;
using Lamina.Core.Logging;
using Lamina.Core.State;
using Xunit;
using static Lamina.Tests.Backends.Share.FuseClient;

namespace Lamina.Tests.Backends.Share;

public sealed class SharedFolderSavedTests : IDisposable
{
    private const int Stale = 116, BadHandle = 9, NotFound = 2;
    private const uint ReadOnly = 0, ReadWrite = 2, TruncateFlag = 0x200, AppendFlag = 0x400;

    private readonly ShareFolder _folder = new();
    private readonly List<string> _reports = [];
    private FuseClient _guest;

    public SharedFolderSavedTests() => _guest = Plug();

    public void Dispose()
    {
        _guest.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void What_is_open_and_known_goes_on()
    {
        Directory.CreateDirectory(_folder["a/b"]);
        File.WriteAllText(_folder["a/b/file"], "0123456789");
        File.WriteAllText(_folder["log"], "one\n");
        var (folder, file) = (_guest.Find("a/b"), _guest.Find("a/b/file"));
        var reading = _guest.OpenNode(file, ReadOnly);
        // What opening did, it does not do again.
        var emptied = _guest.OpenNode(_guest.Find("log"), ReadWrite | TruncateFlag);
        Assert.Equal(0, Write(emptied, 0, "two\n"));
        var appending = _guest.OpenNode(_guest.Find("log"), ReadWrite | AppendFlag);
        var listing = _guest.OpenNode(folder, operation: OpenFolder);
        var made = _guest.Ask(Create, (ulong)folder, [.. Words(ReadWrite, 0b110_100_100, 0, 0), .. Text("new")], out var body);
        Assert.Equal(0, made);
        var (node, handle) = (BitConverter.ToInt64(body), BitConverter.ToInt64(body, 128));

        var saved = Move();

        Assert.Equal(Convert.ToHexString(saved), Convert.ToHexString(Save()));
        Assert.Equal("0123456789", Read(reading));
        Assert.Equal(0, Write(appending, 0, "three\n"));
        Assert.Equal(0, Write(handle, 0, "made"));
        Assert.Equal(("two\nthree\n", "made"), (File.ReadAllText(_folder["log"]), File.ReadAllText(_folder["a/b/new"])));
        Assert.Equal(0, _guest.Ask(GetAttributes, (ulong)file, Words(0, 0, 0, 0), out _));
        Assert.Equal(0, _guest.Ask(ReadFolder, 0, [.. Longs((ulong)listing, 0), .. Words(4096, 0), .. Longs(0, 0)], out var entries));
        Assert.Contains("file", Encoding.UTF8.GetString(entries), StringComparison.Ordinal);
        // The same node is known by the same number, and a new one gets another.
        Assert.Equal(file, _guest.Find("a/b/file"));
        Assert.Equal(node, _guest.Find("a/b/new"));
        File.WriteAllText(_folder["other"], "");
        Assert.True(_guest.Find("other") > node);
        Assert.True(_guest.OpenNode(file) > handle);
        foreach (var open in (long[])[reading, emptied, appending, listing, handle]) Assert.Equal(0, _guest.Ask(Release, 0, Longs((ulong)open, 0, 0), out _));
        Assert.Equal(1, _guest.Share.Statistics.OpenFiles);
        Assert.Empty(_reports);
    }

    [Fact]
    public void A_node_is_forgotten_as_often_as_it_was_told_of_before_and_after()
    {
        File.WriteAllText(_folder["file"], "");
        var node = (ulong)_guest.Find("file");
        _guest.Find("file");

        Move();
        _guest.Find("file");
        _guest.Ask(Forget, node, Longs(2), out _);
        Assert.Equal(0, _guest.Ask(GetAttributes, node, Words(0, 0, 0, 0), out _));
        _guest.Ask(Forget, node, Longs(1), out _);

        Assert.Equal(NotFound, _guest.Ask(GetAttributes, node, Words(0, 0, 0, 0), out _));
        Assert.Equal(1, _guest.Share.Statistics.Nodes);
    }

    [Fact]
    public void What_is_not_there_any_more_is_an_error_and_a_sentence_and_the_rest_goes_on()
    {
        Directory.CreateDirectory(_folder["gone"]);
        foreach (var name in (string[])["gone/file", "moved", "replaced", "stays", "nameless"]) File.WriteAllText(_folder[name], name);
        var nodes = new[] { "gone/file", "moved", "replaced", "nameless", "stays" }.Select(_guest.Find).ToArray();
        var handles = nodes.Select(node => _guest.OpenNode(node, ReadWrite)).ToArray();
        Assert.Equal(0, _guest.Ask(Unlink, 1, Text("nameless"), out _));
        Assert.Equal(0, _guest.Ask(CreateNameless, 1, [.. Words(ReadWrite, 0b110_100_100, 0, 0), .. Text("")], out var body));
        (nodes, handles) = ([BitConverter.ToInt64(body), .. nodes], [BitConverter.ToInt64(body, 128), .. handles]);
        var saved = Save();
        Directory.Delete(_folder["gone"], recursive: true);
        File.Move(_folder["moved"], _folder["elsewhere"]);
        File.WriteAllText(_folder["replaced.new"], "replaced");
        File.Move(_folder["replaced.new"], _folder["replaced"], overwrite: true);

        Load(saved);

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(Stale, _guest.Ask(GetAttributes, (ulong)nodes[i], Words(0, 0, 0, 0), out _));
            Assert.Equal(Stale, _guest.Ask(FuseClient.Read, 0, [.. Longs((ulong)handles[i], 0), .. Words(10, 0), .. Longs(0, 0)], out _));
            Assert.Equal(Stale, Write(handles[i], 0, "lost"));
        }
        Assert.Equal("stays", Read(handles[5]));
        Assert.Contains("5 files are not there any more", Assert.Single(_reports), StringComparison.Ordinal);
        // Another save and load keeps the numbers, and tells nobody again.
        Move();
        Assert.Single(_reports);
        Assert.Equal(Stale, Write(handles[0], 0, "lost"));
        Assert.Equal(0, _guest.Ask(Release, 0, Longs((ulong)handles[0], 0, 0), out _));
        Assert.Equal(BadHandle, Write(handles[0], 0, "lost"));
        // What is there under the name now is new to the guest.
        Assert.Equal("replaced", _guest.ReadAll("replaced"));
        Assert.Equal("replaced", File.ReadAllText(_folder["replaced"]));
    }

    [Fact]
    public void A_folder_that_is_not_the_one_of_before_has_none_of_its_files()
    {
        File.WriteAllText(_folder["file"], "secret");
        var handle = _guest.OpenNode(_guest.Find("file"));
        var saved = Save();
        using var other = new ShareFolder();
        File.WriteAllText(other["file"], "other");
        using var guest = new FuseClient(other.Path, new ShareOptions { Log = Log.To(line => _reports.Add(line.Message), LogLevel.Trace).CreateLog("test") });

        SavedFields.Read(saved, 1, guest.Share.Load);

        Assert.Equal(Stale, guest.Ask(FuseClient.Read, 0, [.. Longs((ulong)handle, 0), .. Words(10, 0), .. Longs(0, 0)], out _));
        Assert.Contains("one file is not there any more as it was (file)", Assert.Single(_reports), StringComparison.Ordinal);
        Assert.Equal("other", guest.ReadAll("file"));
    }

    [Fact]
    public void States_that_are_cut_off_or_damaged_are_refused_or_harmless()
    {
        Directory.CreateDirectory(_folder["a/b"]);
        File.WriteAllText(_folder["a/b/file"], "text");
        foreach (var path in (string[])["a", "a/b/file"]) Assert.True(_guest.OpenNode(_guest.Find(path)) > 0);
        var saved = Save();
        for (var length = 0; length < saved.Length; length++) Assert.Throws<StateException>(() => SavedFields.Read(saved.AsMemory(0, length), 1, _guest.Share.Load));
        var random = new Random(77);
        var refused = 0;
        for (var round = 0; round < 1000; round++)
        {
            var damaged = (byte[])saved.Clone();
            for (var changes = random.Next(1, 4); changes > 0; changes--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            try
            {
                SavedFields.Read(damaged, 1, _guest.Share.Load);
                for (uint node = 0; node < 6; node++)
                {
                    _guest.Ask(GetAttributes, node, Words(0, 0, 0, 0), out _);
                    _guest.Ask(Lookup, node, Text("b"), out _);
                    _guest.Ask(Rename, 1, [.. Longs(node), .. Text("a"), .. Text("a")], out _);
                    _guest.Ask(Release, 0, Longs(node, 0, 0), out _);
                    _guest.Ask(Forget, node, Longs(3), out _);
                }
            }
            catch (StateException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 1, 1000);
        Assert.Equal("text", File.ReadAllText(_folder["a/b/file"]));
    }

    private FuseClient Plug() => new(_folder.Path, new ShareOptions { Log = Log.To(line => _reports.Add(line.Message), LogLevel.Trace).CreateLog("test") });

    private byte[] Save() => SavedFields.Write(1, _guest.Share.Save);

    private void Load(byte[] saved)
    {
        _guest.Dispose();
        _guest = Plug();
        SavedFields.Read(saved, 1, _guest.Share.Load);
    }

    private byte[] Move()
    {
        var saved = Save();
        Load(saved);
        return saved;
    }

    private string Read(long handle)
    {
        Assert.Equal(0, _guest.Ask(FuseClient.Read, 0, [.. Longs((ulong)handle, 0), .. Words(4096, 0), .. Longs(0, 0)], out var body));
        return Encoding.UTF8.GetString(body);
    }

    private int Write(long handle, ulong offset, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return _guest.Ask(FuseClient.Write, 0, [.. Longs((ulong)handle, offset), .. Words((uint)bytes.Length, 0), .. Longs(0), .. Words(0, 0), .. bytes], out _);
    }
}
