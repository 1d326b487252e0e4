// A machine that is paused stands still although what it is linked with goes on: another machine on its switch, the host on its tap
// interface, a program at its console's socket. What they send meanwhile comes in afterwards.
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class StillLinksTests : IDisposable
{
    private const int EchoPort = 7;
    private const string Echo = "nc -ll -p 7 -e cat";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-still-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Nothing_that_another_machine_sends_over_a_switch_is_taken_in_a_pause_or_lost()
    {
        var lan = new NetworkDevice { Link = new NetworkLink.Switch(In("lan")) };
        // The one that is paused came first, and runs the switch for both.
        await using var guest = await BootAsync(lan);
        await using var other = await BootAsync(lan, new NetworkDevice { Link = new NetworkLink.User { Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), EchoPort)] } });
        await guest.DoAsync("ip link set eth0 up; ip address add 192.168.9.1/24 dev eth0");
        await other.DoAsync("ip link set eth0 up; ip address add 192.168.9.2/24 dev eth0; until ip -4 address show dev eth1 | grep -q inet; do sleep 0.1; done");
        await ServeAsync(guest, Echo);
        await ServeAsync(other, "nc -ll -p 7 -e nc 192.168.9.1 7");

        using var client = await ConnectAsync(other.Machine.Published.Single().Host);
        using var flow = new EchoFlow("the switch", client.GetStream());
        await PauseAgainAndAgainAsync(guest, flow);
    }

    [Fact]
    public async Task Nothing_that_the_host_sends_over_a_tap_interface_is_taken_in_a_pause_or_lost()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess && File.Exists("/dev/net/tun"), "a tap interface wants root and /dev/net/tun");
        var name = $"lam{Environment.ProcessId}";
        await using var guest = await BootAsync(new NetworkDevice { Link = new NetworkLink.Tap(name) });
        Ip("address", "add", "198.18.77.1/30", "dev", name);
        Ip("link", "set", name, "up");
        await guest.DoAsync("ip link set eth0 up; ip address add 198.18.77.2/30 dev eth0");
        await ServeAsync(guest, Echo);

        using var client = await ConnectAsync(new IPEndPoint(IPAddress.Parse("198.18.77.2"), EchoPort));
        using var flow = new EchoFlow("the tap interface", client.GetStream());
        await PauseAgainAndAgainAsync(guest, flow);
    }

    [Fact]
    public async Task Nothing_that_a_program_types_at_a_consoles_socket_is_taken_in_a_pause_or_lost()
    {
        await using var guest = await BootAsync(new ConsoleDevice { To = new ConsoleTarget.Unix(In("console")) });
        // Linux forgets how a console is set when nobody has it open.
        await guest.DoAsync("exec 9<>/dev/hvc0; stty raw -echo <&9; (cat <&9 >&9 2>/dev/null &)");

        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(In("console")), Cancellation);
        using var flow = new EchoFlow("the console's socket", new NetworkStream(socket));
        await PauseAgainAndAgainAsync(guest, flow);
    }

    private static async Task PauseAgainAndAgainAsync(LinuxGuest guest, EchoFlow flow)
    {
        var pauses = AllTests.AreAsked ? 1000 : 10;
        var random = new Random(pauses);
        var memory = new MemoryImage(guest.Machine.Memory);
        for (var pause = 1; pause <= pauses; pause++)
        {
            await flow.ReachAsync(flow.Position + random.Next(1, 20_000));
            await guest.Machine.PauseAsync(Cancellation);
            memory.Keep();
            await flow.PokeAsync();
            memory.AssertIsKept($"pause {pause}");
            memory.AssertIsKept($"pause {pause}, later");
            await guest.Machine.ResumeAsync(Cancellation);
            await flow.CatchUpAsync();
            LongRun.Tell(pause, pauses, "pauses");
        }
        await flow.FinishAsync();
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
    }

    private static async Task<LinuxGuest> BootAsync(params DeviceDefinition[] devices)
    {
        var image = await TinyImage.GetAsync();
        return await LinuxGuest.BootAsync(new MachineDefinition
        {
            Engine = TestEngine.Default,
            Irqchip = TestEngine.Irqchip,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
            MemoryBytes = 96 << 20,
            Devices = devices,
        });
    }

    private static Task ServeAsync(LinuxGuest guest, string server) =>
        guest.DoAsync($"({server} </dev/null >/dev/null 2>&1 &); until netstat -tln | grep -q ':{EchoPort} '; do sleep 0.1; done");

    private static async Task<TcpClient> ConnectAsync(IPEndPoint server)
    {
        var client = new TcpClient();
        await client.ConnectAsync(server, Cancellation);
        return client;
    }

    private static void Ip(params string[] words)
    {
        using var ip = Process.Start("ip", words);
        ip.WaitForExit();
        Assert.Equal(0, ip.ExitCode);
    }

    private string In(string name) => Path.Combine(_folder, name);
}
