// Puts an image of a page's translations into the code buffer, as if they had just been made.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Archive;

internal sealed unsafe class PageAdopter(CodeBuffer buffer, ByteFingerprint fingerprint)
{
    /// <summary>Puts the code into the buffer. The caller holds the store's gate.</summary>
    /// <param name="image">An image whose page has the same bytes.</param>
    /// <param name="page">Guest-physical address of the page.</param>
    /// <param name="adopt">Takes each block that may run, in order.</param>
    public void Adopt(in PageImage image, ulong page, Action<Block> adopt)
    {
        var (hot, cold) = buffer.Take(image.Header.HotBytes, image.Header.ColdBytes);
        var place = new Placement(hot - PageImage.Origin, cold - PageImage.Origin - image.Header.HotBytes, PageImage.Origin + image.Header.HotBytes);
        image.Code[..image.Header.HotBytes].CopyTo(new Span<byte>(buffer.At(hot), image.Header.HotBytes));
        image.Code[image.Header.HotBytes..].CopyTo(new Span<byte>(buffer.At(cold), image.Header.ColdBytes));
        var (firstSite, firstStart, firstDistance) = (buffer.Sites.Count, buffer.Instructions.Count, buffer.Distances!.Count);
        AddDistances(image.Distances, place);
        AddSites(image, place);
        foreach (var (host, guest, parked) in image.Starts) buffer.Instructions.Add((place.Map(host), guest, parked));
        foreach (ref readonly var loan in image.Loans) buffer.NoteBorrowed(firstStart + loan.Start, loan.Register, loan.Slot);
        foreach (ref readonly var stored in image.Blocks)
        {
            var block = new Block
            {
                Physical = page | (uint)stored.Offset,
                Key = (ModeKey)stored.Key,
                LiveIn = (Flags)stored.LiveIn,
                Length = stored.Length,
                InstructionCount = stored.InstructionCount,
                HostStart = place.Map(stored.HotStart),
                HostEnd = place.Hot + stored.HotEnd,
                ColdStart = place.Map(stored.ColdStart),
                ColdEnd = place.Cold + stored.ColdEnd,
                FirstSite = firstSite + stored.FirstSite,
                SiteCount = stored.SiteCount,
                FirstInstruction = firstStart + stored.FirstStart,
                StartCount = stored.StartCount,
                FirstDistance = firstDistance + stored.FirstDistance,
                DistanceCount = stored.DistanceCount,
                First = new LookAhead { Start = stored.FirstLookStart, Length = stored.FirstLookLength },
                Second = new LookAhead { Start = stored.SecondLookStart, Length = stored.SecondLookLength },
                Follower = stored.Follower == StoredBlock.NoFollower ? null : stored.Follower,
                Valid = stored.Valid != 0,
                Adopted = true,
            };
            buffer.Add(block);
            if (!block.Valid) continue;
            block.Fingerprint = fingerprint.Of(image.Page, block);
            NumberLinks(block);
            adopt(block);
        }
    }

    /// <summary>What to add to an offset in the image for that in the buffer.</summary>
    private readonly record struct Placement(int Hot, int Cold, int ColdStart)
    {
        public int Map(int offset) => offset + (offset < ColdStart ? Hot : Cold);
    }

    private void AddDistances(ReadOnlySpan<int> distances, in Placement place)
    {
        foreach (var distance in distances)
        {
            var at = place.Map(distance & (1 << PageImage.OffsetBits) - 1);
            var field = (int*)buffer.At(at);
            switch ((DistanceKind)(distance >>> PageImage.OffsetBits))
            {
                case DistanceKind.Stub: *field -= at + sizeof(int); break;
                case DistanceKind.Other: *field = place.Map(*field) - (at + sizeof(int)); break;
            }
            buffer.Distances!.Add((byte*)field);
        }
    }

    private void AddSites(in PageImage image, in Placement place)
    {
        var firstInstruction = buffer.SystemInstructions.Count;
        foreach (ref readonly var instruction in image.SystemInstructions) buffer.SystemInstructions.Add(instruction);
        foreach (var stored in image.Sites)
        {
            var site = stored;
            site.Return = place.Map(site.Return);
            if (site.Resume != 0) site.Resume = place.Map(site.Resume);
            if (site.Copy != 0) site.Copy = place.Map(site.Copy);
            if (site.Kind == SiteKind.System) site.Target += firstInstruction;
            buffer.Sites.Add(site);
        }
    }

    // Behind the call of a jump that is not linked stands the block's number.
    private void NumberLinks(Block block)
    {
        for (var i = block.FirstSite; i < block.FirstSite + block.SiteCount; i++)
            if (buffer.Sites[i].Kind == SiteKind.Link) *(int*)buffer.At(buffer.Sites[i].Return) = block.Number;
    }
}
