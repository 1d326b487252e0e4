// seccomp: which system calls a process may make. Whoever makes another has found a way to run code of its own: its process ends, and which
// call it was stands in a file. The filter is a program of the kernel's packet filter; it holds for every thread that there is and will be,
// and cannot be taken off. Sources: seccomp(2), include/uapi/linux/{seccomp,filter,audit}.h.
using Lamina.Host.Interop;
using Lamina.Host.Io;

namespace Lamina.Host.Locks;

/// <summary>The filter of a process.</summary>
public static unsafe class CallFilter
{
    private const ushort Load = 0x20, JumpEqual = 0x15, JumpNotBelow = 0x35, JumpAnySet = 0x45, Return = 0x06;
    private const uint KillProcess = 0x8000_0000, Trap = 0x0003_0000, Error = 0x0005_0000, Allow = 0x7fff_0000;
    private const uint NumberAt = 0, ArchitectureAt = 4, FirstArgumentAt = 16, ThirdArgumentAt = 32;
    private const uint X8664 = 0xc000_003e, FirstOfX32 = 0x4000_0000;
    private const uint CloneThread = 0x1_0000, ProtectionExecute = 4;
    private const uint NoSuchCall = 38, NotPermitted = 1;

    // What the handler writes of a siginfo_t; its si_syscall is at 24. Several threads may each write one.
    private const int ReportLength = 32, ReportedCallAt = 24, LongestReport = 1 << 16;

    private static readonly uint[] LocalFamilies = [1 /* AF_UNIX */], Families = [.. LocalFamilies, 2 /* AF_INET */, 10 /* AF_INET6 */];

    /// <summary>The exit code of a process that made a call which its filter forbids: what a shell says of SIGSYS.</summary>
    public const int ExitCode = 128 + Libc.SIGSYS;

    /// <summary>Filters the calls of this process from now on.</summary>
    /// <param name="groups">What it needs calls for.</param>
    /// <param name="report">A file to append to when it ends for a call; <see cref="ReadReport"/> reads it. Null: it is said on standard error.</param>
    /// <exception cref="HostException">The kernel refuses.</exception>
    public static void Enter(CallGroup groups, string? report)
    {
        PathLock.NoNewPrivileges();
        Handle(report is null ? SayingHandler : WritingHandler(report));
        var instructions = Build(groups);
        fixed (Libc.FilterInstruction* first = instructions)
        {
            var program = new Libc.FilterProgram { Length = (ushort)instructions.Length, Instructions = first };
            var result = Libc.syscall(Libc.SYS_seccomp, Libc.SECCOMP_SET_MODE_FILTER, Libc.SECCOMP_FILTER_FLAG_TSYNC, (nint)(&program), 0);
            if (result != 0) throw result < 0 ? HostException.FromErrno("cannot filter system calls") : new HostException("cannot filter the system calls of every thread");
        }
    }

    /// <summary>The name of the call that ended a process; null where none did.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static string? ReadReport(string report)
    {
        if (!File.Exists(report) || NamedFile.ReadFile(report, LongestReport) is not { Length: >= ReportLength } bytes) return null;
        var number = BitConverter.ToInt32(bytes, ReportedCallAt);
        return Enum.IsDefined((SystemCall)number) ? ((SystemCall)number).ToString() : $"number {number}";
    }

    internal static Libc.FilterInstruction[] Build(CallGroup groups)
    {
        var program = new List<Libc.FilterInstruction>
        {
            new(Load, 0, 0, ArchitectureAt),
            new(JumpEqual, 1, 0, X8664),
            new(Return, 0, 0, KillProcess),
            new(Load, 0, 0, NumberAt),
            new(JumpNotBelow, 0, 1, FirstOfX32),
            new(Return, 0, 0, KillProcess),
        };
        foreach (var call in CallGroups.Unknown) OnCall(call, new Libc.FilterInstruction(Return, 0, 0, Error | NoSuchCall));
        foreach (var call in CallGroups.Of(groups)) OnCall(call, new Libc.FilterInstruction(Return, 0, 0, Allow));
        // What is executable is so by now: no file and no memory becomes it.
        foreach (var call in (SystemCall[])[SystemCall.mmap, SystemCall.mprotect])
        {
            if (groups.HasFlag(CallGroup.Compiler)) OnCall(call, new Libc.FilterInstruction(Return, 0, 0, Allow));
            else OnCall(call, new(Load, 0, 0, ThirdArgumentAt), new(JumpAnySet, 0, 1, ProtectionExecute), new(Return, 0, 0, Error | NotPermitted), new(Return, 0, 0, Allow));
        }
        // A thread may be made, and a copy of the process that nobody is told of (MemoryTwin), which is locked as it is.
        OnCall(SystemCall.clone, new(Load, 0, 0, FirstArgumentAt), new(JumpEqual, 1, 0, (uint)Libc.CLONE_FILES), new(JumpAnySet, 0, 1, CloneThread), new(Return, 0, 0, Allow), new(Return, 0, 0, Trap));
        OnCall(SystemCall.tgkill, new(Load, 0, 0, FirstArgumentAt), new(JumpEqual, 0, 1, (uint)Environment.ProcessId), new(Return, 0, 0, Allow), new(Return, 0, 0, Error | NotPermitted));
        if (groups.HasFlag(CallGroup.Terminal)) OnCall(SystemCall.kill, new(Load, 0, 0, FirstArgumentAt), new(JumpEqual, 0, 1, (uint)Environment.ProcessId), new(Return, 0, 0, Allow), new(Return, 0, 0, Trap));
        var families = groups.HasFlag(CallGroup.Sockets) ? Families : groups.HasFlag(CallGroup.LocalSockets) ? LocalFamilies : [];
        OnCall(SystemCall.socket, [new(Load, 0, 0, FirstArgumentAt), .. families.SelectMany(family => (Libc.FilterInstruction[])[new(JumpEqual, 0, 1, family), new(Return, 0, 0, Allow)]), new(Return, 0, 0, Error | NotPermitted)]);
        program.Add(new Libc.FilterInstruction(Return, 0, 0, Trap));
        return [.. program];

        void OnCall(SystemCall call, params ReadOnlySpan<Libc.FilterInstruction> then)
        {
            program.Add(new Libc.FilterInstruction(JumpEqual, 0, (byte)then.Length, (uint)call));
            program.AddRange(then);
        }
    }

    // Says the number of the call that ends the process; rsi is the siginfo_t.
    private static byte[] SayingHandler =>
    [
        0x49, 0x89, 0xf0, 0xbf, 2, 0, 0, 0,                                  // mov r8, rsi; mov edi, 2
        0x48, 0x8d, 0x35, 0x4d, 0, 0, 0,                                     // lea rsi, [rip+Forbidden], which is behind
        0xba, .. BitConverter.GetBytes(Forbidden.Length),                    // mov edx, Forbidden.Length
        0xb8, 1, 0, 0, 0, 0x0f, 5,                                           // mov eax, 1; syscall: write
        0x41, 0x8b, 0x40, ReportedCallAt, 0x48, 0x8d, 0x74, 0x24, 0xf8,      // mov eax, [r8+ReportedCallAt]; lea rsi, [rsp-8]
        0xc6, 0x06, (byte)'\n', 0xb9, 10, 0, 0, 0,                           // mov byte [rsi], '\n'; mov ecx, 10
        0x31, 0xd2, 0xf7, 0xf1, 0x80, 0xc2, (byte)'0',                       // again: xor edx, edx; div ecx; add dl, '0'
        0x48, 0xff, 0xce, 0x88, 0x16, 0x85, 0xc0, 0x75, 0xf0,                // dec rsi; mov [rsi], dl; test eax, eax; jnz again
        0x48, 0x8d, 0x54, 0x24, 0xf9, 0x48, 0x29, 0xf2,                      // lea rdx, [rsp-7]; sub rdx, rsi
        0xbf, 2, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0x0f, 5,                         // mov edi, 2; mov eax, 1; syscall: write
        0xbf, .. BitConverter.GetBytes(ExitCode),                            // mov edi, ExitCode
        0xb8, .. BitConverter.GetBytes((int)SystemCall.exit_group), 0x0f, 5, // mov eax, exit_group; syscall
        .. Forbidden,
    ];

    private static ReadOnlySpan<byte> Forbidden => "lamina: ended by its lock, which no machine comes upon that keeps to its devices: the process made the system call number "u8;

    private static byte[] WritingHandler(string report)
    {
        var descriptor = Libc.open(report, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_APPEND | Libc.O_CLOEXEC, Convert.ToInt32("600", 8));
        if (descriptor < 0) throw HostException.FromErrno($"cannot write {report}");
        return
        [
            0xbf, .. BitConverter.GetBytes(descriptor),                      // mov edi, descriptor; rsi is the siginfo_t
            0xba, .. BitConverter.GetBytes(ReportLength),                    // mov edx, ReportLength
            0xb8, .. BitConverter.GetBytes((int)SystemCall.write), 0x0f, 5,  // mov eax, write; syscall
            0xbf, .. BitConverter.GetBytes(ExitCode),                        // mov edi, ExitCode
            0xb8, .. BitConverter.GetBytes((int)SystemCall.exit_group), 0x0f, 5,
        ];
    }

    private static void Handle(byte[] code)
    {
        var address = HandlerCode.Map("lamina-sigsys", code);
        Libc.SigAction action;
        if (Libc.sigaction(Libc.SIGSYS, null, &action) != 0) throw HostException.FromErrno("cannot read a signal handler");
        action.Handler = address;
        action.Flags |= Libc.SA_SIGINFO;
        if (Libc.sigaction(Libc.SIGSYS, &action, null) != 0) throw HostException.FromErrno("cannot set a signal handler");
    }
}
