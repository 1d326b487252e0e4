// Carries the frames of a migration between a machine's process, which reaches no host but this one, and the link. It looks at their heads alone: the machines'
// processes understand what they hold.
using System.Buffers;
using System.Buffers.Binary;
using Lamina.Hypervisor.Contract;

namespace Lamina.Hypervisor.Migrating;

/// <summary>Carries frames one way.</summary>
internal static class MigrationRelay
{
    /// <summary>Carries them to the end of where they come from.</summary>
    /// <param name="from">Where they come from.</param>
    /// <param name="to">Where they go.</param>
    /// <param name="take">Asked for each frame of a kind that is named: gets what it holds, and says whether it goes on its way.</param>
    /// <param name="kinds">These kinds.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="MachineException">These are no frames.</exception>
    /// <exception cref="IOException">One of the two is gone.</exception>
    internal static async Task CarryAsync(Stream from, Stream to, byte[] kinds, Func<byte, ReadOnlyMemory<byte>, bool> take, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(MigrationLines.HeadLength + MigrationLines.LongestFrame);
        try
        {
            while (true)
            {
                var had = 0;
                while (had < MigrationLines.HeadLength)
                {
                    var count = await from.ReadAsync(buffer.AsMemory(had, MigrationLines.HeadLength - had), cancellationToken).ConfigureAwait(false);
                    if (count == 0) return;
                    had += count;
                }
                var (kind, length) = (buffer[0], BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(4)));
                if (length is < 0 or > MigrationLines.LongestFrame) throw new MachineException(MachineError.Host, "what comes over the link is no migration");
                await from.ReadExactlyAsync(buffer.AsMemory(MigrationLines.HeadLength, length), cancellationToken).ConfigureAwait(false);
                if (kinds.Contains(kind) && !take(kind, buffer.AsMemory(MigrationLines.HeadLength, length))) continue;
                await to.WriteAsync(buffer.AsMemory(0, MigrationLines.HeadLength + length), cancellationToken).ConfigureAwait(false);
            }
        }
        catch (EndOfStreamException cut)
        {
            throw new IOException("the link was cut", cut);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
