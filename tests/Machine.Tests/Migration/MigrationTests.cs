// Machines that go to another process while they run: here from one to another of the same process, over a link that is cut where a test wants it.
using Lamina.Backends.Disk;
using Lamina.Migration;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Migration;

public sealed class MigrationTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public MigrationTests() => File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);

    public void Dispose() => _folder.Dispose();

    private MachineDefinition Definition(string? disk = null) => new()
    {
        Boot = new BootSource { KernelPath = _folder.Kernel },
        MemoryBytes = 16 << 20,
        Engine = EngineChoice.Translator,
        Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new NetworkDevice(), .. disk is null ? [] : (DeviceDefinition[])[new DiskDevice { Path = disk, Format = ImageFormat.Qcow2 }]],
    };

    private string Disk(string name)
    {
        DiskTools.Create(new DiskCreation { Path = _folder.In(name), Size = 4 << 20 });
        return _folder.In(name);
    }

    private static async Task AnswersAsync(Machine machine, string line)
    {
        await machine.Serial.WriteLineAsync(line, Token);
        Assert.Equal($"{line}\nLamina\n# ", (await machine.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal));
    }

    private async Task<(Machine Machine, Task<MachineResult> Run)> StartAsync(string? disk = null)
    {
        var machine = Machine.Create(Definition(disk));
        var run = machine.RunAsync(Token);
        Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
        return (machine, run);
    }

    // What really goes over the link when a machine moves.
    private async Task<byte[]> RecordAsync()
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        var recorded = new RecordedStream(there);
        var arrives = ArriveAsync(recorded);
        await machine.MigrateAsync(here, cancellationToken: Token);
        await machine.DisposeAsync();
        await using ((await arrives).Machine)
        {
        }
        return recorded.Recorded.ToArray();
    }

    // What the other side does.
    private static async Task<(MachineArrival Arrival, Machine Machine, Task<MachineResult> Run)> ArriveAsync(Stream peer, Func<MachineDefinition, MachineDefinition>? change = null, Action? complete = null)
    {
        var arrival = await MachineArrival.BeginAsync(peer, Token);
        var machine = arrival.Build(new MachineHooks(), change ?? (definition => definition));
        try
        {
            return (arrival, machine, await arrival.TakeAsync(complete, cancellationToken: Token));
        }
        catch
        {
            await arrival.DisposeAsync();
            // As a process does that ends.
            (peer as Link)?.Cut();
            throw;
        }
    }

    [Fact]
    public async Task A_machine_goes_from_place_to_place_and_its_guest_goes_on()
    {
        var (machine, run) = await StartAsync(Disk("disk 0.qcow2"));
        await AnswersAsync(machine, "before");
        var identity = (await machine.InspectAsync("chipset/generation", Token))["id"];
        for (var move = 1; move <= 5; move++)
        {
            var (here, there, _) = Link.Make();
            var disk = Disk($"disk {move}.qcow2");
            var arrives = ArriveAsync(there, definition => definition with { Devices = [.. definition.Devices.Select(device => device is DiskDevice of ? of with { Path = disk } : device)] });
            var rounds = new List<MigrationProgress>();
            var outcome = await machine.MigrateAsync(here, new MigrationOptions { Progress = rounds.Add }, Token);
            var (_, next, nextRun) = await arrives;

            Assert.True(outcome.IsConfirmed);
            Assert.Equal((rounds.Count, rounds[^1].SentBytes <= outcome.SentBytes), (outcome.Rounds, true));
            Assert.Equal(MachineEnd.Migrated, (await run).End);
            Assert.Null((await run).Message);
            await machine.DisposeAsync();
            (machine, run) = (next, nextRun);
            await AnswersAsync(machine, $"move {move}");
            Assert.Equal(identity, (await machine.InspectAsync("chipset/generation", Token))["id"]);
        }
        // It starts again as any other.
        await machine.ResetAsync(Token);
        Assert.EndsWith("# ", await machine.Serial.ReadUntilAsync("# ", Token), StringComparison.Ordinal);
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task What_stands_on_a_disk_goes_along_and_so_does_what_is_written_meanwhile()
    {
        var (from, to) = (Disk("from.qcow2"), Disk("to.qcow2"));
        Write(from, 0, 0x11, 100_000);
        Write(from, 3 << 20, 0x22, 4096);
        var (machine, _) = await StartAsync(from);
        var (here, there, _) = Link.Make();
        var disk = Assert.Single(machine.WrittenDisks);
        var arrives = ArriveAsync(there, definition => definition with { Devices = [.. definition.Devices.Select(device => device is DiskDevice of ? of with { Path = to } : device)] });
        var wrote = 0;

        await machine.MigrateAsync(here, new MigrationOptions
        {
            Downtime = TimeSpan.Zero,
            Progress = _ =>
            {
                // Between two rounds: over what went already, over zeros, and zeros over what went.
                if (wrote++ != 0) return;
                Fill(disk, 0, 0x33, 512);
                Fill(disk, 1 << 20, 0x44, 512);
                disk.WriteZeroes(3 << 20, 4096, mayUnmap: true);
            },
        }, Token);
        var (_, arrived, _) = await arrives;
        await machine.DisposeAsync();
        await AnswersAsync(arrived, "on");
        await arrived.DisposeAsync();

        var expected = new byte[4 << 20];
        expected.AsSpan(0, 100_000 / 512 * 512 + 512).Fill(0x11);
        expected.AsSpan(0, 512).Fill(0x33);
        expected.AsSpan(1 << 20, 512).Fill(0x44);
        Assert.True(expected.AsSpan().SequenceEqual(Read(to)));
    }

    [Fact]
    public async Task A_machine_that_is_paused_stays_paused()
    {
        var (machine, _) = await StartAsync();
        await machine.PauseAsync(Token);
        var (here, there, _) = Link.Make();
        var arrives = ArriveAsync(there);

        await machine.MigrateAsync(here, cancellationToken: Token);
        var (_, arrived, _) = await arrives;
        await machine.DisposeAsync();

        Assert.Equal(MachineState.Paused, arrived.State);
        await arrived.ResumeAsync(Token);
        await AnswersAsync(arrived, "on");
        await arrived.DisposeAsync();
    }

    [Fact]
    public async Task Wherever_the_link_is_cut_exactly_one_machine_goes_on_or_both_have_ended_and_that_is_said()
    {
        // How much goes over it in all.
        var (whole, _) = await StartAsync();
        var (one, other, state) = Link.Make();
        var arrival = ArriveAsync(other);
        await whole.MigrateAsync(one, cancellationToken: Token);
        await using (whole)
        await using ((await arrival).Machine)
        {
        }
        var all = Interlocked.Read(ref state.Bytes);
        var random = new Random(17);
        // The last answer, the word that it is given, what comes before that; and anywhere.
        long[] cuts = [all - 1, all - 8, all - 9, all - 10, all - 16, all - 17, all - 18, all - 25, all - 26, 0, 1, 7, 8, .. Enumerable.Range(0, 8).Select(_ => random.NextInt64(all))];

        foreach (var cut in cuts)
        {
            var (machine, run) = await StartAsync();
            var (here, there, _) = Link.Make(cut);
            var arrives = ArriveAsync(there);
            MigrationOutcome? outcome = null;
            try
            {
                outcome = await machine.MigrateAsync(here, new MigrationOptions { Patience = TimeSpan.FromSeconds(5) }, Token);
            }
            catch (Exception failed) when (failed is IOException or MachineException)
            {
                // It stays.
            }
            here.Cut();
            Machine? arrived = null;
            try
            {
                (_, arrived, _) = await arrives;
            }
            catch (Exception failed) when (failed is IOException or MachineException)
            {
                // It is not here.
            }
            there.Cut();
            if (outcome is null)
            {
                Assert.Null(arrived);
                await AnswersAsync(machine, "still here");
            }
            else
            {
                Assert.Equal(MachineEnd.Migrated, (await run).End);
                // What was given and not confirmed may have come or not.
                Assert.True(!outcome.IsConfirmed || arrived is not null, $"cut behind {cut} of {all}");
                Assert.Equal(!outcome.IsConfirmed, (await run).Message is not null);
                if (arrived is not null) await AnswersAsync(arrived, "over there");
            }
            await machine.DisposeAsync();
            if (arrived is not null) await arrived.DisposeAsync();
        }
    }

    [Fact]
    public async Task What_cannot_be_on_the_other_side_stays_and_says_why()
    {
        var (machine, _) = await StartAsync(Disk("disk.qcow2"));

        // A machine of another form.
        var (here, there, _) = Link.Make();
        var arrives = ArriveAsync(there, definition => (definition with { Cpus = 2 }).Without<DiskDevice>());
        var refused = await Assert.ThrowsAsync<MachineException>(() => machine.MigrateAsync(here, cancellationToken: Token));
        Assert.Contains((await Assert.ThrowsAsync<MachineException>(() => arrives)).Message, refused.Message, StringComparison.Ordinal);
        await AnswersAsync(machine, "one");

        // One that cannot be completed there.
        (here, there, _) = Link.Make();
        var other = Disk("other.qcow2");
        arrives = ArriveAsync(there, definition => definition with { Devices = [.. definition.Devices.Select(device => device is DiskDevice of ? of with { Path = other } : device)] }, () => throw new MachineException("there is a machine of that name already"));
        refused = await Assert.ThrowsAsync<MachineException>(() => machine.MigrateAsync(here, cancellationToken: Token));
        Assert.Equal("there is a machine of that name already", refused.Message);
        await Assert.ThrowsAsync<MachineException>(() => arrives);
        await AnswersAsync(machine, "two");

        // And what this side refuses at the last moment.
        (here, there, _) = Link.Make();
        other = Disk("third.qcow2");
        arrives = ArriveAsync(there, definition => definition with { Devices = [.. definition.Devices.Select(device => device is DiskDevice of ? of with { Path = other } : device)] });
        await Assert.ThrowsAsync<IOException>(() => machine.MigrateAsync(here, new MigrationOptions { Give = () => throw new IOException("no space") }, Token));
        here.Cut();
        Assert.Contains("it is where it came from", (await Assert.ThrowsAsync<MachineException>(() => arrives)).Message, StringComparison.Ordinal);
        await AnswersAsync(machine, "three");

        // Nobody on the other side, and an end of patience.
        (here, there, _) = Link.Make();
        using var ends = new CancellationTokenSource();
        var never = machine.MigrateAsync(here, cancellationToken: ends.Token);
        await ends.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => never);
        there.Cut();
        await AnswersAsync(machine, "four");
        await machine.DisposeAsync();
    }

    [Fact]
    public async Task A_disk_that_stays_keeps_the_machine()
    {
        var raw = _folder.In("disk.raw");
        File.WriteAllBytes(raw, new byte[1 << 20]);
        var machine = Machine.Create(Definition() with { Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new DiskDevice { Name = "data", Path = raw, Format = ImageFormat.Raw }] });
        _ = machine.RunAsync(Token);
        await machine.Serial.ReadUntilAsync("# ", Token);

        var refused = await Assert.ThrowsAsync<MachineException>(() => machine.MigrateAsync(Stream.Null, cancellationToken: Token));

        Assert.Equal("the machine writes its disk data, which is no qcow2 image of its own and stays on this host", refused.Message);
        await AnswersAsync(machine, "on");
        await machine.DisposeAsync();
    }

    [Theory]
    [InlineData(1), InlineData(2), InlineData(3)]
    public async Task What_is_no_migration_ends_with_a_sentence_and_touches_nothing(int seed)
    {
        var recorded = await RecordAsync();
        var random = new Random(seed);
        for (var round = 0; round < 20; round++)
        {
            var bytes = recorded.ToArray();
            for (var change = random.Next(1, 4); change > 0; change--)
                bytes[random.Next(2) == 0 ? random.Next(bytes.Length) : random.Next(Math.Min(bytes.Length, 4096))] = (byte)random.Next(256);
            if (random.Next(3) == 0) bytes = bytes[..random.Next(bytes.Length)];
            try
            {
                var (arrival, arrived, _) = await ArriveAsync(new RecordedStream(new MemoryStream(bytes)));
                // What was changed was a page of the guest's.
                await arrived.DisposeAsync();
                await arrival.DisposeAsync();
            }
            catch (Exception refused) when (refused is MachineException or IOException)
            {
                Assert.NotEmpty(refused.Message);
            }
        }
    }

    [Fact]
    public async Task A_frame_that_is_longer_than_any_ends_it()
    {
        var head = new byte[MigrationSpec.HeaderLength];
        head[0] = (byte)MigrationFrame.Description;
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(4), MigrationSpec.LongestFrame + 1);

        var refused = await Assert.ThrowsAsync<MachineException>(() => MachineArrival.BeginAsync(new MemoryStream(head), Token));

        Assert.Equal("what comes over the link is no migration", refused.Message);
    }

    [Fact]
    public async Task A_state_is_as_long_as_may_be_and_not_a_byte_longer()
    {
        var bytes = await RecordAsync();
        var length = Frames(bytes).Where(frame => frame.Kind == MigrationFrame.State).Sum(frame => frame.Length);
        Assert.InRange(length, 1, MigrationSpec.LongestState);

        await using (var arrival = await MachineArrival.BeginAsync(new RecordedStream(new MemoryStream(bytes)), Token))
        {
            arrival.LongestState = length;
            await using var arrived = arrival.Build(new MachineHooks(), definition => definition);
            _ = await arrival.TakeAsync(cancellationToken: Token);
            await AnswersAsync(arrived, "whole");
        }
        await using (var arrival = await MachineArrival.BeginAsync(new RecordedStream(new MemoryStream(bytes)), Token))
        {
            arrival.LongestState = length - 1;
            arrival.Build(new MachineHooks(), definition => definition);
            Assert.Equal("what comes over the link does not fit the machine (State)", (await Assert.ThrowsAsync<MachineException>(() => arrival.TakeAsync(cancellationToken: Token))).Message);
        }
    }

    [Fact]
    public async Task A_state_without_an_end_ends_it_and_the_machine_goes_on_where_it_is()
    {
        var (machine, _) = await StartAsync();
        var (here, there, _) = Link.Make();
        var leaves = machine.MigrateAsync(here, cancellationToken: Token);
        var arrival = await MachineArrival.BeginAsync(there, Token);
        arrival.LongestState = 100;
        arrival.Build(new MachineHooks(), definition => definition);

        var refused = await Assert.ThrowsAsync<MachineException>(() => arrival.TakeAsync(cancellationToken: Token));

        Assert.Contains(refused.Message, (await Assert.ThrowsAsync<MachineException>(() => leaves)).Message, StringComparison.Ordinal);
        await arrival.DisposeAsync();
        await AnswersAsync(machine, "still here");
        await machine.DisposeAsync();
    }

    private static IEnumerable<(MigrationFrame Kind, int Length)> Frames(byte[] bytes)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var length = System.Buffers.Binary.BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at + 4));
            yield return ((MigrationFrame)bytes[at], length);
            at += MigrationSpec.HeaderLength + length;
        }
    }

    private static void Fill(LayeredDisk disk, ulong offset, byte value, int length)
    {
        using var memory = new Core.Block.BlockMemory(length);
        memory.Bytes.Fill(value);
        var buffer = new Core.Block.BlockBuffer();
        buffer.Add(memory, 0, length);
        Core.Block.BlockBackendExtensions.Write(disk, offset, buffer);
    }

    private static void Write(string path, ulong offset, byte value, int length)
    {
        using var disk = (LayeredDisk)LayeredDisk.Open(new DiskOptions { Path = path, Format = DiskFormat.Qcow2 });
        Fill(disk, offset, value, (length + 511) / 512 * 512);
        disk.Flush();
    }

    private static byte[] Read(string path)
    {
        using var disk = LayeredDisk.Open(new DiskOptions { Path = path, Format = DiskFormat.Qcow2 });
        using var memory = new Core.Block.BlockMemory((int)disk.Length);
        var buffer = new Core.Block.BlockBuffer();
        buffer.Add(memory, 0, (int)disk.Length);
        Core.Block.BlockBackendExtensions.Read(disk, 0, buffer);
        return memory.Bytes.ToArray();
    }
}
