// What machines take from the host besides an engine: processors, memory, disk, and the kernel's means for networks and for
// keeping machines apart.
using System.Globalization;
using Lamina.Host;
using Lamina.Host.Groups;

namespace Lamina.Doctor;

/// <summary>Checks of resources.</summary>
internal static class ResourceChecks
{
    private const ulong MebiByte = 1 << 20, LittleMemory = 512 * MebiByte;
    private const long LittleDisk = 512L << 20;
    private const int CapabilityNetAdmin = 12;
    private const string Tun = "/dev/net/tun";

    internal static HostCheck Processors(HostFacts facts) => new("processors", HostCheckStatus.Good, $"{facts.Processors}", Value: facts.Processors);

    internal static HostCheck CpuModel(HostFacts facts) => new("cpu-model", HostCheckStatus.Good, $"guests can have any up to {facts.HighestCpuModel()}");

    internal static HostCheck Memory(HostFacts facts)
    {
        const string name = "memory";
        if (HostMemory.Free(facts.Read) is not { } free) return new HostCheck(name, HostCheckStatus.Limited, "the kernel does not tell how much is free");
        return free < LittleMemory
            ? new HostCheck(name, HostCheckStatus.Limited, $"{free / MebiByte} MiB free", "end something, or give machines little: lamina run --memory 64M", free)
            : new HostCheck(name, HostCheckStatus.Good, $"{free / MebiByte} MiB free", Value: free);
    }

    // Linux Documentation/mm/overcommit-accounting.rst.
    internal static HostCheck Overcommit(HostFacts facts)
    {
        const string name = "overcommit";
        return HostMemory.Number(facts.Read("/proc/sys/vm/overcommit_memory")) switch
        {
            2 => new HostCheck(name, HostCheckStatus.Limited, "the kernel promises no more memory than it has: large guests and the translator's tables can be refused", "sudo sysctl vm.overcommit_memory=0"),
            null => new HostCheck(name, HostCheckStatus.Limited, "the kernel does not tell"),
            _ => new HostCheck(name, HostCheckStatus.Good, "memory is taken as guests touch it"),
        };
    }

    internal static HostCheck Disk(HostFacts facts)
    {
        const string name = "disk";
        if (facts.Disk is not { } disk) return new HostCheck(name, HostCheckStatus.Missing, "there is no folder for images", "set HOME or XDG_CACHE_HOME");
        var finding = $"{disk.Free >> 20} MiB free for {disk.Folder}";
        return disk.Free < LittleDisk
            ? new HostCheck(name, HostCheckStatus.Limited, finding, "remove images that are not needed: lamina image rm", disk.Free)
            : new HostCheck(name, HostCheckStatus.Good, finding, Value: disk.Free);
    }

    internal static HostCheck CodeArchive(HostFacts facts)
    {
        const string name = "code-archive";
        return facts.CodeArchive switch
        {
            (null, _) => new HostCheck(name, HostCheckStatus.Limited, "there is no folder for the translator's code", "set HOME or XDG_CACHE_HOME"),
            (_, { } reason) => new HostCheck(name, HostCheckStatus.Limited, reason),
            var (folder, _) => new HostCheck(name, HostCheckStatus.Good, $"the translator's code is kept in {folder}"),
        };
    }

    // Linux Documentation/admin-guide/sysctl/kernel.rst: 1 leaves it to privileged processes and a group, 2 to nobody.
    internal static HostCheck IoUring(HostFacts facts)
    {
        const string name = "io_uring";
        if (facts.WhyNoIoUring() is not { } reason) return new HostCheck(name, HostCheckStatus.Good, "disks past the page cache use it");
        return new HostCheck(name, HostCheckStatus.Limited, $"{reason}; disks use threads",
            HostMemory.Number(facts.Read("/proc/sys/kernel/io_uring_disabled")) is 1 or 2 ? "sudo sysctl kernel.io_uring_disabled=0" : null);
    }

    internal static HostCheck Tap(HostFacts facts)
    {
        const string name = "tap";
        var error = facts.OpenDevice(Tun);
        if (IsKept(facts, error, "tun")) return new HostCheck(name, HostCheckStatus.Missing, $"the host has {Tun}, and it is not given to this container", $"docker run --device {Tun} --cap-add NET_ADMIN");
        if (error is DeviceFile.NotFound or DeviceFile.NoDevice) return new HostCheck(name, HostCheckStatus.Missing, $"there is no {Tun}", "sudo modprobe tun");
        if (error is DeviceFile.AccessDenied or DeviceFile.NotPermitted) return new HostCheck(name, HostCheckStatus.Missing, $"{Tun} may not be opened by this user", $"sudo chmod 0666 {Tun}");
        if (error != 0) return new HostCheck(name, HostCheckStatus.Missing, $"{Tun} cannot be opened ({DeviceFile.Describe(error)})");
        return HasCapability(facts, CapabilityNetAdmin)
            ? new HostCheck(name, HostCheckStatus.Good, "interfaces can be made")
            : new HostCheck(name, HostCheckStatus.Limited, "only interfaces that an administrator made for this user can be used", "sudo ip tuntap add lamina0 mode tap user $USER && sudo ip link set lamina0 up");
    }

    /// <summary>Whether the kernel has a device that is missing from this place's /dev, or that its control group forbids: a container's doing.</summary>
    internal static bool IsKept(HostFacts facts, int error, string device) => error is DeviceFile.NotPermitted || error is DeviceFile.NotFound && facts.Read($"/sys/class/misc/{device}/dev") is not null;

    // A setting that restricts others is told to root, whom it does not; what else refuses them, as a container's filter of system calls does, is found by trying.
    internal static HostCheck UserNamespaces(HostFacts facts)
    {
        const string name = "user-namespaces";
        var refused = facts.WhyNoNamespaces();
        if (refused is not null && HostMemory.Number(facts.Read("/proc/sys/user/max_user_namespaces")) is 0 or null) return new HostCheck(name, HostCheckStatus.Missing, "the kernel gives none", "sudo sysctl user.max_user_namespaces=15000");
        if (HostMemory.Number(facts.Read("/proc/sys/kernel/unprivileged_userns_clone")) is 0) return new HostCheck(name, HostCheckStatus.Limited, "for root only", "sudo sysctl kernel.unprivileged_userns_clone=1");
        if (HostMemory.Number(facts.Read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")) is 1)
            return new HostCheck(name, HostCheckStatus.Limited, "restricted by AppArmor", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0");
        return refused is null
            ? new HostCheck(name, HostCheckStatus.Good, "any user can make them")
            : new HostCheck(name, HostCheckStatus.Limited, $"refused, though no setting of the kernel's says so, as it is in a container ({refused}); machines are locked without them");
    }

    // landlock(7): TCP ports are known from version 4 on.
    internal static HostCheck Landlock(HostFacts facts)
    {
        const string name = "landlock";
        return facts.Landlock() switch
        {
            <= 0 => new HostCheck(name, HostCheckStatus.Missing, "the kernel has none, or it is refused here; machines are locked without it"),
            < 4 and var old => new HostCheck(name, HostCheckStatus.Limited, $"version {old}: machines are kept from files, and not from TCP ports", Value: old),
            var version => new HostCheck(name, HostCheckStatus.Good, $"version {version}: machines are kept from files and TCP ports", Value: version),
        };
    }

    internal static HostCheck ControlGroups(HostFacts facts)
    {
        const string name = "cgroups";
        const string otherwise = "machines meter their processor time by themselves, weights are approximate, memory has no limit";
        var found = ((string[])["cpu", "memory"]).Select(controller => GroupTree.Find(controller, facts.Read, facts.MayWrite)).OfType<GroupTree>().ToList();
        if (found.Count == 2) return new HostCheck(name, HostCheckStatus.Good, $"version {found[0].Version}, from {found[0].Path} on: shares and limits of processors and memory are kept by them");
        if (found.Count == 1) return new HostCheck(name, HostCheckStatus.Limited, $"version {found[0].Version} for {found[0].Controller} alone, from {found[0].Path} on");
        if (GroupTree.FindOccupied("cpu", facts.Read, facts.MayWrite) is { Path: var occupied })
            return new HostCheck(name, HostCheckStatus.Limited, $"version 2; {occupied} is this user's, and cannot be shared out since processes are in it itself: {otherwise}",
                $"mkdir {occupied}/shell && for p in $(cat {occupied}/cgroup.procs); do echo $p >{occupied}/shell/cgroup.procs; done");
        if (facts.Read("/sys/fs/cgroup/cgroup.controllers") is not null)
            return new HostCheck(name, HostCheckStatus.Limited, $"version 2, and nothing of it is this user's: {otherwise}", "start machines from a shell that systemd delegates groups to: systemd-run --user --scope -p Delegate=yes bash");
        return facts.Read("/proc/cgroups") is not null
            ? new HostCheck(name, HostCheckStatus.Limited, $"version 1 or none mounted, which root alone may use, and not in a container: {otherwise}", "boot the host with systemd.unified_cgroup_hierarchy=1")
            : new HostCheck(name, HostCheckStatus.Missing, $"the kernel has none: {otherwise}");
    }

    // Linux Documentation/admin-guide/mm/ksm.rst.
    internal static HostCheck PageSharing(HostFacts facts)
    {
        const string name = "page-sharing";
        return HostMemory.Number(facts.Read("/sys/kernel/mm/ksm/run")) switch
        {
            1 => new HostCheck(name, HostCheckStatus.Good, "pages of machines with share-pages are kept once"),
            null => new HostCheck(name, HostCheckStatus.Missing, "the kernel has no KSM; share-pages does nothing"),
            _ => new HostCheck(name, HostCheckStatus.Limited, "KSM does not run; share-pages does nothing", "echo 1 | sudo tee /sys/kernel/mm/ksm/run"),
        };
    }

    // Linux Documentation/admin-guide/mm/transhuge.rst: the mode in force stands in brackets.
    internal static HostCheck HugePages(HostFacts facts)
    {
        const string name = "huge-pages";
        var modes = facts.Read("/sys/kernel/mm/transparent_hugepage/enabled");
        if (modes is null) return new HostCheck(name, HostCheckStatus.Missing, "the kernel gives none to memory of programs");
        return modes.Contains("[never]", StringComparison.Ordinal)
            ? new HostCheck(name, HostCheckStatus.Limited, "switched off: guests' memory is in small pages, and slower", "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled")
            : new HostCheck(name, HostCheckStatus.Good, "guests' memory is in them");
    }

    private static bool HasCapability(HostFacts facts, int capability) =>
        facts.Read("/proc/self/status")?.Split('\n').FirstOrDefault(line => line.StartsWith("CapEff:", StringComparison.Ordinal)) is { } line
        && ulong.TryParse(line["CapEff:".Length..].Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var set) && (set >> capability & 1) != 0;
}
