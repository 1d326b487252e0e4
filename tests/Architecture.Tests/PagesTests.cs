// Pages of the documentation name tests, by which what they say is known: each of them is there.
using System.Text.RegularExpressions;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed partial class PagesTests
{
    [Fact]
    public void Every_test_that_a_page_names_is_there()
    {
        var tests = House.Sources("tests").Select(House.Read)
            .SelectMany(text => ClassName().Matches(text).SelectMany(type => Method().Matches(text).Select(method => $"{type.Groups[1].Value}.{method.Groups[1].Value}"))).ToHashSet();
        Assert.Contains($"{nameof(PagesTests)}.{nameof(Every_test_that_a_page_names_is_there)}", tests);

        var named = House.Files("docs", "*.md").SelectMany(page => TestName().Matches(House.Read(page)).Select(name => (Page: page, Test: name.Groups[1].Value))).ToArray();
        Assert.InRange(named.Length, 100, 10_000);
        House.AssertNone(named.Where(name => !tests.Contains(name.Test)).Select(name => $"{name.Page}: {name.Test}"));
    }

    [GeneratedRegex("`([A-Za-z0-9]+Tests\\.[A-Za-z0-9_]+)`")]
    private static partial Regex TestName();

    [GeneratedRegex(@"\bclass ([A-Za-z0-9]+Tests)\b")]
    private static partial Regex ClassName();

    [GeneratedRegex(@"\[(?:Fact|Theory)[^\n]*\n(?:\s*\[[^\n]*\n|\s*//[^\n]*\n)*\s*public (?:async |static )*(?:void|Task) ([A-Za-z0-9_]+)\(")]
    private static partial Regex Method();
}
