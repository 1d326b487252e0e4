// Which registers a debugger is told of, and that its packets are about just those.
using System.Globalization;
using System.Xml.Linq;
using Lamina.Core.Engine;
using Lamina.Debugging;
using Lamina.Tests.Machines.Life;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Debugging;

public sealed class GdbArchitectureTests : IDisposable
{
    // IA32_EFER.LMA; L and D of a code segment.
    private const ulong LongModeActive = 1 << 10;
    private const uint Long = 1 << 13, Default32 = 1 << 14;

    private readonly KernelFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(GdbArchitecture.X64, "i386:x86-64", "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags cs ss ds es fs gs st0")]
    [InlineData(GdbArchitecture.I386, "i386", "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs st0")]
    [InlineData(GdbArchitecture.I8086, "i8086", "eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs st0")]
    public async Task The_description_is_of_the_registers_that_were_asked_for(GdbArchitecture architecture, string name, string first)
    {
        await using var guest = await GdbGuest.StartAsync(_folder, Forever, architecture);

        var description = await DescriptionAsync(guest.Gdb);

        var names = description.Descendants("reg").Select(register => register.Attribute("name")!.Value).ToArray();
        var bits = description.Descendants("reg").Sum(register => int.Parse(register.Attribute("bitsize")!.Value, CultureInfo.InvariantCulture));
        Assert.Equal(name, description.Descendants("architecture").Single().Value);
        Assert.Equal(first.Split(' '), names[..first.Split(' ').Length]);
        Assert.Equal(names.Length, names.Distinct().Count());
        Assert.Equal(architecture == GdbArchitecture.X64, names.Contains("xmm8"));
        Assert.Equal(bits / 4, (await guest.Gdb.AskAsync("g")).Length);
    }

    [Fact]
    public async Task Registers_of_32_bits_are_read_and_written_one_by_one_and_all_together()
    {
        await using var guest = await GdbGuest.StartAsync(_folder, Forever, GdbArchitecture.I386);
        Assert.Equal("T05thread:1;", await guest.Gdb.AskAsync("?"));
        var state = new VcpuState();
        guest.Vcpu.GetState(state);
        (state.Gpr[GprIndex.Rcx], state.Gpr[GprIndex.Rdi]) = (0x1111_1111_2222_2222, 0x7777_7777);
        guest.Vcpu.SetState(state);

        Assert.Equal("22222222", await guest.Gdb.AskAsync("p1"));
        Assert.Equal("77777777", await guest.Gdb.AskAsync("p7"));
        Assert.Equal(state.Rip.ToString("x8", CultureInfo.InvariantCulture), Reversed(await guest.Gdb.AskAsync("p8")));
        Assert.Equal("OK", await guest.Gdb.AskAsync("P1=78563412"));
        Assert.Equal("E01", await guest.Gdb.AskAsync("P1=7856341200000000"));
        var all = await guest.Gdb.AskAsync("g");
        Assert.StartsWith("78563412", all[8..], StringComparison.Ordinal);
        Assert.Equal("OK", await guest.Gdb.AskAsync("G44332211" + all[8..]));

        guest.Vcpu.GetState(state);
        // What a debugger does not see it does not change.
        Assert.Equal((0x1122_3344ul, 0x1111_1111_1234_5678ul, 0x7777_7777ul), (state.Gpr[GprIndex.Rax], state.Gpr[GprIndex.Rcx], state.Gpr[GprIndex.Rdi]));
    }

    [Fact]
    public async Task Each_debugger_is_told_of_the_mode_that_it_finds()
    {
        await using var guest = await GdbGuest.StartAsync(_folder, Forever, GdbArchitecture.Auto);
        Assert.Equal("i386:x86-64", (await DescriptionAsync(guest.Gdb)).Descendants("architecture").Single().Value);
        var state = new VcpuState();
        guest.Vcpu.GetState(state);
        state.Segments[SegmentIndex.Cs].Attributes = Default32;
        guest.Vcpu.SetState(state);

        Assert.Equal("i386:x86-64", (await DescriptionAsync(guest.Gdb)).Descendants("architecture").Single().Value);
        Assert.Equal("OK", await guest.Gdb.AskAsync("D"));
        using var second = await GdbClient.ConnectAsync(guest.Machine.GdbPort!.Value);

        Assert.Equal("i386", (await DescriptionAsync(second)).Descendants("architecture").Single().Value);
    }

    [Theory]
    [InlineData(LongModeActive, Long, "i386:x86-64")]
    [InlineData(LongModeActive, Default32, "i386")]
    [InlineData(LongModeActive, 0, "i8086")]
    [InlineData(0, Default32, "i386")]
    [InlineData(0, Long, "i8086")]
    [InlineData(0, 0, "i8086")]
    public void The_mode_is_that_of_the_code_segment(ulong efer, uint attributes, string name)
    {
        var state = new VcpuState { Efer = efer };
        state.Segments[SegmentIndex.Cs].Attributes = attributes;

        Assert.Contains($"<architecture>{name}</architecture>", GdbRegisterSet.For(state, GdbArchitecture.Auto).Describe(), StringComparison.Ordinal);
    }

    private static async Task<XDocument> DescriptionAsync(GdbClient gdb)
    {
        var description = "";
        for (var part = "m"; part[0] == 'm'; description += part[1..]) part = await gdb.AskAsync($"qXfer:features:read:target.xml:{description.Length:x},1000");
        return XDocument.Parse(description.Replace("<!DOCTYPE target SYSTEM \"gdb-target.dtd\">", "", StringComparison.Ordinal));
    }

    private static string Reversed(string bytes) => Convert.ToHexStringLower([.. Convert.FromHexString(bytes).Reverse()]);
}
