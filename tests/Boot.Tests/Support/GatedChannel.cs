// A console's other end that takes output only while a test lets it: a reader that is late, or never comes.
using Lamina.Backends.Char;
using Lamina.Core.Char;

namespace Lamina.Tests.Boot.Support;

internal sealed class GatedChannel : ICharBackend
{
    private readonly Lock _gate = new();
    private readonly MemoryCharBackend _memory = new();
    private TaskCompletionSource _refused = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ICharReceiver? _receiver;
    private int _room = int.MaxValue;

    /// <summary>What the guest wrote, and its keyboard.</summary>
    internal MemoryCharBackend Console => _memory;

    /// <summary>Completes when the guest had more to say than is taken.</summary>
    internal Task Refused => _refused.Task;

    public int Write(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            var taken = Math.Min(data.Length, _room);
            if (_room != int.MaxValue) _room -= taken;
            _memory.Write(data[..taken]);
            if (taken < data.Length) _refused.TrySetResult();
            return taken;
        }
    }

    public void Attach(ICharReceiver receiver)
    {
        _receiver = receiver;
        _memory.Attach(receiver);
    }

    public void ReadyToReceive() => _memory.ReadyToReceive();

    public void Dispose() => _memory.Dispose();

    /// <summary>Takes so many bytes, and then no more.</summary>
    internal void Close(int after = 0)
    {
        lock (_gate) (_room, _refused) = (after, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
    }

    /// <summary>Takes everything again.</summary>
    internal void Open()
    {
        lock (_gate) _room = int.MaxValue;
        _receiver?.ReadyToSend();
    }
}
