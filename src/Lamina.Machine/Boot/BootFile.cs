// A file that a machine boots from: opened once, read by offset when it is parsed and again at each reset.
// Its content is never trusted: a read beyond its end is a value (false). A file that cannot be sought (a pipe) is kept
// in memory as a whole. Copies go straight from the file to guest memory; nothing of the file stays in the process.
using System.Buffers.Binary;
using Lamina.Core.Memory;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Boot;

/// <summary>A readable file of known length.</summary>
internal sealed class BootFile : IDisposable
{
    private const int CopyPiece = 4 << 20;

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

    /// <summary>A file that is already in memory.</summary>
    internal static BootFile FromBytes(string what, string path, ReadOnlyMemory<byte> bytes) =>
        new(what, path, null, bytes, (ulong)bytes.Length);

    /// <summary>Opens a file that must be shorter than <paramref name="limit"/> bytes.</summary>
    /// <exception cref="MachineException">It is missing, unreadable, a folder, empty or too large.</exception>
    internal static BootFile Open(string what, string path, ulong limit)
    {
        if (path.Length == 0) throw new MachineException(MachineError.File, $"the {what}'s file name is empty");
        if (Directory.Exists(path)) throw new MachineException(MachineError.File, $"the {what} {path} is a folder; name a file");
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            BootFile file;
            if (IsSeekable(handle))
            {
                file = new BootFile(what, path, handle, default, (ulong)RandomAccess.GetLength(handle));
                handle = null;
            }
            else file = FromBytes(what, path, ReadAll(handle, what, path, limit));
            if (file.Length != 0 && file.Length < limit) return file;
            file.Dispose();
            throw new MachineException(MachineError.File, file.Length == 0
                ? $"the {what} {path} is empty"
                : $"the {what} {path} ({Sizes.Text(file.Length)}) does not fit into {Sizes.Text(limit)} of memory; give the machine more");
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

    /// <summary>Copies a part of the file into guest memory. The range must be RAM.</summary>
    /// <exception cref="MachineException">The file has become shorter since it was opened.</exception>
    internal void CopyTo(GuestMemory memory, ulong address, ulong offset, ulong length)
    {
        while (length != 0)
        {
            var piece = (int)Math.Min(length, CopyPiece);
            if (!memory.TrySlice(address, piece, out var span)) throw new InvalidOperationException("a boot file was placed outside RAM");
            if (!TryRead(offset, span)) throw Shrunk();
            memory.NotifyWritten(address, (ulong)piece);
            (address, offset, length) = (address + (ulong)piece, offset + (ulong)piece, length - (ulong)piece);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _handle?.Dispose();

    private MachineException Shrunk() => new(MachineError.File, $"the {What} {Path} became shorter while it was in use");

    private static bool IsSeekable(SafeFileHandle handle)
    {
        using var borrowed = new SafeFileHandle(handle.DangerousGetHandle(), ownsHandle: false);
        using var stream = new FileStream(borrowed, FileAccess.Read, 0);
        return stream.CanSeek;
    }

    private static byte[] ReadAll(SafeFileHandle handle, string what, string path, ulong limit)
    {
        using var stream = new FileStream(handle, FileAccess.Read, 0);
        using var kept = new MemoryStream();
        var piece = new byte[1 << 16];
        int count;
        while ((count = stream.Read(piece)) != 0)
        {
            if ((ulong)kept.Length + (ulong)count >= Math.Min(limit, int.MaxValue / 2))
                throw new MachineException(MachineError.File, $"the {what} {path} does not end within {Sizes.Text(Math.Min(limit, int.MaxValue / 2))}; name a smaller file or give the machine more memory");
            kept.Write(piece, 0, count);
        }
        return kept.ToArray();
    }
}
