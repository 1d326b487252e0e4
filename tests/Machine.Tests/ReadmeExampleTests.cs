// The library's example in README.md, compiled and run as it stands there: the lines between the two markers below are the
// README's, letter by letter. The guest is the tests' own; the example does not know.
using System.Text.RegularExpressions;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines;

public sealed partial class ReadmeExampleTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_example_runs_and_prints_what_the_guest_answers()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        File.WriteAllText(_folder.In("initrd"), "nothing");
        using var output = new StringWriter();

        await ExampleAsync(_folder.Kernel, _folder.In("initrd"), output);

        Assert.Equal("uname -a\nLamina\n# \nStopped\n", output.ToString());
    }

    [Fact]
    public void The_README_shows_exactly_this_code()
    {
        var root = Path.GetFullPath("../../../../..", AppContext.BaseDirectory);
        var readme = Path.Combine(root, "README.md");
        Assert.SkipUnless(File.Exists(readme), "there is no README.md yet");
        var lines = Between().Match(File.ReadAllText(Path.Combine(root, "tests/Machine.Tests", $"{nameof(ReadmeExampleTests)}.cs"))).Groups[1].Value;

        var example = string.Concat(lines.Split('\n').Select(line => line.Length > 8 ? line[8..] + "\n" : line.Trim() + "\n")).Trim('\n');

        Assert.Contains(example, File.ReadAllText(readme), StringComparison.Ordinal);
    }

    // Written as a program would: its console is the test's, by the parameter's name.
    private static async Task ExampleAsync(string kernel, string initrd, TextWriter Console)
    {
        // README
        await using var machine = Machine.Create(new MachineDefinition
        {
            Boot = new BootSource { KernelPath = kernel, InitrdPath = initrd },
            MemoryBytes = 512ul << 20,
        });
        var run = machine.RunAsync();
        await machine.Serial.ReadUntilAsync("# ");
        await machine.Serial.WriteLineAsync("uname -a");
        Console.WriteLine(await machine.Serial.ReadUntilAsync("# "));
        await machine.StopAsync();
        Console.WriteLine((await run).End);
        // README end
    }

    [GeneratedRegex(@"// README\n(.*?)\n\s*// README end", RegexOptions.Singleline)]
    private static partial Regex Between();
}
