// A memory as an image of one moment (MemoryImage), and made of one.
using Lamina.Host;

namespace Lamina.Core.Memory;

public sealed partial class GuestMemory
{
    private ImageMaker? _images;
    private MemoryImage? _source;
    private readonly List<SharedMemory> _former = [];

    /// <summary>The image that the RAM is a copy of; null where it is of none.</summary>
    internal MappedImage? Image { get; private set; }

    /// <summary>Whether it shares an image's layers.</summary>
    public bool Shares(MemoryImage image) => image is not null && _source is { } source && source.Layers.SequenceEqual(image.Layers);

    /// <summary>Whether images can be made of it: nobody else writes to it.</summary>
    public bool HasImages => !View.Regions.Any(region => region.IsMain && region.Backing.IsShared);

    /// <summary>Copies so much of the RAM that an image takes a moment only (<see cref="CutImage"/>). The guest may run; what it touched is copied the first time, later what it wrote since.</summary>
    /// <param name="mayTake">Says why so many bytes of the host's memory may not be taken; null: they may.</param>
    /// <exception cref="IOException">The host has no memory for it.</exception>
    public void PrepareImage(Func<ulong, Exception?>? mayTake = null)
    {
        RequireNoneMissing();
        _images ??= new ImageMaker(this, _reservation, _pages);
        try
        {
            _images.Prepare(mayTake);
        }
        catch
        {
            // What it had copied by then is half of something.
            _images.Dispose();
            _images = null;
            throw;
        }
    }

    /// <summary>The RAM as it is at this moment, in which nobody may be writing to it.</summary>
    /// <param name="rest">Gets what is in none of the image's layers.</param>
    /// <param name="at">Where in it: a multiple of the page size.</param>
    /// <exception cref="IOException">The host has no memory for it.</exception>
    public (MemoryImage Image, ulong Behind) CutImage(SharedMemory rest, ulong at)
    {
        ArgumentNullException.ThrowIfNull(rest);
        RequireNoneMissing();
        return (_images ?? throw new InvalidOperationException("an image is prepared first")).Cut(rest, at);
    }

    /// <summary>Has the RAM hold what an image does, of which this process shares what it does not write. Nobody may use the memory.</summary>
    /// <param name="image">It, of as much RAM; its layers are this one's from now on.</param>
    /// <param name="isSame">Whether the RAM holds the same by now, and only comes to share it.</param>
    /// <exception cref="ArgumentException">It is of another length.</exception>
    /// <exception cref="IOException">The host refuses.</exception>
    public void TakeUp(MemoryImage image, bool isSame = false)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (image.Length != Size) throw new ArgumentException($"an image of {image.Length} bytes is none of a memory of {Size}", nameof(image));
        RequireNoneMissing();
        lock (_gate)
        {
            var mapped = new MappedImage(image);
            var backing = MemoryBacking.OfImage(mapped);
            foreach (var region in View.Regions.Where(region => region.IsMain))
            {
                region.Backing = backing;
                backing.Map(_reservation, region.Range.Start, region.Length);
                backing = backing.At(region.Length);
            }
            (Image, _source) = (mapped, image);
            TakeUpRest(image);
            if (isSame) return;
            foreach (var range in Ranges) NotifyWritten(range.Start, range.Length);
        }
    }

    /// <summary>
    /// Has the RAM hold what another image does, after the guest has run on one: what it has not written stays as it is, so that what engines know of it
    /// stays true. Nobody may use the memory, nor run until this is done, or done again.
    /// </summary>
    /// <param name="image">It, of as much RAM; its layers are this one's from now on.</param>
    /// <param name="kept">Pages to keep memory for that were written (<see cref="OwnPages"/>): they will be again, and each would be a page fault. Null: none.</param>
    /// <param name="isClean">Whether nobody has written since this was done last.</param>
    /// <exception cref="IOException">The host refuses.</exception>
    public void ReturnTo(MemoryImage image, bool[]? kept, bool isClean)
    {
        ArgumentNullException.ThrowIfNull(image);
        RequireNoneMissing();
        if (Image is not { } mapped || image.Length != Size)
        {
            TakeUp(image);
            return;
        }
        lock (_gate)
        {
            var layers = image.Layers.Select(layer => mapped.Layers.ToList().FindIndex(known => known.IsSameAs(layer))).ToArray();
            var changed = new bool[image.Pieces.Length];
            for (var piece = 0; piece < changed.Length; piece++)
            {
                var (before, after) = (mapped.Pieces[piece], image.Pieces[piece]);
                changed[piece] = after == MemoryImage.Zero ? before != MemoryImage.Zero : before == MemoryImage.Zero || layers[after] != before;
            }
            if (!isClean) Clean(image, changed, kept);
            Remap(image, changed);
            TakeUpRest(image);
            NotifyRest(image);
        }
    }

    /// <summary>Which pages of the RAM are this process's own, its ranges counted one behind the other; null where the host does not tell.</summary>
    public bool[]? OwnPages() => Look(static (map, address, pages) => map.ReadOwn(address, pages));

    /// <summary>Likewise, which pages there are in this process at all: touched, or read beside one that was.</summary>
    public bool[]? TouchedPages() => Look(static (map, address, pages) => map.Read(address, pages));

    private delegate void PageLook(PageMap map, nint address, Span<bool> pages);

    private bool[]? Look(PageLook look)
    {
        if (_pages is null) return null;
        var own = new bool[Size / HostReservation.PageSize];
        var at = 0;
        try
        {
            foreach (var range in Ranges)
            {
                var count = (int)(range.Length / HostReservation.PageSize);
                look(_pages, HostBase + (nint)range.Start, own.AsSpan(at, count));
                at += count;
            }
            return own;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Where a byte of the RAM lies, its ranges counted one behind the other, and how many of the range follow.</summary>
    internal (ulong Address, ulong Within) Locate(ulong at)
    {
        foreach (var range in Ranges)
        {
            if (at < range.Length) return (range.Start + at, range.Length - at);
            at -= range.Length;
        }
        throw new ArgumentOutOfRangeException(nameof(at));
    }

    /// <summary>Whether a part of the RAM, counted likewise, may hold anything where this process has not touched it.</summary>
    internal bool HoldsUntouched(ulong at, ulong length)
    {
        while (length > 0)
        {
            var (address, within) = Locate(at);
            var region = View.Regions.First(region => region.IsMain && region.Range.Contains(address, 1));
            var part = Math.Min(Math.Min(length, within), region.Range.End - address);
            if (region.Backing.HoldsUntouched(address - region.Range.Start, part)) return true;
            (at, length) = (at + part, length - part);
        }
        return false;
    }

    /// <summary>Has the host read a part of the RAM, counted likewise, at once.</summary>
    internal void PopulateRead(ulong at, ulong length) => Fetch(at, length, MemoryFetch.Read);

    /// <summary>Has the host fetch a part of the RAM, counted likewise. A hint.</summary>
    internal void Fetch(ulong at, ulong length, MemoryFetch how)
    {
        while (length > 0 && at < Size)
        {
            var (address, within) = Locate(at);
            var part = Math.Min(length, within);
            if (how == MemoryFetch.Begin) _reservation.ReadAhead(address, part);
            else _reservation.Populate(address, part, write: how == MemoryFetch.Write);
            (at, length) = (at + part, length - part);
        }
    }

    // What was written is again what the image has; in pieces that are mapped anew it goes with them.
    private void Clean(MemoryImage image, bool[] changed, bool[]? kept)
    {
        const int Page = HostReservation.PageSize, PiecePages = MemoryImage.PiecePages;
        var own = OwnPages();
        if (own is null) Array.Fill(changed, true);
        for (var first = 0; own is not null && first < own.Length;)
        {
            if (!own[first] || changed[first / PiecePages])
            {
                first++;
                continue;
            }
            // A run lies in one piece and one range, and is kept or not.
            var (address, within) = Locate((ulong)first * Page);
            var keeps = kept is not null && kept[first];
            var count = 1;
            while (first + count < own.Length && own[first + count] && (first + count) % PiecePages != 0 && (ulong)count * Page < within && (kept is not null && kept[first + count]) == keeps) count++;
            var length = (ulong)count * Page;
            if (!keeps) _reservation.Discard(address, length);
            else if (image.Pieces[first / PiecePages] is var layer && layer == MemoryImage.Zero) _reservation.Slice(address, (int)length).Clear();
            else if (image.Layers[layer].Read((ulong)first * Page, _reservation.Slice(address, (int)length)) != (int)length) throw new HostException("the image of the memory ends early");
            NotifyWritten(address, length);
            first += count;
        }
    }

    private void Remap(MemoryImage image, bool[] changed)
    {
        var mapped = new MappedImage(image);
        var backing = MemoryBacking.OfImage(mapped);
        ulong at = 0;
        foreach (var region in View.Regions.Where(region => region.IsMain))
        {
            backing.Placed(region.Range.Start);
            region.Backing = backing;
            backing = backing.At(region.Length);
            for (var (done, end) = (at, at + region.Length); done < end;)
            {
                var next = Math.Min((done / MemoryImage.PieceLength + 1) * MemoryImage.PieceLength, end);
                if (changed[done / MemoryImage.PieceLength])
                {
                    var (address, length) = (region.Range.Start + (done - at), next - done);
                    var layer = image.Pieces[(int)(done / MemoryImage.PieceLength)];
                    if (layer == MemoryImage.Zero) _reservation.MapAnonymous(address, length, hugePages: true);
                    else _reservation.MapPrivate(address, length, image.Layers[layer], done);
                    NotifyWritten(address, length);
                }
                done = next;
            }
            at += region.Length;
        }
        _former.AddRange(_source?.Layers ?? []);
        (Image, _source) = (mapped, image);
    }

    private void NotifyRest(MemoryImage image)
    {
        foreach (var number in image.ReadRestNumbers())
        {
            var (address, _) = Locate((ulong)number * HostReservation.PageSize);
            NotifyWritten(address, HostReservation.PageSize);
        }
    }

    // Pages that were written last are those that are written next: all at once they cost a tenth of what they cost one by one.
    private void TakeUpRest(MemoryImage image)
    {
        const int Page = HostReservation.PageSize;
        var numbers = image.ReadRestNumbers();
        var bytesAt = MemoryImage.BytesAt(image.RestAt, numbers.Length);
        for (var first = 0; first < numbers.Length;)
        {
            var count = 1;
            while (first + count < numbers.Length && numbers[first + count] == numbers[first] + count) count++;
            for (var done = 0; done < count;)
            {
                var (address, within) = Locate((ulong)(numbers[first] + done) * Page);
                var length = (int)Math.Min((ulong)(count - done) * Page, within);
                _reservation.Populate(address, (ulong)length, write: true);
                if (image.Rest.Read(bytesAt + (ulong)(first + done) * Page, _reservation.Slice(address, length)) != length) throw new HostException("the image of the memory ends early");
                done += length / Page;
            }
            first += count;
        }
    }
}
