// A thread of a running process that is made to do a system call which is not in its program, as it would for somebody who has broken into
// it: it is stopped by ptrace(2) wherever it is, does the one instruction, and goes on where it was. The program needs no place for that, so
// what is tried is tried in the program that users have. A signal of a filter's is seen and taken away, so that one process does for all.
// One thread asks: ptrace knows its tracer by it.
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Lamina.Tests.Cli.Support;

/// <summary>A thread that is stopped.</summary>
internal sealed class TracedThread : IDisposable
{
    private const int Continue = 7, SingleStep = 9, GetRegisters = 12, SetRegisters = 13, Detach = 17, Seize = 0x4206, Interrupt = 0x4207, SetSignalMask = 0x420b;
    private const int Trap = 5, BadCall = 31, NoSuchProcess = 3, AnyThread = 0x4000_0000;
    private const int StopEvent = 128;

    // What may come while a call is done: the step's end, and the filter's answer.
    private const ulong Unblocked = (1UL << (Trap - 1)) | (1UL << (BadCall - 1));

    private readonly int _process, _thread;
    private readonly ulong _instruction;
    private readonly Registers _registers;
    private readonly ulong _mask;
    private bool _isElsewhere;

    private TracedThread(int process, int thread, ulong instruction)
    {
        (_process, _thread, _instruction) = (process, thread, instruction);
        Must(ptrace(GetRegisters, _thread, 0, ref _registers));
        _mask = StatusOf("SigBlk");
        var blocked = ~Unblocked;
        Must(ptrace(SetSignalMask, _thread, sizeof(ulong), ref blocked));
    }

    /// <summary>user_regs_struct, sys/user.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Registers
    {
        public ulong R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8, Rax, Rcx, Rdx, Rsi, Rdi, CallNumber, Rip, Cs, Flags, Rsp, Ss, FsBase, GsBase, Ds, Es, Fs, Gs;
    }

    /// <summary>The threads of a process, with their names.</summary>
    internal static IReadOnlyList<(int Thread, string Name)> Of(int process)
    {
        var threads = new List<(int, string)>();
        foreach (var folder in Directory.EnumerateDirectories($"/proc/{process}/task"))
        {
            try
            {
                threads.Add((int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture), File.ReadAllText($"{folder}/comm").Trim()));
            }
            catch (IOException)
            {
                // It has ended.
            }
        }
        return threads;
    }

    /// <summary>Stops a thread. Null where it has ended.</summary>
    /// <param name="process">Its process.</param>
    /// <param name="thread">Its number.</param>
    /// <param name="instruction">Where the process has a system call's instruction (<see cref="InstructionOf"/>).</param>
    /// <exception cref="UnauthorizedAccessException">The host does not let this process trace that one.</exception>
    internal static TracedThread? Stop(int process, int thread, ulong instruction)
    {
        if (ptrace(Seize, thread, 0, 0) != 0)
            return Marshal.GetLastPInvokeError() == NoSuchProcess ? null : throw new UnauthorizedAccessException($"ptrace: {Marshal.GetLastPInvokeErrorMessage()}");
        if (ptrace(Interrupt, thread, 0, 0) != 0) return null;
        // Signals of its own that were on their way come first, and go on.
        while (Await(thread) is { } status)
        {
            if (status >> 16 == StopEvent) return new TracedThread(process, thread, instruction);
            if (ptrace(Continue, thread, 0, (status >> 8) & 0xff) != 0) return null;
        }
        return null;
    }

    /// <summary>Where a process has a system call's instruction.</summary>
    internal static ulong InstructionOf(int process)
    {
        foreach (var line in File.ReadLines($"/proc/{process}/maps").Where(line => line.Contains(" r-xp ", StringComparison.Ordinal) && !line.Contains("vsyscall", StringComparison.Ordinal)))
        {
            var range = line.Split(' ', '-');
            var (start, end) = (ulong.Parse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture), ulong.Parse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            var code = new byte[end - start];
            using (var memory = File.OpenRead($"/proc/{process}/mem"))
            {
                memory.Position = (long)start;
                memory.ReadExactly(code);
            }
            if (code.AsSpan().IndexOf((ReadOnlySpan<byte>)[0x0f, 0x05]) is >= 0 and var at) return start + (ulong)at;
        }
        throw new InvalidOperationException($"the process {process} makes no system calls");
    }

    /// <summary>Has it do a system call.</summary>
    /// <param name="number">Which.</param>
    /// <param name="arguments">Six at most.</param>
    /// <returns>What it returned, an error negative; null where a filter would have ended the process.</returns>
    internal long? Call(long number, params ReadOnlySpan<ulong> arguments)
    {
        var all = new ulong[6];
        arguments.CopyTo(all);
        var registers = Before(number, all);
        Must(ptrace(SetRegisters, _thread, 0, ref registers));
        var isForbidden = false;
        // The step ends by one signal, and the filter's is another: both are taken before it goes on.
        do
        {
            Must(ptrace(SingleStep, _thread, 0, 0));
            var status = Await(_thread) ?? throw new InvalidOperationException($"the thread {_thread} ended in the system call {number}");
            if (((status >> 8) & 0xff) == BadCall) isForbidden = true;
        }
        while ((StatusOf("SigPnd") & Unblocked) != 0);
        Must(ptrace(GetRegisters, _thread, 0, ref registers));
        return isForbidden ? null : (long)registers.Rax;
    }

    /// <summary>Lets it go on with a system call in place of what it did, and with whatever stands behind that call.</summary>
    internal void GoOnWith(long number)
    {
        var registers = Before(number, new ulong[6]);
        Must(ptrace(SetRegisters, _thread, 0, ref registers));
        _isElsewhere = true;
    }

    /// <summary>Writes into its process's memory.</summary>
    internal void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        using var memory = new FileStream($"/proc/{_process}/mem", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 0);
        memory.Position = (long)address;
        memory.Write(bytes);
    }

    /// <summary>Reads from its process's memory.</summary>
    internal byte[] Read(ulong address, int length)
    {
        using var memory = File.OpenRead($"/proc/{_process}/mem");
        memory.Position = (long)address;
        var bytes = new byte[length];
        memory.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Lets it go on where it was.</summary>
    public void Dispose()
    {
        var (registers, mask) = (_registers, _mask);
        if (!_isElsewhere) _ = ptrace(SetRegisters, _thread, 0, ref registers);
        _ = ptrace(SetSignalMask, _thread, sizeof(ulong), ref mask);
        _ = ptrace(Detach, _thread, 0, 0);
    }

    private Registers Before(long number, ulong[] all)
    {
        var registers = _registers;
        (registers.Rip, registers.Rax, registers.CallNumber) = (_instruction, (ulong)number, ulong.MaxValue);
        (registers.Rdi, registers.Rsi, registers.Rdx, registers.R10, registers.R8, registers.R9) = (all[0], all[1], all[2], all[3], all[4], all[5]);
        return registers;
    }

    private static int? Await(int thread) => waitpid(thread, out var status, AnyThread) == thread && (status & 0xff) == 0x7f ? status : null;

    private ulong StatusOf(string word) => ulong.Parse(File.ReadLines($"/proc/{_process}/task/{_thread}/status").Single(line => line.StartsWith(word + ":", StringComparison.Ordinal)).AsSpan(word.Length + 1).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private void Must(long result, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != 0) throw new InvalidOperationException($"{call} of the thread {_thread}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [DllImport("libc", SetLastError = true)]
    private static extern long ptrace(long request, int thread, nint address, nint data);

    [DllImport("libc", SetLastError = true)]
    private static extern long ptrace(long request, int thread, nint address, ref Registers registers);

    [DllImport("libc", SetLastError = true)]
    private static extern long ptrace(long request, int thread, nint address, ref ulong mask);

    [DllImport("libc", SetLastError = true)]
    private static extern int waitpid(int process, out int status, int options);
}
