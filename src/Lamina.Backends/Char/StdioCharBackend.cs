// The process's own input and output as a character device's other end. A terminal is put into raw mode, so that every
// key reaches the guest but those behind Ctrl-A; pipes and files pass unchanged, but for what the guest asks a terminal.
// One thread reads, one writes (OutputPump). Reading goes on while the guest takes nothing, so that Ctrl-A X always
// works; a pipe instead is left alone until there is room, so that nothing of it is lost.
using Lamina.Backends.Work;
using Lamina.Core.Char;
using Lamina.Host.Io;
using Lamina.Host.Terminals;

namespace Lamina.Backends.Char;

/// <summary>How the process's terminal or pipes are used.</summary>
public sealed record StdioOptions : OutputOptions
{
    /// <summary>The descriptor that input comes from.</summary>
    public int Input { get; init; } = HostIo.Input;

    /// <summary>The descriptor that output goes to.</summary>
    public int Output { get; init; } = HostIo.Output;

    /// <summary>Whether Ctrl-A is the VMM's key; by default where input is a terminal.</summary>
    public bool? Escape { get; init; }

    /// <summary>What the guest is given where input ends, as a person types it (Ctrl-D); by default nothing.</summary>
    public byte? EndMark { get; init; }

    /// <summary>Called on a thread of the backend's when the user asks for the machine's end (Ctrl-A X).</summary>
    public Action? Quit { get; init; }
}

/// <summary>The process's terminal or pipes.</summary>
public sealed class StdioCharBackend : ICharBackend
{
    /// <summary>What Ctrl-A H prints.</summary>
    public const string Help = "\r\nCtrl-A X  end the machine\r\nCtrl-A H  this help\r\nCtrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

    /// <summary>Bytes of input that wait for the guest.</summary>
    internal const int InputCapacity = 64 * 1024;
    private const int PollMilliseconds = 100;

    private readonly StdioOptions _options;
    private readonly OutputPump _pump;
    private readonly InputQueue _input = new(InputCapacity);
    private readonly EscapeFilter? _escape;
    private readonly EventDescriptor _wake = new();
    private volatile ICharReceiver? _receiver;
    private Thread? _reader;
    private volatile bool _stopping;
    private bool _disposed;

    /// <summary>Takes the descriptors; nothing is read and no mode changes before <see cref="Attach"/>.</summary>
    public StdioCharBackend(StdioOptions? options = null)
    {
        _options = options ?? new StdioOptions();
        Terminal = Terminal.TryOpen(_options.Input);
        _escape = _options.Escape ?? Terminal is not null ? new EscapeFilter() : null;
        // The answer to a query comes by the input of the terminal that shows it.
        var answers = Terminal is not null && HostIo.IsTerminal(_options.Output);
        _pump = new OutputPump("char-stdout", Put, HostIo.AtomicPipeWrite, _options with { DropsQueries = !answers }, () => _receiver?.ReadyToSend());
    }

    /// <summary>The terminal that input comes from, for its size; null where it is none.</summary>
    public Terminal? Terminal { get; }

    /// <inheritdoc/>
    public long Lost => _pump.Lost;

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> data) => _pump.Write(data);

    /// <inheritdoc/>
    public void Attach(ICharReceiver receiver)
    {
        _receiver = receiver;
        Terminal?.EnterRaw();
        _reader = Guard.Thread("char-stdin", ReadInput, _options.Failed);
        _reader.Start();
    }

    /// <inheritdoc/>
    public void ReadyToReceive() => _wake.Set();

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _stopping = true;
        _wake.Set();
        if (_reader is not null && _reader != Thread.CurrentThread) _reader.Join();
        _pump.Dispose();
        Terminal?.Dispose();
        _wake.Dispose();
    }

    private void ReadInput()
    {
        var buffer = new byte[4096];
        var ended = false;
        while (!_stopping)
        {
            _input.Deliver(_receiver);
            // What is typed at a terminal beyond all room is dropped, as terminals do.
            var reads = !ended && (_escape is not null || _input.Room != 0);
            var (ready, woken) = HostIo.Wait((reads ? _options.Input : -1, HostPoll.Readable), (_wake.Descriptor, HostPoll.Readable), -1);
            if (woken != HostPoll.None) _wake.Clear();
            if (ready == HostPoll.None || _stopping) continue;
            var limit = _escape is null ? Math.Min(buffer.Length, _input.Room) : buffer.Length;
            var count = HostIo.Read(_options.Input, buffer.AsSpan(0, limit));
            ended = count <= 0;
            if (!ended) Accept(buffer.AsSpan(0, count));
            else if (_options.EndMark is { } mark) _input.Add([mark]);
        }
    }

    private void Accept(Span<byte> typed)
    {
        if (_escape is null)
        {
            _input.Add(typed);
            return;
        }
        var request = _escape.Filter(typed, out var length);
        _input.Add(typed[..length]);
        if (request == EscapeRequest.Help) _pump.Write(System.Text.Encoding.ASCII.GetBytes(Help));
        else if (request == EscapeRequest.Quit) _options.Quit?.Invoke();
    }

    // At most PIPE_BUF bytes once the descriptor is writable: such a write does not block, whoever shares the descriptor.
    private int Put(ReadOnlySpan<byte> data)
    {
        var (ready, _) = HostIo.Wait((_options.Output, HostPoll.Writable), (-1, HostPoll.None), PollMilliseconds);
        return ready == HostPoll.None ? 0 : HostIo.Write(_options.Output, data);
    }
}
