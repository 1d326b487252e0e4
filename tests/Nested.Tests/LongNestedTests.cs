// What takes an hour on an emulated CPU: as many pauses and saved moments on KVM as on the translator.
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
}
