// The memory of a saved machine as what is other in it than in an earlier one's: "memory-base" is that one's file by another name, so that it stays
// whatever becomes of the machine that it was of; "memory-changes" has the pieces that are other, at their places, and holes else; "memory-pieces" says of each piece
// where it is. Both files of bytes are mapped.
using System.Buffers.Binary;
using System.Security.Cryptography;
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Saving;

/// <summary>A saved machine's memory on top of another one's.</summary>
internal sealed class ChangedMemory : SavedMemory
{
    /// <summary>The files.</summary>
    internal const string BaseName = "memory-base", ChangesName = "memory-changes", PiecesName = "memory-pieces";

    /// <summary>The most runs of pieces that lie in one file, each of which is a mapping of the machine's process, which may have 65,530.</summary>
    internal const int MostRuns = 8192;

    private const int Format = 1, HeadLength = 32 + SHA256.HashSizeInBytes, Part = MemoryBacking.LayerPiece;
    private const byte InBase = 0, InChanges = 1, Zero = MemoryBacking.NoLayer;

    private readonly SharedMemory _base, _changes;
    private readonly byte[] _pieces;

    private ChangedMemory(string path, byte[] content, SharedMemory before, SharedMemory changes) : base(path)
    {
        (_base, _changes) = (before, changes);
        if (content.Length < HeadLength) throw Damaged(TooShort);
        if (!content.AsSpan(0, Magic.Length).SequenceEqual(Magic)) throw Damaged("it begins as another kind of file");
        RequireFormat(BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(Magic.Length)), Format);
        Length = BinaryPrimitives.ReadUInt64LittleEndian(content.AsSpan(24));
        if (BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(20)) != Part || Length is 0 or > Longest || Length % HostReservation.PageSize != 0) throw Damaged(Impossible);
        if (content.Length != HeadLength + PiecesOf(Length)) throw Damaged("it is not as long as its list of pieces");
        if (!DigestOf(content).AsSpan().SequenceEqual(content.AsSpan(HeadLength - SHA256.HashSizeInBytes, SHA256.HashSizeInBytes))) throw Damaged(OtherDigest);
        _pieces = content[HeadLength..];
        if (_pieces.AsSpan().ContainsAnyExcept(InBase, InChanges, Zero) || RunsOf(_pieces) > MostRuns) throw Damaged(Impossible);
        if (before.Length != Length || changes.Length != Length) throw Damaged($"{BaseName} and {ChangesName} are not as long as it says");
    }

    private static ReadOnlySpan<byte> Magic => "Lamina pieces\n\0\0"u8;

    internal override MemoryBacking? Backing => MemoryBacking.PrivateCopy([_base, _changes], _pieces, Length);

    /// <summary>Opens the one in a folder.</summary>
    /// <exception cref="MachineException">A file is missing or damaged.</exception>
    internal static ChangedMemory OpenIn(string folder)
    {
        var path = Path.Combine(folder, PiecesName);
        var content = Opened(path, static path => NamedFile.ReadFile(path, HeadLength + PiecesOf(Longest)));
        SharedMemory? before = null, changes = null;
        try
        {
            before = Opened(Path.Combine(folder, BaseName), SharedMemory.Open);
            changes = Opened(Path.Combine(folder, ChangesName), SharedMemory.Open);
            return new ChangedMemory(path, content, before, changes);
        }
        catch
        {
            before?.Dispose();
            changes?.Dispose();
            throw;
        }
    }

    /// <summary>Writes the memory of a folder as what is other in it than in an earlier one's, and waits until that is on the disk; "memory" stays there.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    /// <param name="earlier">The other memory's file.</param>
    /// <param name="mostRuns">See <see cref="MostRuns"/>.</param>
    /// <returns>Null, or why it was not done.</returns>
    /// <exception cref="IOException">The host refuses it.</exception>
    internal static string? TryWrite(string folder, string earlier, int mostRuns = MostRuns)
    {
        using var source = SharedMemory.Open(Path.Combine(folder, PlainName));
        using var before = SharedMemory.Open(earlier);
        if (source.Length != before.Length || source.Length is 0 or > Longest) return "the memory before it was of another size";
        var (pieces, held) = Compare(source, before);
        for (var grain = 2; RunsOf(pieces) > mostRuns; grain *= 2) Coarsen(pieces, grain);
        if (2 * pieces.Count(InChanges) > held) return "more than a half of it is other than before";
        if (!HostFiles.TryLink(earlier, Path.Combine(folder, BaseName))) return "the host makes no hard links there";
        using (var changes = HostFiles.CreatePrivate(Path.Combine(folder, ChangesName), FileMode.CreateNew))
        {
            changes.SetLength((long)source.Length);
            var part = new byte[Part];
            for (var piece = 0; piece < pieces.Length; piece++)
            {
                if (pieces[piece] != InChanges) continue;
                var bytes = part.AsSpan(0, PartLength(source.Length, piece));
                PlainMemory.Read(source, (ulong)piece * Part, bytes);
                RandomAccess.Write(changes.SafeFileHandle, bytes, (long)piece * Part);
            }
            changes.Flush(flushToDisk: true);
        }
        using var list = HostFiles.CreatePrivate(Path.Combine(folder, PiecesName), FileMode.CreateNew);
        list.Write(Encode(source.Length, pieces));
        list.Flush(flushToDisk: true);
        return null;
    }

    public override void Dispose()
    {
        _base.Dispose();
        _changes.Dispose();
    }

    private protected override bool IsZero(int number) => false;

    private protected override void ReadPiece(int number, Span<byte> into)
    {
        for (var done = 0; done < into.Length; done += Part)
        {
            var at = ((ulong)number * Piece) + (ulong)done;
            var part = into.Slice(done, Math.Min(Part, into.Length - done));
            if (_pieces[at / Part] is var where && where == Zero) part.Clear();
            else PlainMemory.Read(where == InBase ? _base : _changes, at, part);
        }
    }

    // Where each piece is to be, and how many hold anything.
    private static (byte[] Pieces, int Held) Compare(SharedMemory source, SharedMemory before)
    {
        var (pieces, held) = (new byte[PiecesOf(source.Length)], 0);
        var (now, then) = (new byte[Part], new byte[Part]);
        for (var piece = 0; piece < pieces.Length; piece++)
        {
            var (at, length) = ((ulong)piece * Part, PartLength(source.Length, piece));
            var bytes = Read(source, now);
            var old = Read(before, then);
            var isZero = !bytes.ContainsAnyExcept((byte)0);
            if (!isZero) held++;
            pieces[piece] = bytes.SequenceEqual(old) ? InBase : isZero ? Zero : InChanges;

            Span<byte> Read(SharedMemory memory, byte[] into)
            {
                var part = into.AsSpan(0, length);
                if (memory.HasData(at, (ulong)length)) PlainMemory.Read(memory, at, part);
                else part.Clear();
                return part;
            }
        }
        return (pieces, held);
    }

    // Pieces of groups that hold any change are changes.
    private static void Coarsen(Span<byte> pieces, int grain)
    {
        for (var first = 0; first < pieces.Length; first += grain)
        {
            var group = pieces.Slice(first, Math.Min(grain, pieces.Length - first));
            if (group.ContainsAnyExcept(group[0])) group.Fill(InChanges);
        }
    }

    private static int RunsOf(ReadOnlySpan<byte> pieces)
    {
        var runs = 1;
        for (var i = 1; i < pieces.Length; i++)
            if (pieces[i] != pieces[i - 1]) runs++;
        return runs;
    }

    private static byte[] Encode(ulong length, byte[] pieces)
    {
        var content = new byte[HeadLength + pieces.Length];
        Magic.CopyTo(content);
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(16), Format);
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(20), Part);
        BinaryPrimitives.WriteUInt64LittleEndian(content.AsSpan(24), length);
        pieces.CopyTo(content, HeadLength);
        DigestOf(content).CopyTo(content, HeadLength - SHA256.HashSizeInBytes);
        return content;
    }

    private static byte[] DigestOf(byte[] content) => SHA256.HashData([.. content.AsSpan(0, HeadLength - SHA256.HashSizeInBytes), .. content.AsSpan(HeadLength)]);

    private static int PiecesOf(ulong length) => (int)((length + Part - 1) / Part);

    private static int PartLength(ulong length, int piece) => (int)Math.Min(Part, length - ((ulong)piece * Part));
}
