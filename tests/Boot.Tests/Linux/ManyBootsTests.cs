// Boots in a row: none may fail, hang or complain. Takes minutes, so it is run on request.
using System.Globalization;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class ManyBootsTests(ITestOutputHelper output)
{
    private const int Boots = 25;

    public static TheoryData<string> All => GuestConfiguration.All;

    [Theory]
    [MemberData(nameof(All))]
    public async Task Boots_in_a_row_all_reach_the_shell_and_power_off(string configuration)
    {
        AllTests.SkipUnlessAsked($"{Boots} boots take minutes");
        var failures = new List<string>();
        for (var boot = 0; boot < Boots; boot++)
        {
            var started = TimeProvider.System.GetTimestamp();
            try
            {
                await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration));
                var shell = TimeProvider.System.GetElapsedTime(started);
                await guest.DoAsync("sh -c 'seq 1 20000 | sort -r | sha256sum' > /dev/null; for i in $(seq 1 30); do sh -c :; done");
                failures.AddRange(KernelLog.ComplaintsIn(await guest.DoAsync("dmesg")).Select(line => $"boot {boot}: {line}"));
                await guest.TypeAsync("poweroff");
                var end = await guest.EndAsync();
                if (end.End != MachineEnd.PoweredOff) failures.Add($"boot {boot} ended with {end}");
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"boot {boot}: shell after {shell.TotalSeconds:0.00} s, off after {TimeProvider.System.GetElapsedTime(started).TotalSeconds:0.00} s"));
            }
            catch (TimeoutException e)
            {
                failures.Add($"boot {boot}: {e.Message}");
            }
        }
        Assert.Empty(failures);
    }
}
