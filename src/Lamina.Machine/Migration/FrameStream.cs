// Frames over a stream. Neither side trusts the other: a frame is no longer than its kind may be, and what is no frame is a broken link.
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Migration;

/// <summary>Writes and reads frames. One thread writes, one reads.</summary>
/// <param name="stream">The stream, which its owner closes.</param>
internal sealed class FrameStream(Stream stream)
{
    private readonly byte[] _out = new byte[MigrationSpec.HeaderLength + MigrationSpec.LongestFrame];
    private readonly byte[] _in = new byte[MigrationSpec.LongestFrame];

    /// <summary>How many bytes were written.</summary>
    internal long Written { get; private set; }

    /// <summary>Called before each frame that is written or read, for one who watches that the link moves; or null.</summary>
    internal Action? Moves { get; set; }

    /// <summary>Where the next frame's content is put together.</summary>
    internal Span<byte> Content => _out.AsSpan(MigrationSpec.HeaderLength);

    /// <summary>Writes a frame of which the content was put together.</summary>
    /// <exception cref="IOException">The link is broken.</exception>
    internal async ValueTask SendAsync(MigrationFrame kind, int length, CancellationToken cancellationToken)
    {
        Moves?.Invoke();
        _out.AsSpan(0, MigrationSpec.HeaderLength).Clear();
        _out[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(_out.AsSpan(4), length);
        await stream.WriteAsync(_out.AsMemory(0, MigrationSpec.HeaderLength + length), cancellationToken).ConfigureAwait(false);
        Written += MigrationSpec.HeaderLength + length;
    }

    /// <summary>Writes a frame.</summary>
    /// <exception cref="IOException">The link is broken.</exception>
    internal ValueTask SendAsync(MigrationFrame kind, ReadOnlySpan<byte> content, CancellationToken cancellationToken)
    {
        content.CopyTo(Content);
        return SendAsync(kind, content.Length, cancellationToken);
    }

    /// <summary>Sends what is long in pieces.</summary>
    /// <exception cref="IOException">The link is broken.</exception>
    internal async Task SendPiecesAsync(MigrationFrame kind, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        for (var at = 0; at < content.Length; at += MigrationSpec.StatePiece) await SendAsync(kind, content.Span[at..Math.Min(content.Length, at + MigrationSpec.StatePiece)], cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Says why it cannot be, as far as the other side still hears it.</summary>
    internal async Task TryRefuseAsync(string sentence)
    {
        try
        {
            var bytes = Encoding.UTF8.GetBytes(sentence);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            await SendAsync(MigrationFrame.Refused, bytes.AsSpan(0, Math.Min(bytes.Length, MigrationSpec.LongestSentence)), patience.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Nobody hears it.
        }
    }

    /// <summary>Reads the next frame. What it holds is there until the next one is read.</summary>
    /// <exception cref="IOException">The link is broken, or what comes is no frame.</exception>
    internal async ValueTask<(MigrationFrame Kind, ReadOnlyMemory<byte> Content)> ReadAsync(CancellationToken cancellationToken)
    {
        Moves?.Invoke();
        var header = _in.AsMemory(0, MigrationSpec.HeaderLength);
        try
        {
            await stream.ReadExactlyAsync(header, cancellationToken).ConfigureAwait(false);
            var kind = (MigrationFrame)header.Span[0];
            var length = BinaryPrimitives.ReadInt32LittleEndian(header.Span[4..]);
            if (!Enum.IsDefined(kind) || header.Span[1..4].ContainsAnyExcept((byte)0) || length is < 0 or > MigrationSpec.LongestFrame) throw new MachineException(MachineError.Host, "what comes over the link is no migration");
            await stream.ReadExactlyAsync(_in.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            return (kind, _in.AsMemory(0, length));
        }
        catch (EndOfStreamException cut)
        {
            throw new IOException("the link was cut", cut);
        }
    }

    /// <summary>Reads the frame that is to come now.</summary>
    /// <exception cref="MachineException">The other side refuses, or says something else.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    internal async Task<ReadOnlyMemory<byte>> ExpectAsync(MigrationFrame wanted, CancellationToken cancellationToken)
    {
        var (kind, content) = await ReadAsync(cancellationToken).ConfigureAwait(false);
        if (kind == wanted) return content;
        throw kind == MigrationFrame.Refused ? Refusal(content.Span) : new MachineException(MachineError.Host, $"the other side of the migration says {kind} instead of {wanted}");
    }

    /// <summary>What a refusal says.</summary>
    internal static MachineException Refusal(ReadOnlySpan<byte> content) => new(MachineError.Host, Sentence(content));

    /// <summary>A sentence of the other side's.</summary>
    internal static string Sentence(ReadOnlySpan<byte> content) => Shown(Encoding.UTF8.GetString(content[..Math.Min(content.Length, MigrationSpec.LongestSentence)]));

    // It may come from anybody, and goes to a terminal.
    private static string Shown(string text) => new([.. text.Select(letter => char.IsControl(letter) ? '?' : letter)]);
}
