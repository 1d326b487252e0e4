// Memory that a guest does not need any more goes back to the host.
using System.Diagnostics;
using System.Globalization;
using Lamina.Core.Memory;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class BalloonTests
{
    private const long MiB = 1 << 20;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    public static TheoryData<string> OneOfEachMachine => GuestConfiguration.OneOfEachMachine;

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task What_a_guest_frees_and_what_it_is_asked_for_go_back_to_the_host(string configuration)
    {
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), spec => spec.With(new BalloonDevice()));
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

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_guest_begins_with_its_memory_and_is_given_more_up_to_the_most(string configuration)
    {
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), spec => spec with { MemoryBytes = 160 * MiB, MostMemoryBytes = 256 * MiB });
        var balloon = guest.Machine.Balloon;
        for (var i = 0; i < 100 && balloon.Actual < 96 * MiB; i++) await guest.DoAsync("sleep 0.1");
        Assert.Equal(96 * MiB, (long)balloon.Actual);
        var before = await FreeAsync();

        await guest.Machine.DoAsync(new Lamina.Control.MachineAction.ResizeBalloon(0), TestContext.Current.CancellationToken);

        for (var i = 0; i < 100 && balloon.Actual > 0; i++) await guest.DoAsync("sleep 0.1");
        Assert.InRange(await FreeAsync() - before, 64 * MiB, 128 * MiB);

        async Task<long> FreeAsync() => KibibytesOf(await guest.DoAsync("grep MemFree: /proc/meminfo")) * 1024;
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task Of_two_GiB_that_a_guest_used_and_freed_the_host_has_four_fifths_back_within_half_a_minute(string configuration)
    {
        AllTests.SkipUnlessAsked("it takes 3 GiB of the host's memory and a minute");
        const ulong Memory = 3072 * MiB;
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), spec => spec.With(new BalloonDevice()) with { MemoryBytes = Memory });
        // What the host has given a page to: no zeros, which it might share.
        await guest.DoAsync("mount -o remount,size=95% /tmp; dd if=/dev/urandom of=/tmp/part bs=1M count=64 2>/dev/null");
        await guest.DoAsync("for i in $(seq 32); do cat /tmp/part >>/tmp/big; done");
        var used = ResidentBytes(Memory);
        Assert.InRange(used, 2048 * MiB, (long)Memory);

        var freed = Stopwatch.StartNew();
        await guest.DoAsync("rm /tmp/big");
        while (used - ResidentBytes(Memory) < 2048 * MiB / 5 * 4 && freed.Elapsed < TimeSpan.FromSeconds(30)) await guest.DoAsync("sleep 0.5");

        Assert.True(used - ResidentBytes(Memory) >= 2048 * MiB / 5 * 4, $"after {freed.Elapsed.TotalSeconds:0} s only {(used - ResidentBytes(Memory)) / MiB} of 2048 MiB came back");
    }

    // The pages that the host holds for the one mapping of this process that is so long. proc(5), smaps.
    private static long ResidentBytes(ulong length)
    {
        var lines = File.ReadAllLines("/proc/self/smaps");
        var size = Array.FindIndex(lines, line => line.StartsWith("Size:", StringComparison.Ordinal) && KibibytesOf(line) == (long)length / 1024);
        Assert.True(size >= 0, "the guest's memory is no mapping of its own");
        return KibibytesOf(lines.Skip(size).First(line => line.StartsWith("Rss:", StringComparison.Ordinal))) * 1024;
    }

    // "Name:   1234 kB"
    private static long KibibytesOf(string line) => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
}
