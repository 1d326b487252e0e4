// A snapshot as the machine's process has its part in it: it makes the new image of the disk and writes the state, both in its own folder, where it
// may write; whoever asked puts the images into their places, while the machine stands still. Which of the two images is the disk by then is not a
// matter of what the other says, who may be gone: one of the two takes the new image's first name away, by renaming it or by removing it.
using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Lamina.Control;
using Lamina.Host;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Serving;

/// <summary>Takes one snapshot.</summary>
/// <param name="stream">Who asked.</param>
/// <param name="served">The machine.</param>
/// <param name="memory">Whether its memory is written.</param>
/// <param name="layer">The name that its disk gets; null for none.</param>
internal sealed class SnapshotSession(NetworkStream stream, ServedMachine served, bool memory, string? layer)
{
    // The guest stands still meanwhile.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Carries it out.</summary>
    internal async Task RunAsync(PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        reader.AdvanceTo(early.Start, early.End);
        try
        {
            await served.Snapshots.WaitAsync(cancellationToken).ConfigureAwait(false);
            byte[] answer;
            try
            {
                var (state, disk) = served.SnapshotTo;
                if (Directory.Exists(state)) Directory.Delete(state, recursive: true);
                _ = HostFiles.TryUnlink(disk);
                IReadOnlyList<LayeredImage> layers = layer is null ? [] : [new LayeredImage(MachineStore.RootName, disk, layer)];
                var saved = await served.Machine.DoAsync(new MachineAction.Snapshot(memory ? state : null, layers, () => CommitAsync(reader, disk, cancellationToken)), CancellationToken.None).ConfigureAwait(false);
                await saved.Written.ConfigureAwait(false);
                answer = ControlLines.Answer(null, line => line.WriteNumberValue(saved.StoodStill.TotalMilliseconds));
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                answer = ControlLines.Refusal(null, failure);
            }
            finally
            {
                served.Snapshots.Release();
            }
            await stream.WriteAsync(answer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Whoever asked has gone.
        }
    }

    private async Task<bool> CommitAsync(PipeReader reader, string disk, CancellationToken cancellationToken)
    {
        var said = false;
        var next = layer is null ? null : HeldDisks.Hold(disk);
        try
        {
            await stream.WriteAsync(ControlLines.Answer(null, null), cancellationToken).ConfigureAwait(false);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(Patience);
            said = await SaidAsync(reader, patience.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The file says what became of it.
        }
        if (layer is null) return said;
        if (HostFiles.TryUnlink(disk))
        {
            next?.Dispose();
            return false;
        }
        if (next is not null) served.Disks.Exchange(served.Definition.DevicesOf<DiskDevice>().Single(device => device.Name == MachineStore.RootName).Path, next);
        return true;
    }

    private static async Task<bool> SaidAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = read.Buffer.Slice(0, end).ToArray();
                reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                return line.AsSpan().SequenceEqual(ControlSpec.Commit.AsSpan()[..^1]);
            }
            if (read.IsCompleted || read.Buffer.Length > ControlSpec.LongestRequest) return false;
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
}
