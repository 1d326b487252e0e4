// What takes an hour on an emulated CPU: as many pauses and saved moments on KVM as on the translator, and what this host's kernel may not
// have: control groups of version 2, and the lock by the Landlock of another kernel.
using Xunit;

namespace Lamina.Tests.Nested;

[Trait("Category", "Long")]
public sealed class LongNestedTests(LongNestedHost host, ITestOutputHelper output) : IClassFixture<LongNestedHost>
{
    [Theory]
    [InlineData("stillness")]
    [InlineData("still-links")]
    [InlineData("saved")]
    public void Machines_stand_still_and_are_saved_as_often_as_on_the_translator(string part) => host.Part(part, output).AssertPassed("Boot.Tests");

    [Theory]
    [InlineData("groups", "Hypervisor.Tests")]
    [InlineData("limits", "Cli.Tests")]
    [InlineData("delegated", "Cli.Tests")]
    public void Limits_are_kept_by_control_groups_of_version_2(string part, string project) => host.Part(part, output).AssertPassed(project, "control groups");

    [Theory]
    [InlineData("locks", "Hypervisor.Tests")]
    [InlineData("locked", "Cli.Tests")]
    public void Machines_are_locked_by_the_outer_guests_kernel_too(string part, string project) => host.Part(part, output).AssertPassed(project, "Landlock of version 0", "namespace");
}
