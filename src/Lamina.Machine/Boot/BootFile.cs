// A file that a machine boots from: opened once, read by offset when it is parsed and again at each reset.
// Its content is never trusted: a read beyond its end is a value (false). A file that cannot be sought (a pipe) is kept
// in memory as a whole. Copies go straight from the file to guest memory; nothing of the file stays in the process.
using System.Buffers.Binary;
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Boot;

/// <summary>A readable file of known length.</summary>
internal sealed class BootFile : IDisposable
{
    private const ulong LongestPiece = 2 << 20;

    private readonly SafeFileHandle? _handle;
    private readonly ReadOnlyMemory<byte> _bytes;

    private BootFile(string what, string path, SafeFileHandle? handle, ReadOnlyMemory<byte> bytes, ulong length) =>
        (What, Path, _handle, _bytes, Length) = (what, path, handle, bytes, length);

    /// <summary>What the file is to the user: "kernel", "initrd", "module".</summary>
    internal string What { get; }

    /// <summary>The path as the user wrote it.</summary>
    internal string Path { get; }

    /// <summary>Length in bytes when it was opened.</summary>
    internal ulong Length { get; }

    /// <summary>A text that is equal as long as nobody writes to the file; null where nothing tells that.</summary>
    internal string? Version => _handle is null ? null : HostPath.Version(_handle);

    /// <summary>A file that is already in memory.</summary>
    internal static BootFile FromBytes(string what, string path, ReadOnlyMemory<byte> bytes) =>
        new(what, path, null, bytes, (ulong)bytes.Length);

    /// <summary>Opens a file that must be shorter than <paramref name="limit"/> bytes.</summary>
    /// <param name="what">What it is to the user.</param>
    /// <param name="path">Its path.</param>
    /// <param name="limit">The first length that is too much.</param>
    /// <param name="whyLimited">The end of a sentence about one that is longer; null where the machine's memory is the limit.</param>
    /// <param name="patience">How long nothing may come from a pipe, where that is less than usual.</param>
    /// <param name="cancellationToken">Ends the wait for a pipe.</param>
    /// <exception cref="MachineException">It is missing, unreadable, a folder, empty or too large.</exception>
    /// <exception cref="OperationCanceledException">The wait for a pipe was ended.</exception>
    internal static BootFile Open(string what, string path, ulong limit, string? whyLimited = null, TimeSpan? patience = null, CancellationToken cancellationToken = default)
    {
        if (path.Length == 0) throw new MachineException(MachineError.File, $"the {what}'s file name is empty");
        SafeFileHandle? handle = null;
        try
        {
            handle = NamedFile.OpenToRead(path, out var kind);
            BootFile file;
            switch (kind)
            {
                case NamedKind.File or NamedKind.BlockDevice:
                    file = new BootFile(what, path, handle, default, (ulong)RandomAccess.GetLength(handle));
                    handle = null;
                    break;
                case NamedKind.Pipe or NamedKind.CharacterDevice:
                    file = FromBytes(what, path, ReadAll(handle, what, path, limit, patience < NamedFile.LongestSilence ? patience.Value : NamedFile.LongestSilence, cancellationToken));
                    break;
                default:
                    throw new MachineException(MachineError.File, $"the {what} {path} is {NamedFile.Describe(kind)}; name a file");
            }
            if (file.Length != 0 && file.Length < limit) return file;
            file.Dispose();
            throw new MachineException(MachineError.File, file.Length == 0
                ? $"the {what} {path} is empty"
                : $"the {what} {path} ({Sizes.Text(file.Length)}) {whyLimited ?? $"does not fit into {Sizes.Text(limit)} of memory; give the machine more"}");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new MachineException(MachineError.File, $"the {what} {path} does not exist", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new MachineException(MachineError.File, $"the {what} {path} may not be read; check its permissions", e);
        }
        catch (Exception e) when (e is IOException or ArgumentException or NotSupportedException)
        {
            throw new MachineException(MachineError.File, $"the {what} {path} cannot be read ({e.Message.TrimEnd('.')})", e);
        }
        finally
        {
            handle?.Dispose();
        }
    }

    /// <summary>Reads exactly <c>destination.Length</c> bytes; false where the file ends before.</summary>
    internal bool TryRead(ulong offset, Span<byte> destination)
    {
        if (offset > Length || (ulong)destination.Length > Length - offset) return false;
        if (_handle is null)
        {
            _bytes.Span.Slice((int)offset, destination.Length).CopyTo(destination);
            return true;
        }
        try
        {
            while (!destination.IsEmpty)
            {
                var count = RandomAccess.Read(_handle, destination, (long)offset);
                if (count == 0) return false;
                destination = destination[count..];
                offset += (ulong)count;
            }
            return true;
        }
        catch (IOException e)
        {
            throw new MachineException(MachineError.File, $"the {What} {Path} cannot be read ({e.Message.TrimEnd('.')})", e);
        }
    }

    /// <summary>The first bytes of the file, at most <paramref name="count"/>.</summary>
    internal byte[] Head(int count)
    {
        var head = new byte[(int)Math.Min((ulong)count, Length)];
        return TryRead(0, head) ? head : throw Shrunk();
    }

    /// <summary>Reads a little-endian 32-bit value; false where the file ends before.</summary>
    internal bool TryReadUInt32(ulong offset, out uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        var there = TryRead(offset, bytes);
        value = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        return there;
    }

    /// <summary>The pieces of a part of the file that is to come into guest memory, which must be zero: the file's holes are left out, so that they take no memory.</summary>
    /// <exception cref="MachineException">The file has become shorter since it was opened.</exception>
    internal IEnumerable<LoadPiece> PiecesOf(ulong address, ulong offset, ulong length)
    {
        var end = offset + length;
        // One that has become shorter has a hole behind its end.
        if (_handle is not null && (ulong)RandomAccess.GetLength(_handle) < Math.Min(end, Length)) throw Shrunk();
        while (offset != end)
        {
            var (start, stop) = _handle is null ? ((long)offset, (long)end) : HostFiles.NextData(_handle, (long)offset, (long)end);
            (address, offset) = (address + ((ulong)start - offset), (ulong)start);
            while (offset != (ulong)stop)
            {
                // They end where a huge page does: no two threads clear the same one.
                var piece = Math.Min((ulong)stop - offset, LongestPiece - address % LongestPiece);
                yield return new LoadPiece(address, piece, this, offset);
                (address, offset) = (address + piece, offset + piece);
            }
        }
    }

    /// <summary>Reads a part of the file into guest memory, whose watchers are not told. The range must be RAM.</summary>
    /// <exception cref="MachineException">The file has become shorter since it was opened.</exception>
    internal void Read(GuestMemory memory, ulong address, ulong offset, ulong length)
    {
        if (!memory.TrySlice(address, (int)length, out var span)) throw new InvalidOperationException("a boot file was placed outside RAM");
        if (!TryRead(offset, span)) throw Shrunk();
    }

    /// <inheritdoc/>
    public void Dispose() => _handle?.Dispose();

    private MachineException Shrunk() => new(MachineError.File, $"the {What} {Path} became shorter while it was in use");

    private static byte[] ReadAll(SafeFileHandle handle, string what, string path, ulong limit, TimeSpan silence, CancellationToken cancellationToken)
    {
        var most = Math.Min(limit, int.MaxValue / 2);
        try
        {
            return NamedFile.ReadToEnd(handle, (long)most, silence, cancellationToken)
                ?? throw new MachineException(MachineError.File, $"the {what} {path} does not end within {Sizes.Text(most)}; name a smaller file or give the machine more memory");
        }
        catch (TimeoutException silent)
        {
            throw new MachineException(MachineError.File, $"the {what} {path} is a pipe from which nothing came for {silence.TotalSeconds:0.###} s; name a file, or have somebody write to it", silent);
        }
    }
}
