// What a jump cache remembers of pages is bounded, and what it has forgotten leads nowhere.
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
        cache.Set(First, Pad, crossesPage: false, global: true);
        for (var n = 1ul; n < MostPages; n++) cache.NoteCode(First + n * PageSize, crossesPage: false, global: true);
        Assert.Equal((0, true), (cache.Clears, cache.MayKnow(First)));

        cache.NoteCode(First + MostPages * PageSize, crossesPage: false, global: true);

        Assert.Equal((1, false), (cache.Clears, cache.MayKnow(First)));
    }

    [Fact]
    public void A_page_whose_translation_is_void_is_forgotten_alone_unless_nobody_knows_how_large_it_is()
    {
        using var cache = New();
        cache.Set(First, Pad, crossesPage: false, global: true);
        cache.Set(First + PageSize, Pad, crossesPage: false, global: true);

        cache.Invalidate(First, large: false);
        Assert.Equal((false, true), (cache.MayKnow(First), cache.MayKnow(First + PageSize)));
        cache.ForgetSizes();
        cache.Invalidate(First + 2 * PageSize, large: false);

        Assert.False(cache.MayKnow(First + PageSize));
    }
}
