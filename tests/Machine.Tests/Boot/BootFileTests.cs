// Files on the host: every way in which one cannot be used is one sentence.

using Lamina.Boot;
using Lamina.Core.Memory;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class BootFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_missing_file_is_named() =>
        Assert.Equal($"the kernel {_folder}/none does not exist", Refusal($"{_folder}/none"));

    [Fact]
    public void A_missing_folder_is_the_same() => Assert.Contains("does not exist", Refusal($"{_folder}/none/none"), StringComparison.Ordinal);

    [Fact]
    public void A_folder_is_no_file() => Assert.Contains("is a folder", Refusal(_folder), StringComparison.Ordinal);

    [Fact]
    public void An_empty_name_is_refused() => Assert.Contains("empty", Refusal(""), StringComparison.Ordinal);

    [Fact]
    public void An_empty_file_is_refused()
    {
        File.WriteAllBytes($"{_folder}/empty", []);

        Assert.Contains("is empty", Refusal($"{_folder}/empty"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_larger_than_memory_is_refused_with_both_sizes()
    {
        File.WriteAllBytes($"{_folder}/large", new byte[8192]);

        var refusal = Assert.Throws<MachineException>(() => BootFile.Open("initrd", $"{_folder}/large", 4096, cancellationToken: TestContext.Current.CancellationToken)).Message;

        Assert.Contains("8 KiB", refusal, StringComparison.Ordinal);
        Assert.Contains("4 KiB", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_without_an_end_is_refused() =>
        Assert.Throws<MachineException>(() => BootFile.Open("kernel", "/dev/zero", 1 << 20, cancellationToken: TestContext.Current.CancellationToken));

    /// <summary>A pipe that nobody writes to would be waited for without an end.</summary>
    [Fact]
    public void A_pipe_a_socket_and_a_link_that_leads_nowhere_are_refused_at_once()
    {
        using (var mkfifo = System.Diagnostics.Process.Start("mkfifo", [$"{_folder}/pipe"])) mkfifo.WaitForExit();
        using var listener = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        listener.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint($"{_folder}/socket"));
        File.CreateSymbolicLink($"{_folder}/link", "nowhere");

        Assert.Contains($"{_folder}/pipe is a pipe", Refusal($"{_folder}/pipe"), StringComparison.Ordinal);
        Assert.Contains($"{_folder}/socket cannot", Refusal($"{_folder}/socket"), StringComparison.Ordinal);
        Assert.Contains("does not exist", Refusal($"{_folder}/link"), StringComparison.Ordinal);
    }

    [Fact]
    public void Reads_beyond_the_end_are_values()
    {
        File.WriteAllBytes($"{_folder}/four", [1, 2, 3, 4]);
        using var file = BootFile.Open("kernel", $"{_folder}/four", 1 << 20, cancellationToken: TestContext.Current.CancellationToken);
        var two = new byte[2];

        Assert.True(file.TryRead(2, two));
        Assert.Equal([3, 4], two);
        Assert.False(file.TryRead(3, two));
        Assert.False(file.TryRead(ulong.MaxValue, two));
    }

    [Fact]
    public void A_file_that_became_shorter_ends_the_copy_in_a_sentence()
    {
        File.WriteAllBytes($"{_folder}/shrinks", new byte[10_000]);
        using var file = BootFile.Open("kernel", $"{_folder}/shrinks", 1 << 20, cancellationToken: TestContext.Current.CancellationToken);
        using var memory = new GuestMemory([new MemoryRange(0, 1 << 20)]);
        File.WriteAllBytes($"{_folder}/shrinks", new byte[10]);

        var refusal = Assert.Throws<MachineException>(() => Load(file, memory, 0, 0, 10_000));

        Assert.Contains("shorter", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_large_file_arrives_whole_and_nothing_beside_it()
    {
        const int start = 0x1234, skip = 77, length = (17 << 20) + 5;
        var content = new byte[skip + length + 9];
        new Random(1).NextBytes(content);
        File.WriteAllBytes($"{_folder}/large", content);
        using var file = BootFile.Open("kernel", $"{_folder}/large", 32 << 20, cancellationToken: TestContext.Current.CancellationToken);
        using var memory = new GuestMemory([new MemoryRange(0, 32 << 20)]);

        Load(file, memory, start, skip, length);

        Assert.True(memory.TrySlice(0, 32 << 20, out var all));
        Assert.True(all.Slice(start, length).SequenceEqual(content.AsSpan(skip, length)));
        Assert.False(all[..start].ContainsAnyExcept((byte)0));
        Assert.False(all[(start + length)..].ContainsAnyExcept((byte)0));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(12 << 20)]
    public void A_large_file_that_became_shorter_ends_the_copy_in_the_same_sentence(int left)
    {
        File.WriteAllBytes($"{_folder}/shrinks", new byte[17 << 20]);
        using var file = BootFile.Open("kernel", $"{_folder}/shrinks", 32 << 20, cancellationToken: TestContext.Current.CancellationToken);
        using var memory = new GuestMemory([new MemoryRange(0, 32 << 20)]);
        File.WriteAllBytes($"{_folder}/shrinks", new byte[left]);

        Assert.Contains("shorter", Assert.Throws<MachineException>(() => Load(file, memory, 0, 0, 17 << 20)).Message, StringComparison.Ordinal);
    }

    private static void Load(BootFile file, GuestMemory memory, ulong address, ulong offset, ulong length)
    {
        foreach (var piece in file.PiecesOf(address, offset, length)) piece.Load(memory);
    }

    private static string Refusal(string path) => Assert.Throws<MachineException>(() => BootFile.Open("kernel", path, 1 << 20, cancellationToken: TestContext.Current.CancellationToken)).Message;
}
