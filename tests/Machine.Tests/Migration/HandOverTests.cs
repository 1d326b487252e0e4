// Machines that are handed to another process, which opens what the first one had open: here from one to another of the same process.
using Lamina.Backends.Disk;
using Lamina.Control;
using Lamina.Migration;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Migration;

public sealed class HandOverTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public HandOverTests()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        DiskTools.Create(new DiskCreation { Path = _folder.In("disk.qcow2"), Size = 4 << 20 });
    }

    public void Dispose() => _folder.Dispose();

    private string Kept => _folder.In("kept");

    // A disk that the machine writes is locked: another one opens it when this one has closed it.
    private async Task<(Machine Machine, Task<MachineResult> Run)> StartAsync(MachineType type = MachineType.Micro)
    {
        var machine = Machine.Create(new MachineDefinition
        {
            Type = type,
            Boot = new BootSource { KernelPath = _folder.Kernel },
            MemoryBytes = 16 << 20,
            Engine = EngineChoice.Translator,
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new NetworkDevice(), new DiskDevice { Path = _folder.In("disk.qcow2"), Format = ImageFormat.Qcow2 }],
        });
        var run = machine.RunAsync(Token);
        Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
        return (machine, run);
    }

    private static async Task AnswersAsync(Machine machine, string line)
    {
        await machine.Serial.WriteLineAsync(line, Token);
        Assert.Equal($"{line}\nLamina\n# ", (await machine.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal));
    }

    private static async Task<(MachineArrival Arrival, Machine Machine, Task<MachineResult> Run)> SucceedAsync(Stream peer, Task released, Func<MachineDefinition, MachineDefinition>? change = null)
    {
        var arrival = await MachineArrival.BeginAsync(peer, Token);
        try
        {
            await arrival.ReceiveAsync(Token);
            await released.WaitAsync(Token);
            var machine = arrival.Build(new MachineHooks(), change ?? (definition => definition));
            return (arrival, machine, await arrival.GoOnAsync(cancellationToken: Token));
        }
        catch (Exception failure)
        {
            await arrival.RefuseAsync(failure.Message, Token);
            await arrival.DisposeAsync();
            throw;
        }
    }

    [Theory]
    [InlineData(MachineType.Micro)]
    [InlineData(MachineType.Pc)]
    public async Task A_machine_goes_on_with_the_disk_that_the_first_one_has_closed(MachineType type)
    {
        var (machine, run) = await StartAsync(type);
        await AnswersAsync(machine, "before");
        for (var time = 0; time < 3; time++)
        {
            var (here, there, _) = Link.Make();
            var (released, taken) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), false);
            var succeeds = SucceedAsync(there, released.Task);
            var outcome = await machine.HandOverAsync(here, new HandOverOptions { KeptIn = Kept, Released = released.SetResult, Taken = () => taken = !run.IsCompleted }, Token);
            Assert.Null(outcome.Refusal);
            Assert.True(taken);
            Assert.Equal((MachineEnd.Migrated, (string?)null), ((await run).End, (await run).Message));
            Assert.False(Directory.Exists(Kept));
            await machine.DisposeAsync();
            (_, machine, run) = await succeeds;
            await AnswersAsync(machine, $"time {time}");
        }
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task A_paused_machine_stays_paused()
    {
        var (machine, run) = await StartAsync();
        await machine.PauseAsync(Token);
        var (here, there, _) = Link.Make();
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var succeeds = SucceedAsync(there, released.Task);
        Assert.Null((await machine.HandOverAsync(here, new HandOverOptions { KeptIn = Kept, Released = released.SetResult }, Token)).Refusal);
        await machine.DisposeAsync();
        var (_, next, _) = await succeeds;
        Assert.Equal(MachineState.Paused, next.State);
        await next.ResumeAsync(Token);
        await AnswersAsync(next, "on");
        await next.DisposeAsync();
        await run;
    }

    [Fact]
    public async Task What_cannot_be_opened_again_is_written_down_and_goes_on_from_there()
    {
        var (machine, run) = await StartAsync();
        await AnswersAsync(machine, "before");
        var (here, there, _) = Link.Make();
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var succeeds = SucceedAsync(there, released.Task, definition => definition with { Devices = [.. definition.Devices.Select(device => device is DiskDevice of ? of with { Path = _folder.In("none") } : device)] });
        var outcome = await machine.HandOverAsync(here, new HandOverOptions { KeptIn = Kept, Released = released.SetResult }, Token);
        Assert.Contains(_folder.In("none"), outcome.Refusal, StringComparison.Ordinal);
        Assert.Equal(MachineEnd.Suspended, (await run).End);
        await machine.DisposeAsync();
        await Assert.ThrowsAsync<MachineException>(() => succeeds);

        var next = Machine.Restore(Kept);
        var goesOn = next.RunAsync(Token);
        await AnswersAsync(next, "after");
        await next.DisposeAsync();
        Assert.Equal(MachineEnd.Stopped, (await goesOn).End);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(20_000)]
    public async Task Where_the_link_is_cut_before_anything_is_closed_it_goes_on_here(long behind)
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make(behind);
        var released = false;
        var arrives = Task.Run(async () =>
        {
            try
            {
                await using var arrival = await MachineArrival.BeginAsync(there, Token);
                await arrival.ReceiveAsync(Token);
                Assert.Fail("all of it came");
            }
            catch (Exception cut) when (cut is IOException or MachineException)
            {
                there.Cut();
            }
        }, Token);
        await Assert.ThrowsAnyAsync<IOException>(() => machine.HandOverAsync(here, new HandOverOptions { KeptIn = Kept, Released = () => released = true }, Token));
        await arrives;
        Assert.False(released);
        Assert.False(Directory.Exists(Kept));
        await AnswersAsync(machine, "here");
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task Whoever_says_nothing_any_more_leaves_it_where_it_is()
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        using var cancels = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var hands = machine.HandOverAsync(here, new HandOverOptions { KeptIn = Kept }, cancels.Token);
        await using (await MachineArrival.BeginAsync(there, Token))
        {
            await cancels.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hands);
        }
        await AnswersAsync(machine, "here");
        await machine.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whoever_is_silent_for_too_long_does_not_hold_it(bool isReady)
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        var hands = machine.HandOverAsync(here, new HandOverOptions { KeptIn = Kept, Silence = TimeSpan.FromMilliseconds(300) }, Token);
        await using (await MachineArrival.BeginAsync(there, Token))
        {
            // It may be so at first, and when it has said that it is ready.
            if (isReady) await there.WriteAsync(new byte[] { (byte)'y', 0, 0, 0, 0, 0, 0, 0 }, Token);
            var silent = await Assert.ThrowsAsync<MachineException>(() => hands.WaitAsync(TimeSpan.FromMinutes(2), Token));
            Assert.Equal("the new process has said nothing for 0.3 s", silent.Message);
        }
        Assert.False(Directory.Exists(Kept));
        await AnswersAsync(machine, "here");
        await machine.DisposeAsync();
    }
}
