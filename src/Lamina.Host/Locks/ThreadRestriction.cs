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

    // In a thread's slot of the memory that handlers write to: whether it has answered, and what the kernel said.
    private const int Slot = 8, Refusal = 4, Slots = 512;

    // siginfo_t of sigqueue(3): the signal, the code SI_QUEUE, and the value, which leads to the thread's slot.
    private const int InfoLength = 128, CodeAt = 8, ValueAt = 24, Queued = -1;

    // include/linux/sched.h, PF_IO_WORKER; proc(5): the flags are the seventh word behind the name in parentheses.
    private const uint IoWorker = 0x10;
    private const int FlagsBehindName = 6;

    // A list of threads may lack one where another ends while it is read.
    private const int LooksWithoutNews = 2;

    // For all threads together: one may be stopped, or take no signal.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Restricts every thread, those of io_uring's kernel side apart: they open nothing that a ring was not let open (docs/security.md).</summary>
    /// <exception cref="HostException">The kernel refuses, or a thread does not answer; others may be restricted by then.</exception>
    internal static void Enter(SafeFileHandle rules)
    {
        var answers = HostReservation.Reserve(HostReservation.PageSize);
        answers.MapAnonymous(0, HostReservation.PageSize);
        // Both stay: a thread that has answered is on its way out of the handler, and one that is given up may answer yet.
        var code = HandlerCode.Map("lamina-restrict", Code((int)rules.DangerousGetHandle()));
        var action = new Libc.SigAction { Handler = code, Flags = Libc.SA_RESTART | Libc.SA_SIGINFO };
        if (Libc.sigaction(Signal, &action, null) != 0) throw HostException.FromErrno("cannot set a signal handler");
        try
        {
            var (restricted, begin) = (new HashSet<long>(), TimeProvider.System.GetTimestamp());
            for (var looks = 0; looks < LooksWithoutNews; looks++)
            {
                var found = Threads().Where(thread => !restricted.Contains(thread)).ToList();
                if (restricted.Count + found.Count > Slots) throw new HostException($"it has more than {Slots} threads");
                // All are asked before one is waited for: a busy host comes to them side by side.
                var asked = found.Select((thread, index) => (Thread: thread, Slot: answers.Address + (restricted.Count + index) * Slot)).Where(one => Ask(one.Thread, one.Slot)).ToList();
                foreach (var (thread, slot) in asked) Await(thread, (int*)slot, begin);
                restricted.UnionWith(found);
                if (found.Count > 0) looks = -1;
            }
        }
        finally
        {
            // A thread that did not answer may come to the signal when the filter of calls is there, which would end the process for what the handler calls.
            action = new Libc.SigAction { Handler = Libc.SIG_IGN };
            _ = Libc.sigaction(Signal, &action, null);
        }
    }

    // False where the thread has ended.
    private static bool Ask(long thread, nint slot)
    {
        var info = stackalloc byte[InfoLength];
        new Span<byte>(info, InfoLength).Clear();
        (*(int*)info, *(int*)(info + CodeAt), *(nint*)(info + ValueAt)) = (Signal, Queued, slot);
        return Libc.syscall(Libc.SYS_rt_tgsigqueueinfo, Environment.ProcessId, (nint)thread, Signal, (nint)info) == 0;
    }

    private static void Await(long thread, int* slot, long begin)
    {
        while (Volatile.Read(ref slot[0]) == 0)
        {
            if (!File.Exists($"/proc/self/task/{thread}/stat")) return;
            if (TimeProvider.System.GetElapsedTime(begin) > Patience) throw new HostException($"the thread {thread} cannot be restricted: it takes no signal");
            Thread.Yield();
        }
        if (slot[Refusal / sizeof(int)] is not 0 and var refusal) throw new HostException($"cannot restrict a thread by Landlock (error {-refusal})");
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

    private static byte[] Code(int rules) =>
    [
        0x4c, 0x8b, 0x4e, ValueAt,                                                  // mov r9, [rsi+ValueAt]
        0xbf, .. BitConverter.GetBytes(Libc.PR_SET_NO_NEW_PRIVS), 0xbe, 1, 0, 0, 0, // mov edi, PR_SET_NO_NEW_PRIVS; mov esi, 1
        0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0,                             // xor edx, edx; xor r10d, r10d; xor r8d, r8d
        0xb8, .. BitConverter.GetBytes((int)SystemCall.prctl), 0x0f, 5,             // mov eax, prctl; syscall
        0xbf, .. BitConverter.GetBytes(rules), 0x31, 0xf6,                          // mov edi, rules; xor esi, esi
        0xb8, .. BitConverter.GetBytes((int)SystemCall.landlock_restrict_self), 0x0f, 5,
        0x41, 0x89, 0x41, Refusal,                                                  // mov [r9+Refusal], eax
        0x41, 0xc7, 0x01, 1, 0, 0, 0, 0xc3,                                         // mov dword [r9], 1; ret
    ];
}
