// The library as a package: made, and used by a program that lies outside the house and has nothing but it, without a network. The
// program boots the tests' own guest, watches the machine, and looks inside it.
using System.Diagnostics;
using System.IO.Compression;
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
            <PackageReference Include="Lamina" Version="*" />
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

    private readonly KernelFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_program_outside_the_house_uses_the_package()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var feed = Directory.CreateDirectory(_folder.In("feed")).FullName;
        var user = Directory.CreateDirectory(_folder.In("user")).FullName;
        File.WriteAllText(Path.Combine(user, "User.csproj"), Project);
        File.WriteAllText(Path.Combine(user, "Program.cs"), Program);
        File.WriteAllText(Path.Combine(user, "nuget.config"), $"<configuration><packageSources><clear /><add key=\"feed\" value=\"{feed}\" /></packageSources></configuration>");

        await DotnetAsync(Path.GetFullPath("../../../../../src/Lamina.Machine", AppContext.BaseDirectory), "pack", "--no-build", "-c", Configuration, "-o", feed);
        await DotnetAsync(user, "build", "-c", "Release", "-o", _folder.In("out"));
        var said = await DotnetAsync(user, _folder.In("out/User.dll"), _folder.Kernel);

        Assert.Equal("True\nTrue\nStopped\nStarted\nEnded\n", said);
        using var package = ZipFile.OpenRead(Directory.GetFiles(feed).Single());
        var inside = package.Entries.Select(entry => entry.FullName).ToArray();
        Assert.Equal(["Lamina.Backends", "Lamina.Core", "Lamina.Definition", "Lamina.Devices", "Lamina.Engines", "Lamina.Host", "Lamina.Machine"], inside.Where(name => name.StartsWith("lib/", StringComparison.Ordinal) && name.EndsWith(".dll", StringComparison.Ordinal)).Select(Path.GetFileNameWithoutExtension).Order());
        Assert.Contains("lib/net10.0/Lamina.Machine.xml", inside);
        Assert.Contains("README.md", inside);
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
