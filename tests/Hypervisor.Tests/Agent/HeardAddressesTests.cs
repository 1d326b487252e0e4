// What is kept of what a guest says of its addresses, and how long whoever asks waits for it.
using System.Net;
using System.Text;
using System.Text.Json;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Agent.Qemu;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Serving;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Hypervisor.Agent;

public sealed class HeardAddressesTests
{
    private readonly TurnedTime _time = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Addresses_are_told_by_interface_in_the_order_in_which_they_come()
    {
        var interfaces = GuestInterface.Read("lo 127.0.0.1\neth0 10.0.2.15\nlo ::1\neth0 fe80::1\nEthernet 2 10.0.3.15\n");

        Assert.Equal("""{"lo":["127.0.0.1","::1"],"eth0":["10.0.2.15","fe80::1"],"Ethernet 2":["10.0.3.15"]}""", Json(interfaces));
    }

    [Theory]
    [InlineData("")]
    [InlineData("eth0\n\n 10.0.2.15\neth0 \n10.0.2.15\n")]
    [InlineData("eth0 nowhere\neth0 10.0.2.256\neth0 10.0.2.15\u001b\neth0 %1\n")]
    public void What_is_no_interface_and_address_is_passed_over(string said) => Assert.Empty(GuestInterface.Read(said));

    [Fact]
    public void A_guest_that_lies_has_so_many_addresses_and_names_without_what_terminals_take_for_commands()
    {
        var most = GuestInterface.Read(string.Concat(Enumerable.Range(0, 1000).Select(number => $"e{number} 10.0.{number / 250}.{number % 250}\n")));
        Assert.Equal(GuestInterface.MostAddresses, most.Sum(one => one.Addresses.Count));
        Assert.Empty(GuestInterface.Read(new string('e', GuestInterface.LongestName + 1) + " 10.0.2.15\n"));
        Assert.Equal("""{"e?[2J?":["10.0.2.15"]}""", Json(GuestInterface.Read("e\u001b[2J\u202e 10.0.2.15\ne\u001b[2J\u202e 10.0.2.15\n")));
        // Not of this host's interfaces.
        Assert.Equal("""{"e":["fe80::1"]}""", Json(GuestInterface.Read("e fe80::1%lo\n")));
    }

    [Theory]
    [InlineData("5")]
    [InlineData("[\"10.0.2.15\"]")]
    [InlineData("{\"eth0\":5,\"eth1\":[5,null,\"x\"],\"\":[\"10.0.2.15\"]}")]
    [InlineData("{\"eth0\":[\"\\ud800\"]}")]
    public void A_process_that_its_guest_took_over_says_nothing_by_this(string answer)
    {
        using var document = JsonDocument.Parse(answer);

        Assert.Empty(GuestInterface.Read(document.RootElement));
    }

    [Fact]
    public void What_is_written_is_read()
    {
        using var document = JsonDocument.Parse(Json(GuestInterface.Read("eth0 10.0.2.15\neth0 2001:db8::1\n")));

        Assert.Equal(["10.0.2.15", "2001:db8::1"], Assert.Single(GuestInterface.Read(document.RootElement)).Addresses.Select(address => address.ToString()));
    }

    [Theory]
    [InlineData("10.0.2.15", true)]
    [InlineData("2001:db8::1", true)]
    [InlineData("fd00::1", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.1.2.3", false)]
    [InlineData("::1", false)]
    [InlineData("169.254.1.1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("::", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("ff02::1", false)]
    public void Addresses_of_a_guest_for_itself_and_of_one_line_alone_reach_it_from_nowhere(string address, bool isReachable) => Assert.Equal(isReachable, GuestInterface.IsReachable(IPAddress.Parse(address)));

    [Fact]
    public async Task What_was_said_is_told_again_for_some_seconds_and_then_asked_for()
    {
        var asked = 0;
        var heard = new HeardAddresses(_ => Task.FromResult<IReadOnlyList<GuestInterface>?>(GuestInterface.Read($"eth0 10.0.0.{++asked}\n")), _time);

        Assert.Equal("10.0.0.1", Only(await heard.GetAsync(Cancellation)));
        _time.Advance(HeardAddresses.Fresh - TimeSpan.FromTicks(1));
        Assert.Equal("10.0.0.1", Only(await heard.GetAsync(Cancellation)));
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal("10.0.0.2", Only(await heard.GetAsync(Cancellation)));
        Assert.Equal("10.0.0.2", Only(heard.Last));
    }

    [Fact]
    public async Task An_agent_that_takes_long_is_waited_for_a_moment_and_what_it_says_is_there_for_the_next_who_asks()
    {
        var says = new TaskCompletionSource<IReadOnlyList<GuestInterface>?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var asked = 0;
        var heard = new HeardAddresses(_ => ++asked == 1 ? says.Task : throw new InvalidOperationException("it is asked twice at once"), _time);

        var (first, second) = (heard.GetAsync(Cancellation), heard.GetAsync(Cancellation));
        while (!first.IsCompleted || !second.IsCompleted) await TurnAsync();
        Assert.Null(await first);
        Assert.Null(await second);

        says.SetResult(GuestInterface.Read("eth0 10.0.2.15\n"));
        while (heard.Last is null) await Task.Yield();
        Assert.Equal("10.0.2.15", Only(await heard.GetAsync(Cancellation)));

        async Task TurnAsync()
        {
            // Not so far that the agent's patience is over.
            await _time.ArmedAsync(Cancellation);
            _time.Advance(TimeSpan.FromTicks(HeardAddresses.Moment.Ticks / 50));
            await Task.Yield();
        }
    }

    [Fact]
    public async Task An_agent_that_never_answers_is_given_up_and_its_guest_has_no_addresses_any_more()
    {
        var isGivenUp = new TaskCompletionSource();
        var answers = true;
        var heard = new HeardAddresses(async cancellation =>
        {
            if (answers) return GuestInterface.Read("eth0 10.0.2.15\n");
            await using var registration = cancellation.Register(isGivenUp.SetResult);
            await Task.Delay(Timeout.Infinite, cancellation);
            return null;
        }, _time);
        Assert.NotNull(await heard.GetAsync(Cancellation));

        answers = false;
        _time.Advance(HeardAddresses.Fresh);
        var late = heard.GetAsync(Cancellation);
        while (!isGivenUp.Task.IsCompleted)
        {
            Cancellation.ThrowIfCancellationRequested();
            _time.Advance(TimeSpan.FromMilliseconds(1));
            await Task.Yield();
        }
        await late;
        while (heard.Last is not null)
        {
            Cancellation.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    [Fact]
    public async Task Where_there_is_no_agent_or_it_refuses_there_are_none_and_it_is_not_asked_again_at_once()
    {
        var asked = 0;
        var heard = new HeardAddresses(_ => ++asked == 1 ? throw new AgentException("no") : Task.FromResult<IReadOnlyList<GuestInterface>?>(null), _time);

        Assert.Null(await heard.GetAsync(Cancellation));
        Assert.Null(await heard.GetAsync(Cancellation));
        Assert.Equal(1, asked);
        _time.Advance(HeardAddresses.Fresh);
        Assert.Null(await heard.GetAsync(Cancellation));
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task Either_agents_words_are_understood()
    {
        var (agent, connection) = await FakeAgent.GreetedAsync();
        using var owned = agent;
        await using var ours = connection;
        agent.Say('K', "lo 127.0.0.1\neth0 10.0.2.15\n"u8.ToArray());
        using var foreign = new FakeQemuAgent();
        foreign.Answers = command => command == "guest-network-get-interfaces" ? "{\"return\": [{\"name\": \"eth0\", \"ip-addresses\": [{\"ip-address\": \"10.0.2.15\"}, {\"ip-address\": \"fe80::1\"}]}]}\n" : null;

        Assert.Equal("""{"lo":["127.0.0.1"],"eth0":["10.0.2.15"]}""", Json(GuestInterface.Read(await connection.AddressesAsync(Cancellation))));
        Assert.Equal("""{"eth0":["10.0.2.15","fe80::1"]}""", Json(GuestInterface.Read(await QemuSession.AddressesAsync(foreign.Agent, Cancellation))));
    }

    private static string Only(IReadOnlyList<GuestInterface>? interfaces) => Assert.Single(Assert.Single(interfaces!).Addresses).ToString();

    private static string Json(IReadOnlyList<GuestInterface> interfaces)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) GuestInterface.Write(json, interfaces);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
