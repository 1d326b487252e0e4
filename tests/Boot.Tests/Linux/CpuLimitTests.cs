// A guest whose machine meters its processor time by itself, as it does where the host has no control groups: what it takes, that it is
// paused, looked at and saved while it stands, and that it goes on when the cap goes.
using System.Diagnostics;
using System.Globalization;
using Lamina.Control;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class CpuLimitTests
{
    private static readonly TimeSpan Measured = TimeSpan.FromSeconds(8);

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_guest_takes_no_more_than_its_cap_and_is_paused_and_looked_at_while_it_stands(string configuration)
    {
        await using var guest = await BusyAsync(configuration);
        var machine = guest.Machine;
        await machine.DoAsync(new MachineAction.SetCpuLimit(new CpuLimit { Cap = 5 }), TestContext.Current.CancellationToken);

        // It stands for most of the time, so some of these meet it there.
        for (var i = 0; i < 10; i++)
        {
            await machine.PauseAsync(TestContext.Current.CancellationToken);
            await machine.ResumeAsync(TestContext.Current.CancellationToken);
            _ = await machine.InspectAsync("vcpus", TestContext.Current.CancellationToken);
        }
        var (begin, end) = (Stopwatch.GetTimestamp(), Used(machine) + TimeSpan.FromMilliseconds(60));
        while (Used(machine) < end) await Task.Yield();
        Assert.InRange(Stopwatch.GetElapsedTime(begin), TimeSpan.FromMilliseconds(800), TimeSpan.MaxValue);
        var share = await machine.InspectAsync("cpu share", TestContext.Current.CancellationToken);
        Assert.Equal(("5%", "the machine's own metering"), (share["cap"], share["cap is kept by"]));
        Assert.True(machine.Counters.Single(counter => counter.Name == "cpu_cap_stops").Value > 0);

        await machine.DoAsync(new MachineAction.SetCpuLimit(new CpuLimit()), TestContext.Current.CancellationToken);
        Assert.Equal("here\n", await guest.DoAsync("echo here"));
    }

    [Fact]
    public async Task A_guest_that_stands_is_ended_at_once()
    {
        var guest = await BusyAsync(OneOfEach.First().Data);
        await using (guest)
        {
            await guest.Machine.DoAsync(new MachineAction.SetCpuLimit(new CpuLimit { Cap = 1 }), TestContext.Current.CancellationToken);
            while (guest.Machine.Counters.Single(counter => counter.Name == "cpu_cap_stops").Value == 0) await Task.Yield();

            await guest.Machine.StopAsync(TestContext.Current.CancellationToken);

            Assert.Equal(MachineEnd.Stopped, (await guest.EndAsync()).End);
            Assert.True(guest.Machine.Counters.Single(counter => counter.Name == "cpu_used_ns").Value > 0);
        }
    }

    [Theory]
    [Trait("Category", "Long")]
    [InlineData("translator, micro, 256M", 25)]
    [InlineData("translator, micro, 256M", 60)]
    [InlineData("translator, micro, 256M, 2 CPUs", 50)]
    [InlineData("kvm, micro, 256M", 25)]
    public async Task What_is_metered_is_the_cap_within_five_percent(string configuration, int percent)
    {
        await using var guest = await BusyAsync(configuration);
        await guest.Machine.DoAsync(new MachineAction.SetCpuLimit(new CpuLimit { Cap = percent }), TestContext.Current.CancellationToken);
        await Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken);
        var (begin, used) = (Stopwatch.GetTimestamp(), Used(guest.Machine));

        await Task.Delay(Measured, TestContext.Current.CancellationToken);

        var share = 100 * (Used(guest.Machine) - used) / Stopwatch.GetElapsedTime(begin);
        TestContext.Current.SendDiagnosticMessage(string.Create(CultureInfo.InvariantCulture, $"{configuration}: {percent} % asked for, {share:0.00} % found"));
        Assert.InRange(share, percent * 0.95, percent * 1.05);
    }

    private static TimeSpan Used(Machine machine) => TimeSpan.FromMicroseconds(machine.Counters.Single(counter => counter.Name == "cpu_used_ns").Value / 1000.0);

    private static async Task<LinuxGuest> BusyAsync(string configuration)
    {
        var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration));
        await guest.DoAsync($"for i in $(seq {GuestConfiguration.Of(configuration).Cpus}); do (while :; do :; done) & done");
        return guest;
    }
}
