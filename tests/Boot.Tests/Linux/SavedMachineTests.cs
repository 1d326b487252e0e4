// A machine that is saved under load, thrown away and made again, over and over: its guest's sums stay exact, its kernel complains of
// nothing, and a connection through the network either goes on or is reset.
using System.Net;
using System.Net.Sockets;
using Lamina.Backends.Disk;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class SavedMachineTests : IDisposable
{
    private const ulong MiB = 1 << 20;

    // Rounds on two disks, of the CPU's arithmetic and of memory, each compared with what it must come to.
    private const string Load = GuestLoad.Disk + "\n" + """
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
            nc 10.0.2.2 $1 -e cat </dev/null >/dev/null 2>&1
            n=$((n+1))
          done
          echo "calls $n" >>rounds
        }
        disk /dev/vda & disk /dev/vdb & sums & calls $1 &
        wait
        touch done
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-saved-").FullName;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_busy_machine_is_saved_thrown_away_and_goes_on_again_and_again(string configuration)
    {
        var moments = AllTests.AreAsked ? 300 : 12;
        var random = new Random(moments);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var answers = new CancellationTokenSource();
        var echoed = new Counter();
        var echoing = EchoAsync(listener, echoed, answers.Token);
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        Directory.CreateDirectory(In("bin"));
        DiskDevice[] disks = [GuestLoad.Create(In("a.raw"), DiskFormat.Raw), GuestLoad.Create(In("b.qcow2"), DiskFormat.Qcow2)];
        var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), machine => (machine with { MemoryBytes = 96 * MiB }).With(
            [.. disks, new BalloonDevice(), new NetworkDevice { Link = new NetworkLink.User { HostPorts = [port] } }]));
        try
        {
            await guest.DoAsync("until ip -4 address show dev eth0 | grep -q inet; do sleep 0.1; done");
            await guest.TypeAsync($"cat >/tmp/load <<'EOF'\n{Load}\nEOF");
            await guest.DoAsync($"(sh /tmp/load {port} </dev/null >/dev/null 2>&1 &)");
            for (var moment = 1; moment <= moments; moment++)
            {
                // Any moment: some requests and some connections later.
                await AdvanceAsync(guest, random.Next(1, 300));
                if (moment % 4 == 0) await echoed.PassAsync(echoed.Value + 1);
                var place = In($"saved-{moment}");
                await guest.Machine.PauseAsync(TestContext.Current.CancellationToken);
                await guest.Machine.SaveAsync(place, TestContext.Current.CancellationToken);
                await guest.DisposeAsync();

                guest = LinuxGuest.Restore(place, guest);
                if (moment % 3 == 0) Assert.Equal("42\n", await guest.DoAsync("echo $((6*7))"));
                // It runs, so it has read what it was made from.
                await AdvanceAsync(guest, 1);
                Directory.Delete(place, recursive: true);
            }
            await guest.DoAsync("touch /tmp/stop; until [ -e /tmp/done ]; do sleep 0.1; done");
            Assert.Equal("", await guest.DoAsync("[ ! -e /tmp/bad ] || cat /tmp/bad"));
            var rounds = await guest.DoAsync("cat /tmp/rounds");
            Assert.Equal(4, rounds.Count(c => c == '\n'));
            Assert.DoesNotContain(" 0\n", rounds, StringComparison.Ordinal);
            Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
            Assert.Empty(KernelLog.ComplaintsIn(await guest.DoAsync("dmesg")));
            await guest.TypeAsync("poweroff");
            Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
            TestContext.Current.SendDiagnosticMessage("{0}: {1} moments; {2}", configuration, moments, rounds.ReplaceLineEndings(", "));
        }
        finally
        {
            await guest.DisposeAsync();
            await answers.CancelAsync();
            listener.Stop();
            await echoing;
        }
    }

    private static async Task AdvanceAsync(LinuxGuest guest, long requests)
    {
        var machine = guest.Machine;
        long Done() => machine.Count("disk_requests");
        var until = Done() + requests;
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        while (Done() < until && !guest.Run.IsCompleted) await poll.WaitForNextTickAsync(patience.Token);
        if (guest.Run.IsCompleted) Assert.Fail($"the machine ended: {await guest.Run}");
    }

    // Answers each connection with some of what it must send back, and closes.
    private static async Task EchoAsync(TcpListener listener, Counter echoed, CancellationToken end)
    {
        var bytes = new byte[100_000];
        while (!end.IsCancellationRequested)
        {
            try
            {
                using var client = await listener.AcceptTcpClientAsync(end);
                var stream = client.GetStream();
                var sending = stream.WriteAsync(bytes, end).AsTask();
                await stream.ReadExactlyAsync(new byte[bytes.Length], end);
                await sending;
                echoed.Increment();
            }
            catch (Exception over) when (over is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
            {
                // The guest was told of a reset, and so is this end.
            }
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
