// Somebody on a network who keeps every frame.
using System.Collections.Concurrent;
using Lamina.Core.Net;
using Xunit;

namespace Lamina.Tests.Cli.Support;

internal sealed class FrameListener : INetReceiver
{
    private readonly ConcurrentQueue<byte[]> _frames = new();

    public NetOffloads Offloads => NetOffloads.None;

    public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        _frames.Enqueue(frame.ToArray());
        return true;
    }

    /// <summary>Forgets what it heard.</summary>
    public void Clear() => _frames.Clear();

    /// <summary>Waits until it has heard a frame.</summary>
    public async Task HeardAsync(Func<byte[], bool> which, string what)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromMinutes(2));
        while (!_frames.Any(which))
        {
            Assert.False(patience.IsCancellationRequested, $"no {what}; heard: {string.Join(", ", _frames.Select(frame => Convert.ToHexString(frame.AsSpan(0, Math.Min(frame.Length, 42)))))}");
            await Task.Yield();
        }
    }
}
