// A page's translations before they were put into the archive and after they have come back, elsewhere in another buffer:
// all that is known of them, and every byte but those that say how far it is to other code.
using System.Buffers.Binary;
using Iced.Intel;
using Lamina.Core.Memory;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Archive;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Decode;
using Xunit;
using static Iced.Intel.AssemblerRegisters;
using Assembler = Iced.Intel.Assembler;
using CodeSize = Lamina.Engines.X86.Decode.CodeSize;

namespace Lamina.Tests.Engines.Archive;

public sealed unsafe class PageRoundTripTests : IDisposable
{
    private const ulong First = 0x5000, Second = 0x9000;
    private const ModeKey Key = (ModeKey)CodeSize.Code64 | ModeKey.FlatAll | ModeKey.User | ModeKey.PositionIndependent | ModeKey.Sse;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lamina-archive-");
    private readonly List<ulong> _offsets = [];
    private readonly byte[] _page = new byte[4096];

    public PageRoundTripTests() => Assemble();

    [Fact]
    public void Everything_comes_back()
    {
        using var before = new Side(_folder.FullName, First, _page);
        before.TranslateAll(_offsets);
        LinkSome(before.Buffer);
        Retire(before);
        before.Store.Archivist!.Save();

        using var after = new Side(_folder.FullName, Second, _page);
        // Other code lies before it, so that everything is elsewhere.
        after.Write(First, [0x48, 0x01, 0x18, 0xc3]);
        Assert.NotNull(after.Translate(First, Key & ~ModeKey.PositionIndependent));
        var old = before.Blocks();
        Assert.NotNull(after.Translate(Second + (ulong)(old[0].Physical & 0xfff)));
        var taken = after.Blocks()[^old.Count..];

        Assert.Equal(old.Count, taken.Count);
        Assert.Equal(1, after.Store.Archivist!.PagesAdopted);
        for (var i = 0; i < old.Count; i++) Compare(before.Buffer, old, after.Buffer, taken, i);
        Assert.Contains(old, block => !block.Valid);
        Assert.Contains(old, block => block.First.Length > 0 && block.Second.Length > 0);
        Assert.Contains(Enumerable.Range(0, before.Buffer.Instructions.Count), i => before.Buffer.BorrowedBy(i).Length > 0);
    }

    [Fact]
    public void A_page_whose_code_is_too_large_is_left_out()
    {
        // ADD [RAX], AL, two bytes each, at each of which a block of many begins.
        using (var side = new Side(_folder.FullName, First, new byte[4096]))
        {
            for (var offset = 0ul; offset < 4096; offset += 2)
                if (side.Store.Find(Side.Identity(First + offset, Key)) == null) Assert.NotNull(side.Translate(First + offset));
            Assert.InRange(side.Blocks().Sum(block => block.HostEnd - block.HostStart), PageImage.MostCode + 1, int.MaxValue);

            side.Store.Archivist!.Save();
        }

        Assert.Empty(_folder.GetFiles("*.translations"));
    }

    [Fact]
    public void A_page_that_is_written_anew_all_the_time_is_left_out()
    {
        using (var side = new Side(_folder.FullName, First, _page))
        {
            side.TranslateAll(_offsets);
            var all = side.Blocks();
            foreach (var block in all.Where(block => (block.Physical & 0xfff) < 3 * (all.Max(last => last.Physical) & 0xfff) / 4)) side.Store.NoteWritten(block.Physical, 1);
            Assert.InRange(all.Count(block => block.Valid), all.Count / 8 + 1, all.Count / 2 - 1);

            side.Store.Archivist!.Save();
        }

        Assert.Empty(_folder.GetFiles("*.translations"));
    }

    // Each number of an image, but those of code, made another: it is refused, or put where there is room for it.
    [Theory]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(5000)]
    [InlineData(int.MaxValue)]
    public void An_image_with_a_wrong_number_is_refused_or_does_no_harm(int wrong)
    {
        using (var before = new Side(_folder.FullName, First, _page))
        {
            before.TranslateAll(_offsets);
            before.Store.Archivist!.Save();
        }
        using var after = new Side(_folder.FullName, Second, _page);
        Assert.NotNull(after.Translate(Second));
        var adopter = new PageAdopter(after.Buffer, new ByteFingerprint());
        using var archive = TranslationArchive.Open(_folder.FullName, 1 << 30, ArchiveKey.Of(after.Settings with { GsBase = HostGsBase.Of(after.Settings) }, after.InstructionSet));
        var bytes = Array.Empty<byte>();
        bytes = archive.Read(PageHash.Of(_page), ref bytes).ToArray();
        Assert.True(PageImage.TryRead(bytes, out var sound));
        var (refused, taken) = (0, 0);
        for (var at = 0; at + 4 <= bytes.Length - sound.Code.Length; at += 4)
        {
            if (at == 32) at += 4096; // behind the header comes the page
            var damaged = bytes.ToArray();
            BinaryPrimitives.WriteInt32LittleEndian(damaged.AsSpan(at), wrong);
            if (!PageImage.TryRead(damaged, out var image)) refused++;
            else if (taken++ % 50 == 0) adopter.Adopt(image, Second, static _ => { });
        }

        Assert.True(refused > 0 && taken > 50, $"{refused} refused, {taken} taken");
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static void Compare(CodeBuffer before, List<Block> old, CodeBuffer after, List<Block> taken, int index)
    {
        var (left, right) = (old[index], taken[index]);
        Assert.Equal((left.Physical & 0xfff, left.Key, left.Length, left.InstructionCount, left.LiveIn, left.Valid), (right.Physical & 0xfff, right.Key, right.Length, right.InstructionCount, right.LiveIn, right.Valid));
        Assert.Equal((left.First, left.Second, left.Follower), (right.First, right.Second, right.Follower));
        Assert.Equal((left.HostStart % 8, left.HostEnd - left.HostStart), (right.HostStart % 8, right.HostEnd - right.HostStart));
        Assert.Equal(Distances(before, old, left, index), Distances(after, taken, right, index));
        Assert.Same(right, after.FindBlock(right.HostStart));
        if (!left.Valid) return;
        Assert.Equal((left.ColdStart % 64, left.ColdEnd - left.ColdStart), (right.ColdStart % 64, right.ColdEnd - right.ColdStart));
        Assert.Equal(Sites(before, left), Sites(after, right));
        Assert.Equal(Starts(before, left), Starts(after, right));
        Assert.Equal(Code(before, left), Code(after, right));
    }

    // Places in a block, without where it lies.
    private static string Place(Block block, int offset) =>
        offset >= block.ColdStart && offset <= block.ColdEnd && block.ColdEnd > block.ColdStart ? $"cold+{offset - block.ColdStart}" : $"hot+{offset - block.HostStart}";

    private static List<string> Sites(CodeBuffer buffer, Block block) =>
    [
        .. Enumerable.Range(block.FirstSite, block.SiteCount).Select(i => buffer.Sites[i]).Select(site =>
            $"{site.Kind} {Place(block, site.Return)} {(site.Resume == 0 ? "" : Place(block, site.Resume))} {(site.Copy == 0 ? "" : Place(block, site.Copy))} "
            + (site.Kind == SiteKind.System ? buffer.SystemInstructions[site.Target].Id.ToString() : $"{site.Target}")
            + $" {site.GuestOffset} {site.Size} {site.Alignment} {site.AddressRegister} {site.Reads} {site.Parked}"
            + (site.Kind == SiteKind.Link ? $" number {*(int*)buffer.At(site.Return) == block.Number}" : "")),
    ];

    private static List<string> Starts(CodeBuffer buffer, Block block) =>
    [
        .. Enumerable.Range(block.FirstInstruction, block.StartCount).Select(i =>
            $"{Place(block, buffer.Instructions[i].Host)} {buffer.Instructions[i].Guest} {buffer.Instructions[i].Parked} {string.Join(' ', buffer.BorrowedBy(i).ToArray())}"),
    ];

    // Where each displacement leads. What is linked to another page, or to nothing that came along, is as if never linked.
    private static List<string> Distances(CodeBuffer buffer, List<Block> blocks, Block block, int index)
    {
        var unlinked = Enumerable.Range(block.FirstSite, block.SiteCount).Select(i => buffer.Sites[i]).Where(site => site.Kind is SiteKind.Link or SiteKind.FarLink).ToDictionary(site => site.Resume, site => site.UnlinkedTarget);
        var found = new SortedDictionary<int, string>();
        for (var i = block.FirstDistance; i < block.FirstDistance + block.DistanceCount; i++)
        {
            var field = buffer.Distances![i];
            if (!block.Valid && field >= block.HostStart) continue;
            var target = field + 4 + *(int*)buffer.At(field);
            var other = blocks.FindIndex(one => one.HostStart == target);
            var name = target < buffer.Floor ? $"stub {target}" : other >= 0 ? $"block {other}" : Place(block, target);
            found[field] = $"{Place(block, field)} {(unlinked.TryGetValue(field, out var exit) ? $"link {exit == target} " : "")}{name}";
        }
        if (!block.Valid) found[block.HostStart] = $"stale: {buffer.At(block.HostStart)[0]:x} {block.HostStart + 5 + *(int*)buffer.At(block.HostStart + 1)}";
        return [.. found.Values, $"{index}"];
    }

    private static byte[] Code(CodeBuffer buffer, Block block)
    {
        byte[] code = [.. new ReadOnlySpan<byte>(buffer.At(block.HostStart), block.HostEnd - block.HostStart), .. new ReadOnlySpan<byte>(buffer.At(block.ColdStart), block.ColdEnd - block.ColdStart)];
        var hot = block.HostEnd - block.HostStart;
        for (var i = block.FirstDistance; i < block.FirstDistance + block.DistanceCount; i++) Blank(buffer.Distances![i]);
        for (var i = block.FirstSite; i < block.FirstSite + block.SiteCount; i++)
            if (buffer.Sites[i].Kind == SiteKind.Link) Blank(buffer.Sites[i].Return);
        return code;

        void Blank(int offset)
        {
            var at = offset >= block.ColdStart && offset < block.ColdEnd ? hot + offset - block.ColdStart : offset - block.HostStart;
            if (at >= 0 && at + 4 <= code.Length) code.AsSpan(at, 4).Clear();
        }
    }

    // As a vCPU does that comes by, for every second one; to something outside of the page for every fourth.
    private static void LinkSome(CodeBuffer buffer)
    {
        var (seen, linked) = (0, 0);
        for (var i = 0; i < buffer.BlockCount; i++)
        {
            var block = buffer.BlockAt(i);
            for (var n = block.FirstSite; n < block.FirstSite + block.SiteCount; n++)
            {
                var site = buffer.Sites[n];
                if (site.Kind != SiteKind.Link || seen++ % 2 == 0) continue;
                var target = Enumerable.Range(0, buffer.BlockCount).Select(buffer.BlockAt).FirstOrDefault(other => other.Physical == block.Physical + (ulong)(long)site.Target);
                if (target == null) continue;
                linked++;
                *(int*)buffer.At(site.Resume) = target.HostStart - (site.Resume + 4);
            }
        }
        Assert.True(linked > 3, $"only {linked} of {seen} jumps could be linked");
    }

    // One that something runs into, and one that is jumped to.
    private static void Retire(Side side)
    {
        var blocks = side.Blocks();
        var follower = blocks[blocks.FindIndex(block => block.Follower != null) + 1];
        side.Store.NoteWritten(follower.Physical, 1);
        Assert.False(follower.Valid);
    }

    // All kinds of code that leave something behind besides bytes.
    private void Assemble()
    {
        var c = new Assembler(64);
        var labels = Enumerable.Range(0, 8).Select(_ => c.CreateLabel()).ToArray();
        for (var i = 0; i < labels.Length; i++)
        {
            c.Label(ref labels[i]);
            c.push(rbx);
            c.push(r10);
            c.mov(rax, __qword_ptr[rdi + 8]);
            c.add(__dword_ptr[rsi + r9 * 4 + i], eax);
            c.mov(__qword_ptr[rdi + 24], r11);
            c.xchg(__byte_ptr[rdx], r11b);
            c.crc32(r9d, __dword_ptr[r10]);
            c.div(r11d);
            c.pext(r9, r10, __qword_ptr[r11 + 16]);
            c.mov(__byte_ptr[rbx + rcx], ah);
            c.movups(__xmmword_ptr[rsi + 3], xmm1);
            c.cpuid();
            c.adc(r15, __qword_ptr[rcx]);
            c.imul(r9, __qword_ptr[r11 + 8], 77);
            c.rep.movsb();
            c.pop(r10);
            c.pop(rbx);
            c.cmp(eax, i);
            c.mov(r8, __qword_ptr[rdi + 8]);
            if (i % 3 == 0) c.call(labels[(i + 3) % labels.Length]);
            else if (i % 3 == 1) c.call(0x10_0000);
            c.jg(labels[(i + 5) % labels.Length]);
            c.cmp(eax, 100);
            c.jl(0x10_0000);
            if (i % 4 == 2) c.jmp(labels[(i + 1) % labels.Length]);
            else if (i % 4 == 3) c.ret();
        }
        c.hlt();
        var bytes = new MemoryStream();
        var result = c.Assemble(new StreamCodeWriter(bytes), First, BlockEncoderOptions.ReturnNewInstructionOffsets);
        bytes.ToArray().CopyTo(_page, 0);
        _offsets.AddRange(labels.Select(label => result.GetLabelRIP(label) - First));
    }

    private sealed class Side : IDisposable
    {
        private readonly GuestMemory _memory = new([new MemoryRange(0, 1 << 20)]);
        private readonly ulong _physical;

        public Side(string folder, ulong physical, byte[] page)
        {
            _physical = physical;
            Write(physical, page);
            Settings = new TranslatorSettings { CodeBufferBytes = TranslatorSettings.LeastCodeBufferBytes, ArchiveFolder = folder, ArchiveWorthwhileBytes = 0 };
            var model = CpuModel.ForHost(new CpuModelOptions { TscHz = 1_000_000_000, VcpuCount = 1 });
            InstructionSet = model.InstructionSet;
            Store = new TranslationStore(_memory, Settings, model);
        }

        public TranslatorSettings Settings { get; }

        public InstructionSet InstructionSet { get; }

        public TranslationStore Store { get; }

        public CodeBuffer Buffer => Store.Buffer;

        public void Write(ulong address, byte[] bytes) => Assert.True(_memory.TryWrite(address, bytes));

        public void TranslateAll(List<ulong> offsets)
        {
            foreach (var offset in offsets)
                if (Store.Find(Identity(_physical + offset, Key)) == null) Assert.NotNull(Translate(_physical + offset));
        }

        public Block? Translate(ulong physical, ModeKey key = Key)
        {
            lock (Store.Gate) return Store.Translate(Identity(physical, key), physical, static _ => ulong.MaxValue);
        }

        // Those of the page that come to the archive.
        public List<Block> Blocks() => [.. Enumerable.Range(0, Buffer.BlockCount).Select(Buffer.BlockAt).Where(block => (block.Key & ModeKey.PositionIndependent) != 0)];

        public void Dispose()
        {
            Store.Dispose();
            _memory.Dispose();
        }

        public static BlockIdentity Identity(ulong physical, ModeKey key) => new(physical, (key & ModeKey.PositionIndependent) != 0 ? 0 : physical, 0, key);
    }
}
