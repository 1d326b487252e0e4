// One request, from the thread that waits for it to the one that reads replies. Between being sent and being ended it is the connection's: its memory is written to
// by whoever reads there.
using Lamina.Host.Io;

namespace Lamina.Backends.Nbd.Client;

/// <summary>Where a request is.</summary>
internal enum NbdRequestState
{
    /// <summary>Nowhere: it is to be sent.</summary>
    Waiting,

    /// <summary>With a connection.</summary>
    Sent,

    /// <summary>Answered.</summary>
    Done,
}

/// <summary>A request.</summary>
internal sealed class NbdRequest
{
    private readonly object _gate = new();
    private readonly IoVector[] _memory;
    private NbdRequestState _state;

    /// <summary>Makes one.</summary>
    /// <param name="command">What is asked.</param>
    /// <param name="flags">How.</param>
    /// <param name="offset">Where, in bytes.</param>
    /// <param name="length">How much, in bytes.</param>
    /// <param name="memory">Of a read or write: as long together.</param>
    internal NbdRequest(NbdCommand command, NbdCommandFlags flags, ulong offset, uint length, IoVector[] memory) => (Command, Flags, Offset, Length, _memory) = (command, flags, offset, length, memory);

    internal NbdCommand Command { get; }

    internal NbdCommandFlags Flags { get; }

    internal ulong Offset { get; }

    internal uint Length { get; }

    /// <summary>What the server says; of any thread once it is done.</summary>
    internal NbdError Error { get; set; }

    /// <summary>What it says beside that.</summary>
    internal string Message { get; set; } = "";

    /// <summary>Bytes of a read that have come, or that are zeros.</summary>
    internal ulong Came { get; set; }

    /// <summary>What NBD_CMD_BLOCK_STATUS tells: how far, and the flags.</summary>
    internal (uint Length, uint Flags)? Extent { get; set; }

    /// <summary>When it was sent last, in milliseconds of <see cref="Environment.TickCount64"/>.</summary>
    internal long SentAt { get; private set; }

    /// <summary>It belongs to a connection from now on.</summary>
    internal void Begin()
    {
        lock (_gate)
        {
            (Error, Message, Came, Extent, SentAt) = (NbdError.None, "", 0, null, Environment.TickCount64);
            _state = NbdRequestState.Sent;
        }
    }

    /// <summary>It is the waiting thread's again.</summary>
    internal void End(NbdRequestState state)
    {
        lock (_gate)
        {
            _state = state;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Waits until it is nobody's or the time is up.</summary>
    internal NbdRequestState Wait(int milliseconds)
    {
        lock (_gate)
        {
            if (_state == NbdRequestState.Sent) Monitor.Wait(_gate, milliseconds);
            return _state;
        }
    }

    /// <summary>Sends what is written.</summary>
    internal void WriteTo(NbdWriter writer)
    {
        foreach (var vector in _memory) writer.Write(vector.Span);
    }

    /// <summary>Takes what is read, or zeros where there is nothing to read from.</summary>
    /// <param name="reader">From where; null for zeros.</param>
    /// <param name="at">From where on, in bytes of the request.</param>
    /// <param name="length">How many; both lie within the request.</param>
    internal void Fill(NbdReader? reader, uint at, uint length)
    {
        foreach (var vector in _memory)
        {
            if (at < (uint)vector.Length)
            {
                var part = vector.Span.Slice((int)at, (int)Math.Min(length, (uint)vector.Length - at));
                if (reader is null) part.Clear();
                else reader.Read(part);
                length -= (uint)part.Length;
                at = 0;
                if (length == 0) return;
            }
            else at -= (uint)vector.Length;
        }
    }
}
