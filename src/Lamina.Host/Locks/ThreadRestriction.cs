// Landlock on every thread of this process, for kernels that lay rules on the calling thread alone (before Linux 7.0): each thread is sent a signal, and the
// handler lays the rules on the thread that it runs on. The C library does the same to change a process's user (nptl(7)). Threads that are made meanwhile
// have what the thread has that makes them, so threads are looked for until there are none but those that have answered. Called by PathLock.
using System.Globalization;
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Locks;

internal static unsafe class ThreadRestriction
{
    // A real-time signal that neither the C library (32, 33), the runtime (34) nor ThreadInterrupt (40) uses.
    private const int Signal = 41;

    // In the page of data: how many threads have answered, and what the kernel said to the last that it refused.
    private const int Answers = 0, Refusal = 4;

    // include/linux/sched.h, PF_IO_WORKER; proc(5): the flags are the seventh word behind the name in parentheses.
    private const uint IoWorker = 0x10;
    private const int FlagsBehindName = 6;

    // A thread that is stopped, or a host that is busy beyond measure.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Restricts every thread, those of io_uring's kernel side apart: they open nothing that a ring was not let open (docs/security.md).</summary>
    /// <exception cref="HostException">The kernel refuses, or a thread does not answer; others may be restricted by then.</exception>
    internal static void Enter(SafeFileHandle rules)
    {
        var data = HostReservation.Reserve(HostReservation.PageSize);
        data.MapAnonymous(0, HostReservation.PageSize);
        // Both stay, as the handler does: a thread that has answered is on its way out of it, and one that is given up may answer yet.
        var code = Map(Code((int)rules.DangerousGetHandle(), (ulong)data.Address));
        var action = new Libc.SigAction { Handler = code, Flags = Libc.SA_RESTART };
        if (Libc.sigaction(Signal, &action, null) != 0) throw HostException.FromErrno("cannot set a signal handler");
        var restricted = new HashSet<long>();
        var isOver = false;
        while (!isOver)
        {
            isOver = true;
            foreach (var thread in Threads().Where(restricted.Add).ToList())
            {
                Restrict(thread, (int*)data.Address);
                isOver = false;
            }
        }
    }

    private static void Restrict(long thread, int* data)
    {
        var before = Volatile.Read(ref data[Answers]);
        if (Libc.tgkill(Libc.SYS_tgkill, Environment.ProcessId, thread, Signal) != 0) return;
        var begin = TimeProvider.System.GetTimestamp();
        while (Volatile.Read(ref data[Answers]) == before)
        {
            if (!File.Exists($"/proc/self/task/{thread}/stat")) return;
            if (TimeProvider.System.GetElapsedTime(begin) > Patience) throw new HostException($"the thread {thread} cannot be restricted: it takes no signal");
            Thread.Yield();
        }
        if (data[Refusal / sizeof(int)] is not 0 and var refusal) throw new HostException($"cannot restrict a thread by Landlock (error {-refusal})");
    }

    private static IEnumerable<long> Threads() => Directory.EnumerateDirectories("/proc/self/task")
        .Select(folder => long.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture)).Where(thread => !IsOfKernel(thread));

    private static bool IsOfKernel(long thread)
    {
        try
        {
            var status = File.ReadAllText($"/proc/self/task/{thread}/stat");
            var words = status[(status.LastIndexOf(')') + 2)..].Split(' ');
            return (uint.Parse(words[FlagsBehindName], CultureInfo.InvariantCulture) & IoWorker) != 0;
        }
        catch (IOException)
        {
            // It has ended.
            return true;
        }
    }

    private static byte[] Code(int rules, ulong data) =>
    [
        0xbf, .. BitConverter.GetBytes(Libc.PR_SET_NO_NEW_PRIVS), 0xbe, 1, 0, 0, 0, // mov edi, PR_SET_NO_NEW_PRIVS; mov esi, 1
        0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0,                             // xor edx, edx; xor r10d, r10d; xor r8d, r8d
        0xb8, .. BitConverter.GetBytes((int)SystemCall.prctl), 0x0f, 5,             // mov eax, prctl; syscall
        0xbf, .. BitConverter.GetBytes(rules), 0x31, 0xf6,                          // mov edi, rules; xor esi, esi
        0xb8, .. BitConverter.GetBytes((int)SystemCall.landlock_restrict_self), 0x0f, 5,
        0x49, 0xb8, .. BitConverter.GetBytes(data),                                 // mov r8, data
        0x85, 0xc0, 0x74, 4, 0x41, 0x89, 0x40, Refusal,                             // test eax, eax; jz done; mov [r8+Refusal], eax
        0xf0, 0x41, 0xff, 0x00, 0xc3,                                               // done: lock inc dword [r8+Answers]; ret
    ];

    private static nint Map(byte[] code)
    {
        var page = HostReservation.Reserve(HostReservation.PageSize);
        using var memory = SharedMemory.Create("lamina-restrict", HostReservation.PageSize);
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
        code.CopyTo(page.Slice(0, code.Length));
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);
        return page.Address;
    }
}
