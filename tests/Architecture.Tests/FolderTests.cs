// Rooms and the ways between them: namespaces follow folders, and inside a project the folders' use of one another goes
// one way. What uses what is read from the sources, by the names of types.
using System.Text.RegularExpressions;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed partial class FolderTests
{
    // Folders that stand in a circle and stay so, with the reason. A circle that is gone has to leave the list.
    private static readonly (string Project, string[] Folders, string Reason)[] Circles =
    [
        ("Lamina.Backends", ["Disk", "Disk/Qcow2"], "DiskImages makes every format behind the interface that formats implement"),
        ("Lamina.Backends", ["Net/User", "Net/User/Transport", "Net/Wire"], "UserStack owns the tables of its transports, which send through what it gives them"),
        ("Lamina.Cli", [".", "Output", "Verbs"], "Commands lists the verbs, which use the command line's own types"),
        ("Lamina.Engines", ["X86/Decode", "X86/Decode/Tables"], "tables are written in the decoder's words and read by it alone"),
        ("Lamina.Engines", ["X86", "X86/Cpuid", "X86/Memory", "X86/Msr", "X86/Paging"], "chapters of one class, Processor, and the values that it is made of"),
        ("Lamina.Host", [".", "Interop", "Io"], "native declarations take the structures of the parts that call them"),
        ("Lamina.Machine", ["Images", "Images/Agent", "Images/Debian", "Images/Imported", "Images/Tiny"], "ImageRecipes lists its implementations"),
    ];

    // Chapters of this class lie in folders by subject.
    private const string Chapters = "partial class Processor";

    public static TheoryData<string> Projects => [.. House.Files("src", "*.csproj").Select(project => Path.GetFileNameWithoutExtension(project)!)];

    [Fact]
    public void Namespaces_follow_folders() =>
        House.AssertNone(from file in House.Sources("src").Concat(House.Sources("tests"))
                         let text = House.Read(file)
                         where text.Contains("\nnamespace ", StringComparison.Ordinal)
                         let found = Namespace().Match(text) is { Success: true } match ? match.Groups[1].Value : "none that is file-scoped"
                         where found != Expected(file, text)
                         select $"{file}: {found}, not {Expected(file, text)}");

    [Theory]
    [MemberData(nameof(Projects))]
    public void No_folders_of_a_project_stand_in_a_circle(string project)
    {
        var known = Circles.Where(circle => circle.Project == project).Select(circle => string.Join(' ', circle.Folders));

        var found = Circle.Find(Uses.Read(project)).Select(folders => string.Join(' ', folders)).ToArray();

        Assert.Equal(known.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_circle_is_found_and_a_way_is_not()
    {
        Dictionary<string, HashSet<string>> uses = new() { ["a"] = ["b", "d"], ["b"] = ["c"], ["c"] = ["a"], ["d"] = ["e"] };

        Assert.Equal([["a", "b", "c"]], Circle.Find(uses));
    }

    private static string Expected(string file, string text)
    {
        var parts = file.Split('/')[1..^1];
        // The library's public face has the product's own namespace, and a type cannot share its name with a namespace around it.
        var root = parts[0] switch
        {
            "Lamina.Machine" => "Lamina",
            "Machine.Tests" => "Lamina.Tests.Machines",
            var tests when tests.EndsWith(".Tests", StringComparison.Ordinal) => $"Lamina.Tests.{tests[..^".Tests".Length]}",
            var project => project,
        };
        if (root == "Lamina.Engines" && parts is [_, "X86", ..] && text.Contains(Chapters, StringComparison.Ordinal)) return $"{root}.X86";
        return string.Join('.', parts.Skip(1).Prepend(root));
    }

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    /// <summary>Which folder of a project uses which, by the names of their types.</summary>
    private static partial class Uses
    {
        internal static Dictionary<string, HashSet<string>> Read(string project)
        {
            var files = House.Sources($"src/{project}").ToDictionary(file => file, file => Code(House.Read(file)));
            var homes = new Dictionary<string, HashSet<string>>();
            foreach (var (file, code) in files)
                foreach (Match match in Declaration().Matches(code)) Add(homes, match.Groups[1].Value, Folder(file));
            var uses = new Dictionary<string, HashSet<string>>();
            foreach (var (file, code) in files)
            {
                var members = Member().Matches(code).Select(match => match.Groups[1].Value).ToHashSet();
                foreach (var name in Name().Matches(code).Select(match => match.Value).Distinct())
                    if (homes.TryGetValue(name, out var home) && home.Count == 1 && !members.Contains(name) && home.Single() != Folder(file)) Add(uses, Folder(file), home.Single());
            }
            return uses;

            string Folder(string file) => Path.GetRelativePath($"src/{project}", Path.GetDirectoryName(file)!);
        }

        private static void Add(Dictionary<string, HashSet<string>> sets, string key, string value)
        {
            if (!sets.TryGetValue(key, out var set)) sets[key] = set = [];
            set.Add(value);
        }

        private static string Code(string text) => Words().Replace(Comment().Replace(text, ""), "\"\"");

        [GeneratedRegex(@"//[^\n]*")]
        private static partial Regex Comment();

        [GeneratedRegex(@"""(\\.|[^""\\\n])*""")]
        private static partial Regex Words();

        [GeneratedRegex(@"^(?:public|internal|file)? ?(?:static |sealed |abstract |readonly |unsafe |partial |ref )*(?:class|struct|interface|enum|record struct|record class|record|delegate [\w<>\[\]?*., ]+?) (\w+)", RegexOptions.Multiline)]
        private static partial Regex Declaration();

        // A field, property or enum member of a type's name is not the type.
        [GeneratedRegex(@"^ +(?:(?:public|internal|private|protected|static|readonly|required|const|unsafe|volatile) )*(?:[\w<>\[\]?*.]+ )?(\w+)(?: =[^>]|;|,$| \{ get)", RegexOptions.Multiline)]
        private static partial Regex Member();

        [GeneratedRegex(@"(?<![\w.])[A-Z]\w+")]
        private static partial Regex Name();
    }

    /// <summary>Circles in a graph: its strongly connected parts of more than one node (Tarjan).</summary>
    private sealed class Circle(Dictionary<string, HashSet<string>> uses)
    {
        private readonly Dictionary<string, (int Index, int Low)> _seen = [];
        private readonly Stack<string> _open = [];
        private readonly List<string[]> _found = [];

        internal static IReadOnlyList<string[]> Find(Dictionary<string, HashSet<string>> uses)
        {
            var circle = new Circle(uses);
            foreach (var node in uses.Keys.Order(StringComparer.Ordinal))
                if (!circle._seen.ContainsKey(node)) circle.Visit(node);
            return circle._found;
        }

        private int Visit(string node)
        {
            var low = _seen.Count;
            var index = low;
            _seen[node] = (index, low);
            _open.Push(node);
            foreach (var next in uses.GetValueOrDefault(node, []))
            {
                if (!_seen.TryGetValue(next, out var there)) low = Math.Min(low, Visit(next));
                else if (_open.Contains(next)) low = Math.Min(low, there.Index);
            }
            if (low != index) return low;
            var part = new List<string>();
            do part.Add(_open.Pop());
            while (part[^1] != node);
            if (part.Count > 1) _found.Add([.. part.Order(StringComparer.Ordinal)]);
            return low;
        }
    }
}
