// A whole boot on the plain and on the optimised settings of the translator, which must not differ anywhere.
using Lamina.Engines.Translator;
using Lamina.Tests.Support;
using Xunit;

namespace Lamina.Tests.Lockstep;

public sealed class LockstepTests(ITestOutputHelper output)
{
    private const ulong Memory = 192ul << 20;
    private const uint Shown = 0x30_0000, Hidden = Shown + 8;

    private static readonly TranslatorSettings Optimised = new();

    [Fact]
    public Task A_boot_and_commands_are_the_same_with_precise_flags() => Compare("precise", new TranslatorSettings { Precise = true });

    [Fact]
    public Task A_boot_and_commands_are_the_same_one_instruction_a_block()
    {
        AllTests.SkipUnlessAsked("a boot of one instruction at a time takes minutes");
        return Compare("single", new TranslatorSettings { Precise = true, SingleInstructionBlocks = true });
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

    private async Task Compare(string name, TranslatorSettings plain)
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
        LockstepSpec Spec(string which, TranslatorSettings settings) => new(which, settings, boot, Memory, script);
        var result = LockstepRun.Run(Spec(name, plain), Spec("default", Optimised));
        output.WriteLine($"{result.Stops} stops, end: {result.End}\n{result.Output}");
        Assert.True(result.Divergence == null, result.Divergence);
        Assert.Equal("powered off", result.End);
    }
}
