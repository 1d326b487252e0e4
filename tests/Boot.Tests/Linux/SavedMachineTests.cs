// A machine that is saved under load, whose process is killed there, and that goes on in a new process, over and over: its guest's sums
// stay exact, its kernel complains of nothing, and each connection either goes on or is reset.
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Lamina.Backends.Disk;
using Lamina.Hypervisor.Stored;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class SavedMachineTests : IDisposable
{
    private const ulong MiB = 1 << 20;

    // Rounds on two disks, in a shared folder and of the CPU's arithmetic, each compared with what it must come to; and connections, one
    // after another, to the host's network and sockets. $1 and $2: the disks; the others: commands that send back what they are sent.
    private const string Load = GuestLoad.Disk + "\n" + GuestLoad.Share + "\n" + """
        right=$(sha256sum <data)
        sums() {
          n=0
          until [ -e stop ]; do
            [ "$(cat data | sha256sum)" = "$right" ] || echo "sum, round $n" >>bad
            n=$((n+1))
          done
          echo "sums $n" >>rounds
        }
        calls() {
          n=0
          until [ -e stop ]; do
            $1 </dev/null >/dev/null 2>&1
            n=$((n+1))
          done
          echo "$1: $n" >>rounds
        }
        disk $1 & disk $2 & share & sums &
        shift 2
        for call; do calls "$call" & done
        wait
        touch done
        """;

    // Of GuestLoad's data.
    private const int Pieces = 19;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-saved-").FullName;

    public static TheoryData<string> OneOfEachMachine => GuestConfiguration.OneOfEachMachine;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task A_busy_machine_is_saved_killed_and_goes_on_in_a_new_process_again_and_again(string name)
    {
        var configuration = GuestConfiguration.Of(name);
        var image = await TinyImage.GetAsync();
        var machine = new MachineDefinition
        {
            Type = configuration.Machine,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = 96 * MiB,
            Cpus = configuration.Cpus,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
        };
        await GoOnAsync(name, machine, "/dev/vda /dev/vdb", bash: false);
    }

    [Fact]
    public async Task A_busy_Debian_is_saved_killed_and_goes_on_in_a_new_process_again_and_again()
    {
        AllTests.SkipUnlessAsked("a whole Debian is installed and booted, which takes minutes and a package source");
        var image = await DebianImage.GetAsync();
        using var stored = new MachineStore(In("machines")).Open("saved", DebianImage.Name, () => image);
        var machine = new MachineDefinition
        {
            Engine = TestEngine.Default,
            MemoryBytes = 256 * MiB,
            Boot = new BootSource { KernelPath = stored.KernelPath, InitrdPath = stored.InitrdPath, CommandLine = stored.Definition.Boot.CommandLine },
            Devices = [stored.Disk!],
        };
        await GoOnAsync("debian", machine, "/dev/vdb /dev/vdc", bash: true);
    }

    private async Task GoOnAsync(string name, MachineDefinition machine, string disks, bool bash)
    {
        // The disk behind the two that are kept busy.
        var unflushed = disks[..^1].Split(' ')[^1] + (char)(disks[^1] + 1);
        // Where socat is missing, tiny has a program for TCP itself.
        var socat = HostProgram.TryCopy("socat", In("bin"));
        Assert.SkipUnless(socat || !bash, "socat is not installed on this host");
        Directory.CreateDirectory(In("bin"));
        File.WriteAllText(In("bin/load"), Load);
        GuestLoad.CreateShared(In("rw"));
        var moments = AllTests.AreAsked ? 300 : TestEngine.Only is null ? 8 : 3;
        var random = new Random(moments);
        using var network = new TcpListener(IPAddress.Loopback, 0);
        network.Start();
        using var sockets = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        sockets.Bind(new UnixDomainSocketEndPoint(In("vsock_77")));
        sockets.Listen();
        using var answers = new CancellationTokenSource();
        var (calls, socketCalls) = (new Counter(), new Counter());
        var echoing = Task.WhenAll(EchoAsync(network.Server, calls, answers.Token), EchoAsync(sockets, socketCalls, answers.Token));
        var port = ((IPEndPoint)network.LocalEndpoint).Port;
        var guest = await GuestProcess.BootAsync(machine.With(
            [
                GuestLoad.Create(In("a.raw"), DiskFormat.Raw),
                GuestLoad.Create(In("b.qcow2"), DiskFormat.Qcow2),
                GuestLoad.Create(In("c.qcow2"), DiskFormat.Qcow2),
                new BalloonDevice(),
                new VsockDevice { Cid = 5, Path = In("vsock") },
                new ShareDevice { Path = In("bin"), Tag = "bin", ReadOnly = true },
                new ShareDevice { Path = In("rw"), Tag = "rw" },
                new NetworkDevice { Link = new NetworkLink.User { HostPorts = [port] } },
            ]), In("machine.json"), bash);
        try
        {
            await guest.DoAsync("mkdir -p /mnt/bin /mnt/rw; mount -t virtiofs bin /mnt/bin && mount -t virtiofs rw /mnt/rw && until ip -4 address | grep -q 10.0.2.15; do sleep 0.1; done");
            var program = HostProgram.At("/mnt/bin", "socat");
            string[] callers = socat ? [$"{program} TCP:10.0.2.2:{port} EXEC:cat", $"{program} VSOCK-CONNECT:2:77 EXEC:cat"] : [$"nc 10.0.2.2 {port} -e cat"];
            await guest.DoAsync($"(sh /mnt/bin/load {disks} '{string.Join("' '", callers)}' </dev/null >/dev/null 2>&1 &)");
            for (var moment = 1; moment <= moments; moment++)
            {
                // Any moment: some requests and some connections later.
                await guest.AdvanceAsync(random.Next(1, 300));
                if (moment % 4 == 0) await calls.PassAsync(calls.Value + 1);
                if (moment % 4 == 2 && socat) await socketCalls.PassAsync(socketCalls.Value + 1);
                // What was written and never flushed is there as well.
                var piece = moment % 3 * Pieces;
                await guest.DoAsync($"dd if=/tmp/data of={unflushed} bs=16k seek={piece} oflag=direct conv=notrunc 2>/dev/null");
                var place = In($"saved-{moment}");
                guest = await guest.MoveAsync(place);
                await guest.DoAsync($"dd if={unflushed} bs=16k skip={piece} count={Pieces} iflag=direct 2>/dev/null | cmp - /tmp/data");
                if (moment % 3 == 0) Assert.Equal("42\n", await guest.DoAsync("echo $((6*7))"));
                // It runs, so it has read what it was made from.
                await guest.AdvanceAsync(1);
                Directory.Delete(place, recursive: true);
                LongRun.Tell(moment, moments, "moments");
            }
            await guest.DoAsync("touch /tmp/stop; until [ -e /tmp/done ]; do sleep 0.1; done");
            // What went wrong may have been for want of memory, which the kernel says.
            var bad = await guest.DoAsync("[ ! -e /tmp/bad ] || { cat /tmp/bad; dmesg | tail -n 30; }");
            Assert.True(bad.Length == 0, bad);
            var rounds = await guest.DoAsync("cat /tmp/rounds");
            Assert.Equal(4 + callers.Length, rounds.Count(c => c == '\n'));
            Assert.DoesNotContain(" 0\n", rounds, StringComparison.Ordinal);
            Assert.Equal((await guest.DoAsync("sha256sum </tmp/data"))[..64], GuestLoad.Sum(In("rw/last")));
            // Each of them may have been a copy, which the guest was told.
            Assert.Matches($@"^ *{moments} ", await guest.DoAsync("cat /sys/firmware/acpi/interrupts/gpe01"));
            Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
            KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
            await guest.TypeAsync("poweroff");
            Assert.Equal(MachineEnd.PoweredOff, await guest.EndAsync());
            TestContext.Current.SendDiagnosticMessage("{0}: {1} moments; {2}", name, moments, rounds.ReplaceLineEndings(", "));
        }
        finally
        {
            guest.Dispose();
            await answers.CancelAsync();
            await echoing;
        }
    }

    // Answers each connection with some of what it must send back, and closes.
    private static async Task EchoAsync(Socket listener, Counter echoed, CancellationToken end)
    {
        var bytes = RandomNumberGenerator.GetBytes(100_000);
        var back = new byte[bytes.Length];
        while (!end.IsCancellationRequested)
        {
            try
            {
                using var client = await listener.AcceptAsync(end);
                await using var stream = new NetworkStream(client);
                var sending = stream.WriteAsync(bytes, end).AsTask();
                await stream.ReadExactlyAsync(back, end);
                await sending;
            }
            catch (Exception over) when (over is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
            {
                // The guest was told of a reset, and so is this end.
                continue;
            }
            Assert.Equal(bytes, back);
            echoed.Increment();
        }
    }

    private sealed class Counter
    {
        private int _value;

        internal int Value => Volatile.Read(ref _value);

        internal void Increment() => Interlocked.Increment(ref _value);

        internal async Task PassAsync(int value)
        {
            using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(90));
            while (Value < value) await poll.WaitForNextTickAsync(patience.Token);
        }
    }

    private string In(string name) => Path.Combine(_folder, name);
}
