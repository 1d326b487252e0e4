// What holds the bytes of a region of guest memory on the host. A backing is a value that regions share: each time a region is
// put somewhere, its backing is mapped there.
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>What holds a region's bytes.</summary>
public abstract class MemoryBacking
{
    /// <summary>The length in bytes of the pieces of which each is in one of several layers.</summary>
    public const int LayerPiece = MemoryImage.PieceLength;

    /// <summary>What stands for a layer where a piece is in none: it is zero.</summary>
    public const byte NoLayer = MemoryImage.Zero;

    private const string WholePages = "memory is mapped by whole pages";

    private MemoryBacking()
    {
    }

    /// <summary>The process's own memory, zero each time that the region is put somewhere.</summary>
    public static MemoryBacking Anonymous { get; } = new Own();

    /// <summary>A memfd: its bytes stay when the region moves, and others that map it see every store.</summary>
    /// <param name="memory">It; the caller's, and open as long as regions that are backed by it can move.</param>
    /// <param name="offset">Where in it the region begins, in bytes: whole pages.</param>
    public static MemoryBacking Shared(SharedMemory memory, ulong offset = 0)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (!memory.IsWritable) throw new ArgumentException("a file that was opened to be read cannot be shared; make a private copy", nameof(memory));
        return new SharedPart(memory, Checked(offset));
    }

    /// <summary>
    /// A copy of a memfd's or a file's bytes that is made page by page as they are stored to. Each time that the region is put
    /// somewhere it begins with the bytes that are there then; pages that were not stored to may show later changes.
    /// </summary>
    /// <param name="memory">It; the caller's, and open as long as regions that are backed by it can move. See <see cref="SharedMemory.Open"/> on files.</param>
    /// <param name="offset">Where in it the region begins, in bytes: whole pages.</param>
    public static MemoryBacking PrivateCopy(SharedMemory memory, ulong offset = 0)
    {
        ArgumentNullException.ThrowIfNull(memory);
        return new CopyOfPart(memory, Checked(offset));
    }

    /// <summary>Likewise of several files, of which each piece is in one or in none.</summary>
    /// <param name="layers">They; the caller's, and open as long as regions that are backed by them can move. Each is as long as all of it.</param>
    /// <param name="pieces">The number of the layer that each piece is in; <see cref="NoLayer"/> for none.</param>
    /// <param name="length">Length of all of it in bytes: whole pages.</param>
    public static MemoryBacking PrivateCopy(IReadOnlyList<SharedMemory> layers, ReadOnlySpan<byte> pieces, ulong length)
    {
        ArgumentNullException.ThrowIfNull(layers);
        if (pieces.Length != MemoryImage.PiecesOf(Checked(length))) throw new ArgumentException("there is a number for each piece", nameof(pieces));
        foreach (var piece in pieces)
            if (piece != NoLayer && (piece >= layers.Count || layers[piece].Length < length)) throw new ArgumentException("there is no such layer, or it is too short", nameof(pieces));
        return new ImagePart(new MappedImage(length, layers, pieces), 0);
    }

    /// <summary>A memory of one moment, of which this process has what it writes for itself.</summary>
    /// <param name="image">It; its layers are the caller's, and open as long as regions that are backed by it can move.</param>
    internal static MemoryBacking OfImage(MappedImage image) => new ImagePart(image, 0);

    /// <summary>The same from further behind: for regions that lie one behind the other in one file.</summary>
    /// <param name="offset">Bytes: whole pages.</param>
    public abstract MemoryBacking At(ulong offset);

    /// <summary>What it is, in some words.</summary>
    public abstract string Description { get; }

    /// <summary>How long a region can be.</summary>
    internal abstract ulong Length { get; }

    /// <summary>Maps it.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    internal abstract void Map(HostReservation place, ulong start, ulong length);

    /// <summary>It lies somewhere by now, as <see cref="Map"/> would have it.</summary>
    internal virtual void Placed(ulong start)
    {
    }

    /// <summary>Whether others may write to it, so that a copy of the process is none of it.</summary>
    internal virtual bool IsShared => false;

    /// <summary>Whether pages that nobody has touched may hold something.</summary>
    /// <param name="offset">Where in the region, in bytes.</param>
    /// <param name="length">Bytes.</param>
    internal virtual bool HoldsUntouched(ulong offset, ulong length) => false;

    /// <summary>Makes whole pages of a mapping zero, and gives the host back what it can.</summary>
    internal abstract void Zero(HostReservation place, ulong start, ulong length);

    private static ulong Checked(ulong offset) =>
        offset % HostReservation.PageSize == 0 ? offset : throw new ArgumentException(WholePages, nameof(offset));

    private static ulong Behind(SharedMemory memory, ulong offset) => offset < memory.Length ? memory.Length - offset : 0;

    private sealed class Own : MemoryBacking
    {
        public override string Description => "memory of this process's own";

        internal override ulong Length => ulong.MaxValue;

        public override MemoryBacking At(ulong offset) => this;

        internal override void Map(HostReservation place, ulong start, ulong length) => place.MapAnonymous(start, length, hugePages: true);

        internal override void Zero(HostReservation place, ulong start, ulong length) => place.Discard(start, length);
    }

    private sealed class SharedPart(SharedMemory memory, ulong offset) : MemoryBacking
    {
        public override string Description => "memory that others may map too";

        internal override ulong Length => Behind(memory, offset);

        internal override bool IsShared => true;

        public override MemoryBacking At(ulong more) => new SharedPart(memory, offset + Checked(more));

        internal override void Map(HostReservation place, ulong start, ulong length)
        {
            place.MapShared(start, length, memory, offset, MappingAccess.ReadWrite);
            place.PreferHugePages(start, length);
        }

        internal override void Zero(HostReservation place, ulong start, ulong length) => place.DiscardShared(start, length);
    }

    private sealed class CopyOfPart(SharedMemory memory, ulong offset) : MemoryBacking
    {
        public override string Description => "a private copy of a file or of shared memory";

        internal override ulong Length => Behind(memory, offset);

        internal override bool HoldsUntouched(ulong at, ulong length) => memory.HasData(offset + at, length);

        public override MemoryBacking At(ulong more) => new CopyOfPart(memory, offset + Checked(more));

        internal override void Map(HostReservation place, ulong start, ulong length) => place.MapPrivate(start, length, memory, offset);

        // Discarded pages would be the file's again. Other memory takes the place of large pieces, as long as the host lets a process
        // have so many mappings.
        internal override void Zero(HostReservation place, ulong start, ulong length)
        {
            if (length < HostReservation.HugePageSize || !place.TryMapAnonymous(start, length, hugePages: true)) place.Clear(start, length);
        }
    }

    // Pieces that are in no layer are this process's own memory from the beginning; and those that are made zero are, too.
    private sealed class ImagePart(MappedImage image, ulong offset) : MemoryBacking
    {
        private ulong _start;

        public override string Description => "a private copy of several layers";

        internal override ulong Length => offset < image.Length ? image.Length - offset : 0;

        internal override bool HoldsUntouched(ulong at, ulong length) => image.HoldsData(offset + at, length);

        public override MemoryBacking At(ulong more) => new ImagePart(image, offset + Checked(more));

        internal override void Map(HostReservation place, ulong start, ulong length)
        {
            foreach (var (at, run, layer) in image.Runs(offset, length))
            {
                if (layer is null) place.MapAnonymous(start + (at - offset), run, hugePages: true);
                else place.MapPrivate(start + (at - offset), run, layer, at);
            }
            _start = start;
        }

        internal override void Placed(ulong start) => _start = start;

        internal override void Zero(HostReservation place, ulong start, ulong length)
        {
            const ulong Piece = MemoryImage.PieceLength;
            var at = offset + (start - _start);
            var (first, last) = ((at + Piece - 1) & ~(Piece - 1), (at + length) & ~(Piece - 1));
            if (length < HostReservation.HugePageSize || first >= last || !place.TryMapAnonymous(start + (first - at), last - first, hugePages: true))
            {
                place.Clear(start, length);
                return;
            }
            image.SetZero(first, last - first);
            place.Clear(start, first - at);
            place.Clear(start + (last - at), at + length - last);
        }
    }
}
