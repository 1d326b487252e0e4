// Copies of machines on networks with others: nobody there meets two machines under one address.
using System.Net.Sockets;
using System.Text.Json;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ForkedCardsTests : KeptMachines
{
    // Gives addresses on the switch to who asks, 10.9.0.10 and up.
    private const string Server = "until killall udhcpc 2>/dev/null; do sleep 0.1; done; ip address add 10.9.0.1/24 dev eth0; ip link set eth0 up; printf 'start 10.9.0.10\\nend 10.9.0.99\\ninterface eth0\\npidfile /tmp/pid\\nlease_file /tmp/leases\\nopt subnet 255.255.255.0\\n' >/tmp/conf; touch /tmp/leases; udhcpd /tmp/conf";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Lan => $"switch={Folder.File("lan")}";

    // When it has both; the agent answers before the network does.
    private async Task<(string Mac, string Address)> AddressesAsync(string machine)
    {
        var address = await InAsync(machine, "until ip -4 -o address show dev eth0 | grep -q inet; do sleep 0.1; done; ip -4 -o address show dev eth0 | sed 's|.* inet ||; s|/.*||'");
        return (await InAsync(machine, "cat /sys/class/net/eth0/address"), address);
    }

    private async Task<string> LinkOfAsync(string machine)
    {
        using var inspected = JsonDocument.Parse((await RunAsync("inspect", machine)).Output);
        return inspected.RootElement.GetProperty("parts").GetProperty("devices").GetProperty("network0").GetProperty("device").GetProperty("link is up").GetBoolean() ? "up" : "down";
    }

    [Fact]
    public async Task Copies_of_a_machine_on_a_switch_and_their_copies_have_addresses_of_their_own_there()
    {
        await StartTinyAsync("server", "--net", Lan);
        await InAsync("server", Server);
        await StartTinyAsync("web", "--net", Lan);
        var first = await AddressesAsync("web");

        Expect(0, await RunAsync("fork", "--spare", "0", "--count", "2", "web"));
        Expect(0, await RunAsync("fork", "--spare", "1", "web-1", "grandchild"));
        // One of whom a process waits by now, or not yet.
        Expect(0, await RunAsync("fork", "--spare", "0", "web-1", "another"));
        Expect(0, await RunAsync("suspend", "web-2"));
        Expect(0, await RunAsync("fork", "web-2", "late"));
        Expect(0, await RunAsync("start", "web-2"));

        string[] all = ["web", "web-1", "web-2", "grandchild", "another", "late"];
        var addresses = new Dictionary<string, (string Mac, string Address)>();
        foreach (var machine in all) addresses[machine] = await AddressesAsync(machine);
        Assert.Equal(first, addresses["web"]);
        Assert.Equal(all.Length, addresses.Values.Select(each => each.Mac).Distinct().Count());
        Assert.Equal(all.Length, addresses.Values.Select(each => each.Address).Distinct().Count());
        // Each is met under its own, and keeps it.
        foreach (var machine in all)
        {
            await InAsync("server", $"ping -c 1 -W 60 {addresses[machine].Address} && grep -q '^{addresses[machine].Address} .*{addresses[machine].Mac}' /proc/net/arp");
            if (machine != "web") Assert.Contains($"\"mac\": \"{addresses[machine].Mac}\"", await File.ReadAllTextAsync(Home(machine, "machine.json"), Token), StringComparison.Ordinal);
        }
        Assert.Empty((await ListAsync()).EnumerateArray().SelectMany(machine => machine.TryGetProperty("atNextStart", out var waiting) ? waiting.EnumerateArray() : []));
        Expect(0, await RunAsync("suspend", "another"));
        Expect(0, await RunAsync("start", "another"));
        Assert.Equal(addresses["another"], await AddressesAsync("another"));
    }

    [Fact]
    public async Task A_copy_whose_guest_has_no_agent_has_no_cable_to_a_network_with_others_until_it_is_put_in()
    {
        await StartTinyAsync("web", "--net", Lan);
        // With it goes whoever would say how this ends.
        _ = await RunAsync("exec", "--wait", "2m", "web", "--", "sh", "-c", "(while killall lamina-agent; do sleep 0.1; done; echo it is gone >/dev/console) >/dev/null 2>&1 </dev/null &");
        await PrintedAsync("web", "it is gone");

        var forked = await RunAsync("fork", "--spare", "0", "web", "copy");

        Assert.Equal((0, "copy\n"), (forked.ExitCode, forked.Output));
        Assert.StartsWith("lamina: copy has no network: its guest has no agent", forked.Errors, StringComparison.Ordinal);
        Assert.Equal(("up", "down"), (await LinkOfAsync("web"), await LinkOfAsync("copy")));
        var waiting = (await ListAsync()).EnumerateArray().Single(machine => machine.GetProperty("name").GetString() == "copy").GetProperty("atNextStart");
        Assert.Contains("network0", waiting.ToString(), StringComparison.Ordinal);
        Expect(0, await RunAsync("set", "copy", "--device", "network0,plugged=on"));
        Assert.Equal("up", await LinkOfAsync("copy"));
    }

    [Fact]
    public async Task What_takes_one_machine_alone_is_one_sentence()
    {
        await CreateAsync("web", Guest.Halts, "--net", "tap=lamina-none");
        Expect(2, await RunAsync("fork", "web"), "lamina: the machine web has a network card at the host's interface lamina-none, which takes one machine; leave its name out*");
        using (var passt = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            passt.Bind(new UnixDomainSocketEndPoint(Folder.File("passt")));
            passt.Listen();
            await CreateAsync("other", Guest.Halts, "--net", $"socket={Folder.File("passt")}");
        }
        Expect(2, await RunAsync("fork", "other"), "lamina: the machine other has a network card at the program at */passt, which may take one machine;*");
    }
}
