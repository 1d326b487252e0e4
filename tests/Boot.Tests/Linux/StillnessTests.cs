// A machine that is paused stands still: of all that goes on in a guest and at its host's ends, nothing touches its memory, its disks
// or its shared folders between a pause and its end, and nothing is lost by it.
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Disk;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class StillnessTests : IDisposable
{
    private const ulong MiB = 1 << 20;
    private const int EchoPort = 7;

    // What the guest does all the time: rounds of writing, flushing and reading again on two disks and in a shared folder.
    private const string Load = GuestLoad.Disk + "\n" + GuestLoad.Share + "\n" + """
        disk /dev/vda & disk /dev/vdb & share &
        wait
        touch done
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-still-").FullName;
    private readonly List<EchoFlow> _echoes = [];

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    public void Dispose()
    {
        foreach (var echo in _echoes) echo.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task Nothing_is_touched_while_a_busy_machine_is_paused_and_nothing_is_lost(string configuration)
    {
        var pauses = AllTests.AreAsked ? 1000 : TestEngine.Only is null ? 25 : 5;
        var random = new Random(pauses);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var sockets = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        sockets.Bind(new UnixDomainSocketEndPoint(In("vsock_77")));
        sockets.Listen();
        await using var guest = await BootAsync(GuestConfiguration.Of(configuration), ((IPEndPoint)listener.LocalEndpoint).Port);
        var machine = guest.Machine;
        await StartAsync(guest, listener, sockets);
        var console = new ConsoleFlow("console", machine.Console);
        Flow[] flows = [.. _echoes, console];
        var memory = new MemoryImage(machine.Memory);

        for (var pause = 1; pause <= pauses; pause++)
        {
            // Any moment: when some flow or other has come further by some bytes.
            var flow = _echoes[random.Next(_echoes.Count)];
            await flow.ReachAsync(flow.Position + random.Next(1, 20_000));
            machine.Balloon.Target = (ulong)random.Next(3) * 8 * MiB;
            await machine.PauseAsync(TestContext.Current.CancellationToken);
            memory.Keep();
            var files = Files();

            foreach (var poked in flows) await poked.PokeAsync();
            using var late = await ConnectAsync(machine);
            machine.Balloon.Target = (ulong)random.Next(3) * 8 * MiB;
            machine.Balloon.RequestStatistics();

            memory.AssertIsKept($"pause {pause}");
            Assert.Equal(files, Files());
            memory.AssertIsKept($"pause {pause}, later");
            Assert.Equal(MachineState.Paused, machine.State);
            await machine.ResumeAsync(TestContext.Current.CancellationToken);

            await Task.WhenAll(flows.Select(f => f.CatchUpAsync()));
            LongRun.Tell(pause, pauses, "pauses");
            if (pause % 8 != 0) continue;
            using var answered = new EchoFlow($"the connection made in pause {pause}", late.GetStream());
            await answered.FinishAsync();
        }

        await Task.WhenAll([.. _echoes.Select(echo => echo.FinishAsync()), console.FinishAsync()]);
        await guest.DoAsync("touch /tmp/stop; until [ -e /tmp/done ]; do sleep 0.1; done");
        Assert.Equal(1, (await guest.AskAsync("cat /tmp/bad")).ExitCode);
        var rounds = await guest.DoAsync("cat /tmp/rounds");
        Assert.Equal(3, rounds.Count(c => c == '\n'));
        Assert.DoesNotContain(" 0\n", rounds, StringComparison.Ordinal);
        Assert.Equal((await guest.DoAsync("sha256sum </tmp/data"))[..64], GuestLoad.Sum(In("rw/last")));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
        TestContext.Current.SendDiagnosticMessage("{0}: {1} pauses; {2}; {3}", configuration, pauses, string.Join(", ", flows.Select(f => $"{f.Name} {f.Position}")), rounds.ReplaceLineEndings(", "));
    }

    private string In(string name) => Path.Combine(_folder, name);

    private async Task<LinuxGuest> BootAsync(GuestConfiguration configuration, int hostPort)
    {
        HostProgram.TryCopy("socat", In("bin"));
        Directory.CreateDirectory(In("bin"));
        File.WriteAllText(In("bin/load"), Load);
        GuestLoad.CreateShared(In("rw"));
        DiskDevice[] disks = [GuestLoad.Create(In("a.raw"), DiskFormat.Raw) with { Direct = true }, GuestLoad.Create(In("b.qcow2"), DiskFormat.Qcow2)];
        try
        {
            return await LinuxGuest.BootAsync(configuration, spec => Change(spec, disks));
        }
        catch (MachineException refused) when (refused.Message.Contains("direct input and output", StringComparison.Ordinal))
        {
            disks[0] = disks[0] with { Direct = false };
            return await LinuxGuest.BootAsync(configuration, spec => Change(spec, disks));
        }

        MachineDefinition Change(MachineDefinition machine, DiskDevice[] disks) => (machine with { MemoryBytes = 128 * MiB }).Without<NetworkDevice>().With(
            [
                .. disks,
                new BalloonDevice(),
                new VsockDevice { Cid = 5, Path = In("vsock") },
                new ShareDevice { Path = In("bin"), Tag = "bin", ReadOnly = true },
                new ShareDevice { Path = In("rw"), Tag = "rw" },
                new NetworkDevice { Link = new NetworkLink.User { HostPorts = [hostPort], Published = [new PublishedPort(new IPEndPoint(IPAddress.Loopback, 0), EchoPort)] } },
            ]);
    }

    // Programs in the guest that send back what they get, at both ends of both kinds of sockets and on the console; and the load.
    private async Task StartAsync(LinuxGuest guest, TcpListener listener, Socket sockets)
    {
        await guest.DoAsync("mkdir /mnt/bin /mnt/rw; mount -t virtiofs bin /mnt/bin && mount -t virtiofs rw /mnt/rw && until ip -4 address show dev eth0 | grep -q inet; do sleep 0.1; done");
        await guest.DoAsync("stty -F /dev/hvc0 raw -echo; (while read -r line; do echo \"<$line>\"; done </dev/hvc0 >/dev/hvc0 2>&1 &)");
        await guest.DoAsync($"(nc -ll -p {EchoPort} -e cat </dev/null >/dev/null 2>&1 &); until netstat -tln | grep -q ':{EchoPort} '; do sleep 0.1; done");
        await guest.DoAsync($"(nc 10.0.2.2 {((IPEndPoint)listener.LocalEndpoint).Port} -e cat </dev/null >/dev/null 2>&1 &)");
        await guest.DoAsync("(sh /mnt/bin/load </dev/null >/dev/null 2>&1 &)");
        _echoes.Add(new EchoFlow("network, the guest's connection", (await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken)).GetStream()));
        _echoes.Add(new EchoFlow("network, the host's connection", (await ConnectAsync(guest.Machine)).GetStream()));
        // Without socat the guest has no program for these sockets.
        if (!HostProgram.IsInstalled("socat")) return;
        var socat = HostProgram.At("/mnt/bin", "socat");
        await guest.DoAsync($"({socat} VSOCK-LISTEN:52,fork EXEC:cat </dev/null >/dev/null 2>&1 &); ({socat} VSOCK-CONNECT:2:77 EXEC:cat </dev/null >/dev/null 2>&1 &)");
        _echoes.Add(new EchoFlow("vsock, the guest's connection", new NetworkStream(await sockets.AcceptAsync(TestContext.Current.CancellationToken), ownsSocket: true)));
        _echoes.Add(new EchoFlow("vsock, the host's connection", new NetworkStream(await VsockClient.ConnectAsync(In("vsock"), 52), ownsSocket: true)));
    }

    private static async Task<TcpClient> ConnectAsync(Machine machine)
    {
        var client = new TcpClient();
        await client.ConnectAsync(machine.Published.Single().Host, TestContext.Current.CancellationToken);
        return client;
    }

    // What the guest can write to on the host, by name.
    private string[] Files() => [.. Directory.GetFiles(In("rw")).Append(In("a.raw")).Append(In("b.qcow2")).Order().Select(file => $"{Path.GetFileName(file)} {GuestLoad.Sum(file)}")];
}
