// What every source file and project file of the house keeps to (CONTRIBUTING.md).
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace Lamina.Tests.Architecture;

public sealed partial class SourceTests
{
    private const int MostLines = 600;

    private static readonly string[] UnsafeProjects = ["src/Lamina.Host/", "src/Lamina.Engines/", "tests/Engines.Tests/", "tests/Engine.Conformance.Tests/", "bench/", "fuzz/"];

    private static readonly string[] ProcessWide = ["Lamina.Definition", "Lamina.Host", "Lamina.Core", "Lamina.Engines", "Lamina.Devices", "Lamina.Backends", "Lamina.Machine"];

    // A signal handler is the process's own: what it needs cannot belong to an instance.
    private static readonly string[] SignalHandlers = ["src/Lamina.Host/GeneratedCodeFaults.cs"];

    // Each with its reason.
    private static readonly string[] MayWaitAnyhow =
    [
        "src/Lamina.Host/Locks/ThreadRestriction.cs", // threads that a signal comes to, once, when a run on a terminal starts
        "src/Lamina.Core/Bus/Bus.cs", // an access to a window that is being removed, seldom and short
        "src/Lamina.Devices/Virtio/Block/BlockUnderWay.cs", "src/Lamina.Devices/Virtio/Block/BlockWorkers.cs", // requests of a queue that is stopped, milliseconds
        "src/Lamina.Devices/Ata/WorkInHand.cs", // a part of a transfer that is given up, likewise
        "src/Lamina.Host/Io/Ring/IoUring.cs", // the kernel has no memory for the moment
        "src/Lamina.Backends/Vsock/UnixStream.cs", "src/Lamina.Backends/Vsock/UnixSocketHost.cs", "src/Lamina.Backends/Char/MemoryCharBackend.cs", "src/Lamina.Backends/Display/VncServer.cs", "src/Lamina.Backends/Display/ViewerLink.cs", "src/Lamina.Backends/Display/VncUpdates.cs", // tasks wait, no thread does
        "src/Lamina.Hypervisor/Asking/MachineClient.cs", "src/Lamina.Hypervisor/Consoles/ConsoleHub.cs", "src/Lamina.Hypervisor/Agent/AgentConnection.cs", "src/Lamina.Hypervisor/Agent/Qemu/QemuAgent.cs", "src/Lamina.Hypervisor/Serving/ControlSession.cs", "src/Lamina.Hypervisor/Serving/ForkPool.cs", "src/Lamina.Hypervisor/Serving/LiveChange.cs", "src/Lamina.Hypervisor/Serving/ServedMachine.cs", // likewise
    ];

    private static IEnumerable<string> AllSources => House.Sources("src").Concat(House.Sources("tests")).Concat(House.Sources("bench")).Concat(House.Sources("fuzz"));

    [Fact]
    public void No_file_has_more_than_600_lines() =>
        House.AssertNone(AllSources.Select(file => (file, lines: House.Read(file).Count(c => c == '\n'))).Where(file => file.lines > MostLines));

    [Fact]
    public void Every_file_opens_with_a_comment_that_says_what_it_is() =>
        House.AssertNone(House.Sources("src").Where(file => !House.Read(file).StartsWith("// ", StringComparison.Ordinal)));

    [Fact]
    public void Unsafe_code_is_allowed_in_the_projects_that_need_it_and_no_other() =>
        House.AssertNone(House.Files("", "*.csproj").Concat(House.Files("", "*.props"))
            .Where(file => House.Read(file).Contains("AllowUnsafeBlocks", StringComparison.Ordinal) && !UnsafeProjects.Any(folder => file.StartsWith(folder, StringComparison.Ordinal))));

    [Fact]
    public void Memory_is_not_reached_by_a_back_door_where_unsafe_is_off() =>
        House.AssertNone(House.Sources("src")
            .Where(file => !UnsafeProjects.Any(folder => file.StartsWith(folder, StringComparison.Ordinal)))
            .Where(file => BackDoor().IsMatch(House.Read(file))));

    [Fact]
    public void Versions_of_packages_stand_in_one_place()
    {
        var versioned = from file in House.Files("", "*.csproj")
                        from reference in XDocument.Parse(House.Read(file)).Descendants("PackageReference")
                        where reference.Attribute("Version") is not null || reference.Attribute("VersionOverride") is not null || reference.Element("Version") is not null
                        select $"{file}: {reference}";

        House.AssertNone(versioned);
    }

    [Fact]
    public void No_project_sets_what_the_house_sets_for_all()
    {
        string[] common = ["TargetFramework", "Nullable", "LangVersion", "TreatWarningsAsErrors", "ImplicitUsings", "NoWarn", "WarningsNotAsErrors"];

        var found = from file in House.Files("", "*.csproj")
                    from element in XDocument.Parse(House.Read(file)).Descendants()
                    where common.Contains(element.Name.LocalName)
                    select $"{file}: {element}";

        House.AssertNone(found);
    }

    [Fact]
    public void Warnings_are_not_silenced() =>
        House.AssertNone(AllSources.Where(file => !IsThisFile(file) && Silencer().IsMatch(House.Read(file))));

    /// <summary>These give the processor away by sched_yield before they sleep. Lamina.Host/Threads has what does not.</summary>
    [Fact]
    public void Threads_that_wait_for_others_sleep_in_waits_of_the_house() =>
        House.AssertNone(House.Sources("src").Where(file => !MayWaitAnyhow.Contains(file) && Yielding().IsMatch(House.Read(file))));

    /// <summary>Native code is compiled for any processor, and its runtime answers for that one: see HostFeatures of the translator.</summary>
    [Fact]
    public void What_the_hosts_processor_has_is_asked_of_it_and_not_of_the_runtime()
    {
        Assert.Matches(AsksTheRuntime(), "if (Bmi1.X64.IsSupported)");
        Assert.DoesNotMatch(AsksTheRuntime(), "if (!X86Base.X64.IsSupported)");

        House.AssertNone(House.Sources("src").Where(file => AsksTheRuntime().IsMatch(House.Read(file))));
    }

    [Fact]
    public void Nothing_is_left_for_later() =>
        House.AssertNone(from file in AllSources
                         where !IsThisFile(file)
                         from line in House.Read(file).Split('\n')
                         where Later().IsMatch(line)
                         select $"{file}: {line.Trim()}");

    [Fact]
    public void No_static_field_can_be_changed()
    {
        var found = from project in ProcessWide
                    from file in House.Sources($"src/{project}")
                    from line in House.Read(file).Split('\n')
                    where !SignalHandlers.Contains(file) && MutableStatic().IsMatch(line)
                    select $"{file}: {line.Trim()}";

        House.AssertNone(found);
    }

    [Theory]
    [InlineData("    private static int _count;", true)]
    [InlineData("    internal static Dictionary<string, int> Cache = [];", true)]
    [InlineData("    private static readonly int Count = 1;", false)]
    [InlineData("    internal static string Root { get; } = FindRoot();", false)]
    [InlineData("    internal static int Twice(int value) => value * 2;", false)]
    [InlineData("    internal static partial int close(int fd);", false)]
    [InlineData("    private const int Count = 1;", false)]
    public void The_rule_for_static_fields_knows_one(string line, bool isOne) => Assert.Equal(isOne, MutableStatic().IsMatch(line));

    private static bool IsThisFile(string file) => Path.GetFileName(file) == $"{nameof(SourceTests)}.cs";

    [GeneratedRegex(@"(?<![\w.])(?!X86Base\b)\w+(\.X64)?\.Is(Supported|HardwareAccelerated)\b")]
    private static partial Regex AsksTheRuntime();

    [GeneratedRegex(@"Unsafe\.(AsPointer|As<|AddByteOffset|Read<|Write<)|Marshal\.(AllocHGlobal|ReadInt|WriteInt|PtrToStructure)|MemoryMarshal\.CreateSpan")]
    private static partial Regex BackDoor();

    [GeneratedRegex(@"\b(SemaphoreSlim|ManualResetEventSlim|CountdownEvent|Barrier|SpinWait|SpinLock)\b(?<!\bThread\.SpinWait)|Thread\.Yield\(|Thread\.Sleep\(0\)")]
    private static partial Regex Yielding();

    [GeneratedRegex(@"#pragma warning disable|SuppressMessage\(")]
    private static partial Regex Silencer();

    [GeneratedRegex(@"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedException")]
    private static partial Regex Later();

    // A static field that is neither readonly nor const; methods, properties, types and delegates are none.
    [GeneratedRegex(@"^\s*((public|private|internal|protected) )?(static (?!readonly|class|partial|extern|unsafe|void|async|implicit|explicit|abstract|virtual|delegate))[\w<>\[\],.?() ]+ _?\w+( = [^>].*)?;\s*$")]
    private static partial Regex MutableStatic();
}
