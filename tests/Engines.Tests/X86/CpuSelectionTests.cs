// CPU models by name: what a level has, what switches take away and bring, and how a host that cannot give it says so.
using Lamina.Engines;
using Lamina.Engines.Translator.Archive;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Memory;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class CpuSelectionTests
{
    private static CpuModel Make(string text, HostCpuid? host = null) =>
        CpuModel.Create(host ?? SampleHosts.Amd(), new CpuModelOptions { TscHz = 1_000_000_000, Selection = CpuSelection.Parse(text), HostUnaffected = _ => true });

    private static bool Has(CpuModel model, string name) => model.Features.Any(feature => feature.Name == name);

    [Theory]
    [InlineData("x86-64-v1", 0ul, "", "sse3")]
    [InlineData("x86-64-v2", 0ul, "sse4_2 popcnt cx16 lahf_lm", "avx xsave aes")]
    [InlineData("x86-64-v3", 7ul, "avx2 bmi1 bmi2 fma f16c movbe abm xsave", "avx512f aes smap xsaveopt")]
    [InlineData("x86-64-v4", 0xe7ul, "avx512f avx512bw avx512cd avx512dq avx512vl", "avx512_vnni gfni vaes")]
    [InlineData("host,-avx512f", 7ul, "avx2 gfni vaes", "avx512f avx512vl avx512_fp16 avx512_bf16")]
    [InlineData("host,-avx", 3ul, "sse4_2 aes gfni xsave", "avx2 fma f16c vaes vpclmulqdq avx512f avx_vnni")]
    [InlineData("host,-xsave", 0ul, "sse4_2", "xsaveopt xsavec avx avx2 avx512f")]
    [InlineData("x86-64-v2,+vaes", 7ul, "vaes aes avx xsave", "avx2 fma")]
    [InlineData("x86-64-v4,-avx512f,+avx512vl", 0xe7ul, "avx512f avx512vl avx2", "avx512bw")]
    [InlineData("host,-sse4.1", 3ul, "ssse3", "sse4_1 sse4_2 avx")]
    [InlineData("host,-lzcnt", 0xe7ul, "bmi1", "abm")]
    public void AModelHasWhatItsNameSays(string text, ulong components, string there, string gone)
    {
        var model = Make(text);

        Assert.All(there.Split(' ', StringSplitOptions.RemoveEmptyEntries), name => Assert.True(Has(model, name), name));
        Assert.All(gone.Split(' '), name => Assert.False(Has(model, name), name));
        Assert.Equal(components, model.XcrMask);
    }

    [Fact]
    public void EveryFeatureCanBeTakenAwayAndGoesFromCpuidAndFromTheInstructionsWithAllThatNeedsIt()
    {
        var whole = Make("host");
        foreach (var feature in FeatureTable.All)
        {
            Assert.True(Has(whole, feature.Name), feature.Name);
            var model = Make($"host,-{feature.Name}");
            Assert.False(feature.IsIn(model.Table.GetValueOrDefault((feature.Leaf, feature.Subleaf))), feature.Name);
            Assert.Equal(Extensions.None, model.InstructionSet.Offered & feature.Extension);
            Assert.All(FeatureTable.All.Where(other => other.Needs.Contains(feature.Name)), other => Assert.False(Has(model, other.Name), $"{other.Name} without {feature.Name}"));
            Assert.Equal(Make($"host,-{feature.Name}").Table, model.Table);
        }
    }

    [Fact]
    public void EachExtensionOfTheDecoderIsAFeatureAndNeedsStandBeforeWhatNeedsThem()
    {
        var known = FeatureTable.All.Aggregate(Extensions.None, (all, feature) => all | feature.Extension);
        Assert.Equal(Enum.GetValues<Extensions>().Where(one => one is not (Extensions.All or Extensions.NoModel)).Aggregate(Extensions.None, (all, one) => all | one), known);
        for (var i = 0; i < FeatureTable.All.Count; i++)
            Assert.All(FeatureTable.All[i].Needs, need => Assert.Contains(FeatureTable.All.Take(i), feature => feature.Name == need));
    }

    [Theory]
    [InlineData("x86-64-v2", false)]
    [InlineData("x86-64-v3", true)]
    [InlineData("x86-64-v3,+smap,+fsgsbase", true)]
    public void ALevelIsTheSameOnHostsThatHaveMore(string text, bool hasXsave)
    {
        var rich = Make(text);
        var lower = Make(text, SampleHosts.WithComponents(7));

        Assert.Equal(rich.InstructionSet, lower.InstructionSet);
        Assert.Equal((rich.XcrMask, rich.Cr4Mask, rich.EferMask), (lower.XcrMask, lower.Cr4Mask, lower.EferMask));
        Assert.Equal(rich.Features, lower.Features);
        Assert.Equal(hasXsave, rich.XcrMask != 0);
    }

    [Theory]
    [InlineData("x86-64-v3", "movbe, abm, bmi1, bmi2, xsave, avx, f16c, fma, avx2")]
    [InlineData("host,+avx", "xsave, avx")]
    [InlineData("x86-64-v2,+sha_ni", "sha_ni")]
    public void WhatTheHostLacksIsNamedInASentence(string text, string missing)
    {
        var refused = Assert.Throws<HostException>(() => Make(text, SampleHosts.OldIntel()));

        Assert.Equal($"this host cannot give the CPU model '{text}': it lacks {missing}; use host or x86-64-v2, which it can", refused.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("pentium")]
    [InlineData("x86-64-v5")]
    [InlineData("-avx")]
    [InlineData("host,avx")]
    [InlineData("host,-")]
    [InlineData("host,")]
    [InlineData("host,-sse2")]
    [InlineData("host -avx")]
    public void WhatIsNoModelIsRefusedWithASentence(string text)
    {
        Assert.Contains("CPU", Assert.Throws<FormatException>(() => CpuSelection.Parse(text)).Message, StringComparison.Ordinal);
        Assert.NotNull(CpuModels.WhyNot(text));
    }

    [Fact]
    public void TranslationsForAnotherModelAreNotTakenFromAnArchive()
    {
        var settings = new TranslatorSettings();

        Assert.Equal(ArchiveKey.Of(settings, Make("x86-64-v3").InstructionSet), ArchiveKey.Of(settings, Make("x86-64-v3").InstructionSet));
        Assert.NotEqual(ArchiveKey.Of(settings, Make("host").InstructionSet), ArchiveKey.Of(settings, Make("host,-bmi1").InstructionSet));
    }

    [Fact]
    public void WithoutMisalignedSseItsBitOfMxcsrIsReserved()
    {
        using var with = new TestMachine(Make("host"));
        using var without = new TestMachine(Make("host,-misalignsse"));

        Assert.Equal(0u, new XsaveImage(XsaveOf(without), without.Processor.Model).MxcsrMask & 1 << 17);
        Assert.Equal(with.Processor.Model.InstructionSet, without.Processor.Model.InstructionSet);

        static byte* XsaveOf(TestMachine machine) => machine.Context->XsaveArea;
    }
}
