// The stream of a machine's events: what is told, in which order, and what becomes of a reader that does not read.
using Lamina.Control;
using Lamina.Core.Logging;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Life;

public sealed class EventTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_life_is_told_from_its_start_to_its_end_in_order()
    {
        using var folder = new KernelFolder();
        await using var machine = Create(Spec(folder), Forever);
        var watch = machine.WatchAsync(Token);
        var run = machine.RunAsync(Token);

        await machine.PauseAsync(Token);
        await machine.ResumeAsync(Token);
        await machine.ResetAsync(Token);
        var listens = await machine.DoAsync(new MachineAction.PowerButton(), Token);
        await machine.StopAsync(Token);
        await run;

        var told = await ReadAsync(watch);
        Assert.Equal(
        [
            new MachineEvent.Started(), new MachineEvent.Paused(Holds.User), new MachineEvent.Resumed(), new MachineEvent.WasReset(ResetCause.User),
            new MachineEvent.PowerButtonPressed(listens), new MachineEvent.Ended(new MachineResult(MachineEnd.Stopped)),
        ], told.Select(Plain));
        Assert.Equal(Enumerable.Range(1, told.Count).Select(number => (long)number), told.Select(one => one.Number));
        Assert.All(told, one => Assert.NotEqual(default, one.Time));
    }

    [Fact]
    public async Task A_guests_panic_is_told_before_the_end_that_it_brings()
    {
        using var folder = new KernelFolder();
        await using var machine = Create(Spec(folder), Do(vcpu => vcpu.Out(PvPanic, 1)));
        var watch = machine.WatchAsync(Token);

        await machine.RunAsync(Token);

        var told = (await ReadAsync(watch)).Select(Plain).ToArray();
        Assert.Equal([typeof(MachineEvent.Started), typeof(MachineEvent.GuestPanicked), typeof(MachineEvent.Ended)], told.Select(one => one.GetType()));
        Assert.Equal(MachineEnd.GuestPanic, Assert.IsType<MachineEvent.Ended>(told[^1]).Result.End);
    }

    [Fact]
    public async Task Who_watches_a_machine_that_has_ended_is_told_the_end()
    {
        using var folder = new KernelFolder();
        await using var machine = Create(Spec(folder), Do(PowerOff));
        await machine.RunAsync(Token);

        var told = Assert.Single(await ReadAsync(machine.WatchAsync(Token)));

        Assert.Equal(MachineEnd.PoweredOff, Assert.IsType<MachineEvent.Ended>(told).Result.End);
    }

    [Fact]
    public async Task A_reader_that_does_not_read_loses_the_oldest_and_is_told_how_many()
    {
        var source = new EventSource(TimeProvider.System, room: 4);
        var slow = source.Watch(Token);

        for (var i = 0; i < 10; i++) source.Tell(new MachineEvent.Reported("", $"{i}"));
        source.Tell(new MachineEvent.Ended(new MachineResult(MachineEnd.Stopped)));

        var told = await ReadAsync(slow);
        Assert.Equal(7, Assert.IsType<MachineEvent.Missed>(told[0]).Count);
        Assert.Equal([8L, 9, 10, 11], told.Skip(1).Select(one => one.Number));
    }

    [Fact]
    public async Task A_reader_that_is_cancelled_ends_and_others_read_on()
    {
        var source = new EventSource(TimeProvider.System);
        using var cancelled = new CancellationTokenSource();
        var (first, second) = (source.Watch(cancelled.Token), source.Watch(Token));
        source.Tell(new MachineEvent.Started());
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ReadAsync(first));
        source.Tell(new MachineEvent.Ended(new MachineResult(MachineEnd.Stopped)));

        Assert.Equal(2, (await ReadAsync(second)).Count);
    }

    [Fact]
    public async Task What_a_part_reports_is_told_with_its_name_and_goes_to_the_hook()
    {
        var heard = new List<string>();
        var source = new EventSource(TimeProvider.System);
        var log = new MachineLog(new MachineHooks { Log = Log.To(line => heard.Add($"{line.Level} {line.Unit} {line.Event} {line.Message}")) }, source);
        var watch = source.Watch(Token);

        log.Of("devices/disk0").Error(LogEvent.DiskError, "the host's disk fails");
        source.Tell(new MachineEvent.Ended(new MachineResult(MachineEnd.Stopped)));

        Assert.Equal(new MachineEvent.Reported("devices/disk0", "the host's disk fails"), Plain((await ReadAsync(watch))[0]));
        Assert.Equal(["Error devices/disk0 DiskError the host's disk fails"], heard);
    }

    private static MachineEvent Plain(MachineEvent told) => told with { Number = 0, Time = default };

    private static async Task<IReadOnlyList<MachineEvent>> ReadAsync(IAsyncEnumerable<MachineEvent> watch)
    {
        var told = new List<MachineEvent>();
        await foreach (var one in watch) told.Add(one);
        return told;
    }
}
