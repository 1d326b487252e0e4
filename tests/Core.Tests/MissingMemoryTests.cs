// RAM of which a part is elsewhere yet: who touches it waits, whoever it is, and finds what has come.
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Core;

public sealed class MissingMemoryTests : IDisposable
{
    private const ulong Page = 4096, Size = 8 << 20;

    private readonly GuestMemory _memory = new([new MemoryRange(0, Size)]);
    private readonly string _file = Path.GetTempFileName();

    // Of a page that is missing afterwards: whoever has it does not look.
    private IoVector _kept;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _memory.Dispose();
        File.Delete(_file);
    }

    // Four pages in the midst of a huge one.
    private MissingMemory Begin()
    {
        var faults = PageFaults.TryOpen(out var refusal);
        Assert.SkipWhen(faults is null, refusal);
        for (ulong page = 0; page < Size; page += Page) Assert.True(_memory.TryWrite(page, page + 1));
        Assert.True(_memory.TryVector(0x20_6000, (int)Page, out _kept));
        var missing = _memory.BeginMissing(faults);
        Assert.True(missing.TryMark(0x20_3000, 2 * Page));
        Assert.True(missing.TryMark(0x20_6000, 2 * Page));
        missing.Serve();
        return missing;
    }

    private static byte[] Filled(byte value, int pages = 1)
    {
        var page = new byte[pages * (int)Page];
        Array.Fill(page, value);
        return page;
    }

    [Fact]
    public async Task What_is_missing_is_wished_for_once_and_what_is_not_is_as_it_was()
    {
        var missing = Begin();
        var reads = Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() => _memory.TryRead(0x20_3008, out ulong value) ? value : 0, Token)));
        Assert.Equal(0x20_3000ul, await missing.Wishes.ReadAsync(Token));
        Assert.False(reads.IsCompleted);
        Assert.True(missing.TryPut(0x20_3000, Page, Filled(0x5a)));
        Assert.All(await reads, value => Assert.Equal(0x5a5a_5a5a_5a5a_5a5aul, value));
        Assert.False(missing.Wishes.TryRead(out _));
        Assert.Equal((3L, 1L), (missing.Left, missing.Wished));
        Assert.True(missing.TryPut(0x20_4000, Page, Filled(1)) && missing.TryPut(0x20_6000, 2 * Page, default));
        _memory.EndMissing();
        for (ulong page = 0; page < Size; page += Page)
        {
            Assert.True(_memory.TryRead(page, out ulong value));
            Assert.Equal(page switch { 0x20_3000 => 0x5a5a_5a5a_5a5a_5a5aul, 0x20_4000 => 0x0101_0101_0101_0101ul, 0x20_6000 or 0x20_7000 => 0, _ => page + 1 }, value);
        }
    }

    [Fact]
    public async Task The_kernel_waits_as_well()
    {
        var missing = Begin();
        var vector = _kept;
        using var file = File.OpenHandle(_file, FileMode.Create, FileAccess.ReadWrite);
        var writes = Task.Run(() => RandomAccess.Write(file, vector.Span, 0), Token);
        Assert.Equal(0x20_6000ul, await missing.Wishes.ReadAsync(Token));
        Assert.False(writes.IsCompleted);
        Assert.True(missing.TryPut(0x20_6000, Page, Filled(7)));
        await writes;
        Assert.Equal(Filled(7), await File.ReadAllBytesAsync(_file, Token));
    }

    [Fact]
    public void What_is_not_to_come_is_not_put_in_and_what_is_no_list_is_none()
    {
        var missing = Begin();
        Assert.False(missing.TryMark(0x20_6000, Page));
        Assert.False(missing.TryMark(Size - Page, 2 * Page));
        Assert.False(missing.TryMark(0x30_0001, Page));
        Assert.False(missing.TryMark(0x30_0000, 0));
        Assert.False(missing.TryMark(ulong.MaxValue - Page + 1, Page));
        Assert.False(missing.TryPut(0x20_2000, Page, Filled(6)));
        Assert.False(missing.TryPut(0x20_4000, 2 * Page, Filled(6, 2)));
        Assert.False(missing.TryPut(Size, Page, Filled(6)));
        Assert.False(missing.TryPut(0x20_3001, Page, Filled(6)));
        Assert.True(missing.TryPut(0x20_3000, Page, Filled(5)));
        Assert.False(missing.TryPut(0x20_3000, Page, Filled(6)));
        Assert.True(_memory.TryRead(0x20_3000, out byte value));
        Assert.Equal(5, value);
    }

    [Fact]
    public void What_the_guest_gives_back_is_zero_and_does_not_come_any_more()
    {
        var missing = Begin();
        Assert.True(_memory.TryDiscard(0x20_2000, 3 * Page));
        Assert.True(_memory.TryRead(0x20_2000, out ulong was) && _memory.TryRead(0x20_3000, out ulong zero) && (was | zero) == 0);
        Assert.True(_memory.TryWrite(0x20_4000, 77ul));
        Assert.Equal(4, missing.Left);
        Assert.True(missing.TryPut(0x20_3000, 2 * Page, Filled(6, 2)));
        Assert.True(_memory.TryRead(0x20_3000, out zero) && zero == 0);
        Assert.True(_memory.TryRead(0x20_4000, out was) && was == 77);
        _memory.Clear();
        Assert.True(_memory.TryRead(0x20_6000, out zero) && zero == 0);
        Assert.True(missing.TryPut(0x20_6000, 2 * Page, Filled(6, 2)));
        Assert.True(_memory.TryRead(0x20_6000, out zero) && zero == 0);
        Assert.Equal(0, missing.Left);
    }

    [Fact]
    public async Task What_does_not_come_lets_go_whoever_waits_and_nobody_touches_the_memory_any_more()
    {
        var missing = Begin();
        var reads = Task.Run(() => _memory.TryRead(0x20_3000, out byte _), Token);
        await missing.Wishes.ReadAsync(Token);
        var vector = _kept;
        using var file = File.OpenHandle(_file, FileMode.Create, FileAccess.ReadWrite);
        var held = Task.Run(() => RandomAccess.Write(file, vector.Span, 0), Token);
        await missing.Wishes.ReadAsync(Token);

        missing.Lose();
        Assert.False(await reads);
        Assert.False(_memory.TryRead(0, out byte _));
        Assert.False(_memory.TryWrite(0, (byte)1));
        Assert.False(_memory.TryVector(0, 1, out _));
        Assert.False(_memory.TryDiscard(0, Page));
        Assert.Throws<HostException>(() => _memory.Require(0, 1));
        Assert.Throws<HostException>(_memory.RequireNotLost);
        Assert.False(held.IsCompleted);
        missing.End();
        await held;
    }

    [Fact]
    public void No_copy_is_made_meanwhile()
    {
        Begin();
        Assert.Throws<HostException>(() => _memory.Freeze());
        Assert.Throws<HostException>(() => _memory.PrepareImage());
        _memory.EndMissing();
        _memory.Freeze()!.Dispose();
    }
}
