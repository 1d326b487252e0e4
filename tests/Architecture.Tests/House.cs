// Finds the sources of this very build: the folder above the tests that holds the solution.
using Xunit;

namespace Lamina.Tests.Architecture;

internal static class House
{
    internal static string Root { get; } = FindRoot();

    /// <summary>The C# files below a folder of the house, build output left out, as paths from the root.</summary>
    internal static IReadOnlyList<string> Sources(string folder) => Files(folder, "*.cs");

    /// <summary>The files below a folder of the house that match a pattern, build output left out, as paths from the root.</summary>
    internal static IReadOnlyList<string> Files(string folder, string pattern)
    {
        var full = Path.Combine(Root, folder);
        if (!Directory.Exists(full)) return [];
        return [.. Directory.EnumerateFiles(full, pattern, SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(Root, path))
            .Where(path => !path.Split('/').Any(part => part is "bin" or "obj" or ".build" or "node_modules"))
            .Order(StringComparer.Ordinal)];
    }

    /// <summary>Fails with the list of what was found, one a line.</summary>
    internal static void AssertNone<T>(IEnumerable<T> found)
    {
        var all = found.ToArray();
        Assert.True(all.Length == 0, string.Join('\n', all));
    }

    internal static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Lamina.slnx"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("the tests do not run inside the house");
    }
}
