// docs/definition.md tells of each property what the tables say, word by word.
using System.Text;
using Lamina.Definition;
using Xunit;

namespace Lamina.Tests.Definition;

public sealed class DocsTests
{
    [Fact]
    public void The_page_on_definitions_has_each_property_as_the_tables_have_it()
    {
        var page = File.ReadAllText(Path.GetFullPath("../../../../../docs/definition.md", AppContext.BaseDirectory));

        Assert.Contains(Table(MachineShape.Shape.Properties.Select(property => (property.Name, property.Kind, property.Syntax, property.Meaning))), page, StringComparison.Ordinal);
        Assert.Contains(Table(PoolDefinition.Shape.Properties.Select(property => (property.Name, property.Kind, property.Syntax, property.Meaning))), page, StringComparison.Ordinal);
        Assert.All(DeviceKind.All, kind => Assert.Contains($"## {kind.Name}\n\n{Table(kind.Properties)}", page, StringComparison.Ordinal));
    }

    private static string Table(IEnumerable<(string Name, ValueKind Kind, string Syntax, string Meaning)> properties)
    {
        var table = new StringBuilder("| property | in JSON | meaning |\n|---|---|---|\n");
        foreach (var property in properties.DistinctBy(property => (property.Name, property.Meaning)))
            table.Append($"| `{property.Name}` | {Json(property.Kind, property.Syntax)} | {property.Meaning.Replace("|", "\\|", StringComparison.Ordinal)} |\n");
        return table.ToString();
    }

    private static string Json(ValueKind kind, string syntax) => kind switch
    {
        ValueKind.Flag or ValueKind.Switch => "true, false",
        ValueKind.Number => "number",
        ValueKind.List => $"list of `{Escape(syntax)}`",
        _ => $"`{Escape(syntax)}`",
    };

    private static string Escape(string text) => text.Replace("|", "\\|", StringComparison.Ordinal);
}
