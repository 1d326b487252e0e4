// Interrupts the system call that one thread is in. A signal does it whose handler is a single RET: nothing else happens on
// the thread, and a signal that comes too late does no harm. Signal handlers belong to the process, so this one is put in
// place once and stays.
using Lamina.Host.Interop;

namespace Lamina.Host.Threads;

/// <summary>A thread whose system calls can be interrupted.</summary>
public sealed unsafe class ThreadInterrupt
{
    // A real-time signal that neither the C library (32, 33) nor the runtime (34) uses.
    private const int Signal = 40;

    private static readonly Lazy<bool> Handler = new(TryInstall);

    private readonly long _thread = Libc.gettid(Libc.SYS_gettid);

    /// <summary>Stands for the calling thread.</summary>
    /// <exception cref="HostException">The host forbids generated code.</exception>
    public ThreadInterrupt() => Prepare();

    /// <summary>Puts the handler in place, for the process as long as it is there. A process that gives up the right to do so has it done before.</summary>
    /// <exception cref="HostException">The host forbids generated code.</exception>
    public static void Prepare()
    {
        if (!Handler.Value) throw new HostException("cannot set a signal handler");
    }

    /// <summary>Whether this is the calling thread.</summary>
    public bool IsCurrent => Libc.gettid(Libc.SYS_gettid) == _thread;

    /// <summary>Makes a system call that the thread is in, and that can be interrupted, end with EINTR. Any thread.</summary>
    public void Send() => _ = Libc.tgkill(Libc.SYS_tgkill, Environment.ProcessId, _thread, Signal);

    private static bool TryInstall()
    {
        var code = HostReservation.Reserve(HostReservation.PageSize);
        using var memory = SharedMemory.Create("lamina-kick", HostReservation.PageSize);
        code.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
        code.Slice(0, 1)[0] = 0xc3;
        code.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);
        // System calls of the thread that are not meant are begun again by the kernel.
        var action = new Libc.SigAction { Handler = code.Address, Flags = Libc.SA_RESTART };
        return Libc.sigaction(Signal, &action, null) == 0;
    }
}
