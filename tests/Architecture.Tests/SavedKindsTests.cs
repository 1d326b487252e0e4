// docs/saved-state.md lists what parts are saved, in which version of their fields, and where those are named.
using System.Text.RegularExpressions;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed partial class SavedKindsTests
{
    [Fact]
    public void The_page_lists_every_kind_of_part_with_its_version_and_source()
    {
        var listed = Row().Matches(House.Read("docs/saved-state.md")).Select(row => $"{row.Groups[1].Value} {row.Groups[2].Value} {row.Groups[3].Value}").Order(StringComparer.Ordinal);
        var said = House.Sources("src").SelectMany(path => Kind().Matches(House.Read(path)).Select(kind => $"{kind.Groups[1].Value} {kind.Groups[2].Value} {path["src/".Length..]}")).Order(StringComparer.Ordinal).ToArray();

        Assert.InRange(said.Length, 40, 1000);
        Assert.Equal(said, listed);
    }

    [GeneratedRegex(@"^\| `(.+)` \| ([0-9]+) \| `(.+\.cs)` \|$", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex("SavedKind Kind => new\\(\"(.+)\", ([0-9]+)\\)")]
    private static partial Regex Kind();
}
