// A host with hardware virtualization, made of software: QEMU's translator emulates a CPU with SVM, Debian's kernel loads its own
// kvm-amd module on it, and Lamina runs in there with --engine kvm. What /dev/kvm does in it is what it does on metal.
// One boot of it does all the work (the script "init"); the tests look at what it said.
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Lamina.Backends.Time;
using Lamina.Images;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Nested;

/// <summary>What a part of the work said, how it ended and how long it took in the guest's seconds.</summary>
public sealed record NestedPart(string Output, int ExitCode, int Seconds)
{
    /// <summary>Fails unless the part was a test program of which some tests ran and none failed, and none was skipped for want of something.</summary>
    /// <param name="project">The test program.</param>
    /// <param name="needs">Words of the reason for which a test would be skipped that is there for this run.</param>
    public void AssertPassed(string project, params ReadOnlySpan<string> needs)
    {
        Assert.Matches($@"{project} +Total: [1-9]\d*, Errors: 0, Failed: 0,", Output);
        Assert.Equal(0, ExitCode);
        foreach (var word in needs) Assert.DoesNotMatch($@"\[SKIP\]\n.*{word}", Output);
    }
}

/// <summary>The outer guest's short run: what each run of the tests has.</summary>
public sealed class ShortNestedHost() : NestedHost("short", TimeSpan.FromMinutes(12)); // less than ./test waits for the project

/// <summary>The long one, of hours: pauses and saved moments by the hundred, where all tests are asked for.</summary>
public sealed class LongNestedHost() : NestedHost("long", TimeSpan.FromHours(10), onRequest: true, "tests/Hypervisor.Tests", "tests/Cli.Tests");

/// <summary>One run of the outer guest.</summary>
/// <param name="work">Which work it does; "init" knows the words.</param>
/// <param name="patience">When it is given up.</param>
/// <param name="onRequest">Whether it is for ./test --all alone.</param>
/// <param name="projects">Test programs that it runs beside those of each run.</param>
public abstract partial class NestedHost(string work, TimeSpan patience, bool onRequest = false, params string[] projects) : IAsyncLifetime
{
    private const string Qemu = "qemu-system-x86_64", Memory = "3500";

    // QEMU's time-stamp counter is its host's; on a busy host the outer kernel's watchdog takes it for unstable, and KVM then sets
    // back the counters of its guests. For the same reason its check of the timer's interrupt fails there, which is a panic, and its
    // measurement of the counter's frequency comes to less, which makes its clock run many times too fast.
    private const string OuterCommandLine = "console=ttyS0 quiet tsc=reliable no_timer_check tsc_early_khz=";

    // QEMU 7.2 marks a virtual interrupt at VMRUN (helper_vmrun, interrupt_request |= CPU_INTERRUPT_VIRQ) without the lock under which
    // its other thread marks the timer's: where both do at once, the timer's interrupt stands in the local APIC's IRR and the CPU never
    // looks at it, so that the outer kernel, whose timer counts once, stands still for good. Any other interrupt has the CPU look
    // again; a byte on the serial line is one.
    private static readonly TimeSpan Heartbeat = TimeSpan.FromMilliseconds(200);

    private readonly Dictionary<string, NestedPart> _parts = [];
    private string? _whyNot;
    private string _console = "";

    /// <summary>A part, told to the test's output; skips the test where there was no run, fails it where the part did not come to its end.</summary>
    public NestedPart Part(string name, ITestOutputHelper output)
    {
        Assert.SkipWhen(_whyNot is not null, _whyNot ?? "");
        Assert.True(_parts.ContainsKey(name), $"the outer guest did not come to the end of \"{name}\"; its console's last lines:\n{Tail}");
        var part = _parts[name];
        output.WriteLine($"{name}: exit code {part.ExitCode}, {part.Seconds} s\n{part.Output}");
        return part;
    }

    private string Tail => _console.Length > 6000 ? _console[^6000..] : _console;

    /// <summary>Builds the outer guest and runs it.</summary>
    public async ValueTask InitializeAsync()
    {
        if (onRequest && !AllTests.AreAsked)
        {
            _whyNot = AllTests.WhyNot("it takes an hour");
            return;
        }
        var folder = Directory.CreateTempSubdirectory("lamina-nested-").FullName;
        try
        {
            await BuildAndRunAsync(folder);
        }
        catch (ImageException missing)
        {
            _whyNot = $"the guests cannot be had here: {missing.Message}";
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Nothing is left.</summary>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    private async Task BuildAndRunAsync(string folder)
    {
        if (HostCommand.Find(Qemu) is null || HostCommand.Find("dotnet") is null)
        {
            _whyNot = $"{Qemu} or dotnet is not installed";
            return;
        }
        var image = await ImageStore.OfUser().FindOrBuildAsync("tiny", new Progress<ImageProgress>(), CancellationToken.None);
        var contents = new OuterGuest(image, Directory.CreateDirectory(Path.Combine(folder, "scratch")).FullName, projects);
        var initrd = Path.Combine(folder, "initrd");
        await contents.WriteAsync(initrd);
        await RunAsync(image.KernelPath, initrd);
        foreach (Match part in PartPattern().Matches(_console))
            _parts[part.Groups[1].Value] = new NestedPart(part.Groups[2].Value, Number(part.Groups[3]), Number(part.Groups[4]));
    }

    private async Task RunAsync(string kernel, string initrd)
    {
        // Beside the tests, for whoever wants to follow a run or to look at one that failed.
        await using var log = new StreamWriter(Path.Combine(AppContext.BaseDirectory, $"console-{work}.log")) { AutoFlush = true };
        var start = new ProcessStartInfo(Qemu) { RedirectStandardOutput = true, RedirectStandardInput = true, RedirectStandardError = true };
        using var clock = new MachineClock();
        // One CPU: with several, QEMU 7.2 was seen to take a host's interrupt where VMRUN has just returned and GIF is 0, with the
        // guest's registers still loaded (the outer kernel's stack overflows), and to leave a CPU in a guest for good.
        foreach (var word in (string[])["-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", Memory, "-nodefaults", "-nographic", "-serial", "stdio", "-no-reboot",
            "-kernel", kernel, "-initrd", initrd, "-append", $"{OuterCommandLine}{clock.TscHz / 1000} work={work}"])
            start.ArgumentList.Add(word);
        using var qemu = Process.Start(start) ?? throw new InvalidOperationException($"{Qemu} does not start");
        var console = new StringBuilder();
        var reading = Task.WhenAll(ReadAsync(qemu.StandardOutput, console, log), ReadAsync(qemu.StandardError, console, log));
        using var end = new CancellationTokenSource(patience);
        var beats = BeatAsync(qemu.StandardInput, end.Token);
        try
        {
            await qemu.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            qemu.Kill();
        }
        await end.CancelAsync();
        await beats;
        await reading;
        lock (console) _console = console.ToString().Replace("\r", "", StringComparison.Ordinal);
    }

    private static async Task BeatAsync(StreamWriter line, CancellationToken end)
    {
        using var beat = new PeriodicTimer(Heartbeat);
        try
        {
            while (await beat.WaitForNextTickAsync(end))
            {
                await line.WriteAsync('\n');
                await line.FlushAsync(end);
            }
        }
        catch (Exception over) when (over is OperationCanceledException or IOException)
        {
            // The outer guest has ended, or was waited for long enough.
        }
    }

    private static async Task ReadAsync(StreamReader from, StringBuilder to, StreamWriter log)
    {
        var buffer = new char[4096];
        while (await from.ReadAsync(buffer) is > 0 and var count)
        {
            lock (to)
            {
                to.Append(buffer, 0, count);
                log.Write(buffer, 0, count);
            }
        }
    }

    private static int Number(Group group) => int.Parse(group.Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^=== (\S+)\n(.*?)^=== end (\d+) (\d+)\n", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex PartPattern();
}
