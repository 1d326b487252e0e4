// The library as a package: made, and used by a program that lies outside the house and has nothing but it, without a network. The
// program boots the tests' own guest, watches the machine, and looks inside it.
using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines;

public sealed class PackageTests : IDisposable
{
    private const string Project = """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <OutputType>Exe</OutputType>
            <TargetFramework>net10.0</TargetFramework>
            <ImplicitUsings>enable</ImplicitUsings>
            <Nullable>enable</Nullable>
            <UseAppHost>false</UseAppHost>
            <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
          </PropertyGroup>
          <ItemGroup>
            <PackageReference Include="PACKAGE" Version="*" />
          </ItemGroup>
        </Project>
        """;

    private const string Program = """
        using Lamina;
        using Lamina.Control;
        using Lamina.Definition;

        [assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]

        await using var machine = Machine.Create(new MachineDefinition { Boot = new BootSource { KernelPath = args[0] } });
        var watch = machine.WatchAsync();
        var run = machine.RunAsync();
        await machine.Serial.ReadUntilAsync("# ");
        await machine.Serial.WriteLineAsync("uname -a");
        Console.WriteLine((await machine.Serial.ReadUntilAsync("# ")).Contains("Lamina"));
        Console.WriteLine((await machine.InspectAsync("vcpus/0/state"))["activity"] is string);
        await machine.StopAsync();
        Console.WriteLine((await run).End);
        await foreach (var told in watch) Console.WriteLine(told.GetType().Name);
        """;

    private const string LoggingProgram = """
        using Lamina;
        using Lamina.Control;
        using Lamina.Definition;
        using Lamina.Logging;
        using Microsoft.Extensions.Logging;

        [assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]

        var hooks = new MachineHooks().WithLogger(new Loggers());
        await using var machine = Machine.Create(new MachineDefinition { Boot = new BootSource { KernelPath = args[0] } }, hooks);
        var run = machine.RunAsync();
        await machine.Serial.ReadUntilAsync("# ");
        await machine.StopAsync();
        await run;

        class Loggers : ILoggerFactory
        {
            public ILogger CreateLogger(string category) => new Logger(category);
            public void AddProvider(ILoggerProvider provider) { }
            public void Dispose() { }
        }

        class Logger(string category) : ILogger
        {
            public IDisposable? BeginScope<T>(T state) where T : notnull => null;
            public bool IsEnabled(LogLevel level) => level >= LogLevel.Information;
            public void Log<T>(LogLevel level, EventId id, T state, Exception? e, Func<T, Exception?, string> text) => Console.WriteLine($"{level} {category} {id} {text(state, e)}");
        }
        """;

    private static readonly string[] s_neededByLoggers = ["microsoft.extensions.logging.abstractions", "microsoft.extensions.dependencyinjection.abstractions"];
    private static readonly string[] s_packed = ["Lamina.Backends", "Lamina.Core", "Lamina.Definition", "Lamina.Devices", "Lamina.Engines", "Lamina.Host", "Lamina.Machine"];

    // One type of each room that a machine is made of.
    private static readonly string[] s_inside =
        ["Lamina.Devices.Virtio.Mmio.VirtioMmio", "Lamina.Engines.CpuModels", "Lamina.Backends.Disk.DiskOptions", "Lamina.Host.HostException"];

    private readonly KernelFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_program_outside_the_house_uses_the_package()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await PackAsync("Lamina.Machine");
        Write("Lamina", Program);

        await DotnetAsync(User, "build", "-c", "Release", "-o", _folder.In("out"));
        var said = await DotnetAsync(User, _folder.In("out/User.dll"), _folder.Kernel);

        Assert.Equal("True\nTrue\nStopped\nStarted\nEnded\n", said);
        using var package = ZipFile.OpenRead(Directory.GetFiles(Feed, "Lamina.*").Single());
        var inside = package.Entries.Select(entry => entry.FullName).ToArray();
        Assert.Equal(s_packed, Assemblies(inside, "runtimes/linux-x64/lib/net10.0/"));
        Assert.Equal(["Lamina.Core", "Lamina.Definition", "Lamina.Machine"], Assemblies(inside, "lib/"));
        foreach (var name in Assemblies(inside, "lib/")) Assert.Contains($"lib/net10.0/{name}.xml", inside);
        Assert.Contains("README.md", inside);

        using var nuspec = package.GetEntry("Lamina.nuspec")!.Open();
        var dependencies = XDocument.Load(nuspec).Descendants().Where(element => element.Name.LocalName == "dependency").Select(element => ((string)element.Attribute("id")!, (string)element.Attribute("version")!));
        Assert.Equal(Needed(), dependencies);
    }

    // The packages that the package's assemblies are built with, and their versions.
    private static IEnumerable<(string Name, string Version)> Needed()
    {
        var versions = XDocument.Load(Path.Combine(Root, "Directory.Packages.props")).Descendants("PackageVersion").ToDictionary(package => (string)package.Attribute("Include")!, package => (string)package.Attribute("Version")!);
        return s_packed.SelectMany(project => XDocument.Load(Path.Combine(Root, "src", project, $"{project}.csproj")).Descendants("PackageReference")).Select(reference => (string)reference.Attribute("Include")!).Order(StringComparer.Ordinal)
            .Select(name => (name, versions[name]));
    }

    [Fact]
    public async Task A_program_that_names_what_a_machine_is_made_of_does_not_compile()
    {
        await PackAsync("Lamina.Machine");
        Write("Lamina", "System.Console.WriteLine(typeof(Lamina.Machine));");
        await DotnetAsync(User, "build", "-c", "Release");
        Write("Lamina", string.Join('\n', s_inside.Select(type => $"System.Console.WriteLine(typeof({type}));")));

        var (code, said) = await RunAsync(User, "build", "-c", "Release", "--no-restore");

        Assert.NotEqual(0, code);
        // CS0234: the namespace has no such name. One line for each type, and no other error.
        for (var line = 1; line <= s_inside.Length; line++) Assert.Contains($"Program.cs({line},", said, StringComparison.Ordinal);
        Assert.All(said.Split('\n').Where(line => line.Contains(": error ", StringComparison.Ordinal)), line => Assert.Contains("error CS0234", line, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_program_with_loggers_uses_the_package_for_them()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await PackAsync("Lamina.Machine");
        await PackAsync("Lamina.Logging");
        foreach (var needed in s_neededByLoggers) Supply(needed);
        Write("Lamina.Logging", LoggingProgram);

        await DotnetAsync(User, "build", "-c", "Release", "-o", _folder.In("out"));
        var said = await DotnetAsync(User, _folder.In("out/User.dll"), _folder.Kernel);

        Assert.Equal("Information Lamina.life Started started\nInformation Lamina.life Ended ended (Stopped)\n", said);
    }

    private string Feed => Directory.CreateDirectory(_folder.In("feed")).FullName;

    private string User => Directory.CreateDirectory(_folder.In("user")).FullName;

    private static string Packages =>
        Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget/packages");

    private static IEnumerable<string?> Assemblies(string[] inside, string below) =>
        inside.Where(name => name.StartsWith(below, StringComparison.Ordinal) && name.EndsWith(".dll", StringComparison.Ordinal)).Select(Path.GetFileNameWithoutExtension).Order();

    private static string Root => Path.GetFullPath("../../../../..", AppContext.BaseDirectory);

    private async Task PackAsync(string project)
    {
        await DotnetAsync(Path.Combine(Root, "src", project), "pack", "--no-build", "-c", Configuration, "-o", Feed);
        if (project == "Lamina.Machine")
            foreach (var (name, _) in Needed()) Supply(name);
    }

    // What the package needs of others is where this build had it from.
    private void Supply(string name)
    {
        foreach (var file in Directory.GetFiles(Path.Combine(Packages, name.ToLowerInvariant()), "*.nupkg", SearchOption.AllDirectories)) File.Copy(file, Path.Combine(Feed, Path.GetFileName(file)));
    }

    private void Write(string package, string program)
    {
        File.WriteAllText(Path.Combine(User, "User.csproj"), Project.Replace("PACKAGE", package, StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(User, "Program.cs"), program);
        File.WriteAllText(Path.Combine(User, "nuget.config"), $"<configuration><packageSources><clear /><add key=\"feed\" value=\"{Feed}\" /></packageSources></configuration>");
    }

    private static string Configuration => AppContext.BaseDirectory.Contains("/Release/", StringComparison.Ordinal) ? "Release" : "Debug";

    // Nothing is asked of a network: the feed is a folder, and what it brings is kept in this test's own.
    private async Task<string> DotnetAsync(string folder, params string[] words)
    {
        var (code, said) = await RunAsync(folder, words);
        Assert.True(code == 0, $"dotnet {string.Join(' ', words)}\n{said}");
        return said;
    }

    private async Task<(int Code, string Said)> RunAsync(string folder, params string[] words)
    {
        var start = new ProcessStartInfo("dotnet", words) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["NUGET_PACKAGES"] = _folder.In("packages");
        start.Environment["MSBUILDDISABLENODEREUSE"] = start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = start.Environment["DOTNET_NOLOGO"] = "1";
        if (words[0] == "pack") start.Environment.Remove("NUGET_PACKAGES");
        using var process = Process.Start(start)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output + await errors);
    }
}
