// Which system calls a machine's process needs, by what it is for. What is in no group ends the process: making programs and processes,
// changing users, mounting, tracing, loading code into the kernel.
namespace Lamina.Host.Locks;

/// <summary>A reason to need system calls.</summary>
[Flags]
public enum CallGroup
{
    /// <summary>What every machine's process does: threads, memory, timers, its files, and the programs that connect to it.</summary>
    Machine = 0,

    /// <summary>Sockets of the network: a user network, a debugger.</summary>
    Sockets = 1,

    /// <summary>Folders that are shared with the guest: owners, modes, attributes, links and nodes.</summary>
    Folders = 2,

    /// <summary>Disks by io_uring, whose rings have been made: what is done by one no filter sees.</summary>
    Ring = 4,

    /// <summary>Sockets of this host's programs: switches, sockets of the guest.</summary>
    LocalSockets = 8,

    /// <summary>A runtime that compiles the program as it runs: memory becomes executable.</summary>
    Compiler = 16,

    /// <summary>A terminal, whose keys stop and end the process that it belongs to: signals to itself.</summary>
    Terminal = 32,
}

internal static class CallGroups
{
    private static readonly SystemCall[] Machine =
    [
        // The runtime: memory, threads and signals of its own.
        SystemCall.munmap, SystemCall.mremap, SystemCall.madvise, SystemCall.mincore, SystemCall.msync, SystemCall.brk, SystemCall.mlock, SystemCall.munlock,
        SystemCall.membarrier, SystemCall.memfd_create, SystemCall.get_mempolicy, SystemCall.futex, SystemCall.futex_waitv, SystemCall.set_robust_list, SystemCall.get_robust_list, SystemCall.rseq,
        SystemCall.set_tid_address, SystemCall.gettid, SystemCall.getpid, SystemCall.getppid, SystemCall.sched_yield, SystemCall.sched_getaffinity, SystemCall.sched_setaffinity, SystemCall.sched_setparam, SystemCall.sched_getparam, SystemCall.sched_setscheduler, SystemCall.setpriority, SystemCall.sched_getscheduler, SystemCall.sched_get_priority_max, SystemCall.sched_get_priority_min, SystemCall.getcpu, SystemCall.exit, SystemCall.exit_group,
        SystemCall.rt_sigaction, SystemCall.rt_sigprocmask, SystemCall.rt_sigreturn, SystemCall.sigaltstack, SystemCall.restart_syscall, SystemCall.prctl, SystemCall.arch_prctl, SystemCall.seccomp,
        SystemCall.getuid, SystemCall.geteuid, SystemCall.getgid, SystemCall.getegid, SystemCall.getresuid, SystemCall.getresgid, SystemCall.getgroups, SystemCall.uname, SystemCall.sysinfo, SystemCall.getrusage, SystemCall.prlimit64, SystemCall.getrandom,
        // Waiting.
        SystemCall.clock_gettime, SystemCall.clock_getres, SystemCall.clock_nanosleep, SystemCall.nanosleep, SystemCall.poll, SystemCall.ppoll, SystemCall.select, SystemCall.pselect6,
        SystemCall.epoll_create1, SystemCall.epoll_ctl, SystemCall.epoll_wait, SystemCall.epoll_pwait, SystemCall.epoll_pwait2, SystemCall.eventfd2, SystemCall.timerfd_create, SystemCall.timerfd_settime, SystemCall.timerfd_gettime,
        // Descriptors and files; which files is the path lock's affair.
        SystemCall.read, SystemCall.write, SystemCall.readv, SystemCall.writev, SystemCall.pread64, SystemCall.pwrite64, SystemCall.preadv, SystemCall.pwritev, SystemCall.preadv2, SystemCall.pwritev2,
        SystemCall.open, SystemCall.openat, SystemCall.close, SystemCall.close_range, SystemCall.dup, SystemCall.dup2, SystemCall.dup3, SystemCall.pipe2, SystemCall.fcntl, SystemCall.ioctl, SystemCall.lseek, SystemCall.flock,
        SystemCall.stat, SystemCall.fstat, SystemCall.lstat, SystemCall.newfstatat, SystemCall.statx, SystemCall.statfs, SystemCall.fstatfs, SystemCall.access, SystemCall.faccessat, SystemCall.readlink, SystemCall.readlinkat,
        SystemCall.getdents64, SystemCall.getcwd, SystemCall.rename, SystemCall.renameat, SystemCall.renameat2, SystemCall.mkdir, SystemCall.mkdirat, SystemCall.rmdir, SystemCall.unlink, SystemCall.unlinkat,
        SystemCall.chmod, SystemCall.fchmod, SystemCall.umask, SystemCall.utimensat, SystemCall.ftruncate, SystemCall.fallocate, SystemCall.fsync, SystemCall.fdatasync, SystemCall.syncfs, SystemCall.sync_file_range,
        SystemCall.fadvise64, SystemCall.readahead, SystemCall.copy_file_range, SystemCall.sendfile,
        // The control socket.
        SystemCall.accept, SystemCall.accept4, SystemCall.listen, SystemCall.bind, SystemCall.getsockname, SystemCall.getpeername, SystemCall.getsockopt, SystemCall.setsockopt, SystemCall.recvfrom, SystemCall.recvmsg,
        SystemCall.sendto, SystemCall.sendmsg, SystemCall.shutdown, SystemCall.socketpair,
        // The end of a copy of its own (MemoryTwin).
        SystemCall.wait4,
    ];

    private static readonly SystemCall[] Sockets = [SystemCall.connect, SystemCall.recvmmsg, SystemCall.sendmmsg];

    private static readonly SystemCall[] Folders =
    [
        SystemCall.chdir, SystemCall.fchdir, SystemCall.link, SystemCall.linkat, SystemCall.symlink, SystemCall.symlinkat, SystemCall.mknodat, SystemCall.fchmodat, SystemCall.fchmodat2, SystemCall.fchown, SystemCall.fchownat, SystemCall.lchown, SystemCall.chown,
        SystemCall.truncate, SystemCall.setxattr, SystemCall.lsetxattr, SystemCall.fsetxattr, SystemCall.getxattr, SystemCall.lgetxattr, SystemCall.fgetxattr, SystemCall.listxattr, SystemCall.llistxattr, SystemCall.flistxattr,
        SystemCall.removexattr, SystemCall.lremovexattr, SystemCall.fremovexattr, SystemCall.name_to_handle_at, SystemCall.setfsuid, SystemCall.setfsgid,
    ];

    // Whose the terminal is, and what becomes of children that the process no longer can have: the runtime asks on signals.
    private static readonly SystemCall[] Terminal = [SystemCall.getpgrp, SystemCall.getpgid, SystemCall.getsid, SystemCall.waitid];

    private static readonly SystemCall[] Ring = [SystemCall.io_uring_enter];

    /// <summary>The calls that are let through, whatever they are called with.</summary>
    internal static IReadOnlyList<SystemCall> Of(CallGroup groups) =>
        [.. Machine, .. (groups & (CallGroup.Sockets | CallGroup.LocalSockets)) != 0 ? Sockets : [], .. groups.HasFlag(CallGroup.Folders) ? Folders : [], .. groups.HasFlag(CallGroup.Ring) ? Ring : [], .. groups.HasFlag(CallGroup.Terminal) ? Terminal : []];

    /// <summary>Calls that are not there, as on an older kernel, so that the C library takes those that are.</summary>
    internal static IReadOnlyList<SystemCall> Unknown => [SystemCall.clone3, SystemCall.openat2, SystemCall.faccessat2];
}
