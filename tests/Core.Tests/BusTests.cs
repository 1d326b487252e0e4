// The bus: which device an access reaches, and what becomes of one that reaches none.
using Lamina.Core.Bus;
using Lamina.Core.Logging;
using Xunit;
using Bus = Lamina.Core.Bus.Bus;

namespace Lamina.Tests.Core;

public sealed class BusTests
{
    private readonly Bus _bus = new("port");
    private readonly Recorder _first = new(0x11), _second = new(0x22);

    [Fact]
    public void An_access_reaches_the_device_of_its_range_at_an_offset_in_it()
    {
        _bus.Map(0x3f8, 8, _second);
        _bus.Map(0x60, 1, _first);
        _bus.Map(0x400, 0x10, _first);
        var data = new byte[4];

        Assert.Equal(AccessResult.Ok, _bus.Read(0x3fc, data));
        Assert.Equal(AccessResult.Ok, _bus.Write(0x60, [0xaa]));
        Assert.Equal(AccessResult.Ok, _bus.Write(0x40e, [1, 2]));

        Assert.Equal([0x22, 0x22, 0x22, 0x22], data);
        Assert.Equal(["read 4+4"], _second.Accesses);
        Assert.Equal(["write 0 AA", "write E 0102"], _first.Accesses);
        Assert.Equal([(0x60ul, 1ul), (0x3f8ul, 8ul), (0x400ul, 0x10ul)], _bus.Ranges.Select(range => (range.Start, range.Length)));
    }

    [Theory]
    [InlineData(0x0f, 1)]
    [InlineData(0x20, 1)]
    [InlineData(0x1e, 4)]
    [InlineData(0x0e, 4)]
    [InlineData(ulong.MaxValue, 8)]
    public void What_no_device_answers_for_as_a_whole_reads_as_all_ones(ulong address, int length)
    {
        _bus.Map(0x10, 0x10, _first);
        var data = new byte[length];

        Assert.Equal(AccessResult.Unclaimed, _bus.Read(address, data));
        Assert.Equal(AccessResult.Unclaimed, _bus.Write(address, data));

        Assert.All(data, value => Assert.Equal(0xff, value));
        Assert.Empty(_first.Accesses);
    }

    [Theory]
    [InlineData(AccessResult.Unclaimed)]
    [InlineData(AccessResult.InvalidSize)]
    public void What_a_device_refuses_reads_as_all_ones_too(AccessResult answer)
    {
        _first.Answer = answer;
        _bus.Map(0, 8, _first);
        var data = new byte[2];

        Assert.Equal(answer, _bus.Read(2, data));
        Assert.Equal(answer, _bus.Write(2, data));

        Assert.Equal([0xff, 0xff], data);
    }

    [Theory]
    [InlineData(0x100, 0x10)]
    [InlineData(0xff, 2)]
    [InlineData(0x10f, 1)]
    [InlineData(0x104, 4)]
    [InlineData(0, 0x1000)]
    [InlineData(ulong.MaxValue - 0xf, 1)]
    [InlineData(ulong.MaxValue - 0x20, 0x12)]
    public void A_range_that_is_taken_is_refused_and_changes_nothing(ulong start, ulong length)
    {
        _bus.Map(0x100, 0x10, _first);
        _bus.Map(ulong.MaxValue - 0xf, 0x10, _first);

        var error = Assert.Throws<ArgumentException>(() => _bus.Map(start, length, _second));

        Assert.Contains($"port range 0x{start:x}", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, _bus.Ranges.Count());
    }

    [Theory]
    [InlineData(0x10, 0)]
    [InlineData(ulong.MaxValue, 2)]
    [InlineData(2, ulong.MaxValue)]
    public void A_range_is_of_something_and_ends_where_addresses_do(ulong start, ulong length) =>
        Assert.ThrowsAny<ArgumentException>(() => _bus.Map(start, length, _first));

    [Fact]
    public void Ranges_side_by_side_do_not_overlap_and_the_last_address_can_be_claimed()
    {
        _bus.Map(0x10, 0x10, _first);
        _bus.Map(0x20, 0x10, _second);
        _bus.Map(0, 0x10, _second);
        _bus.Map(ulong.MaxValue - 7, 8, _first);

        Assert.Equal(AccessResult.Ok, _bus.Write(ulong.MaxValue - 3, [1, 2, 3, 4]));

        Assert.Equal(["write 4 01020304"], _first.Accesses);
        Assert.Equal(4, _bus.Ranges.Count());
    }

    [Fact]
    public void A_window_that_is_given_up_leaves_its_place_and_its_name_to_others()
    {
        var window = _bus.CreateWindow("one", 8, _first);
        window.TryMove(0);

        window.Dispose();
        _bus.Map(4, 8, _second, "one");

        Assert.Equal(AccessResult.Unclaimed, _bus.Read(0, new byte[1]));
        Assert.Equal(AccessResult.Ok, _bus.Read(4, new byte[1]));
        Assert.Empty(_first.Accesses);
    }

    [Fact]
    public void A_window_answers_where_it_was_moved_to_and_nowhere_else()
    {
        var window = _bus.CreateWindow("bar 0", 0x10, _first);
        Assert.Equal(AccessResult.Unclaimed, _bus.Read(0, new byte[1]));

        Assert.True(window.TryMove(0x100));
        _bus.Write(0x102, [1]);
        Assert.True(window.TryMove(0x108));
        Assert.Equal(AccessResult.Unclaimed, _bus.Read(0x102, new byte[1]));
        _bus.Write(0x117, [2]);
        window.SwitchOff();

        Assert.Null(window.Start);
        Assert.Equal(AccessResult.Unclaimed, _bus.Read(0x110, new byte[1]));
        Assert.Equal(["write 2 01", "write F 02"], _first.Accesses);
    }

    [Fact]
    public void Where_windows_overlap_the_higher_priority_answers_and_of_equal_ones_the_older()
    {
        var third = new Recorder(0x33);
        var low = _bus.CreateWindow("low", 0x30, _first);
        var high = _bus.CreateWindow("high", 0x10, _second, priority: 1);
        var late = _bus.CreateWindow("late", 0x20, third);
        late.TryMove(0x28);
        high.TryMove(0x10);
        low.TryMove(0);

        Assert.Equal(
            [(0ul, 0x10ul, "low"), (0x10ul, 0x10ul, "high"), (0x20ul, 0x10ul, "low"), (0x30ul, 0x18ul, "late")], _bus.Ranges);
        // Across a border nobody answers: the access is no device's as a whole.
        Assert.Equal(AccessResult.Unclaimed, _bus.Read(0xe, new byte[4]));
        _bus.Write(0x21, [7]);
        high.SwitchOff();
        low.SwitchOff();

        Assert.Equal(["write 21 07"], _first.Accesses);
        Assert.Equal([(0x28ul, 0x20ul, "late")], _bus.Ranges);
    }

    [Fact]
    public void A_window_that_would_reach_beyond_the_last_address_is_off()
    {
        var ports = new Bus("port", 0xffff);
        var window = ports.CreateWindow("bar", 0x20, _first);
        Assert.True(window.TryMove(0xffe0));

        Assert.False(window.TryMove(0xfff0));

        Assert.Empty(ports.Ranges);
        Assert.ThrowsAny<ArgumentException>(() => ports.Map(0x1_0000, 1, _first));
    }

    [Fact]
    public void Windows_at_random_places_answer_by_the_rule()
    {
        var random = new Random(5);
        for (var round = 0; round < 200; round++)
        {
            var bus = new Bus("port", 0xff);
            var windows = Enumerable.Range(0, 6).Select(n => (Number: n, Priority: random.Next(3), Length: (ulong)random.Next(1, 0x60), Device: new Recorder((byte)n)))
                .Select(made => (made.Number, made.Priority, made.Device, Window: bus.CreateWindow($"{made.Number}", made.Length, made.Device, made.Priority))).ToArray();
            foreach (var (_, _, _, window) in windows) window.TryMove((ulong)random.Next(0x100));
            windows[random.Next(6)].Window.SwitchOff();

            for (ulong address = 0; address < 0x100; address++)
            {
                var answers = windows.Where(w => w.Window.Start is { } start && address >= start && address - start < w.Window.Length)
                    .OrderByDescending(w => w.Priority).ThenBy(w => w.Number).FirstOrDefault();
                var data = new byte[1];
                bus.Read(address, data);
                Assert.Equal(answers.Window is null ? 0xff : (byte)answers.Number, data[0]);
                Assert.Equal(answers.Window is null ? null : $"read {address - answers.Window.Start:X}+1", answers.Device?.Accesses[^1]);
            }
        }
    }

    [Fact]
    public async Task A_window_is_gone_only_when_no_access_to_it_is_under_way()
    {
        using var inside = new ManualResetEventSlim();
        using var go = new ManualResetEventSlim();
        var slow = new Slow(inside, go);
        var window = _bus.CreateWindow("slow", 4, slow);
        window.TryMove(0);
        var access = Task.Run(() => _bus.Read(0, new byte[1]));
        inside.Wait(TestContext.Current.CancellationToken);

        var gone = Task.Run(window.Dispose, TestContext.Current.CancellationToken);
        Assert.False(gone.IsCompleted);
        while (_bus.Ranges.Any()) await Task.Yield();
        Assert.False(gone.IsCompleted);
        go.Set();
        await gone;

        Assert.Equal(AccessResult.Ok, await access);
    }

    [Fact]
    public void Accesses_that_no_device_takes_are_told_to_who_traces()
    {
        var told = new List<string>();
        var bus = new Bus("port", 0xffff, Log.To(line => told.Add(line.Message), LogLevel.Trace).CreateLog("test"));
        _first.Answer = AccessResult.InvalidSize;
        bus.Map(0, 8, _first);

        bus.Read(2, new byte[2]);
        bus.Write(0x60, [1]);

        Assert.Equal(["port read of 2 at 0x2: the register does not take this size", "port write of 1 at 0x60: nothing answers"], told);
    }

    private sealed class Slow(ManualResetEventSlim inside, ManualResetEventSlim go) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            inside.Set();
            go.Wait();
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data) => AccessResult.Ok;
    }

    private sealed class Recorder(byte value) : IBusDevice
    {
        public AccessResult Answer { get; set; }

        public List<string> Accesses { get; } = [];

        public AccessResult Read(ulong offset, Span<byte> data)
        {
            Accesses.Add($"read {offset:X}+{data.Length}");
            data.Fill(value);
            return Answer;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            Accesses.Add($"write {offset:X} {Convert.ToHexString(data)}");
            return Answer;
        }
    }
}
