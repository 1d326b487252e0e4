// The bus: which device an access reaches, and what becomes of one that reaches none.
using Lamina.Core.Bus;
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
    public void A_device_that_is_unmapped_gives_up_all_its_ranges_and_they_can_be_claimed_again()
    {
        _bus.Map(0, 8, _first);
        _bus.Map(8, 8, _second);
        _bus.Map(16, 8, _first);

        _bus.Unmap(_first);
        _bus.Map(12 + 4, 4, _second);

        Assert.Equal(AccessResult.Unclaimed, _bus.Read(0, new byte[1]));
        Assert.Equal(AccessResult.Ok, _bus.Read(8, new byte[1]));
        Assert.Equal(AccessResult.Ok, _bus.Read(19, new byte[1]));
        Assert.Empty(_first.Accesses);
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
