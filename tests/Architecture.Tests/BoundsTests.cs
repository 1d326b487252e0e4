// docs/bounds.md names constants with their values: all of them are in the code, as the page says. That its tests are there PagesTests sees to.
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed partial class BoundsTests
{
    private const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static readonly string[] Assemblies = ["Lamina.Definition", "Lamina.Host", "Lamina.Core", "Lamina.Engines", "Lamina.Devices", "Lamina.Backends", "Lamina.Machine", "Lamina.Hypervisor"];

    // What, bound, constants, test.
    private static IReadOnlyList<string[]> Rows { get; } =
        [.. House.Read("docs/bounds.md").Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal) && !line.StartsWith("| what |", StringComparison.Ordinal))
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray())];

    private static ILookup<string, Type> Types { get; } = Assemblies.SelectMany(name => Assembly.Load(name).GetTypes()).ToLookup(type => type.Name);

    [Fact]
    public void Every_row_has_its_four_cells_and_says_what_drives_it()
    {
        Assert.InRange(Rows.Count, 30, 1000);
        House.AssertNone(Rows.Where(row => row.Length != 4 || row[0].Length == 0 || row[1].Length == 0 || !(TestName().IsMatch(row[3]) || row[3].StartsWith("none yet", StringComparison.Ordinal)))
            .Select(row => string.Join(" | ", row)));
    }

    [Fact]
    public void Every_constant_has_the_value_that_the_page_says()
    {
        Assert.Equal("", Wrong("`UserNetOptions.MostFlows` 4096"));
        Assert.NotEqual("", Wrong("`UserNetOptions.MostFlows` 4097"));
        Assert.NotEqual("", Wrong("`UserNetOptions.NoSuchThing` 1"));
        Assert.NotEqual("", Wrong("UserNetOptions.MostFlows"));

        House.AssertNone(Rows.Where(row => row[2].Length != 0).SelectMany(row => row[2].Split("; ")).Select(Wrong).Where(wrong => wrong.Length != 0));
    }

    // Empty: the constant is there and has that value.
    private static string Wrong(string said)
    {
        if (Constant().Match(said) is not { Success: true } match) return $"'{said}' is not written as `Type.Name` VALUE";
        var (type, name) = (match.Groups["type"].Value, match.Groups["name"].Value);
        var value = long.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture) << match.Groups["unit"].Value switch { " KiB" => 10, " MiB" => 20, " GiB" => 30, _ => 0 };
        var found = Types[type].Select(type => ValueOf(type, name)).OfType<object>().Select(one => Convert.ToInt64(one, CultureInfo.InvariantCulture)).ToArray();
        return found.Length == 0 ? $"there is no {type}.{name}" : found.Contains(value) ? "" : $"{type}.{name} is {string.Join(" or ", found)}, not {value}";
    }

    // A constant's, or what a property has where nothing is said.
    private static object? ValueOf(Type type, string name)
    {
        if (type.GetField(name, All) is { IsLiteral: true } constant) return constant.GetRawConstantValue();
        if (type.GetField(name, All) is { IsStatic: true } field) return field.GetValue(null);
        return type.GetConstructor(Type.EmptyTypes) is not null && PropertyOf(type, name) is { } property ? property.GetValue(Activator.CreateInstance(type)) : null;
    }

    private static PropertyInfo? PropertyOf(Type? type, string name) => type is null ? null : type.GetProperty(name, All) ?? PropertyOf(type.BaseType, name);

    [GeneratedRegex("^`(?<type>[A-Za-z0-9]+)\\.(?<name>[A-Za-z0-9]+)` (?<value>[0-9]+)(?<unit> KiB| MiB| GiB)?$")]
    private static partial Regex Constant();

    [GeneratedRegex("`([A-Za-z0-9]+Tests\\.[A-Za-z0-9_]+)`")]
    private static partial Regex TestName();
}
