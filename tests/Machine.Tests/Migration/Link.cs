// A link between two machines of one process, which can be cut behind any byte.
using System.IO.Pipelines;
using Lamina.Host.Io;

namespace Lamina.Tests.Machines.Migration;

/// <summary>One end of it.</summary>
internal sealed class Link(PipeReader reader, PipeWriter writer, Link.State state) : SequentialStream
{
    private volatile bool _isCut;

    /// <summary>What both ends share.</summary>
    internal sealed class State
    {
        internal long Bytes, CutBehind = long.MaxValue;
    }

    /// <summary>Makes one.</summary>
    /// <param name="cutBehind">So many bytes, both ways together, go over it.</param>
    internal static (Link One, Link Other, State State) Make(long cutBehind = long.MaxValue)
    {
        var (there, back, state) = (new Pipe(), new Pipe(), new State { CutBehind = cutBehind });
        return (new Link(back.Reader, there.Writer, state), new Link(there.Reader, back.Writer, state), state);
    }

    /// <summary>Makes one that is not cut by itself.</summary>
    internal static Link Make(out Link other)
    {
        (var one, other, _) = Make();
        return one;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty || _isCut) return 0;
        System.IO.Pipelines.ReadResult read;
        try
        {
            read = await reader.ReadAsync(cancellationToken);
        }
        catch (InvalidOperationException) when (_isCut)
        {
            return 0;
        }
        if (_isCut) return 0;
        var count = (int)Math.Min(buffer.Length, read.Buffer.Length);
        var part = read.Buffer.Slice(0, count);
        var at = 0;
        foreach (var piece in part)
        {
            piece.CopyTo(buffer[at..]);
            at += piece.Length;
        }
        reader.AdvanceTo(part.End);
        return count;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_isCut) throw new IOException("the link was cut");
        try
        {
            await PassAsync(buffer, cancellationToken);
        }
        catch (InvalidOperationException) when (_isCut)
        {
            // By somebody else meanwhile.
            throw new IOException("the link was cut");
        }
    }

    private async ValueTask PassAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var before = Interlocked.Add(ref state.Bytes, buffer.Length) - buffer.Length;
        if (before + buffer.Length > state.CutBehind)
        {
            await writer.WriteAsync(buffer[..(int)Math.Max(0, state.CutBehind - before)], cancellationToken);
            Cut();
            throw new IOException("the link was cut");
        }
        if ((await writer.WriteAsync(buffer, cancellationToken)).IsCompleted) throw new IOException("the other end is gone");
    }

    /// <summary>Nothing goes over it any more, in either direction.</summary>
    internal void Cut()
    {
        _isCut = true;
        writer.Complete();
        reader.CancelPendingRead();
        try
        {
            // Who writes to it waits for nobody then.
            reader.Complete();
        }
        catch (InvalidOperationException)
        {
            // Somebody reads, and is told.
        }
    }

    protected override void Dispose(bool disposing) => Cut();

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is read asynchronously");

    public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is written to asynchronously");
}
