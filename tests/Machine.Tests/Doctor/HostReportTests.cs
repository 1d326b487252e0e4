// What doctor says of hosts of all kinds.
using Lamina.Choice;
using Lamina.Doctor;
using Lamina.Engines;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Machines.Doctor;

public sealed class HostReportTests
{
    private static readonly Dictionary<string, string> s_files = new()
    {
        ["/proc/meminfo"] = "MemTotal:       16000000 kB\nMemAvailable:    8388608 kB\n",
        ["/proc/sys/vm/overcommit_memory"] = "0\n",
        ["/proc/sys/user/max_user_namespaces"] = "63000\n",
        ["/proc/self/status"] = "Name:\tlamina\nCapEff:\t000001ffffffffff\n",
        ["/sys/fs/cgroup/cgroup.controllers"] = "cpu memory io\n",
        ["/proc/cgroups"] = "#subsys_name\n",
        ["/proc/self/mounts"] = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
        ["/sys/kernel/mm/ksm/run"] = "1\n",
        ["/sys/kernel/mm/transparent_hugepage/enabled"] = "always [madvise] never\n",
    };

    [Fact]
    public void A_host_with_everything_has_nothing_to_mend()
    {
        var report = Report();

        Assert.Equal("kvm", report.AutoEngine);
        Assert.All(report.Checks, check => Assert.True(check.Status == HostCheckStatus.Good && check.Remedy is null, check.ToString()));
        Assert.Equal(report.Checks.Count, report.Checks.Select(check => check.Name).Distinct().Count());
    }

    [Fact]
    public void The_highest_level_of_CPU_model_is_named()
    {
        Assert.Contains("x86-64-v3", Check(Report(), "cpu-model").Finding, StringComparison.Ordinal);
        Assert.Contains(CpuModels.HighestLevel(), CpuModels.Names);
    }

    [Fact]
    public void A_software_assisted_KVM_is_told_with_its_speed_and_the_translator_chosen()
    {
        var report = Report(speed: 1.6e6);

        Assert.Equal("translator", report.AutoEngine);
        var kvm = Check(report, "kvm");
        Assert.Equal((HostCheckStatus.Limited, 1.6e6), (kvm.Status, kvm.Value));
        Assert.Contains("1.6 million", kvm.Finding, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("flags\t\t: fpu svm lm\n", "modprobe kvm_amd")]
    [InlineData("flags\t\t: fpu vmx lm\n", "modprobe kvm_intel")]
    [InlineData("flags\t\t: fpu lm\n", null)]
    public void Without_dev_kvm_the_module_is_named_that_the_CPU_can_use(string cpu, string? remedy)
    {
        var report = Report(files: new() { ["/proc/cpuinfo"] = cpu }, errors: new() { ["/dev/kvm"] = DeviceFile.NotFound });

        Assert.Equal((HostCheckStatus.Missing, remedy), (Check(report, "kvm").Status, Check(report, "kvm").Remedy));
        Assert.Equal("translator", report.AutoEngine);
    }

    [Fact]
    public void Without_permission_for_dev_kvm_the_group_is_named()
    {
        var check = Check(Report(errors: new() { ["/dev/kvm"] = DeviceFile.AccessDenied }), "kvm");

        Assert.Equal(HostCheckStatus.Missing, check.Status);
        Assert.Contains("usermod -aG kvm", check.Remedy!, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_no_engine_works_there_is_none()
    {
        var report = Report(errors: new() { ["/dev/kvm"] = DeviceFile.NotFound }, whyNoTranslator: "the translator needs FSGSBASE");

        Assert.Null(report.AutoEngine);
        Assert.Equal(HostCheckStatus.Missing, Check(report, "auto").Status);
    }

    [Theory]
    [InlineData("/proc/sys/vm/overcommit_memory", "2\n", "overcommit", HostCheckStatus.Limited, "sysctl vm.overcommit_memory=0")]
    [InlineData("/proc/sys/kernel/unprivileged_userns_clone", "0\n", "user-namespaces", HostCheckStatus.Limited, "unprivileged_userns_clone=1")]
    [InlineData("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "user-namespaces", HostCheckStatus.Limited, "apparmor_restrict")]
    [InlineData("/proc/meminfo", "MemAvailable: 200000 kB\n", "memory", HostCheckStatus.Limited, "--memory 64M")]
    [InlineData("/proc/self/status", "CapEff:\t0000000000000000\n", "tap", HostCheckStatus.Limited, "ip tuntap add")]
    [InlineData("/sys/fs/cgroup/cgroup.controllers", null, "cgroups", HostCheckStatus.Limited, "unified_cgroup_hierarchy")]
    [InlineData("/proc/self/mounts", null, "cgroups", HostCheckStatus.Limited, "systemd-run --user --scope -p Delegate=yes")]
    [InlineData("/sys/kernel/mm/ksm/run", "0\n", "page-sharing", HostCheckStatus.Limited, "/sys/kernel/mm/ksm/run")]
    [InlineData("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n", "huge-pages", HostCheckStatus.Limited, "echo madvise")]
    public void A_limit_is_told_with_its_remedy(string file, string? content, string name, HostCheckStatus status, string remedy)
    {
        var check = Check(Report(files: new() { [file] = content }), name);

        Assert.Equal(status, check.Status);
        Assert.Contains(remedy, check.Remedy!, StringComparison.Ordinal);
    }

    [Fact]
    public void Groups_that_processes_are_in_the_way_of_are_told_with_how_to_move_them()
    {
        var check = Check(Report(files: new() { ["/sys/fs/cgroup/cgroup.type"] = "domain\n", ["/sys/fs/cgroup/cgroup.procs"] = "1\n" }), "cgroups");

        Assert.Equal(HostCheckStatus.Limited, check.Status);
        Assert.Contains("processes are in it itself", check.Finding, StringComparison.Ordinal);
        Assert.Contains("echo $p >/sys/fs/cgroup/shell/cgroup.procs", check.Remedy!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DeviceFile.NotFound, "modprobe tun")]
    [InlineData(DeviceFile.AccessDenied, "chmod")]
    public void Without_tap_the_way_to_it_is_told(int error, string remedy)
    {
        var check = Check(Report(errors: new() { ["/dev/net/tun"] = error }), "tap");

        Assert.Equal(HostCheckStatus.Missing, check.Status);
        Assert.Contains(remedy, check.Remedy!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2\n", "sudo sysctl kernel.io_uring_disabled=0")]
    [InlineData("0\n", null)]
    [InlineData(null, null)]
    public void Without_io_uring_disks_use_threads(string? disabled, string? remedy)
    {
        var facts = Facts(1e9, new() { ["/proc/sys/kernel/io_uring_disabled"] = disabled }, [], null) with { WhyNoIoUring = () => "the host forbids io_uring" };

        var check = Check(HostReport.Create(facts), "io_uring");

        Assert.Equal((HostCheckStatus.Limited, "the host forbids io_uring; disks use threads", remedy), (check.Status, check.Finding, check.Remedy));
    }

    [Theory]
    [InlineData("63000\n", HostCheckStatus.Limited, "refused, though no setting of the kernel's says so, as it is in a container (clone: no); machines are locked without them", null)]
    [InlineData("0\n", HostCheckStatus.Missing, "the kernel gives none", "sudo sysctl user.max_user_namespaces=15000")]
    [InlineData(null, HostCheckStatus.Missing, "the kernel gives none", "sudo sysctl user.max_user_namespaces=15000")]
    public void Namespaces_that_are_refused_are_not_told_to_be_there_whatever_the_settings_say(string? most, HostCheckStatus status, string finding, string? remedy)
    {
        var facts = Facts(1e9, new() { ["/proc/sys/user/max_user_namespaces"] = most }, [], null) with { WhyNoNamespaces = () => "clone: no" };

        var check = Check(HostReport.Create(facts), "user-namespaces");

        Assert.Equal((status, finding, remedy), (check.Status, check.Finding, check.Remedy));
    }

    [Theory]
    [InlineData(0, HostCheckStatus.Missing, "locked without it")]
    [InlineData(3, HostCheckStatus.Limited, "version 3: machines are kept from files, and not from TCP ports")]
    [InlineData(4, HostCheckStatus.Good, "version 4: machines are kept from files and TCP ports")]
    public void What_Landlock_keeps_machines_from_is_told(int version, HostCheckStatus status, string finding)
    {
        var check = Check(HostReport.Create(Facts(1e9, [], [], null) with { Landlock = () => version }), "landlock");

        Assert.Equal(status, check.Status);
        Assert.Contains(finding, check.Finding, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DeviceFile.NotPermitted, null)]
    [InlineData(DeviceFile.NotFound, "10:200\n")]
    public void A_device_that_the_host_has_and_a_container_does_not_is_to_be_given_to_it(int error, string? number)
    {
        var report = Report(files: new() { ["/sys/class/misc/kvm/dev"] = number, ["/sys/class/misc/tun/dev"] = number, ["/proc/cpuinfo"] = "flags\t\t: vmx\n" }, errors: new() { ["/dev/kvm"] = error, ["/dev/net/tun"] = error });

        Assert.Equal("docker run --device /dev/kvm", Check(report, "kvm").Remedy);
        Assert.Equal("docker run --device /dev/net/tun --cap-add NET_ADMIN", Check(report, "tap").Remedy);
    }

    [Fact]
    public void A_control_groups_limit_is_less_memory_than_the_host_has()
    {
        var report = Report(files: new() { ["/proc/self/cgroup"] = "0::/user.slice\n", ["/sys/fs/cgroup/user.slice/memory.max"] = "104857600\n" });

        Assert.Equal((HostCheckStatus.Limited, "100 MiB free"), (Check(report, "memory").Status, Check(report, "memory").Finding));
    }

    [Theory]
    [InlineData("")]
    [InlineData("garbage\n")]
    [InlineData("MemAvailable: lots kB\n")]
    public void Files_that_say_nothing_are_no_failure(string content)
    {
        var report = HostReport.Create(Facts(1e9, [], [], null) with { Read = _ => content });

        Assert.Equal(HostCheckStatus.Limited, Check(report, "memory").Status);
    }

    [Theory]
    [InlineData("/srv/code", null, HostCheckStatus.Good, "kept in /srv/code")]
    [InlineData("/srv/code", "others may write to it", HostCheckStatus.Limited, "others may write to it")]
    [InlineData(null, null, HostCheckStatus.Limited, "no folder")]
    public void The_folder_for_the_translators_code_is_looked_at(string? folder, string? reason, HostCheckStatus status, string finding)
    {
        var check = Check(HostReport.Create(Facts(1e9, [], [], null) with { CodeArchive = (folder, reason) }), "code-archive");

        Assert.Equal(status, check.Status);
        Assert.Contains(finding, check.Finding, StringComparison.Ordinal);
    }

    private static HostCheck Check(HostReport report, string name) => report.Checks.Single(check => check.Name == name);

    private static HostReport Report(double speed = 3e9, Dictionary<string, string?>? files = null, Dictionary<string, int>? errors = null, string? whyNoTranslator = null) =>
        HostReport.Create(Facts(speed, files ?? [], errors ?? [], whyNoTranslator));

    private static HostFacts Facts(double speed, Dictionary<string, string?> files, Dictionary<string, int> errors, string? whyNoTranslator) => new()
    {
        Read = path => files.TryGetValue(path, out var content) ? content : s_files.GetValueOrDefault(path),
        MayWrite = _ => true,
        OpenDevice = path => errors.GetValueOrDefault(path),
        Kvm = new KvmHost
        {
            WhyNot = () => errors.TryGetValue("/dev/kvm", out var error) ? Lamina.Engines.Kvm.KvmSystem.Refusal("/dev/kvm", error) : null,
            Measure = () => speed,
            Identity = () => "",
            File = null,
        },
        WhyNoTranslator = () => whyNoTranslator,
        MeasureTranslator = () => 7e8,
        WhyNoIoUring = () => null,
        WhyNoNamespaces = () => null,
        Landlock = () => 7,
        Processors = 4,
        HighestCpuModel = () => "x86-64-v3",
        Disk = ("/srv", 50L << 30),
        CodeArchive = ("/srv/code", null),
    };
}
