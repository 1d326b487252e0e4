// Starts a process that is locked before its first instruction: a thread locks itself and starts it, since what a thread may not do what it
// starts may not do either. The thread does nothing else.
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Lamina.Host.Locks;

namespace Lamina.Hypervisor.Locking;

internal static class LockedStart
{
    /// <summary>Starts a process.</summary>
    /// <param name="start">Which.</param>
    /// <param name="paths">What it reaches; the program must be in it.</param>
    /// <param name="usesTcp">Whether it may use TCP ports.</param>
    internal static Process? Start(ProcessStartInfo start, IReadOnlyList<PathRule> paths, bool usesTcp)
    {
        Process? process = null;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                PathLock.EnterThread(paths, usesTcp);
                process = Process.Start(start);
            }
            catch (Exception failed)
            {
                failure = ExceptionDispatchInfo.Capture(failed);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return process;
    }
}
