// "memory-packed": the memory of a saved machine, compressed, in pieces that stand by themselves. It is read whole when a machine goes on from it.
using System.Buffers.Binary;
using System.Security.Cryptography;
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Saving;

/// <summary>A saved machine's memory that is compressed.</summary>
internal sealed class PackedMemory : SavedMemory
{
    private const int Format = 1, HeadLength = 32 + SHA256.HashSizeInBytes, EntryLength = sizeof(uint) + SHA256.HashSizeInBytes;

    private readonly SafeFileHandle _file;
    private readonly byte[] _table, _frame;
    private readonly long[] _places;

    private PackedMemory(string path, SafeFileHandle file) : base(path)
    {
        _file = file;
        var head = new byte[HeadLength];
        ReadAt(0, head);
        if (!head.AsSpan(0, Magic.Length).SequenceEqual(Magic)) throw Damaged("it begins as another kind of file");
        RequireFormat(BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(Magic.Length)), Format);
        Length = BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(24));
        if (BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(20)) != Piece || Length is 0 or > Longest) throw Damaged(Impossible);
        var size = RandomAccess.GetLength(file);
        if (size < (long)HeadLength + TableLength(Length)) throw Damaged(TooShort);
        _table = new byte[TableLength(Length)];
        ReadAt(HeadLength, _table);
        if (!DigestOf(head, _table).AsSpan().SequenceEqual(head.AsSpan(HeadLength - SHA256.HashSizeInBytes))) throw Damaged(OtherDigest);
        _places = new long[_table.Length / EntryLength];
        long at = HeadLength + _table.Length;
        for (var i = 0; i < _places.Length; i++)
        {
            _places[i] = at;
            if (FrameLength(i) > PieceLength(i)) throw Damaged($"piece {i} is longer than what it holds");
            at += FrameLength(i);
        }
        if (at != size) throw Damaged("it is not as long as its pieces");
        _frame = new byte[Piece];
    }

    private static ReadOnlySpan<byte> Magic => "Lamina memory\n\0\0"u8;

    internal override MemoryBacking? Backing => null;

    /// <summary>Opens one.</summary>
    /// <exception cref="IOException">The host refuses it.</exception>
    /// <exception cref="MachineException">It is damaged.</exception>
    internal static PackedMemory OpenFile(string path)
    {
        var file = NamedFile.OpenFile(path);
        try
        {
            return new PackedMemory(path, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes a file that is not there yet, and waits until it is on the disk.</summary>
    internal static void Write(string path, SharedMemory source)
    {
        using var file = HostFiles.CreatePrivate(path, FileMode.CreateNew);
        Write(source, file.SafeFileHandle);
        file.Flush(flushToDisk: true);
    }

    public override void Dispose() => _file.Dispose();

    private protected override bool IsZero(int number) => FrameLength(number) == 0;

    private protected override void ReadPiece(int number, Span<byte> into)
    {
        var frame = _frame.AsSpan(0, FrameLength(number));
        if (frame.IsEmpty)
        {
            into.Clear();
            return;
        }
        ReadAt(_places[number], frame);
        if (!SHA256.HashData(frame).AsSpan().SequenceEqual(_table.AsSpan(number * EntryLength + sizeof(uint), SHA256.HashSizeInBytes))) throw Damaged($"piece {number} has another digest than it says");
        if (frame.Length == into.Length) frame.CopyTo(into);
        else if (!Zstd.TryDecompress(frame, into)) throw Damaged($"piece {number} cannot be decompressed");
    }

    private static void Write(SharedMemory source, SafeFileHandle file)
    {
        var (piece, packed) = (new byte[Piece], new byte[Piece - 1]);
        var (head, table) = (new byte[HeadLength], new byte[TableLength(source.Length)]);
        long at = HeadLength + table.Length;
        for (var i = 0; i < table.Length / EntryLength; i++)
        {
            var place = (ulong)i * Piece;
            var bytes = piece.AsSpan(0, (int)Math.Min(Piece, source.Length - place));
            if (!source.HasData(place, (ulong)bytes.Length)) continue;
            PlainMemory.Read(source, place, bytes);
            if (!bytes.ContainsAnyExcept((byte)0)) continue;
            // What does not become shorter stays as it is.
            var length = Zstd.Compress(bytes, packed.AsSpan(0, bytes.Length - 1));
            var frame = length > 0 ? packed.AsSpan(0, length) : bytes;
            var entry = table.AsSpan(i * EntryLength, EntryLength);
            BinaryPrimitives.WriteInt32LittleEndian(entry, frame.Length);
            SHA256.HashData(frame, entry[sizeof(uint)..]);
            RandomAccess.Write(file, frame, at);
            at += frame.Length;
        }
        Magic.CopyTo(head);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(16), Format);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(20), Piece);
        BinaryPrimitives.WriteUInt64LittleEndian(head.AsSpan(24), source.Length);
        DigestOf(head, table).CopyTo(head, HeadLength - SHA256.HashSizeInBytes);
        RandomAccess.Write(file, (byte[])[.. head, .. table], 0);
    }

    private static int TableLength(ulong length) => (int)((length + Piece - 1) / Piece) * EntryLength;

    private static byte[] DigestOf(byte[] head, byte[] table) => SHA256.HashData([.. head.AsSpan(0, HeadLength - SHA256.HashSizeInBytes), .. table]);

    // What is zero has no frame.
    private int FrameLength(int number) => (int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(_table.AsSpan(number * EntryLength)), int.MaxValue);

    private void ReadAt(long at, Span<byte> into)
    {
        for (var done = 0; done < into.Length;)
        {
            var count = RandomAccess.Read(_file, into[done..], at + done);
            if (count <= 0) throw Damaged(TooShort);
            done += count;
        }
    }
}
