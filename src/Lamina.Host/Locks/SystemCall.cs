// System calls by name: those that a filter lets through, and others that are named where a filter stopped one. Numbers of x86-64, from
// the kernel's arch/x86/entry/syscalls/syscall_64.tbl; so are the names.
namespace Lamina.Host.Locks;

internal enum SystemCall
{
    read = 0, write = 1, open = 2, close = 3, stat = 4, fstat = 5, lstat = 6, poll = 7, lseek = 8, mmap = 9, mprotect = 10, munmap = 11, brk = 12,
    rt_sigaction = 13, rt_sigprocmask = 14, rt_sigreturn = 15, ioctl = 16, pread64 = 17, pwrite64 = 18, readv = 19, writev = 20, access = 21,
    pipe = 22, select = 23, sched_yield = 24, mremap = 25, msync = 26, mincore = 27, madvise = 28, dup = 32, dup2 = 33, nanosleep = 35, getpid = 39,
    sendfile = 40, socket = 41, connect = 42, accept = 43, sendto = 44, recvfrom = 45, sendmsg = 46, recvmsg = 47, shutdown = 48, bind = 49,
    listen = 50, getsockname = 51, getpeername = 52, socketpair = 53, setsockopt = 54, getsockopt = 55, clone = 56, fork = 57, vfork = 58,
    execve = 59, exit = 60, wait4 = 61, kill = 62, uname = 63, fcntl = 72, flock = 73, fsync = 74, fdatasync = 75, truncate = 76, ftruncate = 77,
    getdents = 78, getcwd = 79, chdir = 80, fchdir = 81, rename = 82, mkdir = 83, rmdir = 84, creat = 85, link = 86, unlink = 87, symlink = 88,
    readlink = 89, chmod = 90, fchmod = 91, chown = 92, fchown = 93, lchown = 94, umask = 95, getrusage = 98, sysinfo = 99, ptrace = 101,
    getuid = 102, getgid = 104, setuid = 105, setgid = 106, geteuid = 107, getegid = 108, setpgid = 109, getppid = 110, getpgrp = 111, setsid = 112, setreuid = 113,
    setregid = 114, getgroups = 115, setgroups = 116, setresuid = 117, getresuid = 118, setresgid = 119, getresgid = 120, getpgid = 121, setfsuid = 122, setfsgid = 123, getsid = 124,
    capset = 126, sigaltstack = 131, mknod = 133, personality = 135, statfs = 137, fstatfs = 138, setpriority = 141, sched_setparam = 142, sched_getparam = 143, sched_setscheduler = 144, sched_getscheduler = 145, sched_get_priority_max = 146, sched_get_priority_min = 147, mlock = 149, munlock = 150, pivot_root = 155,
    prctl = 157, arch_prctl = 158, chroot = 161, sync = 162, mount = 165, umount2 = 166, reboot = 169, init_module = 175, gettid = 186,
    readahead = 187, setxattr = 188, lsetxattr = 189, fsetxattr = 190, getxattr = 191, lgetxattr = 192, fgetxattr = 193, listxattr = 194,
    llistxattr = 195, flistxattr = 196, removexattr = 197, lremovexattr = 198, fremovexattr = 199, tkill = 200, futex = 202, sched_setaffinity = 203,
    sched_getaffinity = 204, epoll_create = 213, getdents64 = 217, set_tid_address = 218, restart_syscall = 219, fadvise64 = 221,
    clock_settime = 227, clock_gettime = 228, clock_getres = 229, clock_nanosleep = 230, exit_group = 231, epoll_wait = 232, epoll_ctl = 233,
    tgkill = 234, mbind = 237, set_mempolicy = 238, get_mempolicy = 239, waitid = 247, keyctl = 250, inotify_init = 253, inotify_add_watch = 254,
    openat = 257, mkdirat = 258, mknodat = 259, fchownat = 260, newfstatat = 262, unlinkat = 263, renameat = 264, linkat = 265, symlinkat = 266,
    readlinkat = 267, fchmodat = 268, faccessat = 269, pselect6 = 270, ppoll = 271, unshare = 272, set_robust_list = 273, get_robust_list = 274,
    splice = 275, sync_file_range = 277, utimensat = 280, epoll_pwait = 281, timerfd_create = 283, fallocate = 285, timerfd_settime = 286,
    timerfd_gettime = 287, accept4 = 288, eventfd2 = 290, epoll_create1 = 291, dup3 = 292, pipe2 = 293, preadv = 295, pwritev = 296,
    perf_event_open = 298, recvmmsg = 299, prlimit64 = 302, name_to_handle_at = 303, open_by_handle_at = 304, syncfs = 306, sendmmsg = 307,
    setns = 308, getcpu = 309, process_vm_readv = 310, process_vm_writev = 311, kcmp = 312, finit_module = 313, renameat2 = 316, seccomp = 317,
    getrandom = 318, memfd_create = 319, kexec_file_load = 320, bpf = 321, execveat = 322, userfaultfd = 323, membarrier = 324,
    copy_file_range = 326, preadv2 = 327, pwritev2 = 328, statx = 332, rseq = 334, pidfd_send_signal = 424, io_uring_setup = 425,
    io_uring_enter = 426, io_uring_register = 427, open_tree = 428, move_mount = 429, fsopen = 430, pidfd_open = 434, clone3 = 435,
    close_range = 436, openat2 = 437, pidfd_getfd = 438, faccessat2 = 439, process_madvise = 440, epoll_pwait2 = 441, futex_waitv = 449,
    mount_setattr = 442, landlock_add_rule = 445, landlock_restrict_self = 446, fchmodat2 = 452,
}
