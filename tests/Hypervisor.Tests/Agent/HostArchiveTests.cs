// Archives between host and guest: what is packed comes back as it was, and what a hostile guest packs stays in its folder.
using System.Formats.Tar;
using System.Net.Sockets;
using System.Text;
using Lamina.Hypervisor.Agent;
using Xunit;

namespace Lamina.Tests.Hypervisor.Agent;

public sealed class HostArchiveTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-archive-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_folder_comes_back_as_it_was()
    {
        var from = Directory.CreateDirectory(At("from")).FullName;
        Directory.CreateDirectory(At("from/closed"));
        await File.WriteAllTextAsync(At("from/closed/f"), "x", Cancellation);
        await File.WriteAllTextAsync(At("from/" + new string('n', 200)), "long", Cancellation);
        File.CreateSymbolicLink(At("from/link"), "closed/f");
        File.CreateSymbolicLink(At("from/dangling"), "/nowhere");
        File.SetUnixFileMode(At("from/closed/f"), UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.SetUser);
        File.SetLastWriteTimeUtc(At("from/closed/f"), new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        File.SetUnixFileMode(At("from/closed"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        using var archive = new MemoryStream();

        await HostArchive.PackAsync(from, "name", archive, Cancellation);
        archive.Position = 0;
        Assert.Equal(0, await HostArchive.UnpackAsync(archive, "name", _folder, "to", Cancellation));

        File.SetUnixFileMode(At("from/closed"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserExecute, File.GetUnixFileMode(At("to/closed")));
        File.SetUnixFileMode(At("to/closed"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Assert.Equal("x", await File.ReadAllTextAsync(At("to/link"), Cancellation));
        Assert.Equal("closed/f", new FileInfo(At("to/link")).LinkTarget);
        Assert.Equal("/nowhere", new FileInfo(At("to/dangling")).LinkTarget);
        Assert.Equal("long", await File.ReadAllTextAsync(At("to/" + new string('n', 200)), Cancellation));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserExecute, File.GetUnixFileMode(At("to/closed/f")));
        Assert.Equal(new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc), File.GetLastWriteTimeUtc(At("to/closed/f")));
    }

    [Fact]
    public async Task What_only_this_host_can_use_is_left_out_and_counted()
    {
        Directory.CreateDirectory(At("from/inner"));
        await File.WriteAllTextAsync(At("from/f"), "x", Cancellation);
        using var first = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        first.Bind(new UnixDomainSocketEndPoint(At("from/s")));
        using var second = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        second.Bind(new UnixDomainSocketEndPoint(At("from/inner/s")));
        using var archive = new MemoryStream();

        Assert.Equal(2, await HostArchive.PackAsync(At("from"), "name", archive, Cancellation));

        archive.Position = 0;
        Assert.Equal(0, await HostArchive.UnpackAsync(archive, "name", _folder, "to", Cancellation));
        Assert.Equal(["f", "inner"], Directory.EnumerateFileSystemEntries(At("to")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("../evil")]
    [InlineData("/evil")]
    [InlineData("a/../../evil")]
    [InlineData("a/./evil")]
    [InlineData("other")]
    [InlineData("")]
    public async Task A_name_that_leads_elsewhere_is_refused(string name)
    {
        await RefusedAsync("lies elsewhere", Folder("a"), Plain(name.Length == 0 ? "." : name));
        Assert.Equal(["in"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Nothing_is_written_through_a_link_of_the_archives()
    {
        Directory.CreateDirectory(At("outside"));
        await RefusedAsync("lies elsewhere", Folder("a"), Link("a/l", At("outside")), Plain("a/l/evil"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(At("outside")));
    }

    [Fact]
    public async Task A_link_is_replaced_and_not_followed()
    {
        await File.WriteAllTextAsync(At("outside"), "mine", Cancellation);
        await UnpackAsync(Folder("a"), Link("a/l", At("outside")), Plain("a/l"));

        Assert.Equal("mine", await File.ReadAllTextAsync(At("outside"), Cancellation));
        Assert.Null(new FileInfo(At("in/a/l")).LinkTarget);
    }

    [Fact]
    public async Task A_link_that_takes_a_folders_place_gets_none_of_its_permissions()
    {
        Directory.CreateDirectory(At("outside"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        // A folder is not given up for a link.
        var failure = await Assert.ThrowsAsync<IOException>(() => UnpackAsync(Folder("a"), Folder("a/d"), Link("a/d", At("outside"))));
        Assert.Contains("is a folder, and what is copied is none", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a/none")]
    [InlineData("a/l")]
    public async Task A_second_name_is_of_a_file_of_the_archives(string of)
    {
        await File.WriteAllTextAsync(At("outside"), "secret", Cancellation);
        await RefusedAsync("a second name of", Folder("a"), Link("a/l", At("outside")), new GnuTarEntry(TarEntryType.HardLink, "a/h") { LinkName = of });
    }

    [Fact]
    public async Task Second_names_are_kept_and_devices_left_out()
    {
        Assert.Equal(2, await UnpackAsync(Folder("a"), Plain("a/f"), new GnuTarEntry(TarEntryType.HardLink, "a/h") { LinkName = "a/f" }, new GnuTarEntry(TarEntryType.Fifo, "a/p"), new GnuTarEntry(TarEntryType.BlockDevice, "a/b")));
        Assert.Equal(["f", "h"], Directory.EnumerateFileSystemEntries(At("in/a")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(600)]
    [InlineData(100)]
    [InlineData(3)]
    public async Task An_archive_that_is_cut_or_none_ends_in_a_sentence(int length)
    {
        var whole = Archive(Folder("a"), Plain("a/f"));
        Directory.CreateDirectory(At("in"));

        await Assert.ThrowsAsync<AgentException>(() => HostArchive.UnpackAsync(new MemoryStream(whole, 0, length), "a", At("in"), "a", Cancellation));
        await Assert.ThrowsAsync<AgentException>(() => HostArchive.UnpackAsync(new MemoryStream([.. Enumerable.Repeat((byte)'x', length)]), "a", At("in"), "a", Cancellation));
    }

    // A link that leads nowhere; a second name, a name and attributes of gigabytes, in octal digits and in base 256; attributes with a NUL; a negative size.
    public static TheoryData<char, string, string> Hostile => new()
    {
        { '2', "00000000000", "" },
        { 'K', "12000000000", "" },
        { 'L', "12000000000", "" },
        { 'x', "27777777777", "" },
        { 'g', "\u0080\0\0\0\0\0\0\0\u00c0\0\0\0", "" },
        { 'x', "00000000026", "22 linkpath=a\0b\n" },
        { '0', "\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff", "" },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task A_header_that_lies_ends_in_a_sentence_and_takes_no_memory(char type, string size, string data)
    {
        Directory.CreateDirectory(At("in"));
        var first = new byte[1024];
        Encoding.Latin1.GetBytes("a/l").CopyTo(first, 0);
        Encoding.Latin1.GetBytes(size).CopyTo(first, 124);
        first[156] = (byte)type;
        Encoding.ASCII.GetBytes("ustar\000").CopyTo(first, 257);
        Encoding.Latin1.GetBytes(data).CopyTo(first, 512);
        Encoding.ASCII.GetBytes("        ").CopyTo(first, 148);
        Encoding.ASCII.GetBytes(Convert.ToString(first.Take(512).Sum(part => part), 8).PadLeft(6, '0') + "\0 ").CopyTo(first, 148);
        byte[] archive = [.. Archive(Folder("a"))[..512], .. first.AsSpan(0, data.Length == 0 ? 512 : 1024), .. Archive(Link("a/m", "x"))];
        var before = GC.GetTotalAllocatedBytes(precise: true);

        await Assert.ThrowsAsync<AgentException>(() => HostArchive.UnpackAsync(new MemoryStream(archive), "a", At("in"), "a", Cancellation));

        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, 64 << 20);
    }

    [Fact]
    public async Task An_archive_without_what_was_asked_for_is_none()
    {
        Directory.CreateDirectory(At("in"));
        var failure = await Assert.ThrowsAsync<AgentException>(() => HostArchive.UnpackAsync(new MemoryStream(new byte[1024]), "a", At("in"), "a", Cancellation));
        Assert.Contains("without what was asked for", failure.Message, StringComparison.Ordinal);
    }

    private static GnuTarEntry Folder(string name) => new(TarEntryType.Directory, name + "/");

    private static GnuTarEntry Plain(string name) => new(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.ASCII.GetBytes(new string('y', 700))) };

    private static GnuTarEntry Link(string name, string to) => new(TarEntryType.SymbolicLink, name) { LinkName = to };

    private static byte[] Archive(params TarEntry[] entries)
    {
        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Gnu, leaveOpen: true))
            foreach (var entry in entries) tar.WriteEntry(entry);
        return bytes.ToArray();
    }

    private Task<int> UnpackAsync(params TarEntry[] entries)
    {
        Directory.CreateDirectory(At("in"));
        return HostArchive.UnpackAsync(new MemoryStream(Archive(entries)), "a", At("in"), "a", Cancellation);
    }

    private async Task RefusedAsync(string sentence, params TarEntry[] entries)
    {
        var failure = await Assert.ThrowsAsync<AgentException>(() => UnpackAsync(entries));
        Assert.Contains(sentence, failure.Message, StringComparison.Ordinal);
    }

    private string At(string name) => Path.Combine(_folder, name);
}
