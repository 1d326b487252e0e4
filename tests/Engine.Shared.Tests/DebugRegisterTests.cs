// What armed debug registers cost on the translator: only where they can match.
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Shared;

public sealed class DebugRegisterTests
{
    [Theory]
    [InlineData("exits: step")]
    [InlineData("exits: read")]
    [InlineData("exits: write")]
    [InlineData("exits: jumpmiss")]
    [InlineData("exits: link")]
    public void Armed_breakpoints_cost_nothing_in_other_pages(string exits)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);

        DebugPrograms.Elsewhere.Check(machine, DebugPrograms.Elsewhere.Run(machine));

        Assert.InRange(machine.Machine.Statistics[exits], 0, DebugPrograms.Turns / 10);
    }
}
