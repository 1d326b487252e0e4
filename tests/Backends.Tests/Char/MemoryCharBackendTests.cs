using System.Text;
using Lamina.Backends.Char;
using Xunit;

namespace Lamina.Tests.Backends.Char;

public class MemoryCharBackendTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_text_is_found_whether_it_is_there_or_comes_in_pieces()
    {
        using var backend = new MemoryCharBackend();
        backend.Write("login: "u8);
        Assert.Equal("login: ", await backend.WaitForTextAsync("login: ", Cancellation));

        var wait = backend.WaitForTextAsync("# ", Cancellation);
        Assert.False(wait.IsCompleted);
        backend.Write("root\n#"u8);
        Assert.False(wait.IsCompleted);
        backend.Write(" echo"u8);

        Assert.Equal("root\n# ", await wait.WaitAsync(Waiting.Limit, Cancellation));
        Assert.Equal("login: root\n# echo", backend.Text);
    }

    [Fact]
    public async Task A_text_that_comes_byte_by_byte_behind_much_else_is_found()
    {
        using var backend = new MemoryCharBackend(capacity: 1000);
        var wait = backend.WaitForTextAsync("login: ", Cancellation);
        foreach (var b in Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 2000)) + "lologin: "))
        {
            Assert.False(wait.IsCompleted);
            backend.Write([b]);
        }

        Assert.EndsWith("1999lologin: ", await wait.WaitAsync(Waiting.Limit, Cancellation));
    }

    [Fact]
    public async Task A_text_is_found_once_and_the_next_search_goes_on_behind_it()
    {
        using var backend = new MemoryCharBackend();
        backend.Write("# # "u8);
        await backend.WaitForTextAsync("# ", Cancellation);
        await backend.WaitForTextAsync("# ", Cancellation);

        Assert.False(backend.WaitForTextAsync("# ", Cancellation).IsCompleted);
    }

    [Fact]
    public async Task A_wait_ends_with_its_cancellation_or_the_output()
    {
        var backend = new MemoryCharBackend();
        using var cancel = new CancellationTokenSource();
        var cancelled = backend.WaitForTextAsync("x", cancel.Token);
        var ended = backend.WaitForTextAsync("prompt", Cancellation);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        backend.Dispose();

        var failure = await Assert.ThrowsAsync<EndOfStreamException>(() => ended);
        Assert.Contains("prompt", failure.Message);
    }

    [Fact]
    public async Task An_empty_text_is_refused()
    {
        using var backend = new MemoryCharBackend();

        await Assert.ThrowsAsync<ArgumentException>(() => backend.WaitForTextAsync("", Cancellation));
    }

    [Theory]
    [InlineData(1), InlineData(7), InlineData(100), InlineData(1000)]
    public async Task What_is_kept_is_bounded_and_is_the_latest(int piece)
    {
        using var backend = new MemoryCharBackend(capacity: 100);
        var all = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, 1000)));
        foreach (var chunk in all.Chunk(piece)) backend.Write(chunk);

        Assert.InRange(backend.ToArray().Length, 1, 100);
        Assert.EndsWith(backend.Text, Encoding.ASCII.GetString(all));
        await backend.WaitForTextAsync("999", Cancellation);
    }

    [Fact]
    public async Task Reading_follows_the_output_to_its_end()
    {
        var backend = new MemoryCharBackend();
        var buffer = new byte[4];
        var first = backend.ReadAsync(buffer, Cancellation);
        Assert.False(first.IsCompleted);
        backend.Write("abcdef"u8);
        Assert.Equal(4, await first);
        Assert.Equal(2, await backend.ReadAsync(buffer, Cancellation));
        Assert.Equal("efcd"u8.ToArray(), buffer);

        backend.Dispose();
        backend.Write("late"u8);

        Assert.Equal(0, await backend.ReadAsync(buffer, Cancellation));
    }

    [Fact]
    public async Task Typing_is_done_when_the_device_took_everything()
    {
        using var backend = new MemoryCharBackend();
        var early = backend.WriteAsync("ab", Cancellation);
        Assert.False(early.IsCompleted);
        var receiver = new TestReceiver { Room = 3 };
        backend.Attach(receiver);
        await early.WaitAsync(Waiting.Limit, Cancellation);

        var late = backend.WriteAsync("cdef", Cancellation);
        Waiting.Until(() => receiver.Text == "abc");
        Assert.False(late.IsCompleted);
        receiver.Room = 100;
        backend.ReadyToReceive();
        await late.WaitAsync(Waiting.Limit, Cancellation);

        Assert.Equal("abcdef", receiver.Text);
    }

    [Fact]
    public async Task Typing_to_a_machine_that_ended_fails()
    {
        var backend = new MemoryCharBackend();
        backend.Attach(new TestReceiver { Room = 1 });
        var typing = backend.WriteAsync("ab", Cancellation);

        backend.Dispose();

        await Assert.ThrowsAsync<EndOfStreamException>(() => typing.WaitAsync(Waiting.Limit, Cancellation));
    }

    [Fact]
    public async Task Texts_typed_at_once_are_not_mixed()
    {
        using var backend = new MemoryCharBackend();
        var receiver = new TestReceiver { Room = 1 };
        backend.Attach(receiver);
        var first = backend.WriteAsync("aaaa", Cancellation);
        var second = backend.WriteAsync("bbbb", Cancellation);

        receiver.Room = int.MaxValue;
        backend.ReadyToReceive();
        await Task.WhenAll(first, second).WaitAsync(Waiting.Limit, Cancellation);

        Assert.Equal("aaaabbbb", receiver.Text);
    }
}
