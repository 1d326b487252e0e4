// A fork as the machine's process has its part in it: it says which of the processes that wait are to be which copies, hands out channels for those that
// are yet to be started, stands still for the moment in which it is as its copies will be, and gives each of them what it goes on from. Whoever asked
// makes their folders, starts processes and, while the machine stands still, puts the images of disks into their places.
using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text.Json;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;
using Lamina.Saving;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Hypervisor.Serving;

/// <summary>What a fork is asked for with.</summary>
/// <param name="Copies">The copies' names.</param>
/// <param name="Spare">How many processes are to wait afterwards.</param>
/// <param name="Layer">The name that the machine's disk gets; null for none.</param>
internal sealed record ForkRequest(IReadOnlyList<string> Copies, int Spare, string? Layer);

/// <summary>Makes one set of copies.</summary>
/// <param name="stream">Who asked.</param>
/// <param name="served">The machine.</param>
/// <param name="request">What is asked for.</param>
internal sealed class ForkSession(NetworkStream stream, ServedMachine served, ForkRequest request)
{
    // Those who ask start processes meanwhile.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    // The guest stands still meanwhile.
    private static readonly TimeSpan StillPatience = TimeSpan.FromSeconds(10);

    private const int RunsMilliseconds = 60_000, AnswersMilliseconds = 130_000;

    // What became of one copy.
    private sealed record Outcome(MachineException? Refusal, double RunsAfter, double AnswersAfter, bool IsPulled = false);

    /// <summary>Carries it out.</summary>
    internal async Task RunAsync(PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        reader.AdvanceTo(early.Start, early.End);
        var copies = new List<WaitingCopy>();
        try
        {
            await served.Forks.Turn.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                byte[] answer;
                try
                {
                    answer = await MakeAsync(reader, copies, cancellationToken).ConfigureAwait(false);
                }
                catch (Exception failure) when (failure is not OutOfMemoryException && !cancellationToken.IsCancellationRequested)
                {
                    answer = ControlLines.Refusal(null, failure);
                }
                await stream.WriteAsync(answer, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                served.Forks.Turn.Release();
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Whoever asked has gone.
        }
        finally
        {
            // Those that were told nothing end.
            foreach (var copy in copies) copy.Dispose();
        }
    }

    private async Task<byte[]> MakeAsync(PipeReader reader, List<WaitingCopy> copies, CancellationToken cancellationToken)
    {
        copies.AddRange(request.Copies.Select(_ => served.Forks.TryTake()).TakeWhile(copy => copy is not null)!);
        var fresh = request.Copies.Count - copies.Count;
        var spare = Math.Clamp(request.Spare - served.Forks.Count, 0, ForkPool.Most);
        await stream.WriteAsync(ControlLines.Answer(null, line =>
        {
            line.WriteStartObject();
            line.WriteStartArray("waiting");
            foreach (var copy in copies) line.WriteStringValue(copy.Folder);
            line.WriteEndArray();
            line.WriteNumber("fresh", fresh);
            line.WriteNumber("spare", spare);
            line.WriteEndObject();
        }), cancellationToken).ConfigureAwait(false);
        await SaidAsync(reader, ControlSpec.Channels, Patience, cancellationToken).ConfigureAwait(false);
        var made = new List<WaitingCopy>();
        try
        {
            await HandOutAsync(made, fresh, spare, cancellationToken).ConfigureAwait(false);
            await SaidAsync(reader, ControlSpec.Commit, Patience, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            foreach (var copy in made) copy.Dispose();
            throw;
        }
        copies.AddRange(made.Take(fresh));
        foreach (var copy in made.Skip(fresh)) served.Forks.Expect(copy);
        return request.Copies.Count == 0 ? ControlLines.Answer(null, null) : await ForkAsync(reader, copies, cancellationToken).ConfigureAwait(false);
    }

    private async Task<byte[]> ForkAsync(PipeReader reader, List<WaitingCopy> copies, CancellationToken cancellationToken)
    {
        var begin = Stopwatch.GetTimestamp();
        using var forked = await ForkAsync(reader, cancellationToken).ConfigureAwait(false);
        var outcomes = await Task.WhenAll(copies.Select((copy, index) => Task.Factory.StartNew(() => Order(copy, request.Copies[index], forked, begin), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default))).ConfigureAwait(false);
        return ControlLines.Answer(null, line => Write(line, forked, outcomes));
    }

    // A machine with a disk is told when that has its place; without one it waits for nobody.
    private async Task<MachineForked> ForkAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        if (request.Layer is not { } layer) return await served.Machine.DoAsync(new MachineAction.Fork([], null), CancellationToken.None).ConfigureAwait(false);
        await served.Snapshots.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _ = HostFiles.TryUnlink(served.SnapshotTo.Disk);
            return await served.Machine.DoAsync(new MachineAction.Fork([new LayeredImage(MachineStore.RootName, served.SnapshotTo.Disk, layer)], () => CommitAsync(reader, cancellationToken)), CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            served.Snapshots.Release();
        }
    }

    private void Write(Utf8JsonWriter line, MachineForked forked, Outcome[] outcomes)
    {
        line.WriteStartObject();
        line.WriteNumber("stood-still-ms", Math.Round(forked.StoodStill.TotalMilliseconds, 3));
        line.WriteNumber("own-bytes", forked.OwnBytes);
        line.WriteStartArray("copies");
        for (var i = 0; i < outcomes.Length; i++)
        {
            line.WriteStartObject();
            line.WriteString("name", request.Copies[i]);
            if (outcomes[i].Refusal is { } refusal)
            {
                line.WriteString(ControlSpec.Error, ControlErrors.CodeOf(refusal));
                line.WriteString(ControlSpec.Message, refusal.Message);
            }
            else
            {
                line.WriteNumber("runs-after-ms", Math.Round(outcomes[i].RunsAfter, 3));
                if (outcomes[i].AnswersAfter > 0) line.WriteNumber("answers-after-ms", Math.Round(outcomes[i].AnswersAfter, 3));
                if (outcomes[i].IsPulled) line.WriteBoolean("pulled", true);
            }
            line.WriteEndObject();
        }
        line.WriteEndArray();
        line.WriteEndObject();
    }

    // A thread for each: what a copy says is measured here.
    private static Outcome Order(WaitingCopy copy, string name, MachineForked forked, long begin)
    {
        var gone = new MachineException(MachineError.Host, $"the process that was to be {name} is gone");
        try
        {
            if (!copy.HasBegun()) return new Outcome(gone, 0, 0);
            copy.Channel.Send(ForkLines.Order(name), [.. forked.Files]);
            using var runs = copy.Channel.Receive(RunsMilliseconds);
            var runsAfter = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            if (runs is null) return new Outcome(gone, 0, 0);
            if (ForkLines.RefusalIn(runs.Bytes) is { } refusal) return new Outcome(refusal, 0, 0);
            using var answered = copy.Channel.Receive(AnswersMilliseconds);
            var answersAfter = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            // And when all is done that makes it another machine, which is all that is said where there is no agent.
            var hasAnswered = answered is not null && ForkLines.PulledIn(answered.Bytes) is null;
            using var done = hasAnswered ? copy.Channel.Receive(AnswersMilliseconds) : null;
            return new Outcome(null, runsAfter, hasAnswered && ForkLines.RefusalIn(answered!.Bytes) is null ? answersAfter : 0, ForkLines.PulledIn((hasAnswered ? done : answered)?.Bytes ?? []) == true);
        }
        catch (HostException)
        {
            return new Outcome(gone, 0, 0);
        }
    }

    private async Task HandOutAsync(List<WaitingCopy> made, int fresh, int spare, CancellationToken cancellationToken)
    {
        if (fresh + spare == 0) return;
        using var description = fresh > 0 || !Rehearsal.IsFor(served.Definition) ? await served.Machine.DescribeAsync().ConfigureAwait(false) : null;
        // Those that have the time for it go on once before.
        using var whole = spare > 0 && Rehearsal.IsFor(served.Definition) ? await served.Machine.DoAsync(new MachineAction.Fork([], null), CancellationToken.None).ConfigureAwait(false) : null;
        var others = new List<SafeFileHandle>();
        try
        {
            for (var i = 0; i < fresh + spare; i++)
            {
                var (own, other) = DescriptorChannel.Make();
                made.Add(new WaitingCopy(own));
                others.Add(other);
                own.Send(ForkLines.Welcome(served.Folder, served.Kept), [.. (i < fresh ? description! : whole ?? description!).Files]);
            }
            foreach (var together in others.Chunk(ControlSpec.ChannelsTogether)) await Task.Run(() => DescriptorChannel.Send(stream.Socket.SafeHandle, "\n"u8, [.. together]), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            foreach (var other in others) other.Dispose();
        }
    }

    // The machine stands still. Which of the two images is the disk by now is not a matter of what the other says: see SnapshotSession.
    private async Task<bool> CommitAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        var disk = served.SnapshotTo.Disk;
        var next = HeldDisks.Hold(disk);
        try
        {
            await stream.WriteAsync(ControlLines.Answer(null, null), cancellationToken).ConfigureAwait(false);
            await SaidAsync(reader, ControlSpec.Commit, StillPatience, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException or MachineException)
        {
            // The file says what became of it.
        }
        if (HostFiles.TryUnlink(disk))
        {
            next?.Dispose();
            return false;
        }
        if (next is not null) served.Disks.Exchange(served.Definition.DevicesOf<DiskDevice>().Single(device => device.Name == MachineStore.RootName).Path, next);
        return true;
    }

    /// <summary>Waits for a line that is to come next.</summary>
    internal static async Task SaidAsync(PipeReader reader, byte[] wanted, TimeSpan time, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(time);
        while (true)
        {
            var read = await reader.ReadAsync(patience.Token).ConfigureAwait(false);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = read.Buffer.Slice(0, end).ToArray();
                reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                if (line.AsSpan().SequenceEqual(wanted.AsSpan()[..^1])) return;
                throw new ControlRequestException("what is said next in a fork is another thing");
            }
            if (read.IsCompleted || read.Buffer.Length > ControlSpec.LongestRequest) throw new IOException("the client has gone");
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
}
