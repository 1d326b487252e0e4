// Debian's kernel, unmodified, to a shell: what the shell's commands answer must be what they answer on a real machine.
// One boot serves the questions that leave the guest as it was.
using System.Globalization;
using System.Security.Cryptography;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

/// <summary>The booted guests of a class of tests, one of each configuration.</summary>
public sealed class BootedGuests : IAsyncDisposable
{
    private readonly Dictionary<string, LinuxGuest> _guests = [];

    internal async Task<LinuxGuest> GetAsync(string configuration)
    {
        if (!_guests.TryGetValue(configuration, out var guest))
            _guests[configuration] = guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration));
        return guest;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var guest in _guests.Values) await guest.DisposeAsync();
    }
}

public sealed class TinyTests(BootedGuests guests) : IClassFixture<BootedGuests>
{
    public static TheoryData<string> All => GuestConfiguration.All;

    public static TheoryData<string> OneOfEachMachine => GuestConfiguration.OneOfEachMachineWhereAsked;

    [Theory]
    [MemberData(nameof(All))]
    [Trait(GuestConfiguration.Nested, "yes")]
    public async Task Kernel_and_memory_are_as_given(string configuration)
    {
        var guest = await guests.GetAsync(configuration);

        Assert.Matches(@"^Linux tiny \d+\.\d+\.\S+ .*x86_64 GNU/Linux\n$", await guest.DoAsync("uname -a"));
        var total = ulong.Parse(await guest.DoAsync("awk '/^MemTotal/ { print $2 }' /proc/meminfo"), CultureInfo.InvariantCulture) << 10;
        var given = GuestConfiguration.Of(configuration).MemoryBytes;
        Assert.InRange(total, given - (given / 20) - (64 << 20), given);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task The_kernel_has_nothing_to_complain_of(string configuration)
    {
        var guest = await guests.GetAsync(configuration);

        KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
        Assert.Equal("0\n", await guest.DoAsync("cat /proc/sys/kernel/tainted"));
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Every_page_of_memory_keeps_what_is_written_to_it(string configuration)
    {
        var guest = await guests.GetAsync(configuration);
        var megabytes = Math.Min(GuestConfiguration.Of(configuration).MemoryBytes >> 22, 256);
        var expected = Convert.ToHexStringLower(SHA256.HashData(new byte[megabytes << 20]));

        await guest.DoAsync($"dd if=/dev/zero of=/tmp/zeroes bs=1M count={megabytes} 2>/dev/null");

        Assert.StartsWith(expected, await guest.DoAsync("sha256sum /tmp/zeroes; rm /tmp/zeroes"), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    [Trait(GuestConfiguration.Nested, "yes")]
    public async Task The_processor_is_described(string configuration)
    {
        var guest = await guests.GetAsync(configuration);

        var description = await guest.DoAsync("cat /proc/cpuinfo");

        Assert.Equal(GuestConfiguration.Of(configuration).Cpus, description.Split('\n').Count(line => line.StartsWith("processor\t", StringComparison.Ordinal)));
        var flags = description.Split('\n').First(line => line.StartsWith("flags\t", StringComparison.Ordinal)).Split(' ');
        Assert.Subset(flags.ToHashSet(), new HashSet<string> { "fpu", "tsc", "msr", "pae", "cx8", "apic", "sep", "pge", "cmov", "mmx", "fxsr", "sse", "sse2", "syscall", "nx", "lm", "hypervisor" });
        Assert.Matches(@"cpu MHz\t\t: \d+\.\d+", description);
        Assert.Matches(@"address sizes\t: \d+ bits physical, 48 bits virtual", description);
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task Sums_are_the_hosts_own(string configuration)
    {
        var guest = await guests.GetAsync(configuration);
        var expected = string.Concat(Enumerable.Range(1, 5000).Select(i => $"{i}\n"));
        var bytes = System.Text.Encoding.ASCII.GetBytes(expected);

        var answer = await guest.DoAsync("seq 1 5000 > /tmp/s; sha256sum < /tmp/s; sha512sum < /tmp/s; sha1sum < /tmp/s; md5sum < /tmp/s; gzip -9 < /tmp/s | gunzip | sha256sum; bzip2 < /tmp/s | bunzip2 | sha256sum");

        string[] sums = [.. answer.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[0])];
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        Assert.Equal([sha256, Convert.ToHexStringLower(SHA512.HashData(bytes)), Sha1(bytes), Md5(bytes), sha256, sha256], sums);
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task Pipes_processes_and_arithmetic_work(string configuration)
    {
        var guest = await guests.GetAsync(configuration);

        Assert.Equal("500500\n", await guest.DoAsync("seq 1 1000 | awk '{ s += $1 } END { print s }'"));
        Assert.Equal("1048576+0 records in\n1048576+0 records out\n", string.Concat((await guest.DoAsync("dd if=/dev/zero bs=1 count=1048576 of=/dev/null 2>&1")).Split('\n').Take(2).Select(line => line + "\n")));
        Assert.Equal("100\n", await guest.DoAsync("for i in $(seq 1 100); do sh -c 'echo x'; done | wc -l"));
        Assert.Equal("1.41421356237309\n", await guest.DoAsync("awk 'BEGIN { x = 2; for (i = 0; i < 20; i++) x = (x + 2 / x) / 2; printf \"%.14f\\n\", x }'"));
        Assert.Equal(new ShellAnswer("", 3), await guest.AskAsync("(exit 3)"));
        // Not by the interactive shell itself: it ignores the signal, and so does its child until it has run a little.
        Assert.Equal(143, (await guest.AskAsync("sh -c 'sleep 100 & kill $!; wait $!'")).ExitCode);
        Assert.Equal("", await guest.DoAsync("for i in 1 2 3 4 5 6 7 8; do (seq 1 300 | sort -r | sort -n | tail -n 1 | grep -qx 300) & done; wait"));
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task Time_passes_at_the_hosts_rate(string configuration)
    {
        var guest = await guests.GetAsync(configuration);

        var before = DateTimeOffset.UtcNow;
        var started = TimeProvider.System.GetTimestamp();
        var times = (await guest.DoAsync("date +%s; awk '{ print $1 }' /proc/uptime; sleep 1; awk '{ print $1 }' /proc/uptime")).Split('\n');
        var took = TimeProvider.System.GetElapsedTime(started);
        var after = DateTimeOffset.UtcNow;

        // The guest slept its second, and no more than the host saw pass.
        var slept = double.Parse(times[2], CultureInfo.InvariantCulture) - double.Parse(times[1], CultureInfo.InvariantCulture);
        Assert.InRange(slept, 0.99, took.TotalSeconds + 0.02);
        Assert.True(took.TotalSeconds >= 0.98, $"a second of the guest took {took.TotalSeconds} s");
        // Whole seconds, and a clock that was read as whole seconds at boot.
        Assert.InRange(long.Parse(times[0], CultureInfo.InvariantCulture), before.ToUnixTimeSeconds() - 2, after.ToUnixTimeSeconds() + 2);
        Assert.Contains((await guest.DoAsync("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")).Trim(), (string[])["tsc", "kvm-clock"]);
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    [Trait(GuestConfiguration.Nested, "yes")]
    public async Task Interrupts_are_counted(string configuration)
    {
        var guest = await guests.GetAsync(configuration);
        const string timer = "awk '$1 == \"LOC:\" { print $2 }' /proc/interrupts";

        var first = long.Parse(await guest.DoAsync(timer), CultureInfo.InvariantCulture);
        await guest.DoAsync("sleep 0.2");
        var second = long.Parse(await guest.DoAsync(timer), CultureInfo.InvariantCulture);
        var serial = long.Parse(await guest.DoAsync("awk '/ttyS0/ { print $2 }' /proc/interrupts"), CultureInfo.InvariantCulture);

        Assert.True(second > first, $"the timer interrupted {first} times, later {second}");
        Assert.InRange(serial, 10, 1_000_000);
        Assert.Equal("0\n", await guest.DoAsync("awk '$1 == \"ERR:\" || $1 == \"MIS:\" { s += $2 } END { print s + 0 }' /proc/interrupts"));
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    [Trait(GuestConfiguration.Nested, "yes")]
    public async Task The_entropy_device_gives_random_bytes(string configuration)
    {
        var guest = await guests.GetAsync(configuration);

        Assert.Contains("virtio_rng", await guest.DoAsync("cat /sys/class/misc/hw_random/rng_current"), StringComparison.Ordinal);
        var sums = (await guest.DoAsync("for i in 1 2 3; do dd if=/dev/hwrng bs=4096 count=4 2>/dev/null | tee /tmp/r | md5sum; done; gzip -9 < /tmp/r | wc -c; wc -c < /tmp/r; rm /tmp/r")).Split('\n');

        Assert.Equal(3, sums.Take(3).Distinct().Count());
        var length = int.Parse(sums[4], CultureInfo.InvariantCulture);
        Assert.InRange(length, 1024, 16384);
        Assert.True(int.Parse(sums[3], CultureInfo.InvariantCulture) >= length, "the random bytes can be compressed");
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task The_virtio_console_carries_text_both_ways(string configuration)
    {
        var guest = await guests.GetAsync(configuration);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));

        // Held open: the driver forgets the terminal's modes at its last close.
        await guest.DoAsync("exec 3<> /dev/hvc0; stty raw -echo <&3; seq 1 5000 >&3");
        var text = await guest.Machine.Console.ReadUntilAsync("\n5000\n", patience.Token);
        Assert.Equal(string.Concat(Enumerable.Range(1, 5000).Select(i => $"{i}\n")), text);

        var typed = string.Concat(Enumerable.Range(1, 400).Select(i => $"{i * 7}\n"));
        var answer = guest.DoAsync("head -n 400 <&3 | md5sum");
        await guest.Machine.Console.WriteAsync(typed, patience.Token);
        Assert.StartsWith(Md5(System.Text.Encoding.ASCII.GetBytes(typed)), await answer, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task Much_output_and_input_on_the_serial_port_arrives_whole(string configuration)
    {
        var guest = await guests.GetAsync(configuration);

        Assert.Equal(string.Concat(Enumerable.Range(1, 5000).Select(i => $"{i}\n")), await guest.DoAsync("seq 1 5000"));

        // Longer lines than the terminal's, pasted at once.
        await guest.TypeAsync("cat > /tmp/pasted");
        var lines = string.Concat(Enumerable.Range(1, 200).Select(i => $"line {i} of what is pasted{new string('.', i % 60)}\n"));
        await guest.Machine.Serial.WriteAsync(lines + "\x4", TestContext.Current.CancellationToken);
        Assert.StartsWith(Md5(System.Text.Encoding.ASCII.GetBytes(lines)), await guest.DoAsync("md5sum /tmp/pasted"), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task A_pause_stops_the_guests_time(string configuration)
    {
        var guest = await guests.GetAsync(configuration);
        const string uptime = "awk '{ print $1 }' /proc/uptime";

        var before = double.Parse(await guest.DoAsync(uptime), CultureInfo.InvariantCulture);
        var started = TimeProvider.System.GetTimestamp();
        await guest.Machine.PauseAsync(TestContext.Current.CancellationToken);
        var pausing = TimeProvider.System.GetTimestamp();
        await Task.Delay(700, TestContext.Current.CancellationToken);
        var paused = TimeProvider.System.GetElapsedTime(pausing).TotalSeconds;
        await guest.Machine.ResumeAsync(TestContext.Current.CancellationToken);
        var after = double.Parse(await guest.DoAsync(uptime), CultureInfo.InvariantCulture);
        var all = TimeProvider.System.GetElapsedTime(started).TotalSeconds;

        Assert.InRange(after - before, 0, all - paused + 0.1);
    }

    private static string Md5(byte[] bytes)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        hash.AppendData(bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string Sha1(byte[] bytes)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
