// What a machine's process would do that somebody has broken into: one attempt, from one kind of thread, in a process that is locked as a
// machine's is. Prints what became of it.
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Lamina.Host;
using Lamina.Host.Locks;
using Lamina.Hypervisor.Locking;

namespace Lamina.Tests.Hypervisor.Locking;

internal static class LockProbe
{
    internal const string Word = "lock-probe";

    // In place of a file for the call that ends it.
    internal const string Nowhere = "-";

    // In place of the groups of calls: Landlock's rules alone, on all threads, which let the folder that the last word is in, or a port, be used or not.
    internal const string Within = "within";

    internal const string MapExecutable = "map executable", ProtectExecutable = "protect executable";

    // One thread takes no signal, until all is locked that can be.
    internal const string Deaf = "deaf";

    internal const string Main = "main", Pool = "pool", Own = "own", Older = "older";

    internal static int Run(string report, string groups, string parts, string attempt, string thread, string argument)
    {
        if (Enum.Parse<ConfinementParts>(parts).HasFlag(ConfinementParts.Root)) ConfinedProcess.Empty();
        using var locked = new ManualResetEventSlim();
        // A thread that was there before the lock, as the runtime's are.
        var older = Task.Factory.StartNew(() =>
        {
            locked.Wait();
            if (thread == Older) Try(attempt, argument);
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        // The runtime compiles what it has not run yet, which is what this forbids.
        if (attempt is MapExecutable or ProtectExecutable)
        {
            Console.WriteLine(TryExecutable(attempt, argument));
            CallFilter.Enter(CallGroup.Machine, report);
            Console.WriteLine(TryExecutable(attempt, argument));
            Environment.Exit(0);
        }
        if (attempt == Deaf)
        {
            Console.WriteLine(TryDeaf(report));
            Environment.Exit(0);
        }
        if (groups == Within) PathLock.Enter([.. MachineLock.OfProgram(Environment.ProcessPath!), new PathRule(report, PathRights.Read | PathRights.Write | PathRights.Change)], mayUseTcp: false);
        else CallFilter.Enter(Enum.Parse<CallGroup>(groups), report == Nowhere ? null : report);
        locked.Set();
        switch (thread)
        {
            case Main: Try(attempt, argument); break;
            case Pool: Task.Run(() => Try(attempt, argument)).Wait(); break;
            case Own:
                var own = new Thread(() => Try(attempt, argument));
                own.Start();
                own.Join();
                break;
        }
        older.Wait();
        return 0;
    }

    private static string TryDeaf(string folder)
    {
        const int block = 0, unblock = 1;
        using var isDeaf = new ManualResetEventSlim();
        using var hears = new ManualResetEventSlim();
        var deaf = new Thread(() =>
        {
            // Every real-time signal that no runtime uses.
            var set = new ulong[16];
            set[0] = ulong.MaxValue << 40;
            _ = pthread_sigmask(block, set, 0);
            isDeaf.Set();
            hears.Wait();
            _ = pthread_sigmask(unblock, set, 0);
        });
        deaf.Start();
        isDeaf.Wait();
        var said = "locked";
        try
        {
            PathLock.Enter([.. MachineLock.OfProgram(Environment.ProcessPath!), new PathRule(folder, PathRights.Read)], mayUseTcp: false);
        }
        catch (HostException refused)
        {
            said = refused.Message;
        }
        CallFilter.Enter(CallGroup.Terminal | CallGroup.Compiler, report: null);
        hears.Set();
        deaf.Join();
        return said;
    }

    // A file mapped to be executed, or memory that becomes executable.
    private static string TryExecutable(string attempt, string path)
    {
        const int read = 1, write = 2, execute = 4, isPrivate = 2, isAnonymous = 0x20;
        using var file = File.OpenHandle(path);
        var isMap = attempt == MapExecutable;
        var at = isMap ? mmap(0, 4096, read | execute, isPrivate, (int)file.DangerousGetHandle(), 0) : mmap(0, 4096, read | write, isPrivate | isAnonymous, -1, 0);
        return (isMap ? at : mprotect(at, 4096, read | execute)) == -1 ? $"errno {Marshal.GetLastPInvokeError()}" : "done";
    }

    private static void Try(string attempt, string argument)
    {
        try
        {
            Console.WriteLine(attempt switch
            {
                "nothing" => "done",
                "read" => File.ReadAllText(argument),
                "write" => Do(() => File.WriteAllText(argument, "x")),
                "remove" => Do(() => File.Delete(argument)),
                "connect" => Do(() => new TcpClient().Connect("127.0.0.1", int.Parse(argument))),
                "processes" => string.Join(' ', Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => char.IsDigit(name![0]))),
                "list" => string.Join(' ', Directory.EnumerateFileSystemEntries(argument).Select(Path.GetFileName)),
                "map" => Map(argument),
                // kill(2) with no signal
                "signal" => Call(62, argument == "self" ? Environment.ProcessId : getppid(), 0),
                // socket(AF_PACKET, SOCK_RAW)
                "raw" => Call(41, 17, 3),
                _ => Call(int.Parse(attempt), 0, 0),
            });
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or SocketException)
        {
            Console.WriteLine($"refused: {refused.Message}");
        }
    }

    private static string Map(string path)
    {
        const int readExecute = 5, isPrivate = 2;
        using var file = File.OpenHandle(path);
        return mmap(0, 4096, readExecute, isPrivate, (int)file.DangerousGetHandle(), 0) == -1 ? throw new IOException($"errno {Marshal.GetLastPInvokeError()}") : "done";
    }

    private static string Do(Action action)
    {
        action();
        return "done";
    }

    private static string Call(int number, nint first, nint second)
    {
        var result = syscall(number, first, second, 0, 0);
        return result < 0 ? throw new IOException($"errno {Marshal.GetLastPInvokeError()}") : $"{result}";
    }

    [DllImport("libc")]
    private static extern int getppid();

    [DllImport("libc")]
    private static extern int pthread_sigmask(int how, ulong[] set, nint former);

    [DllImport("libc", SetLastError = true)]
    private static extern nint mmap(nint at, nint length, int protection, int flags, int descriptor, nint offset);

    [DllImport("libc", SetLastError = true)]
    private static extern int mprotect(nint at, nint length, int protection);

    [DllImport("libc", SetLastError = true)]
    private static extern long syscall(long number, nint a, nint b, nint c, nint d);
}
