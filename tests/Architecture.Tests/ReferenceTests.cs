// The reference table of ARCHITECTURE.md: which project may know which. Both what the project files say and what the
// compiled assemblies use is held against it.
using System.Reflection;
using System.Xml.Linq;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed class ReferenceTests
{
    // The table, row by row. Tests and bench may reference anything.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Lamina.Definition"] = [],
        ["Lamina.Host"] = [],
        ["Lamina.Core"] = ["Lamina.Host"],
        ["Lamina.Engines"] = ["Lamina.Host", "Lamina.Core"],
        ["Lamina.Devices"] = ["Lamina.Core"],
        ["Lamina.Backends"] = ["Lamina.Host", "Lamina.Core"],
        ["Lamina.Machine"] = ["Lamina.Definition", "Lamina.Host", "Lamina.Core", "Lamina.Engines", "Lamina.Devices", "Lamina.Backends"],
        ["Lamina.Logging"] = ["Lamina.Machine", "Lamina.Core"],
        ["Lamina.Hypervisor"] = ["Lamina.Machine", "Lamina.Definition", "Lamina.Core", "Lamina.Backends", "Lamina.Host"],
        ["Lamina.Cli"] = ["Lamina.Hypervisor", "Lamina.Machine", "Lamina.Definition", "Lamina.Core", "Lamina.Backends", "Lamina.Host"],
    };

    // Framework assemblies that a project must not use: what it must not know, in the table's words.
    private static readonly Dictionary<string, string[]> Forbidden = new()
    {
        ["Lamina.Logging"] = ["Microsoft.AspNetCore", "System.Net.", "System.Console"],
        ["Lamina.Cli"] = ["Microsoft.Extensions"],
        ["Lamina.Definition"] = ["System.Net.Sockets", "System.Diagnostics.Process", "System.IO.FileSystem", "System.Threading.Thread", "System.Console", "Microsoft.", "Iced"],
        ["Lamina.Core"] = ["System.Net.", "System.Diagnostics.Process", "Microsoft.AspNetCore", "System.Console", "Iced"],
        ["Lamina.Engines"] = ["System.Net.", "System.Diagnostics.Process", "Microsoft.AspNetCore", "System.Console"],
        ["Lamina.Devices"] = ["System.Net.", "System.Diagnostics.Process", "System.IO.FileSystem", "System.IO.Pipes", "System.IO.MemoryMappedFiles", "System.Threading.Thread", "System.Console", "Microsoft.", "Iced"],
        ["Lamina.Backends"] = ["Microsoft.AspNetCore", "Iced"],
        ["Lamina.Machine"] = ["Microsoft.AspNetCore", "Microsoft.Extensions", "System.CommandLine", "System.Net.Http"],
        ["Lamina.Hypervisor"] = ["Microsoft.AspNetCore", "System.CommandLine", "System.Net.Http", "System.Console"],
    };

    // Types that live in assemblies which everybody uses.
    private static readonly Dictionary<string, string[]> ForbiddenWords = new()
    {
        ["Lamina.Definition"] = ["File.", "Directory.", "FileStream", "Environment.", "JsonSerializer.", "System.Reflection"],
        ["Lamina.Devices"] = ["System.IO.File", "File.Open", "FileStream", "new Thread(", "Task.Run(", "ThreadPool.", "using System.Net", "Lamina.Host", "Lamina.Engines", "Lamina.Backends"],
        ["Lamina.Backends"] = ["Lamina.Devices", "Lamina.Engines", "Virtio"],
        ["Lamina.Engines"] = ["Lamina.Devices", "Lamina.Backends"],
        ["Lamina.Core"] = ["Lamina.Engines", "Lamina.Devices", "Lamina.Backends"],
    };

    public static TheoryData<string> Projects => [.. House.Files("src", "*.csproj")];

    /// <summary>Projects by name, each with the assembly that is compiled from it; all lie beside this test.</summary>
    public static TheoryData<string, string> Assemblies
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var project in House.Files("src", "*.csproj"))
            {
                var name = Path.GetFileNameWithoutExtension(project);
                data.Add(name, XDocument.Parse(House.Read(project)).Descendants("AssemblyName").FirstOrDefault()?.Value ?? name);
            }
            return data;
        }
    }

    public static TheoryData<string> Restricted => [.. ForbiddenWords.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_references_only_what_the_table_lets_it(string project)
    {
        var name = Path.GetFileNameWithoutExtension(project);
        Assert.True(Allowed.ContainsKey(name), $"{name} is not in the table of ARCHITECTURE.md; add it there and here");

        var references = XDocument.Parse(House.Read(project)).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));

        House.AssertNone(references.Except(Allowed[name]));
    }

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void A_compiled_assembly_uses_only_what_the_table_lets_it(string name, string assembly)
    {
        var path = Path.Combine(AppContext.BaseDirectory, assembly + ".dll");
        var references = Assembly.LoadFrom(path).GetReferencedAssemblies().Select(used => used.Name!).ToArray();

        House.AssertNone(references.Where(used => used.StartsWith("Lamina.", StringComparison.Ordinal)).Except(Allowed[name]));
        if (Forbidden.TryGetValue(name, out var forbidden))
            House.AssertNone(references.Where(used => forbidden.Any(start => used.StartsWith(start, StringComparison.Ordinal))));
    }

    [Theory]
    [MemberData(nameof(Restricted))]
    public void A_source_speaks_of_nothing_that_its_project_must_not_know(string name)
    {
        var found = from file in House.Sources($"src/{name}")
                    from line in House.Read(file).Split('\n')
                    where !line.TrimStart().StartsWith("//", StringComparison.Ordinal) && ForbiddenWords[name].Any(word => line.Contains(word, StringComparison.Ordinal))
                    select $"{file}: {line.Trim()}";

        House.AssertNone(found);
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Every_project_of_the_house_is_in_the_solution(string project) =>
        Assert.Contains(project, House.Read("Lamina.slnx"), StringComparison.Ordinal);

    [Theory]
    [InlineData("tests")]
    [InlineData("bench")]
    public void Every_project_that_uses_the_house_is_in_the_solution(string folder) =>
        House.AssertNone(House.Files(folder, "*.csproj").Where(project => !House.Read("Lamina.slnx").Contains(project, StringComparison.Ordinal)));
}
