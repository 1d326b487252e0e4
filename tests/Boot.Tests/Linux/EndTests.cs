// How a Linux guest ends and starts again.
using Lamina.Core.Net;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class EndTests
{
    public static TheoryData<string> All => GuestConfiguration.All;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    public static TheoryData<string> OneOfEachMachine => GuestConfiguration.OneOfEachMachine;

    [Theory]
    [MemberData(nameof(All))]
    public async Task Reboot_starts_the_guest_again_and_poweroff_ends_the_machine(string configuration)
    {
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration));
        await guest.DoAsync("touch /tmp/before");

        await guest.TypeAsync("reboot");
        await guest.WaitAsync("Restarting system");
        await guest.WaitForPromptAsync();
        Assert.Equal(1, (await guest.AskAsync("test -e /tmp/before")).ExitCode);
        KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));

        await guest.TypeAsync("poweroff");
        Assert.Equal(MachineEnd.PoweredOff, (await guest.EndAsync()).End);
        Assert.Equal(1, guest.Machine.Count("machine_resets"));
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task Every_way_of_rebooting_resets(string configuration)
    {
        var image = await TinyImage.GetAsync();
        // Linux admin-guide, kernel-parameters: reboot=t is a triple fault, k the keyboard controller, a ACPI's register.
        foreach (var way in (string[])["t", "k", "a"])
        {
            await using var guest = await LinuxGuest.BootAsync(new MachineDefinition
            {
                Engine = GuestConfiguration.Of(configuration).Engine,
                Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = $"{image.CommandLine} reboot={way}" },
                NoReboot = true,
            });

            await guest.TypeAsync("reboot -f");

            Assert.Equal(way == "t" ? MachineEnd.TripleFault : MachineEnd.Reset, (await guest.EndAsync()).End);
        }
    }

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task A_guest_that_is_asked_to_shut_down_powers_off(string configuration)
    {
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), machine => machine with { StopTimeout = TimeSpan.FromMinutes(2) });
        await guest.DoAsync("until pidof acpid; do sleep 0.1; done");
        var asked = false;

        await guest.Machine.ShutDownAsync(() => asked = true, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal((true, MachineEnd.PoweredOff), (asked, (await guest.EndAsync()).End));
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_quiet_boot_says_nothing_before_the_guest_s_own_words(string configuration)
    {
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration));

        Assert.DoesNotContain("PCI", guest.Machine.Serial.Text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task Two_machines_in_one_process_do_not_know_of_each_other(string configuration)
    {
        await using var first = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration));
        await using var second = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration));

        var sums = await Task.WhenAll(new[] { first, second }.Select(guest => guest.DoAsync("sh -c 'seq 1 30000 | sort -r | sha256sum'")));
        Assert.Equal(sums[0], sums[1]);
        await first.DoAsync("echo first > /tmp/which");
        await second.DoAsync("test ! -e /tmp/which");

        await first.Machine.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(MachineEnd.Stopped, (await first.EndAsync()).End);
        Assert.Equal("still here\n", await second.DoAsync("echo still here"));
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_kernel_panic_is_seen_on_the_console_and_starts_the_guest_again_when_it_is_told_to(string configuration)
    {
        var image = await TinyImage.GetAsync();
        await using var guest = await LinuxGuest.BootAsync(new MachineDefinition
        {
            Engine = GuestConfiguration.Of(configuration).Engine,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = $"{image.CommandLine} panic=-1" },
            NoReboot = true,
        });

        await guest.TypeAsync("echo c > /proc/sysrq-trigger");

        var end = (await guest.EndAsync()).End;
        Assert.Contains(end, (MachineEnd[])[MachineEnd.Reset, MachineEnd.GuestPanic, MachineEnd.TripleFault]);
        Assert.Contains("Kernel panic", guest.Machine.Serial.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_exception_on_a_devices_thread_ends_the_machine_with_a_sentence_and_not_the_process()
    {
        var network = new BreakingNetwork();
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(OneOfEach.First().Data), spec => spec.With(new NetworkDevice { Name = "broken", Link = new NetworkLink.Own() }),
            new MachineHooks { Networks = new Dictionary<string, INetBackend> { ["broken"] = network } });
        // The guest sends by itself, too: what is typed is to be taken before it breaks.
        await guest.TypeAsync("ip link set eth0 up; ip address add 10.0.2.15/24 dev eth0; ping 10.0.2.2");

        network.IsBroken = true;

        var result = await guest.EndAsync();
        Assert.Equal(MachineEnd.Failed, result.End);
        Assert.EndsWith("stopped: the network is broken", result.Message, StringComparison.Ordinal);
    }

    private sealed class BreakingNetwork : INetBackend
    {
        private volatile bool _isBroken;

        internal bool IsBroken
        {
            set => _isBroken = value;
        }

        public event Action? LinkChanged
        {
            add { }
            remove { }
        }

        public int Mtu => 1500;

        public NetOffloads Offloads => NetOffloads.None;

        public bool IsLinkUp => true;

        public void Attach(INetReceiver receiver)
        {
        }

        public void Start()
        {
        }

        public void Send(ReadOnlySpan<byte> frame, in FrameOffload offload)
        {
            if (_isBroken) throw new InvalidOperationException("the network is broken");
        }

        public void Flush()
        {
        }

        public void OffloadsChanged()
        {
        }

        public void ReadyToReceive()
        {
        }

        public void Dispose()
        {
        }
    }
}
