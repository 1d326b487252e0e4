// Carries the frames of a migration between a machine's process, which reaches no host but this one, and the link. It looks at their heads alone: the machines'
// processes understand what they hold. Frames of two further kinds are from a machine's process to this program and go no further.
using System.Buffers;
using System.Buffers.Binary;

namespace Lamina.Hypervisor.Migrating;

/// <summary>Kinds of frames, as far as who carries them knows them (Lamina.Machine, Migration/MigrationSpec.cs).</summary>
internal static class RelaySpec
{
    /// <summary>A machine's process tells how far it is, in a line of JSON, and at last what became of it.</summary>
    internal const byte Progress = (byte)'i', Outcome = (byte)'o';

    /// <summary>All of the machine is there.</summary>
    internal const byte Loaded = (byte)'l';

    /// <summary>It cannot be.</summary>
    internal const byte Refused = (byte)'x';

    /// <summary>The length of a head, and of what may follow it.</summary>
    internal const int HeadLength = 8, LongestFrame = (1 << 20) + 64;

    /// <summary>Makes a frame.</summary>
    internal static byte[] Frame(byte kind, ReadOnlySpan<byte> content)
    {
        var frame = new byte[HeadLength + content.Length];
        frame[0] = kind;
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), content.Length);
        content.CopyTo(frame.AsSpan(HeadLength));
        return frame;
    }
}

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
        var buffer = ArrayPool<byte>.Shared.Rent(RelaySpec.HeadLength + RelaySpec.LongestFrame);
        try
        {
            while (true)
            {
                var had = 0;
                while (had < RelaySpec.HeadLength)
                {
                    var count = await from.ReadAsync(buffer.AsMemory(had, RelaySpec.HeadLength - had), cancellationToken).ConfigureAwait(false);
                    if (count == 0) return;
                    had += count;
                }
                var (kind, length) = (buffer[0], BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(4)));
                if (length is < 0 or > RelaySpec.LongestFrame) throw new MachineException(MachineError.Host, "what comes over the link is no migration");
                await from.ReadExactlyAsync(buffer.AsMemory(RelaySpec.HeadLength, length), cancellationToken).ConfigureAwait(false);
                if (kinds.Contains(kind) && !take(kind, buffer.AsMemory(RelaySpec.HeadLength, length))) continue;
                await to.WriteAsync(buffer.AsMemory(0, RelaySpec.HeadLength + length), cancellationToken).ConfigureAwait(false);
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
