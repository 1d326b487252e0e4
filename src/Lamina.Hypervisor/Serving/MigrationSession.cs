// A machine's process sends its machine away: to whoever asked, who carries what it says to the other host, and what that says back. What becomes of it goes
// to whoever asked alone.
using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;
using Lamina.Migration;

namespace Lamina.Hypervisor.Serving;

/// <summary>Carries one migration out.</summary>
/// <param name="stream">Who asked.</param>
/// <param name="served">The machine.</param>
/// <param name="place">Where it goes, as its user calls it.</param>
/// <param name="downtime">For how long it may stand still; null: as is usual.</param>
internal sealed class MigrationSession(NetworkStream stream, ServedMachine served, string place, TimeSpan? downtime)
{
    /// <summary>Carries it out.</summary>
    internal async Task RunAsync(PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        reader.AdvanceTo(early.Start, early.End);
        byte[] said;
        try
        {
            // Both are the session's to close.
            var peer = new DuplexStream(reader.AsStream(leaveOpen: true), stream);
            var home = new MachineHome(served.Folder);
            var given = new MigrationRecord(DateTimeOffset.UtcNow, place, IsConfirmed: false);
            var options = new MigrationOptions { Progress = Tell, Give = () => (given with { Time = DateTimeOffset.UtcNow }).Write(home) };
            var outcome = await served.Machine.MigrateAsync(peer, downtime is { } time ? options with { Downtime = time } : options, CancellationToken.None).ConfigureAwait(false);
            if (outcome.IsConfirmed) (given with { Time = DateTimeOffset.UtcNow, IsConfirmed = true }).Write(home);
            said = ControlLines.Answer(null, line =>
            {
                line.WriteStartObject();
                line.WriteNumber("stood-still-ms", Math.Round(outcome.StoodStill.TotalMilliseconds, 3));
                line.WriteNumber("sent-bytes", outcome.SentBytes);
                line.WriteNumber("rounds", outcome.Rounds);
                line.WriteBoolean("confirmed", outcome.IsConfirmed);
                line.WriteEndObject();
            });
        }
        catch (Exception failure) when (failure is MachineException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            said = ControlLines.Refusal(null, failure is MachineException ? failure : new MachineException(MachineError.Host, string.Create(CultureInfo.InvariantCulture, $"the machine stays here: {failure.Message.TrimEnd('.')}"), failure));
        }
        try
        {
            await stream.WriteAsync(MigrationLines.Frame(MigrationLines.Outcome, said), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Whoever asked has gone.
        }
    }

    // Between two frames of the machine's.
    private void Tell(MigrationProgress progress) => stream.Write(MigrationLines.Frame(MigrationLines.Progress, ControlLines.Answer(null, line =>
    {
        line.WriteStartObject();
        line.WriteNumber("round", progress.Round);
        line.WriteNumber("sent-bytes", progress.SentBytes);
        line.WriteNumber("left-bytes", progress.LeftBytes);
        line.WriteNumber("bytes-per-second", Math.Round(progress.BytesPerSecond));
        line.WriteEndObject();
    })));
}
