// Whether the processor executes an instruction is tried without harm, and how the GS base is changed is what a machine was told, or else the host's way.
using System.Runtime.Intrinsics.X86;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.Translator.Settings;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Engines.Runtime;

public sealed class HostGsBaseTests
{
    // More than there are ranges of code whose faults may be claimed at once.
    private const int Often = 300;

    private static readonly byte[] s_readGsBase = [0xf3, 0x48, 0x0f, 0xae, 0xc8];

    [Theory]
    [InlineData(new byte[] { 0x90 }, true)] // NOP
    [InlineData(new byte[] { 0x48, 0x31, 0xc9 }, true)] // XOR RCX, RCX
    [InlineData(new byte[] { 0x0f, 0x0b }, false)] // UD2
    [InlineData(new byte[] { 0xf4 }, false)] // HLT, of a user
    [InlineData(new byte[] { 0x48, 0x31, 0xc9, 0x48, 0xf7, 0xf1 }, false)] // DIV RCX by zero
    public void An_instruction_is_executed_or_refused_as_often_as_it_is_tried(byte[] instruction, bool executes)
    {
        for (var n = 0; n < Often; n++) Assert.Equal(executes, HostGsBase.Executes(instruction));
    }

    [Fact]
    public void It_is_tried_on_several_threads_at_once() => Parallel.For(0, 8, n =>
    {
        for (var i = 0; i < Often; i++) Assert.Equal(n % 2 == 0, HostGsBase.Executes(n % 2 == 0 ? [0x90] : [0x0f, 0x0b]));
    });

    [Fact]
    public void A_machine_has_the_hosts_way_unless_it_was_told_another()
    {
        var known = ((uint)X86Base.CpuId(7, 0).Ebx & 1) != 0;
        var kept = known && (ProcessAuxiliary.Hwcap2 & 2) != 0;

        Assert.Equal(kept ? GsBaseChange.Kept : known && HostGsBase.Executes(s_readGsBase) ? GsBaseChange.Lost : GsBaseChange.Asked, HostGsBase.Of(new TranslatorSettings()));
        foreach (var way in Enum.GetValues<GsBaseChange>()) Assert.Equal(way, HostGsBase.Of(new TranslatorSettings { GsBase = way }));
    }
}
