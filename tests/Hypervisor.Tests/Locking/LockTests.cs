// A process that is locked as a machine's is reaches nothing that is not its machine's, from whichever of its threads: what it tries is
// refused, or ends it, and then it is written down which call it was.
using System.Collections;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Lamina.Host;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Locking;

public sealed class LockTests : IDisposable
{
    private static readonly string[] Threads = [LockProbe.Main, LockProbe.Pool, LockProbe.Own, LockProbe.Older];

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-lock-").FullName;
    private readonly MachineHome _home;

    public LockTests()
    {
        _home = new MachineHome(Path.Combine(_folder, "web"));
        Directory.CreateDirectory(_home.Work);
        File.WriteAllText(_home.Definition, "mine");
        File.WriteAllText(Path.Combine(_folder, "other"), "secret");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // ptrace, execve, fork, setuid, mount, kill, process_vm_readv, unshare, bpf, perf_event_open, init_module, reboot, keyctl, pidfd_open, chroot; a call that no kernel has.
    public static TheoryData<string, string> Ending => Each(("101", "ptrace"), ("59", "execve"), ("57", "fork"), ("105", "setuid"), ("165", "mount"), ("62", "kill"), ("310", "process_vm_readv"), ("272", "unshare"),
        ("321", "bpf"), ("298", "perf_event_open"), ("175", "init_module"), ("169", "reboot"), ("250", "keyctl"), ("434", "pidfd_open"), ("161", "chroot"), ("999", "number 999"));

    [Theory]
    [MemberData(nameof(Ending))]
    public void A_call_that_no_machine_needs_ends_the_process_and_its_name_is_written_down(string call, string name)
    {
        foreach (var thread in Threads)
        {
            var (code, _) = Run(new MachineDefinition(), call, thread);

            Assert.Equal((CallFilter.ExitCode, name), (code, CallFilter.ReadReport(_home.Blocked)));
        }
    }

    [Theory]
    [InlineData("101", "101")]
    [InlineData("999", "999")]
    [InlineData("3000", "3000")]
    public void On_a_terminal_it_is_said_which_call_ended_the_process(string call, string number)
    {
        foreach (var thread in Threads)
        {
            using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [LockProbe.Word, LockProbe.Nowhere, $"{CallGroup.Terminal | CallGroup.Compiler}", "None", call, thread, "-"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            using var over = Over(process.Id);
            var said = process.StandardError.ReadToEnd();
            process.WaitForExit();

            Assert.Equal(CallFilter.ExitCode, process.ExitCode);
            Assert.EndsWith($"made the system call number {number}\n", said, StringComparison.Ordinal);
            Assert.Equal(1, said.Count(letter => letter == '\n'));
        }
    }

    [Fact]
    public void Only_a_process_on_a_terminal_sends_itself_signals_and_no_other()
    {
        Assert.Equal(0, Kill(CallGroup.Terminal, "self"));
        Assert.Equal(CallFilter.ExitCode, Kill(CallGroup.Terminal, "parent"));
        Assert.Equal(CallFilter.ExitCode, Kill(CallGroup.Machine, "self"));

        static int Kill(CallGroup groups, string whom)
        {
            using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [LockProbe.Word, LockProbe.Nowhere, $"{groups | CallGroup.Compiler}", "None", "signal", LockProbe.Own, whom]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            using var over = Over(process.Id);
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode;
        }
    }

    [Fact]
    public void A_process_that_makes_no_such_call_ends_by_itself_and_nothing_is_written_down()
    {
        Assert.Equal((0, "done"), Run(new MachineDefinition(), "nothing", LockProbe.Main));
        Assert.Null(CallFilter.ReadReport(_home.Blocked));
    }

    [Theory]
    [InlineData(LockProbe.MapExecutable)]
    [InlineData(LockProbe.ProtectExecutable)]
    public void Nothing_becomes_executable_in_a_process_of_native_code(string attempt) =>
        Assert.Equal((0, "done\nerrno 1"), Run(new MachineDefinition(), attempt, LockProbe.Main, Environment.ProcessPath!));

    [Fact]
    public void Files_that_are_not_the_machines_are_refused_and_its_own_are_not()
    {
        NeedsLandlock(1);
        foreach (var thread in Threads)
        {
            Assert.Equal((0, "mine"), Run(new MachineDefinition(), "read", thread, _home.Definition));
            Assert.Equal((0, "done"), Run(new MachineDefinition(), "write", thread, Path.Combine(_home.Work, "x")));
            Refused("read", thread, Path.Combine(_folder, "other"));
            Refused("write", thread, Path.Combine(_folder, "new"));
            // Its next start is by its definition.
            Refused("write", thread, _home.Definition);
            Refused("remove", thread, _home.Definition);
        }
    }

    [Fact]
    public void What_a_definition_names_is_reached_as_far_as_it_says()
    {
        NeedsLandlock(1);
        var other = Path.Combine(_folder, "other");
        var shared = Directory.CreateDirectory(Path.Combine(_folder, "shared")).FullName;
        var machine = new MachineDefinition { Devices = [new DiskDevice { Path = other, ReadOnly = true, Format = ImageFormat.Raw }, new ShareDevice { Path = shared, Tag = "s" }] };

        Assert.Equal((0, "secret"), Run(machine, "read", LockProbe.Own, other));
        Assert.StartsWith("refused", Run(machine, "write", LockProbe.Own, other).Output, StringComparison.Ordinal);
        Assert.Equal((0, "done"), Run(machine, "write", LockProbe.Own, Path.Combine(shared, "new")));
        Assert.Equal((0, "done"), Run(machine with { Devices = [new DiskDevice { Path = other, Format = ImageFormat.Raw }] }, "write", LockProbe.Own, other));
    }

    // As on a terminal, where threads are there before the lock is.
    [Theory]
    [InlineData(LockProbe.Main)]
    [InlineData(LockProbe.Own)]
    [InlineData(LockProbe.Pool)]
    [InlineData(LockProbe.Older)]
    public void A_process_that_runs_is_kept_from_files_and_ports_on_every_thread_that_it_has_and_will_have(string thread)
    {
        NeedsLandlock(1);
        var other = Path.Combine(_folder, "other");
        Assert.Equal("mine", Within("read", thread, _home.Definition));
        Assert.Equal("done", Within("write", thread, Path.Combine(_home.Work, thread)));
        Assert.Equal("done", Within("remove", thread, Path.Combine(_home.Work, thread)));
        Assert.StartsWith("refused", Within("read", thread, other), StringComparison.Ordinal);
        Assert.StartsWith("refused", Within("write", thread, Path.Combine(_folder, "new")), StringComparison.Ordinal);
        Assert.StartsWith("refused", Within("remove", thread, other), StringComparison.Ordinal);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        if (PathLock.Version >= 4) Assert.StartsWith("refused", Within("connect", thread, $"{((IPEndPoint)listener.LocalEndpoint).Port}"), StringComparison.Ordinal);

        string Within(string attempt, string from, string argument)
        {
            using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [LockProbe.Word, _home.Folder, LockProbe.Within, "None", attempt, from, argument]) { RedirectStandardOutput = true })!;
            using var over = Over(process.Id);
            var said = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            Assert.Equal(0, process.ExitCode);
            return said;
        }
    }

    [Fact]
    public void A_thread_that_takes_no_signal_is_given_up_and_ends_nothing_when_it_does()
    {
        NeedsLandlock(1);
        Assert.SkipWhen(PathLock.Version >= 8, "this kernel asks no thread");
        using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [LockProbe.Word, _home.Folder, LockProbe.Within, "None", LockProbe.Deaf, LockProbe.Main, "-"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        using var over = Over(process.Id);
        var (said, errors) = (process.StandardOutput.ReadToEnd().Trim(), process.StandardError.ReadToEnd());
        process.WaitForExit();

        Assert.Equal((0, ""), (process.ExitCode, errors));
        Assert.EndsWith("cannot be restricted: it takes no signal", said, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_a_machine_with_a_user_network_reaches_TCP_ports()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = $"{((IPEndPoint)listener.LocalEndpoint).Port}";

        foreach (var thread in Threads) Refused("connect", thread, port);
        var machine = new MachineDefinition { Devices = [new NetworkDevice()] };
        Assert.Equal((0, "done"), Run(machine, "connect", LockProbe.Own, port));
        // Packets past the stack (AF_PACKET) are nobody's.
        Assert.StartsWith("refused", Run(machine, "raw", LockProbe.Own).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Cards_on_a_switch_need_no_TCP_and_get_none()
    {
        NeedsLandlock(4);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();

        Assert.StartsWith("refused", Run(new MachineDefinition { Devices = [new NetworkDevice { Link = new NetworkLink.Switch(Path.Combine(_folder, "s")) }] }, "connect", LockProbe.Own, $"{((IPEndPoint)listener.LocalEndpoint).Port}").Output, StringComparison.Ordinal);
    }

    // A user's process, or root's as far as root has the right to make namespaces.
    [Fact]
    public void Other_processes_are_not_to_be_seen_from_any_thread()
    {
        foreach (var thread in Threads)
        {
            var (code, output) = Run(new MachineDefinition(), "processes", thread, "-", out var held);
            Assert.SkipUnless(held.InForce.HasFlag(ConfinementParts.Processes | ConfinementParts.Root), $"this host gives no namespaces: {string.Join(", ", held.Refused.Values)}");

            Assert.Equal((0, "1"), (code, output));
        }
    }

    [Fact]
    public void The_number_that_a_process_is_told_is_the_one_that_others_know_it_by()
    {
        using var process = Own("/bin/sh", ["-c", "echo $0 $$; read nothing", ConfinedProcess.OwnNumber], ConfinementParts.Namespaces, out var held);
        using var over = Over(process.Id);
        using var reader = new StreamReader(process.Output);
        var words = reader.ReadLine()!.Split(' ');
        Assert.Equal(0, process.Wait() & ~1);

        Assert.Equal([$"{process.Id}", held.InForce.HasFlag(ConfinementParts.Processes) ? "1" : $"{process.Id}"], words);
    }

    [Fact]
    public void A_file_that_the_process_may_write_is_not_mapped_executable_from_any_thread()
    {
        var own = Path.Combine(_home.Work, "code");
        File.WriteAllBytes(own, new byte[4096]);
        foreach (var thread in Threads)
        {
            var (code, output) = Run(new MachineDefinition(), "map", thread, own, out var held);
            Assert.SkipUnless(held.InForce.HasFlag(ConfinementParts.Root), "this host gives no mount namespace");

            Assert.Equal((0, "refused: errno 1"), (code, output));
        }
    }

    [Fact]
    public void The_root_holds_what_a_machine_reaches_and_nothing_beside_it()
    {
        var (code, output) = Run(new MachineDefinition(), "list", LockProbe.Own, _folder, out var held);
        Assert.SkipUnless(held.InForce.HasFlag(ConfinementParts.Root), "this host gives no mount namespace");
        Assert.Equal(0, code);
        // The folder above the machine's is one that was made for the way there: "other" is not in it.
        if (held.InForce.HasFlag(ConfinementParts.Files)) Assert.StartsWith("refused", output, StringComparison.Ordinal);
        else Assert.Equal("web", output);
    }

    [Fact]
    public void Nothing_of_it_is_left_on_the_host()
    {
        var before = File.ReadAllText("/proc/self/mountinfo");
        Run(new MachineDefinition(), "nothing", LockProbe.Main);

        Assert.Equal(before, File.ReadAllText("/proc/self/mountinfo"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_home.Root));
    }

    [Fact]
    public void A_part_that_the_host_refuses_is_left_out_and_told()
    {
        // There is nothing to mount the root upon.
        using var process = Own("/bin/sh", ["-c", "echo $0", "begun"], ConfinementParts.Namespaces, out var held, Path.Combine(_folder, "missing"));
        using var over = Over(process.Id);
        using var reader = new StreamReader(process.Output);
        Assert.Equal(("begun", 0), (reader.ReadToEnd().Trim(), process.Wait()));

        Assert.False(held.InForce.HasFlag(ConfinementParts.Root));
        Assert.NotEmpty(held.Refused[ConfinementParts.Root]);
    }

    [Fact]
    public void A_program_that_is_not_there_is_a_sentence()
    {
        var refused = Assert.Throws<HostException>(() => Own(Path.Combine(_folder, "no-program"), [], ConfinementParts.Namespaces, out _));
        Assert.Contains("no-program", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_machine_needs_of_the_host_is_a_reason_and_not_a_refusal_of_the_host()
    {
        var share = new MachineDefinition { Devices = [new ShareDevice { Path = _folder, Tag = "s" }] };
        var network = new MachineDefinition { Devices = [new NetworkDevice()] };

        Assert.Contains("share s", Reason(LockPlan.Of(_home, share, isRoot: true), "user"), StringComparison.Ordinal);
        Assert.Equal(ConfinementParts.None, LockPlan.Of(_home, share, isRoot: false).Parts & ConfinementParts.Namespaces);
        Assert.Equal(ConfinementParts.Namespaces & ~ConfinementParts.User, LockPlan.Of(_home, share, isRoot: true).Parts & ConfinementParts.Namespaces);
        Assert.Contains("network", Reason(LockPlan.Of(_home, network, isRoot: false), "network"), StringComparison.Ordinal);
        Assert.Equal(LockPlan.None, LockPlan.Of(_home, network with { Lock = LockMode.Off }, isRoot: true));

        static string Reason(LockPlan plan, string part) => Assert.Single(plan.Gaps, gap => gap.Part == part && gap.IsOfMachine).Reason;
    }

    [Fact]
    public void A_report_is_the_same_when_it_was_a_word()
    {
        var report = new LockReport(["files", "calls"], [new LockGap("user", "clone: not: permitted", IsOfMachine: false), new LockGap("network", "a card", IsOfMachine: true)]);
        var read = LockReport.Parse(report.Word);

        Assert.Equal(report.InForce, read.InForce);
        Assert.Equal(report.Gaps, read.Gaps);
        Assert.Equal("user: clone: not: permitted", read.Missing);
        Assert.Null(LockReport.Parse(LockReport.None.Word).Missing);
        Assert.Empty(LockReport.Parse("").InForce);
    }

    // It is waited for as long as a test may take.
    private static CancellationTokenRegistration Over(int process) => TestContext.Current.CancellationToken.Register(() => Process.GetProcessById(process).Kill());

    private ConfinedProcess Own(string program, string[] words, ConfinementParts wanted, out Confined held, string? place = null)
    {
        Confined? told = null;
        PathRule[] paths = [new("/usr", PathRights.Read | PathRights.Execute), new("/lib", PathRights.Read | PathRights.Execute), new("/lib64", PathRights.Read | PathRights.Execute), new("/bin", PathRights.Read | PathRights.Execute), new("/proc", PathRights.Read), new("/dev/null", PathRights.Read | PathRights.Write)];
        var process = ConfinedProcess.Start(program, confined =>
        {
            told = confined;
            return words;
        }, [], new Confinement { Wanted = wanted, Paths = paths, Later = paths, Place = place ?? Directory.CreateDirectory(_home.Root).FullName });
        held = told!;
        return process;
    }

    private static TheoryData<string, string> Each(params (string, string)[] rows)
    {
        var data = new TheoryData<string, string>();
        foreach (var (call, name) in rows) data.Add(call, name);
        return data;
    }

    private static void NeedsLandlock(int version) => Assert.SkipUnless(PathLock.Version >= version, $"the kernel's Landlock is of version {PathLock.Version}, and this takes {version}");

    private void Refused(string attempt, string thread, string argument)
    {
        var (code, output) = Run(new MachineDefinition(), attempt, thread, argument);
        Assert.Equal(0, code);
        Assert.StartsWith("refused", output, StringComparison.Ordinal);
    }

    private (int Code, string Output) Run(MachineDefinition definition, string attempt, string thread, string argument = "-") => Run(definition, attempt, thread, argument, out _);

    // As a machine's process is started, with as much of the lock as this host gives.
    private (int Code, string Output) Run(MachineDefinition definition, string attempt, string thread, string argument, out Confined held)
    {
        var program = Environment.ProcessPath!;
        var plan = LockPlan.Of(_home, definition, HostProcess.IsRoot);
        Confined? told = null;
        using var process = ConfinedProcess.Start(program, confined =>
        {
            told = confined;
            return [LockProbe.Word, _home.Blocked, $"{MachineLock.Calls(definition)}", $"{confined.InForce}", attempt, thread, argument];
        }, Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(variable => KeyValuePair.Create((string)variable.Key, (string)variable.Value!)), new Confinement
        {
            Wanted = plan.Parts,
            Paths = [.. MachineLock.Paths(_home, definition, program)],
            Later = [.. MachineLock.Later(_home, definition, program)],
            Place = Directory.CreateDirectory(_home.Root).FullName,
            UsesTcp = MachineLock.UsesTcp(definition),
            Keeps = MachineLock.Keeps(definition),
        });
        using var over = Over(process.Id);
        using var reader = new StreamReader(process.Output);
        var output = reader.ReadToEnd().Trim();
        held = told!;
        return (process.Wait(), output);
    }
}
