// Traffic between a test and a guest that goes on by itself while the test does other things: the guest sends back what it is sent,
// and every byte that comes back is checked against its place in the stream. How far it came tells whether it stands still.
using System.Globalization;
using Lamina.Consoles;
using Xunit;

namespace Lamina.Tests.Boot.Support;

/// <summary>Traffic with a count of what has come back.</summary>
internal abstract class Flow(string name)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private Task _work = Task.CompletedTask;

    internal string Name => name;

    /// <summary>How much came back and was right.</summary>
    internal abstract long Position { get; }

    /// <summary>How much will have come back when all that was sent so far has.</summary>
    internal abstract long Goal { get; }

    /// <summary>Sends something now, whether or not the guest answers.</summary>
    internal abstract Task PokeAsync();

    /// <summary>Returns when all that was sent by now has come back.</summary>
    internal Task CatchUpAsync() => ReachAsync(Goal);

    /// <summary>Returns when so much has come back.</summary>
    internal async Task ReachAsync(long goal)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (Position < goal)
        {
            if (_work.IsFaulted) await _work;
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, $"{name} stands still: {Position} of {goal} came back");
            await Task.Delay(TimeSpan.FromMilliseconds(1), TestContext.Current.CancellationToken);
        }
    }

    private protected void Begin(params Func<Task>[] work) => _work = Task.WhenAll(work.Select(Task.Run));
}

/// <summary>Bytes through a stream at whose other end a program like <c>cat</c> is.</summary>
internal sealed class EchoFlow : Flow, IDisposable
{
    // So much may be on its way.
    private const int Window = 16 << 10, LongestPiece = 4096, Poke = 700;

    private readonly Stream _stream;
    private readonly SemaphoreSlim _sending = new(1), _moved = new(0);
    private long _sent, _received;
    private volatile bool _stops;

    internal EchoFlow(string name, Stream stream) : base(name)
    {
        _stream = stream;
        Begin(WriteAsync, ReadAsync);
    }

    internal override long Position => Interlocked.Read(ref _received);

    internal override long Goal => Interlocked.Read(ref _sent);

    internal override Task PokeAsync() => SendAsync(Poke);

    /// <summary>Sends no more, and returns when all that was sent has come back.</summary>
    internal async Task FinishAsync()
    {
        _stops = true;
        await _sending.WaitAsync();
        await CatchUpAsync();
    }

    public void Dispose() => _stream.Dispose();

    // A stream that repeats itself late, so that a piece that is lost or comes twice is seen.
    private static byte At(long position) => (byte)(position * 167 + (position >> 8) * 13 + (position >> 16));

    private async Task SendAsync(int count)
    {
        await _sending.WaitAsync();
        var piece = new byte[count];
        for (var i = 0; i < count; i++) piece[i] = At(_sent + i);
        await _stream.WriteAsync(piece);
        Interlocked.Add(ref _sent, count);
        _sending.Release();
    }

    private async Task WriteAsync()
    {
        var random = new Random(Name.Length);
        while (!_stops)
        {
            if (Goal - Position >= Window) await _moved.WaitAsync();
            else await SendAsync(random.Next(1, LongestPiece));
        }
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[Window];
        while (true)
        {
            int count;
            try
            {
                count = await _stream.ReadAsync(buffer);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            if (count == 0) throw new EndOfStreamException($"{Name} ended after {Position} bytes");
            for (var i = 0; i < count; i++)
                if (buffer[i] != At(_received + i)) throw new InvalidDataException($"{Name}: byte {_received + i} came back wrong");
            Interlocked.Add(ref _received, count);
            if (_moved.CurrentCount == 0) _moved.Release();
        }
    }
}

/// <summary>Lines typed at a console whose guest prints each again in angle brackets.</summary>
internal sealed class ConsoleFlow : Flow
{
    private readonly SerialConsole _console;
    private long _asked, _answered;
    private volatile bool _stops;

    internal ConsoleFlow(string name, SerialConsole console) : base(name)
    {
        _console = console;
        Begin(AskAsync);
    }

    internal override long Position => Interlocked.Read(ref _answered);

    internal override long Goal => Interlocked.Read(ref _asked);

    // There is always a line on its way.
    internal override Task PokeAsync() => Task.CompletedTask;

    /// <summary>Types no more, and returns when all has come back.</summary>
    internal async Task FinishAsync()
    {
        _stops = true;
        await CatchUpAsync();
    }

    private async Task AskAsync()
    {
        while (!_stops)
        {
            var line = string.Create(CultureInfo.InvariantCulture, $"line {Interlocked.Increment(ref _asked)}");
            await _console.WriteLineAsync(line);
            await _console.ReadUntilAsync($"<{line}>");
            Interlocked.Increment(ref _answered);
        }
    }
}
