// What a user names to be read from its beginning on: files and pipes, in which somebody writes or nobody does, and what is neither.
using System.Diagnostics;
using Lamina.Host;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public sealed class NamedFileTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public NamedFileTests()
    {
        using var pipe = Process.Start("mkfifo", [_folder["pipe"]]);
        pipe.WaitForExit();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_is_read_whole_unless_it_is_too_long()
    {
        File.WriteAllText(_folder["file"], "twelve bytes");

        Assert.Equal("twelve bytes"u8.ToArray(), NamedFile.ReadStream(_folder["file"], 12));
        Assert.Null(NamedFile.ReadStream(_folder["file"], 11));
    }

    [Fact]
    public async Task A_pipe_is_read_to_its_end_however_its_writer_dawdles_after_the_first_bytes()
    {
        var read = Task.Run(() => NamedFile.ReadStream(_folder["pipe"], 1 << 20), TestContext.Current.CancellationToken);
        using (var write = new FileStream(_folder["pipe"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0))
        {
            for (var piece = 0; piece < 1000; piece++)
            {
                write.Write("piece"u8);
                Thread.Yield();
            }
        }

        Assert.Equal(5000, (await read)!.Length);
    }

    [Fact]
    public void A_pipe_that_nobody_writes_to_is_given_up_in_a_sentence()
    {
        var refused = Assert.Throws<HostException>(() => NamedFile.OpenStream(_folder["pipe"]));

        Assert.Equal("it is a pipe from which nothing came for 10 s", refused.Message);
    }

    [Fact]
    public void What_cannot_be_read_so_is_refused_for_what_it_is()
    {
        Assert.Throws<FileNotFoundException>(() => NamedFile.OpenStream(_folder["none"]));
        Directory.CreateDirectory(_folder["folder"]);
        Assert.Contains("is a folder", Assert.Throws<HostException>(() => NamedFile.OpenStream(_folder["folder"])).Message, StringComparison.Ordinal);
    }
}
