using Lamina.Backends.Char;
using Lamina.Core.Logging;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Char;

public class FileCharBackendTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false, "new"), InlineData(true, "oldnew")]
    public void Output_replaces_or_follows_what_the_file_held(bool append, string expected)
    {
        File.WriteAllText(_folder["log"], "old");

        using (var backend = new FileCharBackend(_folder["log"], append)) backend.Write("new"u8);

        Assert.Equal(expected, File.ReadAllText(_folder["log"]));
    }

    /// <summary>What a guest prints may hold its secrets.</summary>
    [Fact]
    public void A_new_file_is_its_owners_alone_and_one_that_is_there_stays_as_it_is()
    {
        const UnixFileMode all = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        File.WriteAllText(_folder["there"], "");
        File.SetUnixFileMode(_folder["there"], all);

        foreach (var name in (string[])["new", "there"]) new FileCharBackend(_folder[name]).Dispose();

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder["new"]));
        Assert.Equal(all, File.GetUnixFileMode(_folder["there"]));
    }

    [Fact]
    public void Output_is_seen_before_the_end()
    {
        using var backend = new FileCharBackend(_folder["log"]);

        backend.Write("hello"u8);

        Waiting.Until(() =>
        {
            using var reader = new FileStream(_folder["log"], FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            return reader.Length == 5;
        });
    }

    [Fact]
    public void A_full_disk_is_reported_once_and_stops_nobody()
    {
        var reports = new List<string>();
        using (var backend = new FileCharBackend("/dev/full", append: false, Log.To(line => reports.Add(line.Message)).CreateLog("test")))
        {
            for (var i = 0; i < 1000; i++) backend.Write(new byte[5000]);
        }

        Assert.Contains("/dev/full", Assert.Single(reports));
    }

    [Fact]
    public void A_file_that_cannot_be_opened_is_told_in_a_sentence()
    {
        var missing = Assert.Throws<HostException>(() => new FileCharBackend(_folder["no/such/log"]));
        var folder = Assert.Throws<HostException>(() => new FileCharBackend(_folder["."]));
        var empty = Assert.Throws<HostException>(() => new FileCharBackend(""));

        Assert.Contains(_folder["no/such/log"], missing.Message);
        Assert.Contains("cannot open", folder.Message);
        Assert.Contains("cannot open", empty.Message);
    }

    [Fact]
    public void Disposing_twice_is_harmless_and_writing_afterwards_too()
    {
        var backend = new FileCharBackend(_folder["log"]);
        backend.Attach(new TestReceiver());
        backend.Dispose();
        backend.Dispose();
        backend.Write("late"u8);

        Assert.Equal("", File.ReadAllText(_folder["log"]));
    }

    [Fact]
    public void The_null_backend_takes_everything_and_gives_nothing()
    {
        var receiver = new TestReceiver();
        using var backend = new NullCharBackend();
        backend.Attach(receiver);
        backend.Write(new byte[100]);
        backend.ReadyToReceive();

        Assert.Equal(0, receiver.Offers);
    }
}
