// The memory of a saved machine, whichever of its two files holds it: "memory", whose pages lie at their places and are mapped (MemoryFile), or "memory-packed", which has
// them compressed, in pieces that stand by themselves, and is read whole when a machine goes on from it. The second is made of the first, by whoever keeps the machine.
using System.Buffers.Binary;
using System.Security.Cryptography;
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Saving;

/// <summary>A saved machine's memory, to be read.</summary>
public sealed class SavedMemory : IDisposable
{
    /// <summary>How much is read at once, and compressed by itself.</summary>
    public const int Piece = 1 << 20;

    /// <summary>The longest memory that is compressed.</summary>
    internal const ulong Longest = 1ul << 40;

    internal const string PlainName = "memory";

    private const string PackedName = "memory-packed";
    private const int Format = 1, HeadLength = 32 + SHA256.HashSizeInBytes, EntryLength = sizeof(uint) + SHA256.HashSizeInBytes;

    private readonly string _path;
    private readonly SharedMemory? _plain;
    private readonly SafeFileHandle? _packed;
    private readonly byte[] _table = [], _frame = [];
    private readonly long[] _places = [];

    private SavedMemory(string path, SharedMemory plain) => (_path, _plain, Length) = (path, plain, plain.Length);

    private SavedMemory(string path, SafeFileHandle packed)
    {
        (_path, _packed) = (path, packed);
        var head = new byte[HeadLength];
        ReadAt(0, head);
        if (!head.AsSpan(0, Magic.Length).SequenceEqual(Magic)) throw Damaged("it begins as another kind of file");
        var format = BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(Magic.Length));
        if (format > Format) throw new MachineException(MachineError.File, $"the saved machine cannot be used: {path} is of format {format}, and this program knows up to {Format}; use the program that saved it, or a newer one");
        Length = BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(24));
        if (format < 1 || BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(20)) != Piece || Length is 0 or > Longest) throw Damaged("it says of itself what cannot be");
        var size = RandomAccess.GetLength(packed);
        if (size < (long)HeadLength + TableLength(Length)) throw Damaged("it ends too early");
        _table = new byte[TableLength(Length)];
        ReadAt(HeadLength, _table);
        if (!DigestOf(head, _table).AsSpan().SequenceEqual(head.AsSpan(HeadLength - SHA256.HashSizeInBytes))) throw Damaged("its list of pieces has another digest than it says");
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

    /// <summary>Its length in bytes.</summary>
    public ulong Length { get; }

    /// <summary>Whether a saved machine's memory is compressed.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    public static bool IsCompressed(string folder) => !File.Exists(Path.Combine(folder, PlainName)) && File.Exists(Path.Combine(folder, PackedName));

    /// <summary>The name of the file in which a saved machine has its memory.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    public static string FileIn(string folder) => IsCompressed(folder) ? PackedName : PlainName;

    /// <summary>Opens it.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    /// <exception cref="MachineException">It is missing or damaged.</exception>
    public static SavedMemory Open(string folder)
    {
        var path = Path.Combine(folder, FileIn(folder));
        SafeFileHandle? packed = null;
        try
        {
            if (!IsCompressed(folder)) return new SavedMemory(path, SharedMemory.Open(path));
            packed = NamedFile.OpenFile(path);
            return new SavedMemory(path, packed);
        }
        catch (Exception failure)
        {
            packed?.Dispose();
            if (failure is not (IOException or UnauthorizedAccessException)) throw;
            throw new MachineException(MachineError.File, $"the saved machine cannot be used: {path}: {HostFiles.Reason(failure, path)}", failure);
        }
    }

    /// <summary>Compresses the memory of a saved machine that nobody uses: the file that holds it is another one then, which is on the disk when this returns. One that is compressed stays as it is.</summary>
    /// <param name="folder">The saved machine's folder.</param>
    /// <exception cref="IOException">The host refuses it, or lacks libzstd.</exception>
    /// <exception cref="MachineException">There is more memory than can be compressed.</exception>
    public static void Compress(string folder)
    {
        if (IsCompressed(folder)) return;
        var plain = Path.Combine(folder, PlainName);
        using (var source = SharedMemory.Open(plain))
        {
            if (source.Length > Longest) throw new MachineException(MachineError.File, $"{ByteSize.Format(source.Length)} of memory are more than can be compressed, {ByteSize.Format(Longest)}; leave it as it is");
            using var file = HostFiles.CreatePrivate(Path.Combine(folder, PackedName), FileMode.CreateNew);
            WritePacked(source, file.SafeFileHandle);
            file.Flush(flushToDisk: true);
        }
        File.Delete(plain);
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
        into = into[..length];
        if (length == 0) return;
        if (_plain is not null) ReadPlain(_plain, (ulong)number * Piece, into);
        else ReadPacked(number, into);
    }

    /// <summary>Has a guest's memory hold it, which is zero. Nobody uses that.</summary>
    /// <exception cref="MachineException">It is damaged, or of another length.</exception>
    internal void CopyTo(GuestMemory memory)
    {
        if (Length != memory.Size) throw new MachineException(MachineError.File, $"the saved machine cannot be used: {_path} holds {Length} bytes, and the machine's memory {memory.Size}");
        var piece = new byte[Piece];
        ulong before = 0;
        var (range, number) = (0, 0);
        for (ulong at = 0; at < Length; at += Piece, number++)
        {
            var length = PieceLength(number);
            if (_plain is null && FrameLength(number) == 0) continue;
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

    /// <inheritdoc/>
    public void Dispose()
    {
        _plain?.Dispose();
        _packed?.Dispose();
    }

    private static void WritePacked(SharedMemory source, SafeFileHandle file)
    {
        var (piece, packed) = (new byte[Piece], new byte[Piece - 1]);
        var (head, table) = (new byte[HeadLength], new byte[TableLength(source.Length)]);
        long at = HeadLength + table.Length;
        for (var i = 0; i < table.Length / EntryLength; i++)
        {
            var place = (ulong)i * Piece;
            var bytes = piece.AsSpan(0, (int)Math.Min(Piece, source.Length - place));
            if (!source.HasData(place, (ulong)bytes.Length)) continue;
            ReadPlain(source, place, bytes);
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

    private static void ReadPlain(SharedMemory source, ulong at, Span<byte> into)
    {
        for (var done = 0; done < into.Length;)
        {
            var count = source.Read(at + (ulong)done, into[done..]);
            if (count <= 0) throw new HostException("the memory of a saved machine became shorter");
            done += count;
        }
    }

    private void ReadPacked(int number, Span<byte> into)
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

    private void ReadAt(long at, Span<byte> into)
    {
        for (var done = 0; done < into.Length;)
        {
            var count = RandomAccess.Read(_packed!, into[done..], at + done);
            if (count <= 0) throw Damaged("it ends too early");
            done += count;
        }
    }

    private static int TableLength(ulong length) => (int)((length + Piece - 1) / Piece) * EntryLength;

    private static byte[] DigestOf(byte[] head, byte[] table) => SHA256.HashData([.. head.AsSpan(0, HeadLength - SHA256.HashSizeInBytes), .. table]);

    private int PieceLength(int number) => (ulong)number * Piece is var place && place < Length ? (int)Math.Min(Piece, Length - place) : 0;

    // What is zero has no frame.
    private int FrameLength(int number) => (int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(_table.AsSpan(number * EntryLength)), int.MaxValue);

    private MachineException Damaged(string how) => new(MachineError.File, $"the saved machine cannot be used: {_path} is damaged: {how}");
}
