// A process that is locked as a machine's is reaches nothing that is not its machine's, from whichever of its threads: what it tries is
// refused, or ends it, and then it is written down which call it was.
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Lamina.Host.Locks;
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

    // ptrace, execve, fork, setuid, mount, kill, process_vm_readv, unshare, bpf, perf_event_open, init_module, reboot, keyctl, pidfd_open; a call that no kernel has.
    public static TheoryData<string, string> Ending => Each(("101", "ptrace"), ("59", "execve"), ("57", "fork"), ("105", "setuid"), ("165", "mount"), ("62", "kill"), ("310", "process_vm_readv"), ("272", "unshare"),
        ("321", "bpf"), ("298", "perf_event_open"), ("175", "init_module"), ("169", "reboot"), ("250", "keyctl"), ("434", "pidfd_open"), ("999", "number 999"));

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
        Assert.Equal((0, "done\nerrno 1"), Run(new MachineDefinition(), attempt, LockProbe.Main, _home.Definition));

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

    private (int Code, string Output) Run(MachineDefinition definition, string attempt, string thread, string argument = "-")
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [LockProbe.Word, _home.Blocked, $"{MachineLock.Calls(definition)}", attempt, thread, argument]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = PathLock.Version == 0
            ? Process.Start(start)!
            : LockedStart.Start(start, [.. MachineLock.Paths(_home, definition, Environment.ProcessPath!)], MachineLock.UsesTcp(definition))!;
        var output = process.StandardOutput.ReadToEnd().Trim();
        process.WaitForExit();
        return (process.ExitCode, output);
    }
}
