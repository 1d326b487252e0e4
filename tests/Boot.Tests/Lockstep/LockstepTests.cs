// A whole boot on the plain and on the optimised settings of the translator, which must not differ anywhere.
using Lamina.Core.Inspection;
using Lamina.Engines.Translator.Settings;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Lockstep;

public sealed class LockstepTests(ITestOutputHelper output)
{
    private const ulong Memory = 192ul << 20;
    private const int DropInterval = 3000;
    private const uint Shown = 0x30_0000, Hidden = Shown + 8;

    private static readonly TranslatorSettings Optimised = new();

    [Fact]
    public async Task A_boot_and_commands_are_the_same_with_precise_flags_and_with_code_from_an_archive()
    {
        var folder = Directory.CreateTempSubdirectory("lamina-archive-");
        try
        {
            var archived = Optimised with { ArchiveFolder = folder.FullName, ArchiveWorthwhileBytes = 0 };

            var first = await Compare("precise", new TranslatorSettings { Precise = true }, archived);
            var second = await Compare("default", Optimised, archived, DropInterval);

            Assert.Equal(0, first.Count("translator_drops"));
            Assert.Equal(0, first.Count("archive_adopted_pages"));
            Assert.InRange(second.Count("translator_drops"), 5, long.MaxValue);
            Assert.InRange(second.Count("archive_adopted_pages"), 100, long.MaxValue);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public Task A_boot_and_commands_are_the_same_one_instruction_a_block()
    {
        AllTests.SkipUnlessAsked("a boot of one instruction at a time takes minutes");
        return Compare("single", new TranslatorSettings { Precise = true, SingleInstructionBlocks = true }, Optimised);
    }

    // Writes a word of memory to a port, byte by byte, and counts in another; for ever.
    [Theory]
    [InlineData(Shown, "events: plain out 80 00; optimised out 80 05")]
    [InlineData(Hidden, "memory 300008: plain 0, optimised 5")]
    public void A_difference_is_found(uint where, string difference)
    {
        var code = new Code(TestKernels.Origin).Raw(
            0xBE, 0x00, 0x00, 0x30, 0x00,       // mov esi, Shown
            0x8A, 0x06,                         // next: mov al, [rsi]
            0xE6, 0x80,                         // out 80h, al
            0xFF, 0x46, 0x10,                   // inc dword [rsi+16]
            0xEB, 0xF7);                        // jmp next
        using var kernel = new KernelFile(TestKernels.Long(code));
        var boot = new BootSource { KernelPath = kernel.Path };
        LockstepSpec Spec(string name) => new(name, Optimised, boot, GuestRun.Memory, []);
        var same = LockstepRun.Run(Spec("first"), Spec("second"), 50);
        Assert.Null(same.Divergence);
        Assert.Equal(50, same.Stops);

        var other = LockstepRun.Run(Spec("first"), Spec("second"), 50, memory => memory.TryWrite(where, (byte)5));

        Assert.Contains(difference, other.Divergence, StringComparison.Ordinal);
    }

    private async Task<IReadOnlyList<Counter>> Compare(string name, TranslatorSettings plain, TranslatorSettings optimised, int dropInterval = 0)
    {
        var result = LockstepRun.Run(await SpecAsync(name, plain), await SpecAsync("optimised", optimised) with { DropInterval = dropInterval });
        output.WriteLine($"{result.Stops} stops, end: {result.End}\n{result.Output}");
        Assert.True(result.Divergence == null, result.Divergence);
        Assert.Equal("powered off", result.End);
        return result.Counters;
    }

    private static async Task<LockstepSpec> SpecAsync(string name, TranslatorSettings settings)
    {
        Assert.SkipUnless(TestEngine.Default == EngineChoice.Translator, "two settings of the translator are compared; another engine was asked for");
        var image = await TinyImage.GetAsync();
        var boot = new BootSource
        {
            KernelPath = image.KernelPath,
            InitrdPath = image.InitrdPath,
            // Random numbers are the one thing that the two could not have in common.
            CommandLine = image.CommandLine + " nokaslr clearcpuid=rdrand,rdseed",
        };
        string[] script = ["seq 1 3000 | sort -r | sha256sum", "for i in 1 2 3 4 5 6 7 8 9 10; do sh -c :; done", "dmesg | tail -n 3", "poweroff"];
        return new LockstepSpec(name, settings, boot, Memory, script);
    }
}
