// Files that are damaged, hostile or no kernels: each ends in a MachineException of one sentence, never otherwise.

using Lamina.Boot;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class BadKernelTests
{
    public static TheoryData<string> Kinds => ["bzImage", "bzImage32", "elf", "pvh", "multibootElf", "multibootFlat"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_file_cut_off_anywhere_loads_or_is_refused_in_one_sentence(string kind)
    {
        var image = Make(kind);

        for (var length = 0; length < image.Length; length++) TryPlan(image[..length]);

        Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(image[..(image.Length / 4)])));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_file_with_random_header_bytes_loads_or_is_refused_in_one_sentence(string kind)
    {
        var random = new Random(20261120);
        var image = Make(kind);
        for (var round = 0; round < 20_000; round++)
        {
            var mutant = (byte[])image.Clone();
            for (var change = random.Next(1, 8); change > 0; change--)
                mutant[random.Next(mutant.Length)] = random.Next(4) switch { 0 => 0, 1 => 0xFF, 2 => 0x80, _ => (byte)random.Next(256) };
            TryPlan(mutant);
        }
    }

    [Theory]
    [InlineData(new byte[] { 0x1F, 0x8B }, "gzip")]
    [InlineData(new byte[] { 0xFD, 0x37, 0x7A, 0x58, 0x5A, 0 }, "xz")]
    [InlineData(new byte[] { 0x28, 0xB5, 0x2F, 0xFD }, "zstd")]
    [InlineData(new byte[] { 0x42, 0x5A, 0x68 }, "bzip2")]
    [InlineData(new byte[] { 0x30, 0x37, 0x30, 0x37, 0x30, 0x31 }, "initrd")]
    [InlineData(new byte[] { 0x21, 0x3C, 0x61, 0x72, 0x63, 0x68, 0x3E, 0x0A }, "package")]
    [InlineData(new byte[] { 0x51, 0x46, 0x49, 0xFB }, "qcow2")]
    [InlineData(new byte[] { 0x4D, 0x5A }, "EFI")]
    [InlineData(new byte[] { 0x23, 0x21 }, "script")]
    [InlineData(new byte[] { 0 }, "neither")]
    public void What_is_no_kernel_is_called_by_its_name(byte[] start, string word)
    {
        var file = new byte[4096];
        start.CopyTo(file, 0);

        var refusal = Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(file)));

        Assert.Contains(word, refusal.Message, StringComparison.Ordinal);
    }

    // iPXE's .lkrn has a setup header of protocol 2.7, and zero where others have their 32-bit entry.
    [Fact]
    public void An_image_that_needs_a_BIOS_is_refused_in_a_sentence()
    {
        var refusal = Assert.Throws<MachineException>(() => Booted.Load(KernelImages.BzImage(version: 0x0207, xloadflags: 0, code32Start: 0)));

        Assert.Contains("starts in real mode with a BIOS, which this machine has not", refusal.Message, StringComparison.Ordinal);
        using var entered = Booted.Load(KernelImages.BzImage(version: 0x0207, xloadflags: 0));
        Assert.Equal(0x10_0000ul, entered.State.Rip);
    }

    [Fact]
    public void A_program_for_a_running_system_is_no_kernel()
    {
        var program = KernelImages.Elf64(pvhEntry: 0x20_0000);
        KernelImages.U32(program, 120, 3);

        Assert.Contains("interpreter", Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(program))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_position_independent_program_is_no_kernel() =>
        Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(KernelImages.Elf64(type: 3))));

    [Theory]
    [InlineData(0xC000_0000ul)]
    [InlineData(0xFFFF_FFFF_FFFF_F000ul)]
    [InlineData(0x1_0000_0000ul)]
    [InlineData(0xE_0000ul)]
    [InlineData(0x7000ul)]
    [InlineData(0x500ul)]
    public void A_segment_where_there_is_no_room_for_it_is_refused(ulong physical)
    {
        var kernel = KernelImages.Elf64(physical, physical + 8);

        Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(kernel)));
    }

    [Fact]
    public void A_kernel_that_needs_more_memory_than_there_is_says_how_much()
    {
        var refusal = Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(KernelImages.BzImage(initSize: 64 << 20), 32 << 20)));

        Assert.Contains("to 80 MiB", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_initrd_that_does_not_fit_is_refused() =>
        Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(KernelImages.BzImage(), 32 << 20, new byte[40 << 20])));

    [Fact]
    public void A_command_line_that_is_too_long_is_refused_with_the_limit() =>
        Assert.Contains("2047", Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(KernelImages.BzImage(), commandLine: new string('a', 2048)))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_command_line_with_a_zero_in_it_is_refused() =>
        Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(KernelImages.BzImage(), commandLine: "a\0b")));

    [Fact]
    public void Modules_for_a_kernel_that_takes_none_are_refused() =>
        Assert.Throws<MachineException>(() => KernelFormat.Plan(Booted.Request(KernelImages.BzImage(), modules: new LoadedModule(BootFile.FromBytes("module", "m", new byte[1]), "m"))));

    private static void TryPlan(byte[] image)
    {
        try
        {
            KernelFormat.Plan(Booted.Request(image));
        }
        catch (MachineException refusal)
        {
            Assert.DoesNotContain('\n', refusal.Message);
            Assert.True(refusal.Message.Length < 300, refusal.Message);
        }
    }

    private static byte[] Make(string kind) => kind switch
    {
        "bzImage" => KernelImages.BzImage(),
        "bzImage32" => KernelImages.BzImage(xloadflags: 0),
        "elf" => KernelImages.Elf64(),
        "pvh" => KernelImages.Elf64(pvhEntry: 0x20_0004),
        "multibootElf" => KernelImages.MultibootElf(),
        _ => KernelImages.MultibootFlat(loadEnd: 0x20_0400),
    };
}
