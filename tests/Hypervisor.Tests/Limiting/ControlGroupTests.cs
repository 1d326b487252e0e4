// Where control groups can be made, on hosts that are described; and what is written to them, on a folder that looks like one.
using System.Diagnostics;
using Lamina.Host;
using Lamina.Host.Groups;
using Lamina.Hypervisor.Limiting;
using Xunit;

namespace Lamina.Tests.Hypervisor.Limiting;

public sealed class ControlGroupTests : IDisposable
{
    private const string Mounts1 = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
    private const string Mounts2 = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
    private const string User = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-group-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_delegated_tree_is_used_from_its_highest_group_on()
    {
        var found = Find(Mounts2, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/term.scope\n", path => path.StartsWith(User, StringComparison.Ordinal), path => path.StartsWith(User, StringComparison.Ordinal) ? "cpu memory pids" : null);

        Assert.Equal(new GroupTree(2, "cpu", User), found);
    }

    [Fact]
    public void A_session_that_nothing_is_delegated_to_has_no_place() =>
        Assert.Null(Find(Mounts2, "0::/user.slice/user-1000.slice/session-3.scope\n", path => path.StartsWith(User, StringComparison.Ordinal), _ => "cpu memory"));

    [Fact]
    public void A_tree_without_the_controller_is_none() => Assert.Null(Find(Mounts2, "0::/a\n", _ => true, _ => "memory pids"));

    // As in a container with a control group namespace, and in a scope of a manager that has no group of this user's above it.
    [Theory]
    [InlineData("domain", "12\n", null)]
    [InlineData("domain threaded", "12\n", null)]
    [InlineData("threaded", null, null)]
    [InlineData("domain", "", "/sys/fs/cgroup/box")]
    public void A_group_with_processes_in_it_itself_is_no_place(string type, string? processes, string? place)
    {
        string? Read(string path) => path switch
        {
            "/proc/self/mounts" => Mounts2,
            "/proc/self/cgroup" => "0::/box/shell\n",
            "/sys/fs/cgroup/box/cgroup.type" => type + "\n",
            "/sys/fs/cgroup/box/cgroup.procs" => processes,
            "/sys/fs/cgroup/box/cgroup.controllers" => "cpu memory\n",
            "/sys/fs/cgroup/box/shell/cgroup.type" => "domain\n",
            _ => null,
        };
        static bool MayWrite(string path) => path.StartsWith("/sys/fs/cgroup/box", StringComparison.Ordinal);

        Assert.Equal(place, GroupTree.Find("cpu", Read, MayWrite)?.Path);
        Assert.Equal(place is null && type != "threaded" ? "/sys/fs/cgroup/box" : null, GroupTree.FindOccupied("cpu", Read, MayWrite)?.Path);
    }

    [Fact]
    public void Root_has_the_whole_tree() => Assert.Equal("/sys/fs/cgroup", Find(Mounts2, "0::/init.scope\n", _ => true, _ => "cpuset cpu io memory")?.Path);

    [Fact]
    public void In_version_1_the_place_is_below_the_processs_own_group_of_that_controller() =>
        Assert.Equal(new GroupTree(1, "cpu", "/sys/fs/cgroup/cpu,cpuacct/box"), Find(Mounts1, "4:memory:/other\n2:cpu,cpuacct:/box\n0::/\n", path => !path.Contains("unified", StringComparison.Ordinal), _ => null));

    [Fact]
    public void A_tree_that_may_not_be_written_is_none() => Assert.Null(Find(Mounts1, "2:cpu,cpuacct:/\n0::/\n", _ => false, _ => null));

    [Theory]
    [InlineData(25, "12500 50000", "50000", "12500")]
    [InlineData(150, "75000 50000", "50000", "75000")]
    [InlineData(1, "10000 1000000", "1000000", "10000")]
    [InlineData(null, "max", "", "-1")]
    public void A_cap_is_written_as_each_version_has_it(int? percent, string second, string period, string quota)
    {
        var (two, one) = (Group(2, "cpu.max"), Group(1, "cpu.cfs_period_us", "cpu.cfs_quota_us"));

        two.SetCap(percent);
        one.SetCap(percent);

        Assert.Equal((second, period, quota), (two.Read("cpu.max"), one.Read("cpu.cfs_period_us"), one.Read("cpu.cfs_quota_us")));
    }

    [Theory]
    [InlineData(100, "100", "1024")]
    [InlineData(300, "300", "3072")]
    [InlineData(10_000, "10000", "102400")]
    [InlineData(1, "1", "10")]
    public void A_weight_is_written_as_each_version_has_it(int weight, string second, string shares)
    {
        var (two, one) = (Group(2, "cpu.weight"), Group(1, "cpu.shares"));

        two.SetWeight(weight);
        one.SetWeight(weight);

        Assert.Equal((second, shares), (two.Read("cpu.weight"), one.Read("cpu.shares")));
    }

    [Fact]
    public void What_cannot_be_written_is_a_sentence_with_the_files_name() =>
        Assert.Contains("cpu.weight", Assert.Throws<HostException>(() => Group(2).SetWeight(5)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_process_is_told_of_its_groups_by_a_word()
    {
        var groups = new LimitGroups(new ControlGroup(1, "/sys/fs/cgroup/cpu/lamina/a:b"), null);

        Assert.Equal(groups, LimitGroups.Parse(groups.ToString()));
        Assert.Equal(LimitGroups.None, LimitGroups.Parse(LimitGroups.None.ToString()));
        Assert.Throws<MachineException>(() => LimitGroups.Parse("3:/x|-"));
        Assert.Throws<MachineException>(() => LimitGroups.Parse(""));
    }

    // As a machine has it: its process in one, its virtual CPUs' threads in one below.
    [Fact]
    public void A_group_of_this_host_of_version_2_takes_limits_a_process_and_a_thread_below_it_and_goes()
    {
        var tree = GroupTree.Find("cpu");
        Assert.SkipUnless(tree is { Version: 2 } && GroupTree.Find("memory") == tree with { Controller = "memory" }, "this user can make no control groups of version 2 here");
        var group = new ControlGroup(2, tree!.Path).Below($"lamina-test-{Environment.ProcessId}");
        var below = group.Below("cpus");
        group.Make("cpu", "memory");
        try
        {
            below.Make("cpu");
            below.MakeThreaded();
            below.MakeThreaded();
            using var process = Process.Start("sleep", "600");
            try
            {
                group.Write("cgroup.procs", $"{process.Id}");
                below.Write("cgroup.threads", $"{process.Id}");
                group.SetWeight(300);
                group.SetMemory(512ul << 20);
                below.SetCap(25);

                Assert.Equal(($"{process.Id}", $"{process.Id}"), (group.Read("cgroup.procs"), below.Read("cgroup.threads")));
                Assert.Equal(("300", $"{512 << 20}", "12500 50000"), (group.Read("cpu.weight"), group.Read("memory.high"), below.Read("cpu.max")));
                Assert.Equal(0ul, group.KilledForMemory());
                Assert.False(below.TryRemove() || group.TryRemove());
                below.SetCap(null);
                group.SetMemory(null);
                Assert.Equal(("max 50000", "max"), (below.Read("cpu.max"), group.Read("memory.high")));
            }
            finally
            {
                process.Kill();
                process.WaitForExit();
            }
        }
        finally
        {
            Assert.True(below.TryRemove() && group.TryRemove());
        }
    }

    // As on this host, where there is a place: made, entered by a thread, and gone when that has ended.
    [Fact]
    public void A_group_of_this_host_takes_a_cap_and_a_thread_and_goes()
    {
        var tree = GroupTree.Find("cpu");
        Assert.SkipWhen(tree is null, "this user can make no control groups for processor time here");
        Assert.SkipWhen(tree!.Version == 2, "in version 2 a thread of a process stays below its process's group");
        var group = new ControlGroup(tree.Version, tree.Path).Below($"lamina-test-{Environment.ProcessId}");
        group.Make("cpu");
        try
        {
            group.SetCap(25);
            group.SetWeight(300);
            var entered = "";
            var thread = new Thread(() =>
            {
                group.EnterThread();
                entered = group.Read("tasks");
                Assert.False(group.TryRemove());
            });
            thread.Start();
            thread.Join();

            Assert.NotEqual("", entered);
            Assert.Equal((12500ul, 3072ul), (group.ReadNumber("cpu.cfs_quota_us"), group.ReadNumber("cpu.shares")));
        }
        finally
        {
            Assert.True(SpinWait.SpinUntil(group.TryRemove, TimeSpan.FromSeconds(10)));
        }
        Assert.False(group.Exists);
    }

    private static GroupTree? Find(string mounts, string own, Func<string, bool> mayWrite, Func<string, string?> controllers) => GroupTree.Find("cpu", path => path switch
    {
        "/proc/self/mounts" => mounts,
        "/proc/self/cgroup" => own,
        _ when path.EndsWith("/cgroup.controllers", StringComparison.Ordinal) => controllers(path),
        _ => null,
    }, mayWrite);

    private ControlGroup Group(int version, params string[] files)
    {
        var group = new ControlGroup(version, Path.Combine(_folder, $"v{version}"));
        Directory.CreateDirectory(group.Path);
        foreach (var file in files) File.WriteAllText(Path.Combine(group.Path, file), "");
        return group;
    }
}
