// Images that somebody cuts while they are in use: what is lost is an error, and no disk of zeros.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class CutImageTests : IDisposable
{
    private const int Size = 1 << 20, Kept = 1 << 18;

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"lamina-cut-{Guid.NewGuid():N}");
    private readonly HostBuffer _buffer = new(4096);

    public void Dispose()
    {
        File.Delete(_path);
        _buffer.Dispose();
    }

    [Theory]
    [InlineData(DiskFormat.Raw, false)]
    [InlineData(DiskFormat.Raw, true)]
    [InlineData(DiskFormat.Qcow2, false)]
    public void A_read_of_what_is_gone_fails(DiskFormat format, bool direct)
    {
        using var disk = Open(format, direct);

        Cut();

        Assert.Contains("became shorter while it was in use", Assert.Throws<DiskImageException>(() => disk.Read(Size - 4096, All)).Message, StringComparison.Ordinal);
        if (format == DiskFormat.Raw) disk.Read(0, All);
    }

    [Theory]
    [InlineData(DiskFormat.Raw)]
    [InlineData(DiskFormat.Qcow2)]
    public void A_write_behind_the_new_end_is_an_error_at_the_next_flush_at_the_latest(DiskFormat format)
    {
        using var disk = Open(format, direct: false);

        Cut();

        Assert.Throws<DiskImageException>(() =>
        {
            disk.Write(Size / 2, All);
            disk.Flush();
        });
        Assert.Throws<DiskImageException>(() => disk.Write(0, All));
    }

    [Fact]
    public void A_write_that_would_make_the_file_as_long_as_it_was_fails_at_once()
    {
        using var disk = Open(DiskFormat.Raw, direct: false);

        Cut();

        Assert.Throws<DiskImageException>(() => disk.Write(Size - 4096, All));
        Assert.Equal(Kept, new FileInfo(_path).Length);
    }

    private ReadOnlySpan<IoVector> All => new[] { IoVector.Of(_buffer, 0, 4096) };

    private IBlockBackend Open(DiskFormat format, bool direct)
    {
        DiskTools.Create(new DiskCreation { Path = _path, Format = format, Size = Size });
        var disk = DiskImages.Open(new DiskOptions { Path = _path, Format = format, Direct = direct });
        _buffer.Span.Fill(1);
        for (ulong at = 0; at < Size; at += 4096) disk.Write(at, All);
        disk.Flush();
        return disk;
    }

    private void Cut()
    {
        using var file = new FileStream(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.SetLength(Kept);
    }
}
