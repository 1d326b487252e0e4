// The CPU of a saved guest on another host: the same in every leaf that the guest can read, or refused by the name of what is missing.
using Lamina.Core.Engine;
using Lamina.Core.State;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed class SavedCpuTests
{
    private static readonly CpuModelOptions s_options = new() { TscHz = 2_596_100_000, VcpuCount = 3, HostUnaffected = _ => true };

    public static TheoryData<string, bool> Hosts => new MatrixTheoryData<string, bool>(["host", "amd", "intel", "old"], [false, true]);

    private static HostCpuid Host(string name) =>
        name switch { "amd" => SampleHosts.Amd(), "intel" => SampleHosts.Intel(), "old" => SampleHosts.OldIntel(), _ => HostCpuid.Read() };

    private static CpuModel Make(HostCpuid host, CpuIdentity? saved = null, bool natively = false, string model = "host") =>
        CpuModel.Create(host, s_options with { Saved = saved, RunsNatively = natively, NativeArchCapabilities = natively ? 0x2bul : 0, Selection = CpuSelection.Parse(model) });

    private static CpuIdentity Change(CpuIdentity identity, uint leaf, uint subleaf, Func<CpuLeaf, CpuLeaf> change) =>
        identity with { Leaves = [.. identity.Leaves.Select(one => (one.Leaf, one.Subleaf) == (leaf, subleaf) ? change(one) : one)] };

    private static string Refused(HostCpuid host, CpuIdentity saved, bool natively = false)
    {
        const string begin = "this host cannot give the CPU that the machine was saved with: ";
        var message = Assert.Throws<HostException>(() => Make(host, saved, natively)).Message;
        Assert.StartsWith(begin, message, StringComparison.Ordinal);
        return message[begin.Length..];
    }

    // Every leaf and subleaf that has an answer, and some that have none, in each state of the vCPU that an answer depends on.
    private static IEnumerable<CpuidResult> All(CpuModel model)
    {
        foreach (var start in (uint[])[0, 0x4000_0000, 0x8000_0000])
            for (var leaf = start; leaf < start + 0x28; leaf++)
                for (var subleaf = 0u; subleaf < 20; subleaf++)
                {
                    yield return model.Query(leaf, subleaf, 2, Cr4.OSXSAVE, model.XcrMask | 1, apicEnabled: true);
                    yield return model.Query(leaf, subleaf, 1, 0, 1, apicEnabled: false);
                }
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void A_guest_that_is_restored_where_it_was_saved_sees_the_same_cpu(string name, bool natively)
    {
        foreach (var words in (string[])["host", "host,-avx", "x86-64-v1"])
        {
            var before = Make(Host(name), natively: natively, model: words);
            var after = Make(Host(name), before.Identity, natively);

            Assert.Equal(All(before), All(after));
            Assert.Equal((before.ArchCapabilities, before.XcrMask, before.Cr4Mask, before.EferMask, before.PhysicalAddressBits), (after.ArchCapabilities, after.XcrMask, after.Cr4Mask, after.EferMask, after.PhysicalAddressBits));
            Assert.Equal(before.InstructionSet, after.InstructionSet);
            Assert.Empty(after.Withheld);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_guest_of_a_poorer_processor_keeps_it_on_a_richer_one(bool natively)
    {
        var before = Make(SampleHosts.OldIntel(), natively: natively);

        var after = Make(SampleHosts.Intel(), before.Identity, natively);

        Assert.Equal(All(before), All(after));
        Assert.NotEqual(All(Make(SampleHosts.Intel(), natively: natively)), All(after));
    }

    [Fact]
    public void Family_stepping_brand_caches_and_topology_are_those_of_the_other_processor()
    {
        var saved = Make(SampleHosts.Intel()).Identity;
        saved = Change(saved, 1, 0, leaf => leaf with { Eax = 0x000a_0671 });
        saved = Change(saved, 0x8000_0002, 0, leaf => leaf with { Eax = 0x6568_746f, Ebx = 0x72 });
        saved = Change(saved, 4, 1, leaf => leaf with { Ebx = 0x03c0_003f, Ecx = 0x1ff });
        saved = Change(saved, 0x8000_0006, 0, leaf => leaf with { Ecx = 0x0800_7040 });
        saved = Change(saved, 0xb, 1, leaf => leaf with { Eax = 4 });

        var model = Make(SampleHosts.Intel(), saved);

        CpuidResult Query(uint leaf, uint subleaf = 0) => model.Query(leaf, subleaf, 1, 0, 1, true);
        Assert.Equal(0x000a_0671u, Query(1).Eax);
        Assert.Equal((0x6568_746fu, 0x72u), (Query(0x8000_0002).Eax, Query(0x8000_0002).Ebx));
        Assert.Equal((0x03c0_003fu, 0x1ffu), (Query(4, 1).Ebx, Query(4, 1).Ecx));
        Assert.Equal(0x0800_7040u, Query(0x8000_0006).Ecx);
        Assert.Equal((4u, 1u), (Query(0xb, 1).Eax, Query(0xb, 1).Edx));
        Assert.Equal(1u, Query(1).Ebx >> 24);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Features_that_the_host_lacks_are_named(bool natively)
    {
        var saved = Make(SampleHosts.Intel(), natively: natively).Identity;

        var why = Refused(SampleHosts.OldIntel(), saved, natively);

        Assert.StartsWith("this host lacks of it: fma, ", why, StringComparison.Ordinal);
        Assert.Contains("avx512f, ", why, StringComparison.Ordinal);
        Assert.Contains("xsavec", why, StringComparison.Ordinal);
    }

    [Fact]
    public void A_feature_without_a_name_is_told_by_its_place()
    {
        var saved = Change(Make(SampleHosts.Intel()).Identity, 7, 0, leaf => leaf with { Ecx = leaf.Ecx | 1 << 3 });

        Assert.Equal("this host lacks of it: bit 3 of ECX of the CPUID leaf 0x7", Refused(SampleHosts.Intel(), saved));
    }

    [Fact]
    public void Of_features_beyond_number_the_first_are_named_and_the_others_counted()
    {
        var saved = Change(Make(SampleHosts.Intel()).Identity, 7, 1, leaf => leaf with { Eax = uint.MaxValue, Ebx = uint.MaxValue, Ecx = uint.MaxValue, Edx = uint.MaxValue });

        var why = Refused(SampleHosts.Intel(), saved);

        Assert.Matches("^this host lacks of it: ([^,]+, ){48}and [0-9]+ more$", why);
        Assert.InRange(why.Length, 1, 3000);
    }

    [Fact]
    public void A_timer_that_the_kernel_keeps_for_itself_is_named()
    {
        var saved = Make(SampleHosts.Intel()).Identity;

        var refused = Assert.Throws<HostException>(() => CpuModel.Create(SampleHosts.Intel(), s_options with { Saved = saved, TscDeadline = false }));

        Assert.EndsWith("this host lacks of it: tsc_deadline_timer", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_processor_of_another_maker_is_refused()
    {
        Assert.Equal("it follows the manual of AMD, and this host's processor that of Intel", Refused(SampleHosts.Intel(), Make(SampleHosts.Amd()).Identity));
        Assert.Equal("it follows the manual of Intel, and this host's processor that of AMD", Refused(SampleHosts.Amd(), Make(SampleHosts.Intel()).Identity));
    }

    [Fact]
    public void An_xsave_area_that_is_not_laid_out_as_the_hosts_is_refused()
    {
        var saved = Make(SampleHosts.Amd()).Identity;

        Assert.Equal("its XSAVE component 5 has 64 bytes at 832, and this host's 64 at 1088", Refused(SampleHosts.Amd(), Change(saved, 0xd, 5, leaf => leaf with { Ebx = 832 })));
        Assert.Equal("its XSAVE component 7 has 2048 bytes at 1664, and this host's 1024 at 1664", Refused(SampleHosts.Amd(), Change(saved, 0xd, 7, leaf => leaf with { Eax = 2048 })));
        Assert.Equal("its XSAVE area has 4096 bytes, and this host's 2688", Refused(SampleHosts.Amd(), Change(saved, 0xd, 0, leaf => leaf with { Ecx = 4096 })));
        Assert.Equal("it enables the XSAVE components 0x7, and its features take 0xe7", Refused(SampleHosts.Amd(), Change(saved, 0xd, 0, leaf => leaf with { Eax = 7 })));
        Assert.Equal("it has the XSAVE component 9 and does not enable it", Refused(SampleHosts.Amd(), saved with { Leaves = [.. saved.Leaves, new CpuLeaf(0xd, 9, 8, 0xa80, 0, 0)] }));
    }

    [Fact]
    public void More_bits_of_physical_address_than_the_host_has_are_refused_where_its_processor_walks_the_tables()
    {
        var saved = Make(SampleHosts.Intel(), natively: true).Identity;
        Assert.Equal(46, Make(SampleHosts.Intel(), saved, natively: true).PhysicalAddressBits);

        Assert.Equal("it has 46 bits of physical address, and this host has 36", Refused(Narrow(), saved, natively: true));
        Assert.Equal(46, Make(Narrow(), Make(SampleHosts.Intel()).Identity).PhysicalAddressBits);
        Assert.Equal(36, Make(SampleHosts.Intel(), Make(Narrow(), natively: true).Identity, natively: true).PhysicalAddressBits);
        foreach (var bits in (uint[])[0, 35, 47, 255])
            Assert.Equal($"it has {bits} bits of physical address, and this host has 46", Refused(SampleHosts.Intel(), Change(saved, 0x8000_0008, 0, leaf => leaf with { Eax = 48 << 8 | bits })));
        Assert.Equal("it has 57 bits of linear address, and this host has 48", Refused(SampleHosts.Intel(), Change(saved, 0x8000_0008, 0, leaf => leaf with { Eax = 57 << 8 | 46 })));

        static HostCpuid Narrow()
        {
            var host = SampleHosts.Intel();
            var table = Make(host).Identity.Leaves.ToDictionary(leaf => (leaf.Leaf, leaf.Subleaf), leaf => host[leaf.Leaf, leaf.Subleaf]);
            table[(0x8000_0008, 0)] = table[(0x8000_0008, 0)] with { Eax = 0x3024 };
            return new HostCpuid(table);
        }
    }

    [Fact]
    public void What_does_not_hold_here_of_branch_speculation_is_told_no_longer_and_named()
    {
        var translated = Make(SampleHosts.Intel());
        var natively = CpuModel.Create(SampleHosts.Intel().Without([new CpuFeature("", 7, 0, CpuidRegister.Edx, 26)]), s_options with { Saved = translated.Identity, RunsNatively = true, NativeArchCapabilities = 0x21 });

        Assert.NotEqual(0u, translated.Table[(7, 0)].Edx & SpeculationFeatures.SpecCtrl);
        Assert.Equal(translated.Table[(7, 0)].Edx & ~SpeculationFeatures.SpecCtrl, natively.Table[(7, 0)].Edx);
        Assert.Equal(translated.ArchCapabilities & 0x21, natively.ArchCapabilities);
        Assert.Contains("bit 26 of EDX of the CPUID leaf 0x7", natively.Withheld);
        var plain = Make(SampleHosts.Intel().Without([new CpuFeature("", 7, 0, CpuidRegister.Ebx, 13)]), translated.Identity);
        Assert.Equal(translated.Table[(7, 0)].Ebx & ~(1u << 13), plain.Table[(7, 0)].Ebx);
        Assert.Equal(["bit 13 of EBX of the CPUID leaf 0x7"], plain.Withheld);
        Assert.Contains("bit 1 of IA32_ARCH_CAPABILITIES", natively.Withheld);
    }

    [Fact]
    public void Leaves_that_no_guest_was_told_are_refused()
    {
        var saved = Make(SampleHosts.Amd()).Identity;

        Assert.Equal("it has the CPUID leaf 0x14, which is unknown to this program", Refused(SampleHosts.Amd(), saved with { Leaves = [.. saved.Leaves, new CpuLeaf(0x14, 0, 1, 0, 0, 0)] }));
        Assert.Equal("it has no vendor", Refused(SampleHosts.Amd(), saved with { Leaves = [] }));
    }

    // Whatever a file says: a model that this host can be, or a sentence.
    [Fact]
    public void A_table_of_chance_is_refused_or_gives_nothing_that_the_host_lacks()
    {
        var random = new Random(411);
        var (taken, refused) = (0, 0);
        foreach (var host in (HostCpuid[])[SampleHosts.Amd(), SampleHosts.Intel(), SampleHosts.OldIntel()])
        {
            var fresh = Make(host);
            for (var round = 0; round < 2000; round++)
            {
                var leaves = fresh.Identity.Leaves.ToArray();
                for (var changes = random.Next(1, 3); changes > 0; changes--)
                {
                    ref var leaf = ref leaves[random.Next(leaves.Length)];
                    var bit = 1u << random.Next(32);
                    leaf = random.Next(6) switch
                    {
                        0 => leaf with { Eax = leaf.Eax ^ bit },
                        1 => leaf with { Ebx = leaf.Ebx ^ bit },
                        2 => leaf with { Ecx = leaf.Ecx ^ bit },
                        3 => leaf with { Edx = leaf.Edx ^ bit },
                        4 => leaf with { Subleaf = leaf.Subleaf ^ bit },
                        _ => leaf with { Leaf = leaf.Leaf ^ bit },
                    };
                }
                try
                {
                    var model = Make(host, new CpuIdentity(leaves, (ulong)random.NextInt64()));
                    Assert.True(model.Features.IsSubsetOf(fresh.Features));
                    Assert.Equal((0ul, 0ul, 0ul, 0ul), (model.XcrMask & ~fresh.XcrMask, model.Cr4Mask & ~fresh.Cr4Mask, model.EferMask & ~fresh.EferMask, model.ArchCapabilities & ~fresh.ArchCapabilities));
                    Assert.InRange(model.PhysicalAddressBits, 36, 46);
                    Assert.True(model.StandardSize(model.XcrMask) <= fresh.StandardSize(fresh.XcrMask));
                    _ = All(model).Count();
                    taken++;
                }
                catch (HostException)
                {
                    refused++;
                }
            }
        }
        Assert.True(taken > 100 && refused > 100, $"{taken} taken, {refused} refused");
    }

    [Fact]
    public void More_leaves_than_a_processor_has_are_refused()
    {
        var identity = new CpuIdentity([.. Enumerable.Range(0, 513).Select(number => new CpuLeaf((uint)number, 0, 0, 0, 0, 0))], 0);
        var read = new CpuIdentity([], 0);
        var written = SavedFields.Write(2, fields => CpuIdentity.Exchange(fields, ref identity));

        Assert.Throws<StateException>(() => SavedFields.Read(written, 2, fields => CpuIdentity.Exchange(fields, ref read)));
    }

    [Fact]
    public void An_identity_is_the_same_after_it_was_written_down()
    {
        var identity = Make(SampleHosts.Amd()).Identity;
        var read = new CpuIdentity([], 0);

        SavedFields.Read(SavedFields.Write(2, fields => CpuIdentity.Exchange(fields, ref identity)), 2, fields => CpuIdentity.Exchange(fields, ref read));

        Assert.Equal(identity.Leaves, read.Leaves);
        Assert.Equal(identity.ArchCapabilities, read.ArchCapabilities);
    }
}
