// A machine's process hands its machine to another one that whoever asked starts: the two speak to each other by a pair of sockets, of which whoever asked gets one end.
// The lock of the machine's folder goes over that, too, when all is closed here, so that nobody else has it in between.
using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using Lamina.Host;
using Lamina.Host.Groups;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;
using Lamina.Migration;

namespace Lamina.Hypervisor.Serving;

/// <summary>Hands a machine over.</summary>
/// <param name="stream">Who asked.</param>
/// <param name="served">The machine.</param>
/// <param name="held">The lock of its folder.</param>
/// <param name="silence">For how long the other process may be silent; null: as is usual.</param>
internal sealed class HandOverSession(NetworkStream stream, ServedMachine served, HostLock held, TimeSpan? silence)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Carries it out.</summary>
    internal async Task RunAsync(PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        reader.AdvanceTo(early.Start, early.End);
        try
        {
            await ForkSession.SaidAsync(reader, ControlSpec.Channels, Patience, cancellationToken).ConfigureAwait(false);
            byte[] said;
            try
            {
                said = await HandOverAsync(reader).ConfigureAwait(false);
            }
            catch (Exception failure) when (failure is MachineException or IOException or OperationCanceledException or ObjectDisposedException)
            {
                said = ControlLines.Refusal(null, failure is MachineException ? failure : new MachineException(MachineError.Host, string.Create(CultureInfo.InvariantCulture, $"the machine goes on in the process that it has: {failure.Message.TrimEnd('.')}"), failure));
            }
            await stream.WriteAsync(said, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Whoever asked has gone.
        }
    }

    private async Task<byte[]> HandOverAsync(PipeReader reader)
    {
        var (link, other) = SocketPair.Make();
        await using var owned = link.ConfigureAwait(false);
        using (other) await Task.Run(() => DescriptorChannel.Send(stream.Socket.SafeHandle, "\n"u8, other)).ConfigureAwait(false);
        using var gone = new CancellationTokenSource();
        using var done = new CancellationTokenSource();
        var watch = WatchAsync(reader, gone, done.Token);
        try
        {
            // For a moment its memory is there twice.
            served.Groups.Memory?.SetMemory(null);
            await link.WriteAsync((byte[])[.. ForkLines.Welcome(served.Folder, served.Definition), (byte)'\n'], gone.Token).ConfigureAwait(false);
            var options = new HandOverOptions
            {
                KeptIn = served.SuspendTo,
                Released = () =>
                {
                    served.StopsListening();
                    DescriptorChannel.Send(link.Socket.SafeHandle, "\n"u8, held.Handle);
                },
                Taken = () =>
                {
                    served.IsHandedOver = true;
                    held.Leave();
                    served.HandedOver();
                },
            };
            var outcome = await served.Machine.HandOverAsync(link, silence is { } time ? options with { Silence = time } : options, gone.Token).ConfigureAwait(false);
            return ControlLines.Answer(null, line =>
            {
                line.WriteStartObject();
                line.WriteNumber("stood-still-ms", Math.Round(outcome.StoodStill.TotalMilliseconds, 3));
                line.WriteNumber("sent-bytes", outcome.SentBytes);
                line.WriteNumber("rounds", outcome.Rounds);
                if (outcome.Refusal is not null) line.WriteString(ControlSpec.Message, outcome.Refusal);
                line.WriteEndObject();
            });
        }
        catch
        {
            TryLimit();
            throw;
        }
        finally
        {
            await done.CancelAsync().ConfigureAwait(false);
            await watch.ConfigureAwait(false);
        }
    }

    private void TryLimit()
    {
        try
        {
            served.Groups.Memory?.SetMemory(served.Definition.MemoryLimit);
        }
        catch (HostException)
        {
            // The machine goes on without.
        }
    }

    // Whoever asked says nothing more; where it hangs up, nobody starts the other process.
    private static async Task WatchAsync(PipeReader reader, CancellationTokenSource gone, CancellationToken done)
    {
        try
        {
            while (true)
            {
                var read = await reader.ReadAsync(done).ConfigureAwait(false);
                reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
        }
        catch (Exception over) when (over is OperationCanceledException or IOException)
        {
            if (over is OperationCanceledException) return;
        }
        await gone.CancelAsync().ConfigureAwait(false);
    }
}
