// Machines that go on at another place before all of their memory is there: their guests write to all of it all the time, and look at what they read.
using System.Buffers.Binary;
using Lamina.Backends.Disk;
using Lamina.Control;
using Lamina.Host;
using Lamina.Migration;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Migration;

public sealed class PostCopyTests : IDisposable
{
    private const int Pages = 2048, Page = 4096;
    private const ulong Last = WritingGuest.Start + (Pages - 1ul) * Page;

    // Never enough for what such a guest writes.
    private static readonly MigrationOptions Follows = new() { PostCopy = true, Downtime = TimeSpan.Zero, Patience = TimeSpan.FromMinutes(2) };

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public PostCopyTests() => File.WriteAllBytes(_folder.Kernel, WritingGuest.Image(Pages));

    public void Dispose() => _folder.Dispose();

    private MachineDefinition Definition => new()
    {
        Boot = new BootSource { KernelPath = _folder.Kernel },
        MemoryBytes = 16 << 20,
        Engine = EngineChoice.Translator,
        Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new BalloonDevice()],
    };

    private async Task<(Machine Machine, Task<MachineResult> Run)> StartAsync()
    {
        using var faults = PageFaults.TryOpen(out var refusal);
        Assert.SkipWhen(faults is null, refusal);
        var machine = Machine.Create(Definition);
        var run = machine.RunAsync(Token);
        Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
        return (machine, run);
    }

    // A round of the link takes as long as the guest takes to write all its pages anew.
    private static async Task WritesAllAsync(Machine machine)
    {
        Assert.True(machine.Memory.TryRead(Last, out int before));
        for (var now = before; now - before < 2; await Task.Delay(1, Token)) Assert.True(machine.Memory.TryRead(Last, out now));
    }

    // The target's end of a link, at which rounds take that long.
    private static FrameGate Slow(Link there, Machine from) => new(there)
    {
        Before = async kind =>
        {
            if (kind == MigrationFrame.Round) await WritesAllAsync(from);
            return true;
        },
    };

    private static async Task AnswersAsync(Machine machine, string line)
    {
        await machine.Serial.WriteLineAsync(line, Token);
        Assert.Equal($"{line}\nLamina\n# ", (await machine.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal));
    }

    private static async Task<(MachineArrival Arrival, Machine Machine, Task<MachineResult> Run)> ArriveAsync(Stream peer, TimeSpan? within = null)
    {
        var arrival = await MachineArrival.BeginAsync(peer, Token);
        (arrival.PageWithin, arrival.Advice) = (within ?? TimeSpan.FromMinutes(2), "look at its disks");
        var machine = arrival.Build(new MachineHooks(), definition => definition);
        try
        {
            return (arrival, machine, await arrival.TakeAsync(cancellationToken: Token));
        }
        catch
        {
            await arrival.DisposeAsync();
            throw;
        }
    }

    [Fact]
    public async Task A_guest_that_writes_faster_than_the_link_carries_goes_on_before_its_memory_is_there_and_finds_all_of_it()
    {
        var (machine, run) = await StartAsync();
        for (var move = 1; move <= 3; move++)
        {
            var (here, there, _) = Link.Make();
            var arrives = ArriveAsync(Slow(there, machine));
            var told = new List<MigrationProgress>();
            var outcome = await machine.MigrateAsync(here, Follows with { Progress = told.Add }, Token);
            var (arrival, next, nextRun) = await arrives;
            var came = await arrival.MemoryAsync(Token);

            Assert.True(outcome is { IsConfirmed: true, Followed: { IsWhole: true, Pages: >= Pages / 2 } }, $"{outcome}");
            Assert.Equal(outcome.Followed.Pages, came!.Pages);
            // What is asked for may have come before that is read.
            Assert.InRange(outcome.Followed.Asked, 0, came.Asked);
            Assert.Contains(told, progress => progress.PagesAsked is not null);
            Assert.Equal(MachineEnd.Migrated, (await run).End);
            Assert.Null((await run).Message);
            Assert.Null(next.Memory.Missing);
            await machine.DisposeAsync();
            (machine, run) = (next, nextRun);
            await AnswersAsync(machine, $"move {move}");
        }
        await machine.SaveAsync(_folder.In("saved"), Token);
        await machine.ResetAsync(Token);
        Assert.EndsWith("# ", await machine.Serial.ReadUntilAsync("# ", Token), StringComparison.Ordinal);
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task Without_it_or_where_the_other_side_cannot_such_a_machine_stays_and_that_is_said()
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        var arrives = ArriveAsync(Slow(there, machine));
        Assert.Contains("writes its memory faster than the link carries it", (await Assert.ThrowsAsync<MachineException>(() => machine.MigrateAsync(here, Follows with { PostCopy = false }, Token))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<MachineException>(() => arrives);

        (here, there, _) = Link.Make();
        var notices = new List<string>();
        var refuses = Task.Run(async () =>
        {
            await using var arrival = await MachineArrival.BeginAsync(Slow(there, machine), Token);
            arrival.TakesPostCopy = false;
            await using var arrived = arrival.Build(new MachineHooks(), definition => definition);
            await arrival.TakeAsync(cancellationToken: Token);
        }, Token);
        await Assert.ThrowsAsync<MachineException>(() => machine.MigrateAsync(here, Follows with { Notice = notices.Add }, Token));
        await Assert.ThrowsAsync<MachineException>(() => refuses);
        Assert.Equal("the machine does not go on there before all of its memory is: it is not wanted there", Assert.Single(notices));

        // A program of before.
        var peer = new Peer(Link.Make(out var other));
        notices.Clear();
        var leaves = machine.MigrateAsync(other, Follows with { Notice = notices.Add }, Token);
        await peer.ReadAsync();
        await peer.SayAsync(MigrationFrame.Ready);
        await peer.ReadAsync();
        await peer.SayAsync(MigrationFrame.Refused, [.. "enough"u8]);
        peer.Cut();
        await Assert.ThrowsAnyAsync<Exception>(() => leaves);
        Assert.Equal("the machine does not go on there before all of its memory is: the program there does not know of that", Assert.Single(notices));
        await AnswersAsync(machine, "still here");
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task While_a_part_is_missing_it_can_be_neither_saved_nor_copied_nor_sent_and_is_paused_when_the_page_has_come()
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        var (gate, holds) = (Slow(there, machine), new TaskCompletionSource());
        var given = false;
        gate.Passes = async kind =>
        {
            if (kind == MigrationFrame.Given) given = true;
            else if (given) await holds.Task;
            return true;
        };
        var leaves = machine.MigrateAsync(here, Follows, Token);
        var (arrival, arrived, _) = await ArriveAsync(gate);

        foreach (var refused in (Func<Task>[])[
            () => arrived.SaveAsync(_folder.In("saved"), Token), () => arrived.SuspendAsync(_folder.In("suspended"), Token), () => arrived.DoAsync(new MachineAction.Fork([], null), Token),
            () => arrived.MigrateAsync(Stream.Null, cancellationToken: Token), () => arrived.HandOverAsync(Stream.Null, new HandOverOptions { KeptIn = _folder.In("kept") }, Token)])
            Assert.Contains("is on its way here yet", (await Assert.ThrowsAsync<MachineException>(refused)).Message, StringComparison.Ordinal);
        // The guest waits for a page.
        while (arrived.Memory.Missing!.Wished == 0) await Task.Delay(1, Token);
        var pauses = arrived.PauseAsync(Token);
        Assert.False(leaves.IsCompleted);
        holds.SetResult();
        await pauses;
        Assert.Equal(MachineState.Paused, arrived.State);
        Assert.True((await arrival.MemoryAsync(Token))!.Asked > 0);
        Assert.True((await leaves).Followed!.IsWhole);
        await arrived.ResumeAsync(Token);
        await AnswersAsync(arrived, "all here");
        await machine.DisposeAsync();
        await arrived.DisposeAsync();
    }

    [Fact]
    public async Task A_link_that_is_cut_before_it_is_given_leaves_the_machine_where_it_is_and_behind_that_ends_it_in_a_sentence()
    {
        var random = new Random(17);
        var cuts = (int[])[0, 1, 2, 3, .. Enumerable.Range(0, 4).Select(_ => random.Next(4, 60))];
        foreach (var kind in (MigrationFrame[])[MigrationFrame.Missing, MigrationFrame.Whole, MigrationFrame.Given, .. Enumerable.Repeat(MigrationFrame.Pages, cuts.Length)])
        {
            var (machine, run) = await StartAsync();
            var (here, there, _) = Link.Make();
            var gate = Slow(there, machine);
            var left = kind == MigrationFrame.Pages ? cuts[random.Next(cuts.Length)] : 0;
            gate.Passes = passes =>
            {
                if (passes != kind || left-- > 0) return Task.FromResult(true);
                there.Cut();
                here.Cut();
                return Task.FromResult(false);
            };
            var arrives = ArriveAsync(gate);
            MigrationOutcome? outcome = null;
            try
            {
                outcome = await machine.MigrateAsync(here, Follows, Token);
            }
            catch (Exception failed) when (failed is IOException or MachineException)
            {
                // It stays.
            }
            here.Cut();
            there.Cut();
            Task<MachineResult>? arrived = null;
            try
            {
                var (arrival, moved, movedRun) = await arrives;
                await Assert.ThrowsAsync<MachineException>(() => arrival.MemoryAsync(Token));
                arrived = movedRun;
                Assert.Matches("^the machine cannot go on: [0-9]+ pages of its memory have not come \\(.+\\), and where it came from it has ended; look at its disks$", (await movedRun).Message);
                Assert.Equal(MachineEnd.Failed, (await movedRun).End);
                await moved.DisposeAsync();
            }
            catch (Exception failed) when (failed is IOException or MachineException)
            {
                // It is not here.
            }
            if (outcome is null)
            {
                Assert.Null(arrived);
                await AnswersAsync(machine, "still here");
            }
            else
            {
                Assert.False(outcome.Followed!.IsWhole);
                Assert.Equal(MachineEnd.Migrated, (await run).End);
                Assert.NotNull((await run).Message);
            }
            await machine.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_page_that_does_not_come_within_its_time_ends_the_machine()
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        var gate = Slow(there, machine);
        var given = false;
        gate.Passes = kind =>
        {
            given |= kind == MigrationFrame.Given;
            return Task.FromResult(!given || kind is not (MigrationFrame.Pages or MigrationFrame.ZeroPages));
        };
        var leaves = machine.MigrateAsync(here, Follows, Token);
        var (arrival, arrived, run) = await ArriveAsync(gate, TimeSpan.FromMilliseconds(300));

        Assert.Contains("for 0.3 s", (await run).Message, StringComparison.Ordinal);
        Assert.Equal(MachineEnd.Failed, (await run).End);
        here.Cut();
        Assert.False((await leaves).Followed!.IsWhole);
        await arrival.DisposeAsync();
        await arrived.DisposeAsync();
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task A_machine_that_ends_there_by_itself_wants_no_more()
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        var (gate, holds, given) = (Slow(there, machine), new TaskCompletionSource(), false);
        gate.Passes = async kind =>
        {
            if (kind == MigrationFrame.Given) given = true;
            else if (given && kind == MigrationFrame.Round) await holds.Task;
            return true;
        };
        var leaves = machine.MigrateAsync(here, Follows, Token);
        var (arrival, arrived, run) = await ArriveAsync(gate);

        var stops = arrived.StopAsync(Token);
        holds.SetResult();
        await stops;

        Assert.Equal(MachineEnd.Stopped, (await run).End);
        Assert.NotNull(await arrival.MemoryAsync(Token));
        Assert.True((await leaves).Followed!.IsWhole);
        await machine.DisposeAsync();
        await arrived.DisposeAsync();
    }

    [Fact]
    public async Task What_is_asked_for_comes_first_and_once()
    {
        var (machine, run) = await StartAsync();
        var peer = new Peer(Link.Make(out var other));
        var leaves = machine.MigrateAsync(other, Follows with { Silence = TimeSpan.FromMinutes(2) }, Token);
        var list = await peer.UntilWholeAsync(machine);
        ulong At(int page) => WritingGuest.Start + (ulong)page * Page;
        Assert.All([At(0), At(700), Last], address => Assert.Contains(list, range => address >= range.Address && address < range.Address + range.Length));

        // It is not given yet, and answers all the same.
        await peer.WishAsync(At(700));
        Assert.Equal((MigrationFrame.Pages, At(700)), await peer.ReadAddressAsync());
        await peer.SayAsync(MigrationFrame.Loaded);
        Assert.Equal(MigrationFrame.Given, (await peer.ReadAsync()).Kind);
        // So much goes without an answer, of which there is none here, and then what is asked for alone.
        await peer.WishAsync(Last);
        var (rounds, kind, address) = (0, MigrationFrame.Given, 0ul);
        while (address != Last)
        {
            (kind, var content) = await peer.ReadAsync();
            if (kind == MigrationFrame.Round) rounds++;
            else address = BinaryPrimitives.ReadUInt64LittleEndian(content);
        }
        Assert.Equal(MigrationFrame.Pages, kind);
        Assert.InRange(rounds, 0, 32);
        // Twice the same: no side that keeps to it says so, and the machine is that one's.
        await peer.WishAsync(Last);
        var outcome = await leaves;
        Assert.True(outcome is { IsConfirmed: false, Followed: { IsWhole: false, Asked: 2 } }, $"{outcome}");
        Assert.Equal(MachineEnd.Migrated, (await run).End);
        await machine.DisposeAsync();
    }

    [Theory]
    [InlineData(0xdead_0000ul), InlineData(0ul), InlineData(ulong.MaxValue), InlineData((ulong)WritingGuest.Start + 1)]
    public async Task Who_asks_for_what_is_not_missing_does_not_get_the_machine(ulong address)
    {
        var (machine, _) = await StartAsync();
        var peer = new Peer(Link.Make(out var other));
        var leaves = machine.MigrateAsync(other, Follows, Token);
        await peer.UntilWholeAsync(machine);
        await peer.WishAsync(address);
        Assert.Equal("the other side of the migration says what does not fit (Wish)", (await Assert.ThrowsAsync<MachineException>(() => leaves)).Message);
        await AnswersAsync(machine, "still here");
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task A_side_that_is_silent_is_not_waited_for_for_ever()
    {
        var (machine, run) = await StartAsync();
        var peer = new Peer(Link.Make(out var other));
        var silence = TimeSpan.FromMilliseconds(300);
        var refused = await Assert.ThrowsAsync<MachineException>(() => machine.MigrateAsync(other, new MigrationOptions { Silence = silence }, Token));
        Assert.Equal("the other side has said nothing for 0.3 s", refused.Message);
        peer.Cut();
        await AnswersAsync(machine, "still here");

        // Nor when it has the machine.
        peer = new Peer(Link.Make(out other));
        var leaves = machine.MigrateAsync(other, Follows with { Silence = TimeSpan.FromSeconds(3) }, Token);
        await peer.UntilWholeAsync(machine);
        await peer.SayAsync(MigrationFrame.Loaded);
        Assert.False((await leaves).Followed!.IsWhole);
        Assert.Equal(MachineEnd.Migrated, (await run).End);
        await machine.DisposeAsync();
    }

    // The other side, by hand.
    private sealed class Peer(Link link)
    {
        private readonly FrameStream _frames = new(link);

        internal async Task<(MigrationFrame Kind, byte[] Content)> ReadAsync()
        {
            var (kind, content) = await _frames.ReadAsync(Token);
            return (kind, content.ToArray());
        }

        internal async Task<(MigrationFrame Kind, ulong Address)> ReadAddressAsync()
        {
            var (kind, content) = await ReadAsync();
            return (kind, BinaryPrimitives.ReadUInt64LittleEndian(content));
        }

        internal async Task SayAsync(MigrationFrame kind, byte[]? content = null) => await _frames.SendAsync(kind, content ?? [], Token);

        internal Task WishAsync(ulong address)
        {
            var content = new byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64LittleEndian(content, address);
            return SayAsync(MigrationFrame.Wish, content);
        }

        // Takes all that comes before the machine is whole, and gives the list of what is missing.
        internal async Task<List<(ulong Address, ulong Length)>> UntilWholeAsync(Machine from)
        {
            Assert.Equal(MigrationFrame.Description, (await ReadAsync()).Kind);
            await SayAsync(MigrationFrame.Ready, [1]);
            var list = new List<(ulong, ulong)>();
            while (true)
            {
                var (kind, content) = await ReadAsync();
                if (kind == MigrationFrame.Whole) return list;
                if (kind == MigrationFrame.Round)
                {
                    await WritesAllAsync(from);
                    await SayAsync(MigrationFrame.Taken);
                }
                if (kind == MigrationFrame.Missing)
                    for (var at = 0; at < content.Length; at += MigrationSpec.MissingLength) list.Add((BinaryPrimitives.ReadUInt64LittleEndian(content.AsSpan(at)), BinaryPrimitives.ReadUInt64LittleEndian(content.AsSpan(at + 8))));
            }
        }

        internal void Cut() => link.Cut();
    }
}
