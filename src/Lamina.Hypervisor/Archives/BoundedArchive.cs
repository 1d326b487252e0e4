// A tar archive on its way to who reads it, which keeps names, links and attributes in memory whole: those that are longer than any
// that can be used are refused here, by the length that their header says. Source: POSIX.1-2017, pax, "ustar Interchange Format";
// GNU tar's manual, "Basic Tar Format" for the types of long names and for sizes in base 256.
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Archives;

/// <summary>Passes an archive on.</summary>
/// <param name="inner">The archive.</param>
internal sealed class BoundedArchive(Stream inner) : SequentialStream
{
    /// <summary>The longest header of names and attributes.</summary>
    internal const int MostMetadata = 64 << 10;

    private const int Block = 512, SizeAt = 124, SizeLength = 12, TypeAt = 156;

    private readonly byte[] _header = new byte[Block];
    private int _filled;

    // What is left of an entry's data and of what fills its last block.
    private long _data;

    public override bool CanRead => true;

    public override bool CanWrite => false;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await inner.ReadAsync(buffer[..Share(buffer.Length)], cancellationToken).ConfigureAwait(false);
        Pass(buffer.Span[..count]);
        return count;
    }

    public override int Read(Span<byte> buffer)
    {
        var count = inner.Read(buffer[..Share(buffer.Length)]);
        Pass(buffer[..count]);
        return count;
    }

    // No read goes over the end of a header, or of an entry's data.
    private int Share(int wanted) => (int)Math.Min(wanted, _data != 0 ? _data : Block - _filled);

    private void Pass(ReadOnlySpan<byte> bytes)
    {
        if (_data != 0)
        {
            _data -= bytes.Length;
            return;
        }
        bytes.CopyTo(_header.AsSpan(_filled));
        _filled += bytes.Length;
        if (_filled < Block) return;
        _filled = 0;
        var size = SizeOf(_header.AsSpan(SizeAt, SizeLength));
        if (size is < 0 or > long.MaxValue - Block) throw new InvalidDataException("an entry has a size that is none");
        if ((char)_header[TypeAt] is 'x' or 'g' or 'L' or 'K' && size > MostMetadata) throw new InvalidDataException($"an entry has {size} bytes of names and attributes");
        // Folders, links and devices have no data, whatever their headers say.
        _data = (char)_header[TypeAt] is '1' or '2' or '3' or '4' or '5' or '6' ? 0 : (size + Block - 1) / Block * Block;
    }

    // Octal digits with blanks and zeros around them, or a number in base 256 whose first bit says so.
    private static long SizeOf(ReadOnlySpan<byte> field)
    {
        long size = 0;
        if ((field[0] & 0x80) != 0)
        {
            foreach (var part in field[^8..]) size = (size << 8) | part;
            return size;
        }
        foreach (var digit in field)
            if (digit is >= (byte)'0' and <= (byte)'7') size = (size << 3) | (uint)(digit - '0');
        return size;
    }
}
