// The archive's files: what is put there and read back, what is not trusted, and what is thrown away.
using System.Diagnostics;
using System.Globalization;
using Lamina.Engines.Translator.Archive;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Engines.Archive;

public sealed class TranslationArchiveTests : IDisposable
{
    private const string Key = "this build on this host";
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-archive-");
    private readonly Lock _gate = new();

    [Fact]
    public void Images_are_read_back_by_another_archive_in_the_same_folder()
    {
        Assert.True(Add(Key, (1, Bytes(100, 1)), (2, Bytes(3_000_000, 2)), (3, [])));

        using var archive = Open();

        Assert.Equal(Bytes(100, 1), Read(archive, 1));
        Assert.Equal(Bytes(3_000_000, 2), Read(archive, 2));
        Assert.Empty(Read(archive, 4));
        Assert.Equal((1, 0), (archive.CountBlocks(2), archive.CountBlocks(4)));
    }

    [Fact]
    public void What_is_added_is_found_at_once_and_so_is_what_others_add_before_one_adds_oneself()
    {
        using var archive = Open();
        Assert.True(Add(Key, (1, Bytes(10, 1))));
        Assert.Equal(0, archive.CountBlocks(1));

        Assert.True(Add(archive, writer =>
        {
            Assert.Equal(1, archive.CountBlocks(1));
            writer.Add(2, Bytes(10, 2), 1);
        }));

        Assert.Equal(Bytes(10, 2), Read(archive, 2));
    }

    [Fact]
    public void Of_two_images_for_one_page_the_one_with_more_blocks_counts()
    {
        using var archive = Open();
        foreach (var blocks in (int[])[2, 5, 3]) Assert.True(Add(archive, writer => writer.Add(1, Bytes(50, (byte)blocks), blocks)));

        Assert.Equal(Bytes(50, 5), Read(archive, 1));
    }

    [Fact]
    public void Nothing_is_read_that_another_build_has_written()
    {
        Assert.True(Add("another build", (1, Bytes(10, 1))));
        // Under the name that a file of this build would have.
        Assert.True(Add(Key, (2, Bytes(10, 2))));
        var (other, own) = (Segments().Single(path => Read(path, 1)), Segments().Single(path => !Read(path, 1)));
        File.Copy(other, own, overwrite: true);

        using var archive = Open();

        Assert.Equal((0, 0), (archive.CountBlocks(1), archive.CountBlocks(2)));

        static bool Read(string path, ulong hash)
        {
            using var file = File.OpenRead(path);
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes.AsSpan().IndexOf("another build"u8) >= 0 == (hash == 1);
        }
    }

    [Fact]
    public void A_damaged_file_gives_the_right_bytes_or_none()
    {
        Assert.True(Add(Key, (1, Bytes(200, 1)), (2, Bytes(200, 2))));
        var path = Assert.Single(Segments());
        var bytes = File.ReadAllBytes(path);
        var lost = 0;
        for (var at = 0; at < bytes.Length; at++)
        {
            var damaged = bytes.ToArray();
            damaged[at] ^= 1;
            File.WriteAllBytes(path, damaged);
            using var archive = Open();
            for (var hash = 1; hash <= 2; hash++)
            {
                var image = Read(archive, (ulong)hash);
                if (image.Length == 0) lost++;
                else Assert.Equal(Bytes(200, (byte)hash), image);
            }
        }
        // All but the unused bytes of the header matter to one image at least.
        Assert.True(lost > bytes.Length - 64, $"{lost} of {bytes.Length}");
    }

    [Fact]
    public void A_file_that_is_cut_off_is_not_read()
    {
        Assert.True(Add(Key, (1, Bytes(200, 1))));
        var path = Assert.Single(Segments());
        var bytes = File.ReadAllBytes(path);
        for (var length = 0; length < bytes.Length; length++)
        {
            File.WriteAllBytes(path, bytes[..length]);
            using var archive = Open();
            Assert.Equal(0, archive.CountBlocks(1));
        }
    }

    [Theory]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void A_file_that_others_may_write_to_is_not_read(UnixFileMode others)
    {
        Assert.True(Add(Key, (1, Bytes(200, 1))));
        File.SetUnixFileMode(Assert.Single(Segments()), Private | others);

        using var archive = Open();

        Assert.Equal(0, archive.CountBlocks(1));
    }

    [Fact]
    public void A_file_behind_a_symbolic_link_is_not_read()
    {
        Assert.True(Add(Key, (1, Bytes(200, 1))));
        var path = Assert.Single(Segments());
        File.Move(path, path + ".elsewhere");
        _ = File.CreateSymbolicLink(path, path + ".elsewhere");

        using var archive = Open();

        Assert.Equal(0, archive.CountBlocks(1));
    }

    [Fact]
    public void Another_users_file_is_not_read_and_their_folder_is_refused()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can give files away");
        Assert.True(Add(Key, (1, Bytes(200, 1))));
        GiveAway(Assert.Single(Segments()));

        using (var archive = Open()) Assert.Equal(0, archive.CountBlocks(1));
        GiveAway(_folder.FullName);

        Assert.Contains("belongs to another user", Assert.Throws<HostException>(Open).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void A_folder_that_others_may_write_to_is_refused(UnixFileMode others)
    {
        File.SetUnixFileMode(_folder.FullName, Private | UnixFileMode.UserExecute | others);

        Assert.Contains("others may write to it", Assert.Throws<HostException>(Open).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_refused()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "file"), "");

        var refused = Assert.Throws<HostException>(() => TranslationArchive.Open(Path.Combine(_folder.FullName, "file", "code"), 1 << 20, Key));

        Assert.Contains("name another folder", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_new_folder_and_its_files_are_the_users_alone()
    {
        var path = Path.Combine(_folder.FullName, "a", "b");
        using (var archive = TranslationArchive.Open(path, 1 << 20, Key)) Assert.True(Add(archive, writer => writer.Add(1, Bytes(10, 1), 1)));

        Assert.Equal(Private | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
        Assert.Equal(Private, File.GetUnixFileMode(Assert.Single(Directory.GetFiles(path, "*.translations"))));
    }

    [Fact]
    public void What_was_of_no_use_for_longest_goes_where_there_is_too_much()
    {
        const int each = 40_000;
        for (var hash = 1ul; hash <= 3; hash++)
        {
            Assert.True(Add(Key, (hash, Bytes(each, (byte)hash))));
            foreach (var path in Segments()) File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddHours(-1));
        }
        using (var archive = Open()) Assert.Equal(each, Read(archive, 1).Length);

        using var last = Open(mostBytes: 3 * each);
        Assert.True(Add(last, writer => writer.Add(4, Bytes(each, 4), 1)));

        Assert.Equal([1, 0, 0, 1], Enumerable.Range(1, 4).Select(hash => last.CountBlocks((ulong)hash)));
        Assert.Equal(2, Segments().Length);
    }

    [Fact]
    public void There_are_never_more_than_a_certain_number_of_files()
    {
        using var archive = Open();
        for (var hash = 1ul; hash <= 70; hash++) Assert.True(Add(archive, writer => writer.Add(hash, Bytes(10, 1), 1)));

        Assert.Equal(64, Segments().Length);
    }

    [Fact]
    public void One_at_a_time_adds_to_the_archive()
    {
        using var archive = Open();
        var second = true;

        Assert.True(Add(archive, writer =>
        {
            writer.Add(1, Bytes(10, 1), 1);
            second = Add(Key, (2, Bytes(10, 2)));
        }));

        Assert.False(second);
        Assert.Single(Segments());
    }

    [Fact]
    public void What_a_killed_writer_has_left_is_removed_by_the_next()
    {
        var left = Path.Combine(_folder.FullName, ".new-0123");
        File.WriteAllText(left, "half");

        Assert.True(Add(Key, (1, Bytes(10, 1))));

        Assert.False(File.Exists(left));
    }

    [Fact]
    public void Nothing_to_add_and_a_folder_that_is_gone_are_no_failures()
    {
        using var archive = Open();

        Assert.False(archive.TryAdd(_gate, static _ => false));
        Assert.Empty(Segments());
        _folder.Delete(recursive: true);
        Assert.False(Add(archive, writer => writer.Add(1, Bytes(10, 1), 1)));
        _folder.Create();
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static byte[] Bytes(int count, byte seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static byte[] Read(TranslationArchive archive, ulong hash)
    {
        var buffer = Array.Empty<byte>();
        return archive.Read(hash, ref buffer).ToArray();
    }

    private static void GiveAway(string path)
    {
        const int nobody = 65534;
        using var chown = Process.Start("chown", [nobody.ToString(CultureInfo.InvariantCulture), path]);
        chown.WaitForExit();
        Assert.Equal(0, chown.ExitCode);
    }

    private TranslationArchive Open() => Open(1 << 30);

    private TranslationArchive Open(long mostBytes) => TranslationArchive.Open(_folder.FullName, mostBytes, Key);

    private bool Add(TranslationArchive archive, Action<SegmentWriter> write) => archive.TryAdd(_gate, writer =>
    {
        write(writer);
        return true;
    });

    private bool Add(string key, params (ulong Hash, byte[] Image)[] images)
    {
        using var archive = TranslationArchive.Open(_folder.FullName, 1 << 30, key);
        return Add(archive, writer =>
        {
            foreach (var (hash, image) in images) writer.Add(hash, image, 1);
        });
    }

    private string[] Segments() => Directory.GetFiles(_folder.FullName, "*.translations");
}
