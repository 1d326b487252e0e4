// The CPU of a guest that was saved, as the guest itself reads it by CPUID: the same again, although the host's is another one.
using System.Runtime.InteropServices;
using Lamina.Core.Engine;
using Lamina.Host;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class CpuIdentityTests
{
    private const uint Brand = 0x8000_0002, Sizes = 0x8000_0008;

    public static TheoryData<string> Engines => [.. EngineKind.All];

    public static TheoryData<string, string> Moves => new MatrixTheoryData<string, string>(EngineKind.All, EngineKind.All);

    [Theory]
    [MemberData(nameof(Moves))]
    public void A_guest_reads_of_its_cpu_what_it_read_where_it_was_saved(string from, string to)
    {
        // What one engine gives and the other does not is left out as far as it has a name.
        using var first = new SmallMachine(from, cpuModel: from == to ? "host" : "x86-64-v1");
        var saved = Foreign(first.Machine.CpuIdentity);
        var asked = saved.Leaves.Select(leaf => (leaf.Leaf, leaf.Subleaf)).ToArray();
        using var second = new SmallMachine(from, cpu: saved);
        SmallMachine third;
        try
        {
            third = new SmallMachine(to, cpu: second.Machine.CpuIdentity);
        }
        catch (HostException lacks) when (from != to)
        {
            // One engine's CPU is not always the other's; then the first feature that is missing has a name.
            Assert.Matches("this host cannot give the CPU that the machine was saved with: (this host lacks of it: .+|it has [0-9]+ bits of physical address.+)", lacks.Message);
            Assert.Skip($"{to} does not give the CPU of {from} on this host: {lacks.Message}");
            return;
        }
        using (third)
        {
            var all = EngineKind.TellsFeatures(from) && EngineKind.TellsFeatures(to) && third.Machine.CpuWithheld.Count == 0;
            var (own, before, after) = (Read(first, asked), Read(second, asked), Read(third, asked));

            Assert.NotEqual(own, before);
            // What is told of branch speculation is each engine's own matter, and named.
            if (all) Assert.Equal(before, after);
            else Assert.Equal(WithoutFeatures(asked, before), WithoutFeatures(asked, after));
            var one = Array.IndexOf(asked, (1u, 0u));
            Assert.Equal((0x000f_0ff1u, "Some other CPU\0\0"), (after[one].Eax, Text(after[Array.IndexOf(asked, (Brand, 0u))])));
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_machine_says_of_its_cpu_what_its_guest_reads(string engine)
    {
        using var machine = new SmallMachine(engine);
        var identity = machine.Machine.CpuIdentity;
        // What depends on the vCPU and its registers is told otherwise.
        var asked = identity.Leaves.Where(leaf => leaf.Leaf is not (1 or 0xb or 0xd or 0x1f or 0x8000_0001 or 0x8000_001e)).ToArray();

        var read = Read(machine, [.. asked.Select(leaf => (leaf.Leaf, leaf.Subleaf))]);

        var said = asked.Select(leaf => (leaf.Eax, leaf.Ebx, leaf.Ecx, leaf.Edx)).ToArray();
        if (EngineKind.TellsFeatures(engine)) Assert.Equal(said, read);
        else Assert.Equal(WithoutFeatures([.. asked.Select(leaf => (leaf.Leaf, leaf.Subleaf))], said), WithoutFeatures([.. asked.Select(leaf => (leaf.Leaf, leaf.Subleaf))], read));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_cpu_with_a_feature_that_nobody_has_is_refused_by_its_name(string engine)
    {
        CpuIdentity own;
        using (var machine = new SmallMachine(engine)) own = machine.Machine.CpuIdentity;

        var refused = Assert.Throws<HostException>(() => new SmallMachine(engine, cpu: Change(own, 7, 0, leaf => leaf with { Ecx = leaf.Ecx | 1u << 16 })).Dispose());

        Assert.Equal("this host cannot give the CPU that the machine was saved with: this host lacks of it: bit 16 of ECX of the CPUID leaf 0x7", refused.Message);
    }

    // The same features, another processor: family, model and stepping, name, caches, a crystal.
    private static CpuIdentity Foreign(CpuIdentity own)
    {
        var name = MemoryMarshal.Cast<byte, uint>("Some other CPU\0\0"u8);
        var (eax, ebx, ecx, edx) = (name[0], name[1], name[2], name[3]);
        own = Change(own, 1, 0, leaf => leaf with { Eax = 0x000f_0ff1 });
        own = Change(own, Brand, 0, leaf => new CpuLeaf(Brand, 0, eax, ebx, ecx, edx));
        own = Change(own, 0x8000_0006, 0, leaf => leaf with { Ecx = 0x0123_4040 });
        return Change(own, 4, 0, leaf => leaf with { Ecx = 0x7f });
    }

    private static CpuIdentity Change(CpuIdentity identity, uint leaf, uint subleaf, Func<CpuLeaf, CpuLeaf> change) =>
        identity with { Leaves = [.. identity.Leaves.Select(one => (one.Leaf, one.Subleaf) == (leaf, subleaf) ? change(one) : one)] };

    private static (uint Eax, uint Ebx, uint Ecx, uint Edx)[] WithoutFeatures((uint Leaf, uint Subleaf)[] asked, (uint Eax, uint Ebx, uint Ecx, uint Edx)[] answers) =>
        [.. asked.Zip(answers, (leaf, answer) => leaf.Leaf switch
        {
            1 => (answer.Eax, answer.Ebx, 0u, 0u),
            7 or 0x8000_0021 => default,
            0x8000_0001 => (answer.Eax, answer.Ebx, 0u, 0u),
            Sizes => (answer.Eax, 0u, answer.Ecx, answer.Edx),
            _ => answer,
        })];

    private static string Text((uint Eax, uint Ebx, uint Ecx, uint Edx) registers) =>
        System.Text.Encoding.ASCII.GetString(MemoryMarshal.AsBytes([registers.Eax, registers.Ebx, registers.Ecx, registers.Edx]));

    private static (uint Eax, uint Ebx, uint Ecx, uint Edx)[] Read(SmallMachine machine, (uint Leaf, uint Subleaf)[] asked)
    {
        var read = new (uint, uint, uint, uint)[asked.Length];
        for (var n = 0; n < asked.Length; n++)
        {
            var (leaf, subleaf) = asked[n];
            var end = new GuestProgram(GuestMode.Long, c =>
            {
                c.mov(eax, leaf);
                c.mov(ecx, subleaf);
                c.cpuid();
                c.mov(esi, eax);
            }, (_, _) => { }).Run(machine);
            read[n] = ((uint)end.Gpr[6], (uint)end.Gpr[3], (uint)end.Gpr[1], (uint)end.Gpr[2]);
        }
        return read;
    }
}
