// Writes a file of the archive. It has its name only when it is complete; one that is not is gone with the writer.
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Host.Io;

namespace Lamina.Engines.Translator.Archive;

internal sealed class SegmentWriter : IDisposable
{
    private const int WriteOnlyNew = 0x81; // open(2): O_WRONLY, O_EXCL
    private const uint OwnerReadsAndWrites = 0b110_000_000;

    private readonly HostNode _folder;
    private readonly byte[] _name, _temporary;
    private readonly HostOpenNode? _file;
    private readonly byte[] _waiting = new byte[1 << 20];
    private readonly List<ImageEntry> _entries = [];
    private ulong _offset;
    private int _waits;
    private bool _failed, _complete;

    /// <summary>Begins a file.</summary>
    public SegmentWriter(HostNode folder, string name, string temporary)
    {
        _folder = folder;
        (_name, _temporary) = (Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(temporary));
        _failed = folder.Create(_temporary, WriteOnlyNew, OwnerReadsAndWrites, out _file) < 0;
        Write(new byte[SegmentHeader.Bytes]);
    }

    /// <summary>Bytes so far.</summary>
    public ulong Length => _offset + (uint)_waits;

    /// <summary>Whether the host's disk has refused something; what follows is ignored.</summary>
    public bool Failed => _failed;

    /// <summary>Adds an image.</summary>
    public void Add(ulong hash, ReadOnlySpan<byte> image, int blocks)
    {
        _entries.Add(new ImageEntry { Hash = hash, Offset = (long)Length, Length = image.Length, Blocks = blocks, Sum = ArchiveSegment.SumOf(image) });
        Write(image);
    }

    /// <summary>Ends the file and gives it its name. False: the host's disk did not take it.</summary>
    public bool Complete(string key)
    {
        byte[] table = [.. MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_entries)), .. Encoding.UTF8.GetBytes(key)];
        var header = new SegmentHeader
        {
            Magic = SegmentHeader.Expected,
            Table = Length,
            Images = _entries.Count,
            KeyBytes = Encoding.UTF8.GetByteCount(key),
            Sum = ArchiveSegment.SumOf(table),
        };
        Write(table);
        Flush();
        if (!_failed) _failed = !TryWrite(0, MemoryMarshal.AsBytes(new ReadOnlySpan<SegmentHeader>(in header)));
        _complete = !_failed && _folder.Rename(_temporary, _folder, _name, 0) >= 0;
        return _complete;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file?.Dispose();
        if (_file != null && !_complete) _ = _folder.Remove(_temporary, isFolder: false);
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var count = Math.Min(bytes.Length, _waiting.Length - _waits);
            bytes[..count].CopyTo(_waiting.AsSpan(_waits));
            _waits += count;
            bytes = bytes[count..];
            if (_waits == _waiting.Length) Flush();
        }
    }

    private void Flush()
    {
        if (!_failed) _failed = !TryWrite(_offset, _waiting.AsSpan(0, _waits));
        _offset += (uint)_waits;
        _waits = 0;
    }

    private bool TryWrite(ulong offset, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var count = _file!.Write(offset, bytes);
            if (count <= 0) return false;
            bytes = bytes[count..];
            offset += (uint)count;
        }
        return true;
    }
}
