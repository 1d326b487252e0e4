// What a guest's clocks show after all by which a machine goes on elsewhere or later: the time of the host, by whichever of its counters Linux keeps it, and none of them ever goes backwards.
using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed partial class ClockTests : TwoStores
{
    private static readonly TimeSpan Near = TimeSpan.FromMilliseconds(10), Patience = TimeSpan.FromMinutes(3), Stands = TimeSpan.FromSeconds(3), Hour = TimeSpan.FromHours(1);

    // Uptime is what never stands nor goes back, whatever becomes of the date; what goes back is written down.
    private const string Watch = """
        (last=0
        while read -r up rest </proc/uptime; do
          up=${up%.*}${up#*.}
          [ "$up" -ge "$last" ] || echo "$last, then $up" >>/tmp/back
          last=$up
          usleep 20000
        done) </dev/null >/dev/null 2>&1 &
        """;

    [Fact]
    public async Task The_clocks_of_a_guest_are_its_hosts_wherever_and_whenever_it_goes_on()
    {
        await StartTinyWithDiskAsync("web");
        try
        {
            await InAsync(RunAsync, "web", Watch);
            var messages = await InAsync(RunAsync, "web", "dmesg");
            var up = await CheckAsync(RunAsync, "web", "when it has begun", TimeSpan.Zero);
            Expect(0, await RunAsync("pause", "web"));
            // It is to stand still for longer than any clock may be wrong.
            await Task.Delay(Stands, Token);
            Expect(0, await RunAsync("resume", "web"));
            up = await CheckAsync(RunAsync, "web", "after a pause", up);

            Expect(0, await RunAsync("fork", "web", "copy"));
            _ = await CheckAsync(RunAsync, "copy", "of a copy", up);
            Expect(0, await RunAsync("kill", "copy"));

            var socket = Folder.File("in");
            using (await ReceiveAsync(socket, "--name", "there")) Expect(0, await RunAsync("migrate", "--remove", "web", $"unix:{socket}"));
            up = await CheckAsync(RunThereAsync, "there", "after a migration", up);

            Expect(0, await RunThereAsync("snapshot", "create", "there", "kept"));
            Expect(0, await RunThereAsync("suspend", "there"));
            MakeOlder(ThereHome("there", "run", "suspended", "state"));
            Expect(0, await RunThereAsync("start", "there"));
            _ = await CheckAsync(RunThereAsync, "there", "an hour after it was suspended", up);

            Expect(0, await RunThereAsync("kill", "there"));
            MakeOlder(ThereHome("there", "snapshots", "kept", "state"));
            Expect(0, await RunThereAsync("snapshot", "restore", "--start", "there", "kept"));
            _ = await CheckAsync(RunThereAsync, "there", "of a snapshot an hour ago", up);

            Assert.Equal("", await InAsync(RunThereAsync, "there", "cat /tmp/back 2>/dev/null; true"));
            var after = (await InAsync(RunThereAsync, "there", "dmesg")).Split('\n').Except(messages.Split('\n'));
            Assert.DoesNotContain(after, line => NotedRegex().IsMatch(line));
        }
        finally
        {
            await ClearThereAsync();
        }
    }

    // By each counter that Linux can keep its time with. How long the guest has been up, at least as long as before.
    private static async Task<TimeSpan> CheckAsync(Func<string[], Task<Outcome>> run, string machine, string when, TimeSpan up)
    {
        const string Folder = "/sys/devices/system/clocksource/clocksource0/";
        var counters = (await InAsync(run, machine, $"cat {Folder}available_clocksource")).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains("tsc", counters);
        Assert.Contains("kvm-clock", counters);
        foreach (var counter in counters)
        {
            await InAsync(run, machine, $"echo {counter} >{Folder}current_clocksource; until grep -qx {counter} {Folder}current_clocksource; do usleep 10000; done");
            var (date, uptime) = await ReadAsync(run, machine, $"{machine}, {when}, by {counter}");
            Assert.True(uptime >= up, $"{machine}, {when}, by {counter}: up for {uptime}, and {up} before");
            up = uptime;
            Assert.True(date > DateTimeOffset.UnixEpoch);
        }
        return up;
    }

    // The agent sets the clock when the guest has gone on, which nobody waits for.
    private static async Task<(DateTimeOffset Date, TimeSpan Uptime)> ReadAsync(Func<string[], Task<Outcome>> run, string machine, string when)
    {
        for (var end = DateTimeOffset.UtcNow + Patience; ;)
        {
            var before = DateTimeOffset.UtcNow;
            var said = await InAsync(run, machine, "busybox adjtimex; cat /sys/class/rtc/rtc0/since_epoch; cat /proc/uptime");
            var after = DateTimeOffset.UtcNow;
            var lines = said.Split('\n');
            var date = DateTimeOffset.UnixEpoch.AddSeconds(Number(SecondsRegex().Match(said).Groups[1].Value)).AddMicroseconds(Number(MicrosecondsRegex().Match(said).Groups[1].Value));
            var (chip, uptime) = (DateTimeOffset.UnixEpoch.AddSeconds(Number(lines[^2])), TimeSpan.FromSeconds(Number(lines[^1].Split(' ')[0])));
            // The chip tells whole seconds.
            Assert.True(chip >= before - TimeSpan.FromSeconds(1) - Near && chip <= after + Near, $"{when}: the clock chip shows {chip:O}, between {before:O} and {after:O}");
            if (date >= before - Near && date <= after + Near) return (date, uptime);
            Assert.True(after < end, $"{when}: {date:O}, between {before:O} and {after:O}");
        }
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    // Has a machine be written down an hour earlier, as docs/saved-state.md has it: field 3 is its clocks, in which 4 is the host's time in ticks.
    private static void MakeOlder(string path)
    {
        const int Head = 20;
        var content = File.ReadAllBytes(path);
        var clocks = Find(content, Head, content.Length - SHA256.HashSizeInBytes, 3);
        var at = Find(content, clocks.Start, clocks.End, 4).Start;
        var ticks = ReadInteger(content, at, out var end);
        var older = ticks - (2 * (ulong)Hour.Ticks);
        for (var i = at; i < end; i++, older >>= 7) content[i] = (byte)((older & 0x7f) | (i < end - 1 ? 0x80u : 0));
        Assert.Equal(ticks - (2 * (ulong)Hour.Ticks), ReadInteger(content, at, out _));
        SHA256.HashData(content.AsSpan(..^SHA256.HashSizeInBytes)).CopyTo(content, content.Length - SHA256.HashSizeInBytes);
        // Whoever else has the file by another name keeps it.
        File.Delete(path);
        File.WriteAllBytes(path, content);
    }

    private static (int Start, int End) Find(byte[] content, int from, int to, ulong field)
    {
        for (var at = from; at < to;)
        {
            var key = ReadInteger(content, at, out at);
            var value = ReadInteger(content, at, out var next);
            if (key == 2 * field) return (at, next);
            if (key == (2 * field) + 1) return (next, next + (int)value);
            at = (key & 1) == 0 ? next : next + (int)value;
        }
        throw new InvalidOperationException("there is no such field");
    }

    private static ulong ReadInteger(byte[] content, int at, out int next)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            value |= (ulong)(content[at] & 0x7f) << shift;
            if ((content[at++] & 0x80) == 0) break;
        }
        next = at;
        return value;
    }

    [GeneratedRegex(@"tv_sec: +(\d+)")]
    private static partial Regex SecondsRegex();

    [GeneratedRegex(@"tv_usec: +(\d+)")]
    private static partial Regex MicrosecondsRegex();

    [GeneratedRegex("lockup|stall|hung|backwards|skew|unstable|warning|bug:|oops", RegexOptions.IgnoreCase)]
    private static partial Regex NotedRegex();
}
