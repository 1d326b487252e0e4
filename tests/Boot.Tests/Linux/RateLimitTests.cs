// What disks and networks move under a limit, measured by the guest's own clock: never more than the limit in the quick tests, which hold on
// any host; within 5 % of it in the long one, which takes a host that has the time.
using System.Globalization;
using Lamina.Control;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class RateLimitTests : IDisposable
{
    private const int MiB = 1 << 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-rate-").FullName;
    private readonly TestServers _servers = new();

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    public void Dispose()
    {
        _servers.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task No_more_than_the_limit_flows(string configuration)
    {
        await using var guest = await BootAsync(configuration, "rate=512K", "rate=512K");

        Assert.InRange(await TakeAsync(guest, "dd if=/dev/vda of=/dev/null bs=64k count=16 iflag=direct"), 1.6, double.MaxValue);
        Assert.InRange(await TakeAsync(guest, "dd if=/dev/zero of=/dev/vda bs=64k count=16 oflag=direct"), 1.6, double.MaxValue);
        Assert.InRange(await TakeAsync(guest, Fetch(1)), 1.6, double.MaxValue);
    }

    [Fact]
    [Trait("Category", "Long")]
    public async Task What_flows_is_the_limit_within_five_percent_and_changes_at_once()
    {
        await using var guest = await BootAsync(OneOfEach.First().Data, "rate=4M,burst=10ms", "rate=2M,burst=10ms");
        var found = new List<string>();

        async Task MeasureAsync(string what, double expected, string command)
        {
            var seconds = await TakeAsync(guest, command);
            found.Add(string.Create(CultureInfo.InvariantCulture, $"{what}: {seconds:0.00} s, {100 * seconds / expected - 100:+0.0;-0.0} %"));
            TestContext.Current.SendDiagnosticMessage(found[^1]);
            Assert.True(Math.Abs(seconds / expected - 1) <= 0.05, string.Join("; ", found));
        }

        await MeasureAsync("disk, reading 4 MiB/s", 5, "dd if=/dev/vda of=/dev/null bs=128k count=160 iflag=direct");
        await MeasureAsync("disk, writing 4 MiB/s", 5, "dd if=/dev/zero of=/dev/vda bs=128k count=160 oflag=direct");
        await guest.Machine.DoAsync(new MachineAction.SetRate("disk0", new RateLimit { BytesPerSecond = 8 * MiB, Burst = TimeSpan.FromMilliseconds(10) }), TestContext.Current.CancellationToken);
        await MeasureAsync("disk, 8 MiB/s live", 5, "dd if=/dev/vda of=/dev/null bs=128k count=320 iflag=direct");
        await guest.Machine.DoAsync(new MachineAction.SetRate("disk0", new RateLimit { OperationsPerSecond = 200 }), TestContext.Current.CancellationToken);
        await MeasureAsync("disk, 200 requests/s live", 5, "dd if=/dev/vda of=/dev/null bs=4k count=1000 iflag=direct");
        await MeasureAsync("network, receiving 2 MiB/s", 8, Fetch(16));
        await guest.Machine.DoAsync(new MachineAction.SetRate("network0", new RateLimit { BytesPerSecond = 4 * MiB, Burst = TimeSpan.FromMilliseconds(10) }), TestContext.Current.CancellationToken);
        await MeasureAsync("network, receiving 4 MiB/s live", 4, Fetch(16));
        await guest.DoAsync("yes | head -c 16777216 > /tmp/upload");
        await MeasureAsync("network, sending 4 MiB/s", 4, $"wget -q -O - --post-file=/tmp/upload http://10.0.2.2:{_servers.HttpPort}/sum");
    }

    private async Task<LinuxGuest> BootAsync(string configuration, string disk, string network)
    {
        var path = Path.Combine(_folder, "disk.raw");
        using (var file = File.Create(path)) file.SetLength(64 * MiB);
        var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), machine => machine.With(DiskDevice.Parse($"{path},{disk}"), NetworkDevice.Parse($"user,host={_servers.HttpPort},{network}")!));
        await guest.DoAsync("until ip -4 address show dev eth0 | grep -q inet; do sleep 0.1; done");
        return guest;
    }

    private string Fetch(int mebiBytes) => $"wget -q -O - http://10.0.2.2:{_servers.HttpPort}/file | dd of=/dev/null bs=64k count={mebiBytes * 16} iflag=fullblock";

    // In seconds of the guest's.
    private static async Task<double> TakeAsync(LinuxGuest guest, string command)
    {
        var said = await guest.DoAsync($"read a b < /proc/uptime; {{ {command}; }} > /dev/null 2>&1; read c d < /proc/uptime; echo $a $c");
        var times = said.Split(' ', StringSplitOptions.TrimEntries).Select(text => double.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        return times[1] - times[0];
    }
}
