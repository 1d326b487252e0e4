// A stream to a program that may say nothing at all, or take nothing: each step has its time, and a step that takes longer ends it in a sentence.
using System.Globalization;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Migrating;

/// <summary>One of them.</summary>
/// <param name="peer">The stream, which stays its owner's.</param>
/// <param name="silence">How long a step may take.</param>
internal sealed class HeardStream(Stream peer, TimeSpan silence) : SequentialStream
{
    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is read asynchronously");

    public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is written to asynchronously");

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        using var step = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        step.CancelAfter(silence);
        try
        {
            return await peer.ReadAsync(buffer, step.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Silent();
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        using var step = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        step.CancelAfter(silence);
        try
        {
            await peer.WriteAsync(buffer, step.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Silent();
        }
    }

    private MachineException Silent() => new(MachineError.Host, string.Create(CultureInfo.InvariantCulture, $"the other side has said nothing for {silence.TotalSeconds:0.###} s; the machine stays here"));
}
