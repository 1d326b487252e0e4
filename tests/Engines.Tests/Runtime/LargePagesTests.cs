// The map of large pages takes no more than its budget, and forgets what it gives back.
using Lamina.Engines.Translator.Runtime;
using Xunit;

namespace Lamina.Tests.Engines.Runtime;

public sealed class LargePagesTests
{
    private const ulong Part = 8ul << 30, Parts = 1 << 15, LargePage = 2 << 20, HugePage = 1 << 30;
    private const long Bound = 64 << 20;

    [Fact]
    public void All_addresses_take_no_more_than_the_budget_and_it_is_given_back()
    {
        LargePages? map = null;
        var budget = new TableBudget(0, () => map!.GiveBack());
        using var pages = map = new LargePages(budget);

        for (var n = 0ul; n < Parts; n++) pages.Note(n * Part, LargePage);

        Assert.Equal((1, Bound + 4096), (budget.GivenBack, budget.Peak));
        Assert.Equal((ulong)budget.Taken, pages.Resident);
        Assert.Equal((LargePages.None, LargePages.Large), (pages[0], pages[(Parts - 1) * Part]));
    }

    [Fact]
    public void A_page_is_known_by_all_of_its_addresses_and_small_ones_are_not_noted()
    {
        using var pages = new LargePages(new TableBudget(0, () => { }));

        pages.Note(0x1234_5678, 4096);
        pages.Note(0x4000_0000, LargePage);
        pages.Note(0xffff_8000_0000_0000, HugePage);

        Assert.Equal((LargePages.None, LargePages.Large, LargePages.None), (pages[0x1234_5678], pages[0x401f_ffff], pages[0x4020_0000]));
        Assert.Equal(LargePages.Huge, pages[0xffff_8000_0000_0123]);
    }
}
