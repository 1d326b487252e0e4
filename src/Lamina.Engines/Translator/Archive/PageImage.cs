// The translations of one page of guest code as they lie in the archive: numbers in the byte order and with the layouts of
// this build, which is the only one that reads them. Code is addressed by offsets into the image's own code, which begin
// at Origin, so that 0 still says "nowhere": first what runs often, from a cache line's start, then the cold part, from another.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Archive;

/// <summary>What a displacement in an image leads to, which says how it is made one of the place where the code is put.</summary>
internal enum DistanceKind
{
    /// <summary>The same part of the code: it stays as it is.</summary>
    Same = 0,

    /// <summary>A stub: in the field is its offset in the code buffer.</summary>
    Stub = 1,

    /// <summary>The other part of the code: in the field is the offset in the image.</summary>
    Other = 2,
}

/// <summary>How much of everything an image has.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PageImageHeader
{
    public int Blocks, Sites, Starts, SystemInstructions, Loans, Distances, HotBytes, ColdBytes;
}

/// <summary>A block of an image; ranges as <see cref="Block"/> has them, from the image's first site, start and displacement.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StoredBlock
{
    /// <summary>In the place of a follower: none.</summary>
    public const int NoFollower = int.MinValue;

    public uint Key, LiveIn;
    public int HotStart, HotEnd, ColdStart, ColdEnd;
    public int FirstSite, SiteCount, FirstStart, StartCount, FirstDistance, DistanceCount;
    public int Follower;
    public int Offset, Length, InstructionCount;
    public int FirstLookStart, FirstLookLength, SecondLookStart, SecondLookLength;

    /// <summary>1: the block may run. 0: only its entry is there, for who still jumps to it, and says that it is stale.</summary>
    public int Valid;
}

/// <summary>A register that an instruction has borrowed.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StoredLoan
{
    public int Start;
    public byte Register, Slot;
}

/// <summary>An image of a page, in bytes that somebody else owns.</summary>
internal readonly ref struct PageImage
{
    /// <summary>The offset of the first byte of code.</summary>
    public const int Origin = 64;

    /// <summary>The bits of a displacement's offset; its <see cref="DistanceKind"/> is above.</summary>
    public const int OffsetBits = 28;

    public const int PageSize = 4096;

    /// <summary>The most bytes of either part of the code: a page of the guest's has mostly less than a tenth of it.</summary>
    public const int MostCode = CodeBuffer.ColdChunk / 2;

    private PageImage(PageImageHeader header, ReadOnlySpan<byte> rest)
    {
        Header = header;
        Page = Take(ref rest, PageSize);
        Blocks = Take<StoredBlock>(ref rest, header.Blocks);
        Sites = Take<Site>(ref rest, header.Sites);
        Starts = Take<(int, ushort, bool)>(ref rest, header.Starts);
        SystemInstructions = Take<Instruction>(ref rest, header.SystemInstructions);
        Loans = Take<StoredLoan>(ref rest, header.Loans);
        Distances = Take<int>(ref rest, header.Distances);
        Code = rest;
    }

    public PageImageHeader Header { get; }

    /// <summary>The guest's bytes.</summary>
    public ReadOnlySpan<byte> Page { get; }

    public ReadOnlySpan<StoredBlock> Blocks { get; }

    public ReadOnlySpan<Site> Sites { get; }

    public ReadOnlySpan<(int Host, ushort Guest, bool Parked)> Starts { get; }

    public ReadOnlySpan<Instruction> SystemInstructions { get; }

    public ReadOnlySpan<StoredLoan> Loans { get; }

    public ReadOnlySpan<int> Distances { get; }

    /// <summary>Both parts of the code.</summary>
    public ReadOnlySpan<byte> Code { get; }

    /// <summary>Reads an image. False: these bytes are none.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out PageImage image)
    {
        image = default;
        if (bytes.Length < Unsafe.SizeOf<PageImageHeader>()) return false;
        var header = MemoryMarshal.Read<PageImageHeader>(bytes);
        if (SizeOf(header) is not { } size || size != bytes.Length) return false;
        image = new PageImage(header, bytes[Unsafe.SizeOf<PageImageHeader>()..]);
        return image.IsSound();
    }

    // Null: no image is like that.
    private static unsafe long? SizeOf(in PageImageHeader header)
    {
        ReadOnlySpan<(int Count, int Size)> parts =
        [
            (header.Blocks, sizeof(StoredBlock)), (header.Sites, sizeof(Site)), (header.Starts, sizeof((int, ushort, bool))), (header.SystemInstructions, sizeof(Instruction)),
            (header.Loans, sizeof(StoredLoan)), (header.Distances, sizeof(int)), (header.HotBytes, 1), (header.ColdBytes, 1),
        ];
        long size = Unsafe.SizeOf<PageImageHeader>() + PageSize;
        foreach (var (count, each) in parts)
        {
            if (count < 0) return null;
            size += (long)count * each;
        }
        return size;
    }

    // The sums are right, so whoever wrote this was a build like this one; all the same nothing is put where there is no room.
    private bool IsSound()
    {
        var (pastHot, pastCold) = (Origin + Header.HotBytes, Origin + Code.Length);
        if (Header.HotBytes % CodeBuffer.CacheLine != 0 || Header.HotBytes > MostCode || Header.ColdBytes > MostCode) return false;
        foreach (ref readonly var block in Blocks)
        {
            if (!Within(block.HotStart, block.HotEnd, Origin, pastHot) || !Within(block.ColdStart, block.ColdEnd, pastHot, pastCold)) return false;
            if (!Counts(block.FirstSite, block.SiteCount, Sites.Length) || !Counts(block.FirstStart, block.StartCount, Starts.Length)
                || !Counts(block.FirstDistance, block.DistanceCount, Distances.Length)) return false;
            if (block.Length < 1 || !Counts(block.Offset, block.Length, PageSize) || !Counts(block.FirstLookStart, block.FirstLookLength, PageSize) || !Counts(block.SecondLookStart, block.SecondLookLength, PageSize)) return false;
        }
        foreach (var distance in Distances)
        {
            if (!Counts((distance & (1 << OffsetBits) - 1) - Origin, sizeof(int), Code.Length)) return false;
        }
        foreach (ref readonly var site in Sites)
        {
            if (site.Kind == SiteKind.Link && !Counts(site.Return - Origin, sizeof(int), Code.Length)) return false;
            if (site.Kind == SiteKind.System && !Counts(site.Target, 1, SystemInstructions.Length)) return false;
        }
        return true;

        static bool Within(int start, int end, int from, int past) => start >= from && start <= end && end <= past;
        static bool Counts(int first, int count, int all) => first >= 0 && count >= 0 && first <= all - count;
    }

    private static ReadOnlySpan<byte> Take(scoped ref ReadOnlySpan<byte> rest, int count)
    {
        var taken = rest[..count];
        rest = rest[count..];
        return taken;
    }

    private static unsafe ReadOnlySpan<T> Take<T>(scoped ref ReadOnlySpan<byte> rest, int count)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(Take(ref rest, count * sizeof(T)));
}
