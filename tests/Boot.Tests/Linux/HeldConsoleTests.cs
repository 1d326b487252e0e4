// Readers that are late or never come: the guest waits for them on both of its consoles, nothing is lost, and the machine does all
// that it is told meanwhile.
using Lamina.Control;
using Lamina.Core.Char;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class HeldConsoleTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static readonly string Lines = string.Concat(Enumerable.Range(1, 30_000).Select(i => $"{i}\r\n"));

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_late_reader_of_the_serial_port_gets_every_line_and_the_guest_is_paused_and_reset_meanwhile(string configuration)
    {
        var channel = new GatedChannel();
        await using var machine = await CreateAsync(configuration, [new SerialDevice { Name = "gated", To = new ConsoleTarget.Own() }], channel);
        var run = machine.RunAsync(Token);
        await SeeAsync(channel, "~ # ");

        channel.Close(after: 10_000);
        await channel.Console.WriteAsync("seq 1 30000; echo e'n'd\n", Token);
        await channel.Refused.WaitAsync(Patience, Token);
        await machine.PauseAsync(Token);
        await machine.ResumeAsync(Token);
        channel.Open();
        Assert.Contains(Lines, await SeeAsync(channel, "end\r\n"), StringComparison.Ordinal);
        await SeeAsync(channel, "~ # ");

        channel.Close();
        await channel.Console.WriteAsync("seq 1 30000\n", Token);
        await channel.Refused.WaitAsync(Patience, Token);
        await machine.ResetAsync(Token);
        channel.Open();
        await SeeAsync(channel, "~ # ");

        // Nobody reads any more.
        channel.Close();
        await channel.Console.WriteAsync("seq 1 30000\n", Token);
        await channel.Refused.WaitAsync(Patience, Token);
        await machine.StopAsync(Token);
        Assert.Equal(MachineEnd.Stopped, (await run.WaitAsync(Patience, Token)).End);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_late_reader_of_the_virtio_console_gets_every_line_and_the_guest_is_paused_meanwhile(string configuration)
    {
        var channel = new GatedChannel();
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), spec => spec.Without<ConsoleDevice>().With(new ConsoleDevice { Name = "gated", To = new ConsoleTarget.Own() }), Hooks(channel));

        channel.Close(after: 10_000);
        await guest.TypeAsync("(seq 1 30000; echo e'n'd) >/dev/hvc0");
        await channel.Refused.WaitAsync(Patience, Token);
        // Linux waits for this console with its interrupts off, so nothing else can be asked of it now.
        await guest.Machine.PauseAsync(Token);
        await guest.Machine.ResumeAsync(Token);
        channel.Open();

        Assert.Contains(Lines, await SeeAsync(channel, "end\r\n"), StringComparison.Ordinal);
        Assert.Equal("alive\n", await guest.DoAsync("echo alive"));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static MachineHooks Hooks(ICharBackend channel) => new() { Channels = new Dictionary<string, ICharBackend> { ["gated"] = channel } };

    private static async Task<Machine> CreateAsync(string name, DeviceDefinition[] devices, ICharBackend channel)
    {
        var (configuration, image) = (GuestConfiguration.Of(name), await TinyImage.GetAsync());
        return Machine.Create(new MachineDefinition
        {
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            Cpus = configuration.Cpus,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
            Devices = devices,
        }, Hooks(channel));
    }

    private static async Task<string> SeeAsync(GatedChannel channel, string text)
    {
        using var patience = new CancellationTokenSource(Patience);
        return await channel.Console.WaitForTextAsync(text, patience.Token);
    }
}
