// A process whose filter of system calls is as a container's in what matters to doctor: it gets no namespaces, no Landlock and no io_uring, and clone3 is
// as on a kernel without it. Prints what doctor says of each. Sources: seccomp(2), include/uapi/linux/filter.h, Docker's default profile.
using System.Runtime.InteropServices;
using Lamina.Doctor;

namespace Lamina.Tests.Hypervisor.Locking;

internal static class ContainerProbe
{
    internal const string Word = "container-probe";

    private const int NoNewPrivileges = 38, SetFilter = 1, AllThreads = 1, Seccomp = 317, NotPermitted = 1, NoCall = 38;
    private const int Clone = 56, Unshare = 272, LandlockCreate = 444, RingSetup = 425, Clone3 = 435;
    private const uint Allow = 0x7fff_0000, Fail = 0x0005_0000, Namespaces = 0x7e02_0000;

    // BPF: ld [k]; jeq k; jset k; ret k.
    private const ushort Load = 0x20, IfEqual = 0x15, IfSet = 0x45, Return = 0x06;

    // struct seccomp_data: the call's number, and the lower half of its first argument.
    private const uint Number = 0, FirstArgument = 16;

    // sock_filter: what, how many to pass over where it is so and where not, and a value.
    private static readonly (ushort Code, byte True, byte False, uint Value)[] s_filter =
    [
        (Load, 0, 0, Number),
        (IfEqual, 7, 0, Clone3),
        (IfEqual, 5, 0, LandlockCreate),
        (IfEqual, 4, 0, RingSetup),
        (IfEqual, 1, 0, Clone),
        (IfEqual, 0, 4, Unshare),
        (Load, 0, 0, FirstArgument),
        (IfSet, 0, 2, Namespaces),
        (Return, 0, 0, Fail | NotPermitted),
        (Return, 0, 0, Fail | NoCall),
        (Return, 0, 0, Allow),
    ];

    internal static int Run()
    {
        const int instruction = 8;
        var filter = Marshal.AllocHGlobal(s_filter.Length * instruction);
        var program = Marshal.AllocHGlobal(2 * nint.Size);
        for (var i = 0; i < s_filter.Length; i++)
        {
            var (code, isSo, isNot, value) = s_filter[i];
            Marshal.WriteInt64(filter, i * instruction, (long)(code | (ulong)isSo << 16 | (ulong)isNot << 24 | (ulong)value << 32));
        }
        Marshal.WriteInt64(program, s_filter.Length);
        Marshal.WriteIntPtr(program, nint.Size, filter);
        if (prctl(NoNewPrivileges, 1, 0, 0, 0) != 0 || syscall(Seccomp, SetFilter, AllThreads, program, 0) != 0) throw new IOException($"no filter: errno {Marshal.GetLastPInvokeError()}");
        foreach (var check in HostReport.Create().Checks) Console.WriteLine($"{check.Name} {check.Status} {check.Finding}");
        return 0;
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int prctl(int option, nint a, nint b, nint c, nint d);

    [DllImport("libc", SetLastError = true)]
    private static extern long syscall(long number, nint a, nint b, nint c, nint d);
}
