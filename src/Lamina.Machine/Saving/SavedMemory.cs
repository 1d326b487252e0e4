// The memory of a saved machine, whichever of its forms it has: "memory", whose pages lie at their places and are mapped (PlainMemory), what is other in it than in an
// earlier one (ChangedMemory), which is mapped as well, or "memory-packed", which is compressed (PackedMemory). The last two are made of the first, by whoever keeps the machine.
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Saving;

/// <summary>A saved machine's memory, to be read.</summary>
public abstract class SavedMemory : IDisposable
{
    /// <summary>How much is read at once, and compressed by itself.</summary>
    public const int Piece = 1 << 20;

    /// <summary>The longest memory that has another form than the first.</summary>
    internal const ulong Longest = 1ul << 40;

    internal const string PlainName = "memory";

    private protected const string Impossible = "it says of itself what cannot be", TooShort = "it ends too early", OtherDigest = "its list of pieces has another digest than it says";

    private const string PackedName = "memory-packed", CannotBeUsed = "the saved machine cannot be used: ";

    private readonly string _path;

    private protected SavedMemory(string path) => _path = path;

    /// <summary>Its length in bytes.</summary>
    public ulong Length { get; private protected init; }

    /// <summary>What a guest's memory is made of that holds it, of which pages are read as they are touched; null where it is copied. It is open as long as that lives.</summary>
    internal abstract MemoryBacking? Backing { get; }

    /// <summary>Whether a saved machine's memory is compressed.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    public static bool IsCompressed(string folder) => FilesIn(folder) is [PackedName];

    /// <summary>Whether a saved machine's memory is what is other in it than in an earlier one.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    public static bool IsChanges(string folder) => FilesIn(folder) is [ChangedMemory.PiecesName, ..];

    /// <summary>The names of the files in which a saved machine has its memory.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    public static IReadOnlyList<string> FilesIn(string folder) =>
        File.Exists(Path.Combine(folder, PlainName)) ? [PlainName]
        : File.Exists(Path.Combine(folder, PackedName)) ? [PackedName]
        : File.Exists(Path.Combine(folder, ChangedMemory.PiecesName)) ? [ChangedMemory.PiecesName, ChangedMemory.BaseName, ChangedMemory.ChangesName]
        : [PlainName];

    /// <summary>Opens it.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    /// <exception cref="MachineException">It is missing or damaged.</exception>
    public static SavedMemory Open(string folder)
    {
        if (IsChanges(folder)) return ChangedMemory.OpenIn(folder);
        return Opened<SavedMemory>(Path.Combine(folder, FilesIn(folder)[0]), IsCompressed(folder) ? PackedMemory.OpenFile : PlainMemory.OpenFile);
    }

    /// <summary>Compresses the memory of a saved machine that nobody uses: the file that holds it is another one then, which is on the disk when this returns. One that has another form stays as it is.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    /// <exception cref="IOException">The host refuses it, or lacks libzstd.</exception>
    /// <exception cref="MachineException">There is more memory than can be compressed.</exception>
    public static void Compress(string folder)
    {
        if (FilesIn(folder) is not [PlainName]) return;
        var plain = Path.Combine(folder, PlainName);
        using (var source = SharedMemory.Open(plain))
        {
            if (source.Length > Longest) throw new MachineException(MachineError.File, $"{ByteSize.Format(source.Length)} of memory are more than can be compressed, {ByteSize.Format(Longest)}; leave it as it is");
            PackedMemory.Write(Path.Combine(folder, PackedName), source);
        }
        File.Delete(plain);
    }

    /// <summary>
    /// Keeps of the memory of a saved machine that nobody uses only what is other in it than in an earlier one's, whose file it has from then on as well: so it stays whole whatever becomes of that one.
    /// All of it is on the disk when this returns.
    /// </summary>
    /// <param name="folder">The saved machine's folder.</param>
    /// <param name="earlier">The earlier one's folder.</param>
    /// <returns>Null, or why it stays as it is, in some words.</returns>
    /// <exception cref="IOException">The host refuses it.</exception>
    public static string? KeepChanges(string folder, string earlier)
    {
        if (FilesIn(folder) is not [PlainName]) return "it goes on from one that is not whole";
        if (IsCompressed(earlier)) return "the memory before it is compressed";
        var basis = Path.Combine(earlier, IsChanges(earlier) ? ChangedMemory.BaseName : PlainName);
        if (!File.Exists(basis)) return "there is no memory before it";
        if (ChangedMemory.TryWrite(folder, basis) is { } whyNot) return whyNot;
        File.Delete(Path.Combine(folder, PlainName));
        return null;
    }

    /// <summary>Reads a piece; what lies behind the memory's end is zero.</summary>
    /// <param name="number">Its number, from 0.</param>
    /// <param name="into">Gets it; as long as a piece.</param>
    /// <exception cref="MachineException">It is damaged.</exception>
    /// <exception cref="IOException">The host does not give it, or lacks libzstd.</exception>
    public void Read(int number, Span<byte> into)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(into.Length, Piece);
        var length = PieceLength(number);
        into[length..].Clear();
        if (length > 0) ReadPiece(number, into[..length]);
    }

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Refuses a memory of another length.</summary>
    /// <exception cref="MachineException">It is.</exception>
    internal void RequireLength(ulong length)
    {
        if (Length != length) throw new MachineException(MachineError.File, $"{CannotBeUsed}{_path} holds {Length} bytes, and the machine's memory {length}");
    }

    /// <summary>Has a guest's memory of this length hold it, which is zero. Nobody uses that.</summary>
    /// <exception cref="MachineException">It is damaged.</exception>
    internal void CopyTo(GuestMemory memory)
    {
        var piece = new byte[Piece];
        ulong before = 0;
        var (range, number) = (0, 0);
        for (ulong at = 0; at < Length; at += Piece, number++)
        {
            var length = PieceLength(number);
            if (IsZero(number)) continue;
            Read(number, piece);
            // A piece may lie in more than one range.
            for (var done = 0; done < length;)
            {
                while (at + (ulong)done >= before + memory.Ranges[range].Length) before += memory.Ranges[range++].Length;
                var within = at + (ulong)done - before;
                var part = (int)Math.Min((ulong)(length - done), memory.Ranges[range].Length - within);
                if (!memory.TryWrite(memory.Ranges[range].Start + within, piece.AsSpan(done, part))) throw new InvalidOperationException("a range of RAM is none");
                done += part;
            }
        }
    }

    /// <summary>Opens a file, whose refusal is a sentence.</summary>
    private protected static T Opened<T>(string path, Func<string, T> open)
    {
        try
        {
            return open(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MachineException(MachineError.File, $"{CannotBeUsed}{path}: {HostFiles.Reason(failure, path)}", failure);
        }
    }

    /// <summary>Reads a piece as far as there is memory.</summary>
    private protected abstract void ReadPiece(int number, Span<byte> into);

    /// <summary>Whether a piece is known to be zero.</summary>
    private protected abstract bool IsZero(int number);

    private protected int PieceLength(int number) => (ulong)number * Piece is var place && place < Length ? (int)Math.Min(Piece, Length - place) : 0;

    private protected MachineException Damaged(string how) => new(MachineError.File, $"{CannotBeUsed}{_path} is damaged: {how}");

    /// <summary>Refuses a later program's file.</summary>
    private protected void RequireFormat(uint format, uint known)
    {
        if (format > known) throw new MachineException(MachineError.File, $"{CannotBeUsed}{_path} is of format {format}, and this program knows up to {known}; use the program that saved it, or a newer one");
        if (format < 1) throw Damaged(Impossible);
    }
}
