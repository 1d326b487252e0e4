// Small operating systems that no package has: files that somebody put into a folder, which a variable names.
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class GuestFolder
{
    private const string Variable = "LAMINA_TEST_GUESTS";

    /// <summary>The path of a guest's file; skips the test where there is none.</summary>
    internal static string Find(string name)
    {
        var folder = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(string.IsNullOrEmpty(folder), $"{Variable} names no folder with {name} in it");
        var path = Path.Combine(folder!, name);
        Assert.SkipUnless(File.Exists(path), $"there is no {name} in {folder}, which {Variable} names");
        return path;
    }
}
