// What describes generated code is bounded as the code is.
using Lamina.Core.Engine;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class CodeCacheTests
{
    private const uint Start = 0x5_0000, End = 0x3F_0000;
    private const byte NoOperation = 0x90, Return = 0xC3;

    [Fact]
    public void Code_of_which_little_stands_for_many_instructions_is_dropped_when_its_description_is_large()
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(new TranslatorEngine(new TranslatorSettings { CodeBufferBytes = TranslatorSettings.LeastCodeBufferBytes }));
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            c.mov(eax, Start);
            c.call(rax);
            c.mov(ebx, 1);
        }, (_, state) => Assert.Equal(1ul, state.Gpr[GprIndex.Rbx]))
        {
            Prepare = machine =>
            {
                var code = new byte[End - Start];
                code.AsSpan().Fill(NoOperation);
                code[^1] = Return;
                machine.Load(Start, code);
            },
        };

        program.Check(machine, program.Run(machine));

        Assert.InRange(machine.Count("translator_drops"), 1, 8);
        Assert.InRange(machine.Count("translator_description_bytes"), 1, TranslatorSettings.LeastCodeBufferBytes * 3L / 2);
    }
}
