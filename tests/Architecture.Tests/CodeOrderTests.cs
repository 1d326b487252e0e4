// The list of functions by which the native program is linked (src/Lamina.Cli/code.order). One that is older than the code does no harm, but the less of it is true, the
// less it does: from some age on it is to be written anew.
using System.Reflection;
using System.Text.RegularExpressions;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed partial class CodeOrderTests
{
    private const string Order = "src/Lamina.Cli/code.order";
    private const double OfToday = 0.8;
    private const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    [Fact]
    public void Most_of_the_functions_in_the_list_are_there()
    {
        // All parts but Lamina.Logging, which is for other programs.
        var there = House.Files("src", "*.csproj").Select(project => Path.GetFileNameWithoutExtension(project)).Where(name => name != "Lamina.Logging")
            .Select(name => Assembly.LoadFrom(Path.Combine(AppContext.BaseDirectory, name == "Lamina.Cli" ? "lamina.dll" : name + ".dll")))
            .SelectMany(assembly => assembly.GetTypes()).SelectMany(NamesIn).ToHashSet(StringComparer.Ordinal);
        var named = House.Read(Order).Split('\n').Where(line => Plain().IsMatch(line)).ToArray();

        Assert.True(named.Length > 1000, $"{Order} names {named.Length} plain functions of Lamina's; 'bench/order/run' writes it");
        var gone = named.Where(name => !there.Contains(Overload().Replace(name, ""))).ToArray();
        Assert.True(gone.Length < named.Length * (1 - OfToday), $"{gone.Length} of {named.Length} functions in {Order} are not there any more, such as {gone.FirstOrDefault()}; 'bench/order/run' writes it anew");
    }

    // As the native compiler names them: assembly, type, function, with what is neither a letter nor a digit as underscores.
    private static IEnumerable<string> NamesIn(Type type) =>
        from method in type.GetMethods(All).Cast<MethodBase>().Concat(type.GetConstructors(All))
        select $"{Underscored(type.Assembly.GetName().Name!)}_{Underscored(type.FullName!)}__{Underscored(method.Name)}";

    private static string Underscored(string name) => Other().Replace(name, "_");

    // Of no generic type, and of none that the compiler made.
    [GeneratedRegex("^(Lamina|lamina)_(?!.*___c)[A-Za-z0-9_]+$")]
    private static partial Regex Plain();

    [GeneratedRegex("_[0-9]+$")]
    private static partial Regex Overload();

    [GeneratedRegex("[^A-Za-z0-9_]")]
    private static partial Regex Other();
}
