// What a jump cache remembers of pages is bounded, and what it has forgotten leads nowhere.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Runtime;
using Xunit;

namespace Lamina.Tests.Engines.Runtime;

public sealed class JumpCacheTests
{
    private const ulong Miss = 0x1000, Pad = 0x2000, First = 1ul << 40, PageSize = 4096;
    private const int MostPages = 65_536;

    private static JumpCache New()
    {
        var cache = new JumpCache(Miss);
        cache.UseKey(default);
        return cache;
    }

    [Fact]
    public void So_many_pages_of_code_are_known_and_one_more_has_all_forgotten()
    {
        using var cache = New();
        cache.Set(First, Pad, At(0), global: true);
        for (var n = 1ul; n < MostPages; n++) cache.NoteCode(First + n * PageSize, At(n), global: true);
        Assert.Equal((0, true), (cache.Clears, cache.MayKnow(First)));

        cache.NoteCode(First + MostPages * PageSize, At(MostPages), global: true);

        Assert.Equal((1, false), (cache.Clears, cache.MayKnow(First)));
    }

    [Fact]
    public void A_page_whose_translation_is_void_is_forgotten_alone_unless_nobody_knows_how_large_it_is()
    {
        using var cache = New();
        cache.Set(First, Pad, At(0), global: true);
        cache.Set(First + PageSize, Pad, At(1), global: true);

        cache.Invalidate(First, large: false);
        Assert.Equal((false, true), (cache.MayKnow(First), cache.MayKnow(First + PageSize)));
        cache.ForgetSizes();
        cache.Invalidate(First + 2 * PageSize, large: false);

        Assert.False(cache.MayKnow(First + PageSize));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_leads_to_code_is_right_as_long_as_the_code_was_found_nowhere_else(bool large)
    {
        using var cache = New();
        Assert.False(cache.IsRightFor(First, large, 0, global: true));
        cache.NoteCode(First, At(0), global: true);
        cache.NoteCode(First + PageSize, At(1), global: true);

        Assert.True(cache.IsRightFor(First + 8, large, 0, global: true));
        Assert.False(cache.IsRightFor(First, large, PageSize, global: true));
        // It would outlive what it is told of then.
        Assert.False(cache.IsRightFor(First, large, 0, global: false));
        cache.NoteCode(First, At(7), global: false);
        Assert.False(cache.IsRightFor(First, large, 0, global: true));
        Assert.False(cache.IsRightFor(First, large, 7 * PageSize, global: true));
        cache.NoteCode(First, At(0), global: true);
        Assert.False(cache.IsRightFor(First, large, 0, global: true));
        Assert.Equal(!large, cache.IsRightFor(First + PageSize, large, PageSize, global: false));
    }

    private static Block At(ulong page) => new() { Physical = page * PageSize };
}
