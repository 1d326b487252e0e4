// Small operating systems for PCs, from floppy disks: FreeDOS by keys and characters, KolibriOS by its picture and the mouse.
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Firmware;

public sealed class SmallSystemTests : IDisposable
{
    private readonly CancellationTokenSource _patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

    public SmallSystemTests() => _patience.CancelAfter(TimeSpan.FromMinutes(5));

    private CancellationToken Cancellation => _patience.Token;

    public void Dispose() => _patience.Dispose();

    private static async Task<Machine> CreateAsync(string floppy)
    {
        var configuration = GuestConfiguration.Of(GuestConfiguration.Pc);
        return Machine.Create(new MachineDefinition
        {
            Type = MachineType.Pc,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = 128 << 20,
            Boot = new BootSource { Firmware = await SeaBiosImage.GetAsync() },
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new FloppyDevice { Path = floppy }],
        });
    }

    [Fact]
    public async Task FreeDOS_boots_from_a_floppy_disk()
    {
        await using var machine = await CreateAsync(GuestFolder.Find("freedos722.img"));
        _ = machine.RunAsync(Cancellation);
        var screen = new SerialScreen(machine);

        await screen.WaitAsync("Booting from Floppy...", Cancellation);
        await screen.WaitAsync("FreeDOS", Cancellation);
    }

    [Fact]
    public async Task KolibriOS_shows_its_desktop_and_an_application_is_opened_by_the_mouse()
    {
        AllTests.SkipUnlessAsked("it takes half a minute");
        await using var machine = await CreateAsync(GuestFolder.Find("kolibri.img"));
        _ = machine.RunAsync(Cancellation);

        await UntilAsync(() => machine.Screen.Read()?.ToString().Contains("Press [abcde] to change settings", StringComparison.Ordinal) == true);
        await machine.TypeAsync([KeyStroke.Read("ret").Stroke!], cancellationToken: Cancellation);
        await UntilAsync(() => machine.Screen.Mode == "graphics 800x600, 32 bits" && Look(machine).Distinct().Count() > 1000);
        var desktop = await StillAsync(machine);

        // Into the corner, wherever it was, and slowly to the calculator's icon, for which each step of the mouse counts as three: the pointer is there then.
        for (var i = 0; i < 100; i++) await Mouse.MoveAsync(machine, -8, -8, Cancellation);
        for (var i = 0; i < 55; i++) await Mouse.MoveAsync(machine, i < 34 ? 1 : 0, 1, Cancellation);
        var pointed = await StillAsync(machine);
        Assert.InRange(Enumerable.Range(0, 900).Count(i => (100 + i % 30 + (163 + i / 30) * Width) is var at && desktop[at] != pointed[at]), 20, 600);

        for (var i = 0; i < 2; i++) await Mouse.ClickAsync(machine, Cancellation);
        await UntilAsync(() => Changed(pointed, Look(machine)) > 10_000);
        var opened = await StillAsync(machine);
        Assert.InRange(Changed(pointed, opened), 10_000, Width * Height / 2);
    }

    private const int Width = 800, Height = 560;

    // Without the bar below, where a clock and a meter are.
    private static uint[] Look(Machine machine) => machine.Screen.Look() is { Width: Width } picture ? picture.Pixels[..(Width * Height)] : [];

    private static int Changed(uint[] before, uint[] after) => before.Length != after.Length ? 0 : before.Zip(after).Count(pair => pair.First != pair.Second);

    private async Task<uint[]> StillAsync(Machine machine)
    {
        // Between the parts that it draws it rests, too.
        var (last, looks) = (Look(machine), 0);
        while (looks < 4)
        {
            await Task.Delay(700, Cancellation);
            var now = Look(machine);
            looks = now.Length > 0 && last.AsSpan().SequenceEqual(now) ? looks + 1 : 0;
            last = now;
        }
        return last;
    }

    private async Task UntilAsync(Func<bool> holds)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!holds()) await poll.WaitForNextTickAsync(Cancellation);
    }
}
