// Memory that a guest does not need any more goes back to the host.
using Lamina.Devices.Virtio.Balloon;
using Lamina.Tests.Support;
using Xunit;

namespace Lamina.Tests.Linux;

public sealed class BalloonTests
{
    private const long MiB = 1 << 20;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task What_a_guest_frees_and_what_it_is_asked_for_go_back_to_the_host(string configuration)
    {
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), spec => spec with { Balloon = true });
        var balloon = guest.Machine.Balloon;
        Assert.InRange((long)balloon.Statistics[BalloonStatistic.Total], 150 * MiB, 256 * MiB);

        await guest.DoAsync("dd if=/dev/zero of=/tmp/big bs=1M count=100 2>/dev/null");
        var before = balloon.Returned;
        await guest.DoAsync("rm /tmp/big; n=0; until [ $n = 15 ]; do n=$((n+1)); sleep 0.2; done");
        // Free pages are reported in blocks of 2 MiB, after two seconds.
        for (var i = 0; i < 100 && balloon.Returned - before < 80 * MiB; i++) await guest.DoAsync("sleep 0.2");
        Assert.True(balloon.Returned - before >= 80 * MiB, $"only {(balloon.Returned - before) / MiB} MiB of 100 came back");

        balloon.Target = 64 * MiB;
        for (var i = 0; i < 100 && balloon.Actual < 64 * MiB; i++) await guest.DoAsync("sleep 0.1");
        Assert.Equal(64 * MiB, (long)balloon.Actual);
        balloon.RequestStatistics();
        balloon.Target = 0;
        for (var i = 0; i < 100 && balloon.Actual > 0; i++) await guest.DoAsync("sleep 0.1");
        Assert.Equal(0ul, balloon.Actual);
        Assert.Equal($"{100 * MiB}\n", await guest.DoAsync("dd if=/dev/zero of=/tmp/big bs=1M count=100 2>/dev/null; wc -c </tmp/big"));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
    }
}
