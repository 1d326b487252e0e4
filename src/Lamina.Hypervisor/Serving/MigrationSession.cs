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
/// <param name="how">How it goes.</param>
internal sealed class MigrationSession(NetworkStream stream, ServedMachine served, string place, MigrationOptions how)
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
            var outcome = await served.Machine.MigrateAsync(peer, how with { Progress = Tell, Notice = TellNotice, Give = () => (given with { Time = DateTimeOffset.UtcNow }).Write(home) }, CancellationToken.None).ConfigureAwait(false);
            if (outcome.IsConfirmed) (given with { Time = DateTimeOffset.UtcNow, IsConfirmed = true }).Write(home);
            said = ControlLines.Answer(null, line =>
            {
                line.WriteStartObject();
                line.WriteNumber("stood-still-ms", Math.Round(outcome.StoodStill.TotalMilliseconds, 3));
                line.WriteNumber("sent-bytes", outcome.SentBytes);
                line.WriteNumber("rounds", outcome.Rounds);
                line.WriteBoolean("confirmed", outcome.IsConfirmed);
                if (outcome.Followed is { } followed)
                {
                    line.WriteNumber("followed-pages", followed.Pages);
                    line.WriteNumber("asked-pages", followed.Asked);
                    line.WriteNumber("followed-ms", Math.Round(followed.Took.TotalMilliseconds, 3));
                    line.WriteBoolean("whole", followed.IsWhole);
                }
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
        if (progress.PagesAsked is { } asked) line.WriteNumber("asked-pages", asked);
        line.WriteEndObject();
    })));

    private void TellNotice(string sentence) => stream.Write(MigrationLines.Frame(MigrationLines.Progress, ControlLines.Answer(null, line =>
    {
        line.WriteStartObject();
        line.WriteString("notice", sentence);
        line.WriteEndObject();
    })));
}
