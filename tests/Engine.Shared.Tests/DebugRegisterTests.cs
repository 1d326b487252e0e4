// What armed debug registers cost on the translator: only where they can match.
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Shared;

public sealed class DebugRegisterTests
{
    [Theory]
    [InlineData("step")]
    [InlineData("read")]
    [InlineData("write")]
    [InlineData("jumpmiss")]
    [InlineData("link")]
    public void Armed_breakpoints_cost_nothing_in_other_pages(string exits)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);

        DebugPrograms.Elsewhere.Check(machine, DebugPrograms.Elsewhere.Run(machine));

        Assert.InRange(machine.Count("vcpu_exits", exits), 0, DebugPrograms.Turns / 10);
    }

    [Theory]
    [InlineData("step")]
    [InlineData("jumpmiss")]
    [InlineData("link")]
    public void Code_beside_an_instruction_breakpoint_in_its_page_does_not_leave_generated_code(string exits)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);

        DebugPrograms.BesideCode.Check(machine, DebugPrograms.BesideCode.Run(machine));

        Assert.InRange(machine.Count("vcpu_exits", exits), 0, DebugPrograms.Turns / 10);
    }

    [Theory]
    [InlineData("read")]
    [InlineData("write")]
    [InlineData("commit")]
    public void Accesses_beside_what_is_watched_do_not_leave_generated_code(string exits)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);

        DebugPrograms.Beside.Check(machine, DebugPrograms.Beside.Run(machine));

        Assert.InRange(machine.Count("vcpu_exits", exits), 0, DebugPrograms.Turns / 10);
    }
}
