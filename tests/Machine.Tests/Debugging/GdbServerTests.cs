// The debugger's server, spoken to in GDB's own packets. The guest is a script whose RIP counts its steps.
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Lamina.Core.Engine;
using Lamina.Debugging;
using Lamina.Tests.Machines.Life;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Debugging;

public sealed class GdbServerTests : IDisposable
{
    private const ulong Entry = 0x100_0200;

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_guest_waits_for_the_debugger_at_its_entry()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        Assert.Equal("T05thread:1;", await session.Gdb.AskAsync("?"));
        Assert.Equal(Entry, await session.RipAsync());
        Assert.Equal(0, session.Vcpu.Steps);
    }

    [Fact]
    public async Task The_port_is_free_as_soon_as_the_machine_is_gone()
    {
        for (var i = 0; i < 10; i++)
        {
            var machine = Create(Spec(_folder) with { GdbPort = 0 }, Forever);
            var port = machine.GdbPort!.Value;

            await machine.DisposeAsync();

            using var next = new TcpListener(IPAddress.Loopback, port);
            next.Start();
        }
    }

    [Fact]
    public async Task A_step_executes_one_instruction()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        Assert.Equal("T05thread:1;", await session.Gdb.AskAsync("s"));
        Assert.Equal("T05thread:1;", await session.Gdb.AskAsync("vCont;s:1;c"));

        Assert.Equal(Entry + 2, await session.RipAsync());
    }

    [Fact]
    public async Task The_guest_s_time_stands_still_while_it_is_stopped_and_while_it_steps()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        await session.Gdb.AskAsync("?");
        var before = session.Vcpu.Machine.Clock.NowNanoseconds;

        await session.Gdb.AskAsync("s");
        await session.Gdb.AskAsync("vCont;s:1;c");

        Assert.Equal(before, session.Vcpu.Machine.Clock.NowNanoseconds);
        await session.Gdb.SendAsync("c");
        await session.Gdb.SendRawAsync("\x03");
        await session.Gdb.AnswerAsync();
        Assert.True(session.Vcpu.Machine.Clock.NowNanoseconds > before);
    }

    [Fact]
    public async Task A_breakpoint_stops_before_its_instruction_and_the_guest_goes_on_from_it()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        Assert.Equal("OK", await session.Gdb.AskAsync($"Z0,{Entry + 5:x},1"));
        Assert.Equal("OK", await session.Gdb.AskAsync($"Z1,{Entry + 9:x},1"));

        Assert.Equal("T05thread:1;", await session.Gdb.AskAsync("c"));
        Assert.Equal(Entry + 5, await session.RipAsync());
        Assert.Equal("T05thread:1;", await session.Gdb.AskAsync("vCont;c"));

        Assert.Equal(Entry + 9, await session.RipAsync());
    }

    [Theory]
    [InlineData(2, "watch")]
    [InlineData(3, "rwatch")]
    [InlineData(4, "awatch")]
    public async Task A_watchpoint_stops_and_says_which_it_is_until_it_is_removed(int type, string reason)
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        Assert.Equal("OK", await session.Gdb.AskAsync($"Z{type},{Entry + 0x10:x},1"));
        Assert.Equal("OK", await session.Gdb.AskAsync($"Z1,{Entry + 0x20:x},1"));

        Assert.Equal($"T05{reason}:{Entry + 0x10:x};thread:1;", await session.Gdb.AskAsync("c"));
        Assert.Equal(Entry + 0x10, await session.RipAsync());
        await session.Gdb.AskAsync("s");
        Assert.Equal("OK", await session.Gdb.AskAsync($"z{type},{Entry + 0x10:x},1"));
        Assert.Equal("T05thread:1;", await session.Gdb.AskAsync("c"));

        Assert.Equal(Entry + 0x20, await session.RipAsync());
        Assert.Empty(session.Vcpu.Watchpoints);
    }

    [Fact]
    public async Task Watchpoints_share_four_debug_registers_in_aligned_pieces()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        Assert.Equal("OK", await session.Gdb.AskAsync("Z2,300001,7")); // 1 + 2 + 4 bytes
        Assert.Equal("E01", await session.Gdb.AskAsync("Z4,300011,2")); // two of the one that is left
        Assert.Equal("OK", await session.Gdb.AskAsync("Z4,300020,8"));
        Assert.Equal("OK", await session.Gdb.AskAsync("Z4,300020,8")); // it is there
        await session.Gdb.AskAsync("s");

        Assert.Equal(
            [new(0x300001, 1, WatchKind.Write), new(0x300002, 2, WatchKind.Write), new(0x300004, 4, WatchKind.Write), new Watchpoint(0x300020, 8, WatchKind.Access)],
            session.Vcpu.Watchpoints);
    }

    [Fact]
    public async Task A_breakpoint_that_was_removed_is_passed()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        await session.Gdb.AskAsync($"Z0,{Entry + 5:x},1");
        await session.Gdb.AskAsync($"z0,{Entry + 5:x},1");
        await session.Gdb.AskAsync($"Z0,{Entry + 7:x},1");

        await session.Gdb.AskAsync("c");

        Assert.Equal(Entry + 7, await session.RipAsync());
    }

    [Fact]
    public async Task Control_C_stops_a_guest_that_runs_and_one_that_halts()
    {
        foreach (var script in (Func<FakeVcpu, IEnumerable<FakeStep>>[])[Forever, _ => [FakeStep.Halt]])
        {
            await using var session = await GdbGuest.StartAsync(_folder, script);
            await session.Gdb.SendAsync("c");

            await session.Gdb.SendRawAsync("\x03");

            Assert.Equal("T02thread:1;", await session.Gdb.AnswerAsync());
            Assert.NotEqual("E01", await session.Gdb.AskAsync("g"));
        }
    }

    [Fact]
    public async Task Registers_are_read_and_written_one_by_one_and_all_together()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        Assert.Equal("OK", await session.Gdb.AskAsync("P0=efcdab8967452301"));
        Assert.Equal("efcdab8967452301", await session.Gdb.AskAsync("p0"));
        var all = await session.Gdb.AskAsync("g");
        Assert.StartsWith("efcdab8967452301", all, StringComparison.Ordinal);
        Assert.Equal("OK", await session.Gdb.AskAsync("G" + new string('1', 16) + all[16..]));
        Assert.Equal("1111111111111111", await session.Gdb.AskAsync("p0"));
        Assert.Equal("E01", await session.Gdb.AskAsync("p999"));
        Assert.Equal("E01", await session.Gdb.AskAsync("P0=12"));
    }

    [Fact]
    public async Task The_target_description_and_the_registers_packet_have_the_same_length()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        var description = "";
        for (var part = "m"; part[0] == 'm'; description += part[1..]) part = await session.Gdb.AskAsync($"qXfer:features:read:target.xml:{description.Length:x},100");

        var xml = System.Xml.Linq.XDocument.Parse(description.Replace("<!DOCTYPE target SYSTEM \"gdb-target.dtd\">", "", StringComparison.Ordinal));

        var registers = xml.Descendants("reg").ToArray();
        Assert.Equal(registers.Sum(r => int.Parse(r.Attribute("bitsize")!.Value, System.Globalization.CultureInfo.InvariantCulture) / 4), (await session.Gdb.AskAsync("g")).Length);
        Assert.Equal("rip", registers[16].Attribute("name")!.Value);
        Assert.Contains(registers, r => r.Attribute("name")!.Value == "cr3");
        Assert.Equal("i386:x86-64", xml.Descendants("architecture").Single().Value);
    }

    [Theory]
    [InlineData(GdbPackets.MaximumLength, '+')]
    [InlineData(GdbPackets.MaximumLength + 1, '-')]
    [InlineData(10_000_000, '-')]
    public async Task A_packet_that_is_longer_than_was_said_is_refused_and_the_next_is_answered(int length, char reply)
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        var packet = new string('a', length);

        await session.Gdb.SendRawAsync($"${packet}#{packet.Sum(letter => letter) & 0xFF:x2}");

        Assert.Equal(reply, await session.Gdb.ReadByteAsync());
        // No command begins with that.
        if (reply == '+') Assert.Equal("", await session.Gdb.AnswerAsync());
        Assert.StartsWith("PacketSize=4000;", await session.Gdb.AskAsync("qSupported"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_packet_that_has_no_end_takes_no_memory_beyond_its_bound()
    {
        var packets = new GdbPackets();
        packets.Take((byte)'$');
        for (var i = 0; i < 1 << 20; i++) packets.Take((byte)'a');

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10 << 20; i++) packets.Take((byte)'a');

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10_000);
    }

    [Fact]
    public async Task Memory_is_read_and_written_by_both_commands()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        Assert.Equal("OK", await session.Gdb.AskAsync("M300000,4:deadbeef"));
        Assert.Equal("deadbeef00", await session.Gdb.AskAsync("m300000,5"));
        Assert.Equal("OK", await session.Gdb.AskAsync("X300001,2:A}\x03"));
        Assert.Equal("de4123ef", await session.Gdb.AskAsync("m300000,4"));
        Assert.Equal("E01", await session.Gdb.AskAsync("mfffffffffffff000,4"));
        Assert.Equal("E01", await session.Gdb.AskAsync("M300000,4:dead"));
    }

    [Fact]
    public async Task A_read_that_crosses_into_nothing_gives_what_there_is()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        Assert.Equal(32, (await session.Gdb.AskAsync($"m{(64 << 20) - 16:x},100")).Length);
    }

    [Theory]
    [InlineData("qfThreadInfo", "m1")]
    [InlineData("qsThreadInfo", "l")]
    [InlineData("qC", "QC1")]
    [InlineData("T1", "OK")]
    [InlineData("T2", "E01")]
    [InlineData("Hg1", "OK")]
    [InlineData("Hg0", "OK")]
    [InlineData("Hc-1", "OK")]
    [InlineData("Hg7", "E01")]
    [InlineData("qAttached", "1")]
    [InlineData("vCont?", "vCont;c;C;s;S")]
    [InlineData("vMustReplyEmpty", "")]
    [InlineData("Z5,0,1", "")]
    [InlineData("Z2,300000,8", "OK")]
    [InlineData("Z2,300001,7", "OK")]
    [InlineData("Z2,300001,1e", "E01")]
    [InlineData("Z3,300000,20", "OK")]
    [InlineData("Z4,300000,21", "E01")]
    [InlineData("Z4,300000,0", "E01")]
    [InlineData("Z4,ffffffffffffffff,2", "E01")]
    [InlineData("Z2,300000", "")]
    [InlineData("z2,300000,8", "OK")]
    [InlineData("Znonsense", "")]
    [InlineData("m", "E01")]
    [InlineData("vCont;s:9", "E01")]
    [InlineData("qXfer:features:read:other.xml:0,10", "E00")]
    public async Task Each_question_has_its_answer(string question, string answer)
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        Assert.Equal(answer, await session.Gdb.AskAsync(question));
    }

    [Fact]
    public async Task A_damaged_packet_is_asked_for_again()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        await session.Gdb.SendRawAsync("$qC#00");

        Assert.Equal('-', await session.Gdb.ReadByteAsync());
        Assert.Equal("QC1", await session.Gdb.AskAsync("qC"));
    }

    [Fact]
    public async Task Acknowledgements_can_be_given_up()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        await session.Gdb.SendAsync("QStartNoAckMode");

        Assert.Equal("QC1", await session.Gdb.AskAsync("qC"));
    }

    [Fact]
    public async Task Detaching_lets_the_guest_run_without_breakpoints()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Do(_ => { }, _ => { }, PowerOff));
        await session.Gdb.AskAsync($"Z0,{Entry + 1:x},1");

        Assert.Equal("OK", await session.Gdb.AskAsync("D"));

        Assert.Equal(MachineEnd.PoweredOff, (await session.Run).End);
    }

    [Fact]
    public async Task A_debugger_that_vanishes_lets_the_guest_run()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Do(_ => { }, _ => { }, PowerOff));
        await session.Gdb.AskAsync($"Z0,{Entry + 1:x},1");
        await session.Gdb.AskAsync("c");

        session.Gdb.Dispose();

        Assert.Equal(MachineEnd.PoweredOff, (await session.Run).End);
    }

    [Fact]
    public async Task A_second_debugger_finds_the_guest_that_the_first_left()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        await session.Gdb.AskAsync("D");

        using var second = await GdbClient.ConnectAsync(session.Machine.GdbPort!.Value);

        Assert.Equal("T05thread:1;", await second.AskAsync("?"));
        var steps = session.Vcpu.Steps;
        Assert.Equal("T05thread:1;", await second.AskAsync("s"));
        Assert.Equal(steps + 1, session.Vcpu.Steps);
    }

    [Fact]
    public async Task Killing_ends_the_machine()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);

        await session.Gdb.SendAsync("k");

        Assert.Equal(MachineEnd.Stopped, (await session.Run).End);
    }

    [Fact]
    public async Task The_end_of_the_machine_is_told()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Do(PowerOff));

        Assert.Equal("W00", await session.Gdb.AskAsync("c"));

        Assert.Equal(MachineEnd.PoweredOff, (await session.Run).End);
    }

    [Fact]
    public async Task Monitor_reset_starts_the_guest_again_and_keeps_it_stopped()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        await session.Gdb.AskAsync("s");

        Assert.Equal("OK", await session.Gdb.AskAsync("qRcmd," + Convert.ToHexStringLower("reset"u8)));

        Assert.Equal(Entry, await session.RipAsync());
        Assert.Equal(1, session.Machine.Count("machine_resets"));
    }

    [Fact]
    public async Task A_machine_that_waits_for_a_debugger_can_be_stopped_and_disposed()
    {
        var machine = Create(Spec(_folder) with { GdbPort = 0 }, Forever);
        var run = machine.RunAsync(Token);

        await machine.StopAsync(Token);

        Assert.Equal(MachineEnd.Stopped, (await run).End);
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task Bytes_that_are_no_protocol_do_no_harm()
    {
        await using var session = await GdbGuest.StartAsync(_folder, Forever);
        var random = new Random(1);
        for (var i = 0; i < 200; i++)
        {
            var noise = new byte[random.Next(1, 100)];
            random.NextBytes(noise);
            await session.Gdb.SendRawAsync(System.Text.Encoding.Latin1.GetString(noise).Replace('k', 'q').Replace('D', 'q'));
        }
        session.Gdb.Dispose();

        using var second = await GdbClient.ConnectAsync(session.Machine.GdbPort!.Value);

        Assert.Equal("QC1", await second.AskAsync("qC"));
    }

    [Fact]
    public void A_port_that_is_taken_is_refused_in_a_sentence()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;

        Assert.Contains($"{port}", Assert.Throws<MachineException>(() => Create(Spec(_folder) with { GdbPort = port }, Forever)).Message, StringComparison.Ordinal);
    }
}
