// Kernels that are unpacked before they run: what lies where, with all addresses moved as the kernel's own unpacker would; what cannot be unpacked
// unpacks itself; files and folders that are damaged, hostile or not to be written.
using System.IO.Compression;
using K4os.Compression.LZ4;
using Lamina.Boot;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Host.Io;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class UnpackedKernelTests : IDisposable
{
    private const ulong Map = 0xFFFF_FFFF_8000_0000, Linked = 0x100_0000, Alignment = 2 << 20, InitSize = 0x40_0000;

    private readonly KernelFolder _folder = new();

    public static TheoryData<string> Kinds => ["gzip", "lz4", "zstd"];

    public void Dispose() => _folder.Dispose();

    private string Kernels => _folder.In("kernels");

    private static byte[] Pack(string kind, byte[] bytes)
    {
        switch (kind)
        {
            case "gzip":
                using (var packed = new MemoryStream())
                {
                    using (var gzip = new GZipStream(packed, CompressionLevel.Fastest)) gzip.Write(bytes);
                    return packed.ToArray();
                }
            case "zstd":
                using (var zstd = new ZstdSharp.Compressor()) return [.. zstd.Wrap(bytes), .. BitConverter.GetBytes(bytes.Length)];
            default:
                var all = new List<byte> { 0x02, 0x21, 0x4C, 0x18 };
                foreach (var block in bytes.Chunk(8 << 20))
                {
                    var packed = new byte[LZ4Codec.MaximumOutputSize(block.Length)];
                    var length = LZ4Codec.Encode(block, packed);
                    all.AddRange(BitConverter.GetBytes(length));
                    all.AddRange(packed[..length]);
                }
                return [.. all, .. BitConverter.GetBytes(bytes.Length)];
        }
    }

    // As a machine has it: the kernel lies in a file, and what was unpacked in a folder.
    private BootRequest Request(byte[] kernel, string commandLine = "", ulong memory = 64 << 20, byte[]? initrd = null)
    {
        File.WriteAllBytes(_folder.In("vmlinuz"), kernel);
        var file = BootFile.Open("kernel", _folder.In("vmlinuz"), ulong.MaxValue, cancellationToken: TestContext.Current.CancellationToken);
        return Booted.Request(kernel, memory, initrd, commandLine) with { Kernel = file, Unpack = (payload, isUsable) => UnpackedKernels.Open(Kernels, file, payload, isUsable) };
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_kernel_is_loaded_unpacked_with_its_addresses_moved(string kind)
    {
        var vmlinux = KernelImages.Vmlinux();
        using var booted = Booted.Load(Request(KernelImages.BzImageOf(Pack(kind, vmlinux))));

        var kernel = booted.Plan.Kernel!;
        var at = kernel.Physical;
        Assert.Equal(0ul, at % Alignment);
        Assert.InRange(at, Linked, (64ul << 20) - InitSize);
        Assert.Equal(at + 0x40, booted.State.Rip);
        Assert.Equal(BootLayout.BootParams, booted.State.Gpr[GprIndex.Rsi]);
        Assert.Contains("unpacked", booted.Plan.Description, StringComparison.Ordinal);
        // KASLR_FLAG beside LOADED_HIGH.
        Assert.Equal(3, booted.Bytes(BootLayout.BootParams + 0x211, 1)[0]);

        var distance = booted.U64(at + 0x100) - (Map + Linked + 0x777);
        Assert.Equal(0ul, distance % Alignment);
        Assert.True(Linked + distance + InitSize <= 1 << 30);
        Assert.Equal((uint)(Map + Linked + 0x888 + distance), booted.U32(at + 0x200));
        Assert.Equal(0x1234_5678 - (uint)distance, booted.U32(at + 0x300));
        Assert.Equal((uint)(Map + Linked + 0x999 + distance), booted.U32(at + 0x20_0010));
        Assert.Equal(vmlinux[0x200..0x300], booted.Bytes(at, 0x100));
        Assert.Equal(new byte[0xF00], booted.Bytes(at + 0x20_0100, 0xF00));
    }

    [Fact]
    public void One_without_addresses_that_shrink_has_two_lists()
    {
        using var booted = Booted.Load(Request(KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux(lists: 2)))));

        var at = booted.Plan.Kernel!.Physical;
        var distance = booted.U64(at + 0x100) - (Map + Linked + 0x777);
        Assert.Equal((uint)(Map + Linked + 0x888 + distance), booted.U32(at + 0x200));
        Assert.Equal(0x1234_5678u, booted.U32(at + 0x300));
    }

    [Theory]
    [InlineData("nokaslr", 3)]
    [InlineData("quiet nokaslr", 3)]
    [InlineData("", 0)]
    public void One_that_is_not_to_be_moved_lies_and_runs_where_it_was_linked_for(string commandLine, int lists)
    {
        using var booted = Booted.Load(Request(KernelImages.BzImageOf(Pack("gzip", KernelImages.Vmlinux(lists))), commandLine));

        Assert.Equal(Linked + 0x40, booted.State.Rip);
        Assert.Equal(Map + Linked + 0x777, booted.U64(Linked + 0x100));
        Assert.Equal(1, booted.Bytes(BootLayout.BootParams + 0x211, 1)[0]);
    }

    [Fact]
    public void One_whose_command_line_takes_memory_away_stays_in_the_memory_that_is_kept_for_it()
    {
        for (var round = 0; round < 20; round++)
        {
            using var booted = Booted.Load(Request(KernelImages.BzImageOf(Pack("gzip", KernelImages.Vmlinux())), "mem=40M"));
            Assert.Equal(Linked, booted.Plan.Kernel!.Physical);
        }
    }

    [Fact]
    public void It_lies_and_runs_somewhere_else_each_time_and_never_where_something_else_lies()
    {
        var request = Request(KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux())), initrd: [.. Enumerable.Repeat((byte)0x5A, 9 << 20)]);
        var plan = KernelFormat.Plan(request);
        var (places, distances) = (new HashSet<ulong>(), new HashSet<ulong>());
        for (var round = 0; round < 200; round++)
        {
            using var memory = new GuestMemory(request.Map.Ram);
            plan.Load(memory);
            var at = plan.Kernel!.Physical;
            places.Add(at);
            distances.Add(memory.TryRead<ulong>(at + 0x100, out var moved) ? moved : 0);
            Assert.True(memory.TryRead<uint>(BootLayout.BootParams + 0x218, out var initrd));
            Assert.True(at + InitSize <= initrd);
            var bytes = new byte[9 << 20];
            Assert.True(memory.TryRead(initrd, bytes) && bytes.AsSpan().IndexOfAnyExcept((byte)0x5A) < 0);
        }

        // From 16 MiB to 55 MiB where the initrd begins: as many as there are multiples of 2 MiB with 4 MiB behind them.
        Assert.Equal(Enumerable.Range(0, 18).Select(n => Linked + ((ulong)n * Alignment)), places.Order());
        Assert.InRange(distances.Count, 120, 200);
    }

    [Fact]
    public void Those_who_watch_the_memory_are_told()
    {
        var request = Request(KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux())));
        var plan = KernelFormat.Plan(request);
        using var memory = new GuestMemory(request.Map.Ram);
        using var log = memory.Writes.Open(new MemoryRange(0, 64 << 20));
        plan.Load(memory);

        var pages = new ulong[log.Words];
        log.Take(pages);
        var page = (int)((plan.Kernel!.Physical + 0x20_0000) / 4096);
        Assert.NotEqual(0ul, pages[page / 64] >> page % 64 & 1);
    }

    [Fact]
    public void It_is_unpacked_once_and_anew_when_the_kernel_has_changed()
    {
        Booted.Load(Request(KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux())))).Dispose();
        var first = Assert.Single(Directory.GetFiles(Kernels));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(first));
        var written = File.GetLastWriteTimeUtc(first);

        var request = Request(KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux(lists: 2))));
        Booted.Load(request).Dispose();
        Assert.Equal(2, Directory.GetFiles(Kernels).Length);
        Booted.Load(request).Dispose();

        Assert.Equal(2, Directory.GetFiles(Kernels).Length);
        Assert.Equal(written, File.GetLastWriteTimeUtc(first));
    }

    [Fact]
    public void Zeros_take_no_room_in_the_file_and_are_zeros_in_memory()
    {
        const int zeros = 3 << 20;
        var vmlinux = KernelImages.Vmlinux(lists: 0);
        // The second segment gets zeros before its 256 bytes, and what follows it in the file moves along.
        byte[] image = [.. vmlinux[..0x1400], .. new byte[zeros], .. vmlinux[0x1400..]];
        KernelImages.U64(image, 40, 0x1E00 + zeros);
        KernelImages.U64(image, 0x1E40 + zeros + 24, 0x1F00 + zeros);
        KernelImages.ProgramHeader64(image, 120, 1, 0x1400, Map + Linked + 0x8_0000, Linked + 0x8_0000, zeros + 0x100, zeros + 0x1000);
        using var booted = Booted.Load(Request(KernelImages.BzImageOf(Pack("lz4", image))));

        Assert.NotNull(booted.Plan.Kernel);
        Assert.InRange(HostPath.SpaceOf(Assert.Single(Directory.GetFiles(Kernels))), 1ul, 256ul << 10);
        Assert.Equal(image[0x1400..(0x1500 + zeros)], booted.Bytes(Linked + 0x8_0000, zeros + 0x100));
        Assert.Equal(image[0x200..0x1200], booted.Bytes(Linked, 0x1000));
    }

    [Fact]
    public void Those_that_were_used_last_stay()
    {
        for (var round = 0; round < UnpackedKernels.Most + 3; round++) Booted.Load(Request(KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux())))).Dispose();

        Assert.Equal(UnpackedKernels.Most, Directory.GetFiles(Kernels).Length);
    }

    [Fact]
    public void A_kernel_that_cannot_be_unpacked_here_unpacks_itself()
    {
        var good = Pack("lz4", KernelImages.Vmlinux());
        byte[] Longer(byte[] payload) => [.. payload[..^4], .. BitConverter.GetBytes(KernelImages.Vmlinux().Length + 1)];
        byte[] Unknown(byte[] payload) => [0xFD, 0x37, 0x7A, 0x58, .. payload[4..]];
        var beyond = KernelImages.Vmlinux();
        KernelImages.U32(beyond, beyond.Length - 4, unchecked((uint)(Map + Linked + 0x20_0100)));
        var far = KernelImages.Vmlinux();
        KernelImages.U64(far, 120 + 24, Linked + InitSize);
        foreach (var (payload, why) in ((byte[], string)[])[
            (Longer(good), "its length"), (Unknown(good), "its format"), (good[..40], "cut off"), (Pack("gzip", beyond), "an address beyond what is loaded"),
            (Pack("gzip", far), "a segment beyond its room"), (Pack("gzip", KernelImages.Vmlinux()[..^4]), "one place less"), (Pack("gzip", KernelImages.Vmlinux()[..^20]), "a list is missing"),
            (Pack("zstd", [.. KernelImages.Vmlinux(), 1]), "no whole number of words"), (Pack("gzip", new byte[5000]), "no ELF file"), (Pack("gzip", KernelImages.Elf64()), "no section table")])
        {
            using var booted = Booted.Load(Request(KernelImages.BzImageOf(payload)));
            var unpacked = why == "one place less";
            Assert.True(booted.Plan.Kernel is not null == unpacked, why);
            if (!unpacked) Assert.Equal(Linked + 0x200, booted.State.Rip);
        }
    }

    [Fact]
    public void One_that_says_it_is_longer_than_any_unpacks_itself()
    {
        foreach (var (length, isPayload) in ((int, bool)[])[(KernelPayload.Longest, true), (KernelPayload.Longest + 1, false)])
        {
            var image = KernelImages.BzImageOf([0x02, 0x21, 0x4C, 0x18, .. new byte[100], .. BitConverter.GetBytes(length)]);
            using var kernel = BootFile.FromBytes("kernel", "vmlinuz", image);
            Assert.Equal(isPayload, KernelPayload.Find(kernel, image, 4 * 512, ulong.MaxValue) is not null);
        }
    }

    [Fact]
    public void A_folder_that_cannot_be_used_harms_nothing()
    {
        var kernel = KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux()));
        File.WriteAllText(Kernels, "a file");
        using (var booted = Booted.Load(Request(kernel))) Assert.Null(booted.Plan.Kernel);
        File.Delete(Kernels);

        var request = Request(kernel);
        Booted.Load(request).Dispose();
        var made = Assert.Single(Directory.GetFiles(Kernels));
        var whole = File.ReadAllBytes(made);
        File.WriteAllBytes(made, whole[..^4]);
        using (var booted = Booted.Load(request)) Assert.NotNull(booted.Plan.Kernel);
        Assert.Equal(whole, File.ReadAllBytes(made));
    }

    [Fact]
    public void A_file_that_was_damaged_since_is_named()
    {
        var request = Request(KernelImages.BzImageOf(Pack("lz4", KernelImages.Vmlinux())));
        Booted.Load(request).Dispose();
        var made = Assert.Single(Directory.GetFiles(Kernels));
        var bytes = File.ReadAllBytes(made);
        KernelImages.U32(bytes, bytes.Length - 4, 0x7000_0000);
        File.WriteAllBytes(made, bytes);
        var plan = KernelFormat.Plan(request);
        using var memory = new GuestMemory(request.Map.Ram);

        // It runs elsewhere in 31 of 32 rounds at least.
        var refused = Assert.Throws<MachineException>(() =>
        {
            for (var round = 0; round < 1000; round++) plan.Load(memory);
        });
        Assert.Contains($"{made} is damaged; remove it", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Payloads_with_random_bytes_are_unpacked_or_damaged(string kind)
    {
        var random = new Random(20261130);
        var good = Pack(kind, KernelImages.Vmlinux());
        var unpacked = new byte[KernelImages.Vmlinux().Length];
        for (var round = 0; round < 5000; round++)
        {
            var mutant = good[..(random.Next(4) == 0 ? random.Next(16, good.Length) : good.Length)];
            for (var change = random.Next(1, 6); change > 0; change--) mutant[random.Next(4, mutant.Length)] = (byte)random.Next(256);
            _ = PayloadUnpacker.TryUnpack(kind switch { "gzip" => PayloadKind.Gzip, "zstd" => PayloadKind.Zstd, _ => PayloadKind.Lz4 }, mutant, unpacked);
        }
    }

    [Fact]
    public void Kernels_with_random_bytes_load_or_are_refused_in_one_sentence()
    {
        var random = new Random(20261130);
        foreach (var vmlinux in (byte[][])[KernelImages.Vmlinux(), KernelImages.Vmlinux(lists: 2)])
        {
            for (var round = 0; round < 10_000; round++)
            {
                var mutant = (byte[])vmlinux.Clone();
                for (var change = random.Next(1, 8); change > 0; change--)
                    mutant[random.Next(3) switch { 0 => random.Next(0xC0), 1 => 0x1E00 + random.Next(0x80), _ => random.Next(0x2000, mutant.Length) }] = random.Next(4) switch { 0 => 0, 1 => 0xFF, 2 => 0x80, _ => (byte)random.Next(256) };
                using var file = BootFile.FromBytes("unpacked kernel", "vmlinux", mutant);
                if (KernelImage.TryRead(file, Linked, InitSize) is not { } image || !image.IsWhole()) continue;
                using var memory = new GuestMemory([new MemoryRange(0, 32 << 20)]);
                foreach (var piece in image.PiecesAt(Linked)) piece.Load(memory);
                if (!image.IsRelocatable) continue;
                using var relocations = image.ReadRelocations();
                Assert.True(memory.TrySlice(Linked, (int)image.LoadedLength, out var loaded));
                relocations.MoveIn(loaded, (0, image.LoadedLength), Alignment);
            }
        }
    }
}
