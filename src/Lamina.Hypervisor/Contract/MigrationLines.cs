// What of a migration's link those know who carry it between a machine's process and another host: lines before it, and the heads of frames (Lamina.Machine,
// Migration/MigrationSpec.cs). Frames of two further kinds are from a machine's process to whoever asked it, and go no further.
using System.Buffers.Binary;

namespace Lamina.Hypervisor.Contract;

/// <summary>Kinds of frames, as far as who carries them knows them.</summary>
internal static class MigrationLines
{
    /// <summary>A machine's process tells how far it is, in a line of JSON, and at last what became of it.</summary>
    internal const byte Progress = (byte)'i', Outcome = (byte)'o';

    /// <summary>All of the machine is there.</summary>
    internal const byte Loaded = (byte)'l';

    /// <summary>The machine is the other side's from here on.</summary>
    internal const byte Given = (byte)'G';

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

    /// <summary>The most bytes of a line.</summary>
    internal const int LongestLine = 1 << 20;

    /// <summary>Reads a line.</summary>
    /// <exception cref="MachineException">It is too long.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    internal static async Task<byte[]> ReadLineAsync(Stream peer, CancellationToken cancellationToken)
    {
        // What follows it is not this one's to read.
        var line = new MemoryStream();
        var one = new byte[1];
        while (line.Length < LongestLine)
        {
            if (await peer.ReadAsync(one, cancellationToken).ConfigureAwait(false) == 0) throw new IOException("the link was cut");
            if (one[0] == '\n') return line.ToArray();
            line.WriteByte(one[0]);
        }
        throw None();
    }

    /// <summary>The refusal of what is no migration.</summary>
    internal static MachineException None(Exception? inner = null) => new(MachineError.Host, "what comes over the link is no migration of a machine", inner);
}
