// What INVLPG costs on the translator: what leads to code is not looked for again where the code is still there.
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Shared;

public sealed class InvalidationTests
{
    [Fact]
    public void Code_in_a_page_that_stays_where_it_is_is_found_as_before()
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);

        KernelPrograms.UnchangedPage.Check(machine, KernelPrograms.UnchangedPage.Run(machine));

        Assert.InRange(machine.Count("vcpu_exits", "jumpmiss"), 0, KernelPrograms.UnchangedTurns / 10);
    }
}
