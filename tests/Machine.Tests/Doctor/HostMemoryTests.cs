// How much memory is to be had, on hosts whose files are made up.
using Lamina.Doctor;
using Xunit;

namespace Lamina.Tests.Machines.Doctor;

public sealed class HostMemoryTests
{
    private const ulong MebiByte = 1 << 20;
    private const string Host = "MemTotal: 16000000 kB\nMemAvailable:    8388608 kB\n";

    private static ulong? Free(params (string Path, string Content)[] files) => HostMemory.Free(path => path == "/proc/meminfo" ? Host : files.FirstOrDefault(file => file.Path == path).Content);

    [Fact]
    public void Without_groups_it_is_what_the_host_has() => Assert.Equal(8192 * MebiByte, Free());

    [Fact]
    public void A_host_that_does_not_tell_has_no_figure() => Assert.Null(HostMemory.Free(_ => null));

    [Theory]
    [InlineData("max\n", 8192)]
    [InlineData("1073741824\n", 1024 - 200)]
    [InlineData("104857600\n", 0)]
    public void A_group_of_version_2_leaves_its_limit_without_what_it_uses(string limit, ulong mebiBytes) => Assert.Equal(mebiBytes * MebiByte, Free(
        ("/proc/self/cgroup", "0::/user.slice/session\n"),
        ("/sys/fs/cgroup/user.slice/session/memory.max", limit),
        ("/sys/fs/cgroup/user.slice/session/memory.current", $"{200 * MebiByte}\n")));

    [Fact]
    public void Pages_of_files_that_nobody_uses_are_no_use() => Assert.Equal(974 * MebiByte, Free(
        ("/proc/self/cgroup", "0::/a\n"),
        ("/sys/fs/cgroup/a/memory.max", $"{1024 * MebiByte}\n"),
        ("/sys/fs/cgroup/a/memory.current", $"{200 * MebiByte}\n"),
        ("/sys/fs/cgroup/a/memory.stat", $"anon 7\ninactive_file {150 * MebiByte}\nactive_file 9\n")));

    [Fact]
    public void The_tightest_of_a_group_and_those_above_it_counts() => Assert.Equal(300 * MebiByte, Free(
        ("/proc/self/cgroup", "0::/a/b/c\n"),
        ("/sys/fs/cgroup/a/b/c/memory.max", "max\n"),
        ("/sys/fs/cgroup/a/b/memory.max", $"{900 * MebiByte}\n"),
        ("/sys/fs/cgroup/a/b/memory.current", "0\n"),
        ("/sys/fs/cgroup/a/memory.max", $"{1000 * MebiByte}\n"),
        ("/sys/fs/cgroup/a/memory.current", $"{700 * MebiByte}\n")));

    [Fact]
    public void A_group_of_version_1_counts_with_those_above_it_and_others_controllers_do_not() => Assert.Equal(400 * MebiByte, Free(
        ("/proc/self/cgroup", "9:name=systemd:/x\n4:hugetlb,memory:/a/b\n2:cpu:/tight\n0::/\n"),
        ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"),
        ("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", $"{600 * MebiByte}\n"),
        ("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", $"{300 * MebiByte}\n"),
        ("/sys/fs/cgroup/memory/a/memory.stat", $"inactive_file 1\ntotal_inactive_file {100 * MebiByte}\n"),
        ("/sys/fs/cgroup/memory/tight/memory.limit_in_bytes", "1\n")));

    [Fact]
    public void In_a_container_whose_group_has_the_hosts_path_the_root_counts() => Assert.Equal(64 * MebiByte, Free(
        ("/proc/self/cgroup", "4:memory:/docker/0123\n"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", $"{64 * MebiByte}\n")));

    [Theory]
    [InlineData("garbage")]
    [InlineData("0::\n4:memory\n:::\n0::relative\n")]
    public void Lines_that_say_nothing_are_no_failure(string groups) => Assert.Equal(8192 * MebiByte, Free(("/proc/self/cgroup", groups)));
}
