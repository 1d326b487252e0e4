// The public face of the library: what a program may rely on stands in a text file that changes only when somebody means it, and
// nothing of what a machine is made of shows in it.
using System.Reflection;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed class SurfaceTests
{
    private const string File = "docs/library-surface.txt", Accept = "LAMINA_ACCEPT_SURFACE";

    private static readonly string[] s_seen = ["Lamina.Hypervisor", "Lamina.Machine", "Lamina.Definition", "Lamina.Core"];

    [Fact]
    public void The_public_surface_is_the_one_that_was_agreed_on()
    {
        var now = Read().Text;
        if (Environment.GetEnvironmentVariable(Accept) == "1") System.IO.File.WriteAllText(Path.Combine(House.Root, File), now);

        var agreed = House.Read(File).Split('\n');
        var lines = now.Split('\n');

        var difference = agreed.Except(lines).Select(line => $"- {line.Trim()}").Concat(lines.Except(agreed).Select(line => $"+ {line.Trim()}")).ToArray();
        Assert.True(difference.Length == 0 && agreed.Length == lines.Length,
            $"the public surface of the library is not what {File} says. Where that is meant: {Accept}=1 ./test Architecture.Tests writes the file; look at what changed and commit it.\n{string.Join('\n', difference)}");
    }

    [Fact]
    public void Nothing_of_what_a_machine_is_made_of_shows_in_the_surface() =>
        House.AssertNone(Read().Types.Where(type => !s_seen.Contains(type.Assembly.GetName().Name)).Select(type => type.FullName));

    [Fact]
    public void What_waits_can_be_cancelled()
    {
        var found = from type in Read().Types
                    from method in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
                    where method.Name.EndsWith("Async", StringComparison.Ordinal) && method.Name != nameof(IAsyncDisposable.DisposeAsync)
                    let token = method.GetParameters().SingleOrDefault(one => one.ParameterType == typeof(CancellationToken))
                    where token?.Name != "cancellationToken"
                    select $"{type.FullName}.{method.Name}";

        House.AssertNone(found);
    }

    // The library's own assemblies and the definition; of others what these show.
    private static Surface Read() => new(Load("Lamina.Hypervisor"), Load("Lamina.Machine"), Load("Lamina.Definition"));

    private static Assembly Load(string name) => Assembly.LoadFrom(Path.Combine(AppContext.BaseDirectory, name + ".dll"));
}
