// Starts a process that is confined before its first instruction, as far as the host lets: where it refuses a part, the next attempt is
// without it, and whoever asked is told. Nothing of the attempt that failed is left.
using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Locks;

/// <summary>A process that was started confined; its standard input is at its end, unless it was given one.</summary>
public sealed unsafe class ConfinedProcess : IDisposable
{
    /// <summary>A word that the process gets its own number in place of, as whoever started it knows it.</summary>
    public const string OwnNumber = "%own-number%";

    // As many digits as a number of a process can have.
    private const int NumberLength = 10;

    private const int Signals = 64, Capabilities = 64, CapabilityVersion3 = 0x2008_0522;

    private readonly FileStream _output, _errors;

    private ConfinedProcess(int id, SafeFileHandle output, SafeFileHandle errors)
    {
        Id = id;
        (_output, _errors) = (new FileStream(output, FileAccess.Read, 0), new FileStream(errors, FileAccess.Read, 0));
    }

    /// <summary>Its number, as this process sees it.</summary>
    public int Id { get; }

    /// <summary>What it writes to its standard output.</summary>
    public Stream Output => _output;

    /// <summary>What it writes to its standard error.</summary>
    public Stream Errors => _errors;

    /// <summary>Starts a process in the folder "/" and a session of its own.</summary>
    /// <param name="program">The program's path.</param>
    /// <param name="words">Its words behind its name, by what it is confined by. One that is <see cref="OwnNumber"/> is replaced.</param>
    /// <param name="environment">Its environment.</param>
    /// <param name="confinement">What it is to be confined to.</param>
    /// <param name="input">What its standard input is; null: at its end.</param>
    /// <exception cref="HostException">It cannot be started.</exception>
    public static ConfinedProcess Start(string program, Func<Confined, IEnumerable<string>> words, IEnumerable<KeyValuePair<string, string>> environment, Confinement confinement, SafeHandle? input = null)
    {
        ArgumentNullException.ThrowIfNull(words);
        ArgumentNullException.ThrowIfNull(confinement);
        var variables = environment.ToList();
        var refused = new Dictionary<ConfinementParts, string>();
        var attempt = new Attempt(confinement.Wanted & ~ConfinementParts.User, HasOwnProcesses: true);
        var isRoot = Libc.geteuid() == 0;
        if (!isRoot && confinement.Wanted.HasFlag(ConfinementParts.User)) attempt = attempt with { Parts = confinement.Wanted };
        while (true)
        {
            var confined = new Confined(attempt.Parts, refused);
            if (TryStart(program, [.. words(confined)], variables, confinement, attempt, input, out var failure) is { } process) return process;
            if (failure.Call == SystemCall.execve) throw new HostException($"cannot start {program}: {new Win32Exception(failure.Errno).Message}");
            attempt = attempt.Without(failure, confinement.Wanted, isRoot, refused);
        }
    }

    /// <summary>Enters the root within the root of a process that was started so: from then on it reaches what it was to reach later.</summary>
    /// <exception cref="HostException">The kernel refuses.</exception>
    public static void Empty()
    {
        if (Libc.chroot(ConfinedRoot.Later) != 0 || Libc.chdir("/") != 0) throw HostException.FromErrno("cannot enter an empty root");
    }

    /// <summary>Becomes another user for good, with every thread and without any right of root's.</summary>
    /// <param name="user">The number, of the user and of its group.</param>
    /// <exception cref="HostException">The kernel refuses.</exception>
    public static void Become(uint user)
    {
        if (Libc.setgroups(0, null) != 0 || Libc.setresgid(user, user, user) != 0 || Libc.setresuid(user, user, user) != 0) throw HostException.FromErrno($"cannot become the user {user}");
    }

    /// <summary>Gives a file, or a folder and all in it, to another user; links are not followed.</summary>
    /// <exception cref="HostException">The kernel refuses.</exception>
    public static void Give(string folder, uint user)
    {
        var below = File.Exists(folder) ? [] : Directory.EnumerateFileSystemEntries(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = false });
        foreach (var path in below.Append(folder))
        {
            if (Libc.lchown(path, user, user) != 0) throw HostException.FromErrno($"cannot give {path} to the user {user}");
        }
    }

    /// <summary>Waits until it has ended. It must be waited for, or its number is kept as long as this process lives.</summary>
    /// <returns>Its exit code; 128 and the signal's number where one ended it.</returns>
    public int Wait() => Wait(Id);

    internal static int Wait(int process)
    {
        int status;
        while (Libc.waitpid(process, &status, 0) < 0)
        {
            if (Marshal.GetLastPInvokeError() != Libc.EINTR) throw HostException.FromErrno($"cannot wait for the process {process}");
        }
        return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _output.Dispose();
        _errors.Dispose();
    }

    private static ConfinedProcess? TryStart(string path, IReadOnlyList<string> words, List<KeyValuePair<string, string>> environment, Confinement confinement, Attempt attempt, SafeHandle? input, out ChildFailure failure)
    {
        var parts = attempt.Parts;
        var hasOwnProcesses = attempt.HasOwnProcesses && parts.HasFlag(ConfinementParts.Root | ConfinementParts.Processes);
        using var program = new ChildProgram();
        using var rules = MakeRules(confinement, parts);
        var (output, childOutput) = Pipe();
        var (errors, childErrors) = Pipe();
        using (childOutput)
        using (childErrors)
        {
            program.Add(SystemCall.setsid);
            for (var signal = 1; signal <= Signals; signal++)
            {
                // What is ignored stays so; the program would begin with handlers that are the parent's.
                Libc.SigAction action;
                if (Libc.sigaction(signal, null, &action) == 0 && action.Handler is not 0 and not Libc.SIG_IGN) program.Add(SystemCall.rt_sigaction, signal, program.Memory(32), 0, sizeof(ulong));
            }
            var number = program.Memory(NumberLength + 1);
            program.For = ConfinementParts.Processes;
            program.Add(SystemCall.readlink, program.Text("/proc/self"), number, NumberLength, result: parts.HasFlag(ConfinementParts.Processes) ? ChildProgram.Result.None : ChildProgram.Result.MayFail);
            program.For = ConfinementParts.User;
            if (parts.HasFlag(ConfinementParts.User)) MapUser(program);
            program.For = ConfinementParts.Root;
            if (parts.HasFlag(ConfinementParts.Root)) ConfinedRoot.Add(program, confinement.Place, confinement.Paths, confinement.Later, hasOwnProcesses);
            else program.Add(SystemCall.chdir, program.Text("/"));
            program.For = ConfinementParts.None;
            if (confinement.Wanted != ConfinementParts.None)
            {
                program.Add(SystemCall.prlimit64, 0, Libc.RLIMIT_CORE, program.Memory(16), 0, result: ChildProgram.Result.MayFail);
                program.Add(SystemCall.prctl, Libc.PR_SET_NO_NEW_PRIVS, 1);
                GiveUp(program, parts, confinement.Keeps);
            }
            program.For = ConfinementParts.Files;
            if (rules is not null) EnterRules(program, (nint)rules.DangerousGetHandle(), hasOwnProcesses);
            program.For = ConfinementParts.None;
            if (input is null)
            {
                program.Add(SystemCall.open, program.Text("/dev/null"), Libc.O_RDONLY, result: ChildProgram.Result.Keeps);
                program.Add(SystemCall.dup2, 0, 0, result: ChildProgram.Result.UsesKept);
            }
            else program.Add(SystemCall.dup2, input.DangerousGetHandle(), 0);
            program.Add(SystemCall.dup2, (nint)childOutput.DangerousGetHandle(), 1);
            program.Add(SystemCall.dup2, (nint)childErrors.DangerousGetHandle(), 2);
            program.Add(SystemCall.rt_sigprocmask, Libc.SIG_SETMASK, program.Memory(sizeof(ulong)), 0, sizeof(ulong));
            program.Add(SystemCall.execve, program.Text(path), program.Array([program.Text(path), .. words.Select(word => word == OwnNumber ? number : program.Text(word))]),
                program.Array([.. environment.Select(variable => program.Text($"{variable.Key}={variable.Value}"))]));
            var child = program.Run(Flags(parts), out failure);
            if (child != 0) return new ConfinedProcess(child, output, errors);
        }
        output.Dispose();
        errors.Dispose();
        return null;
    }

    private static SafeFileHandle? MakeRules(Confinement confinement, ConfinementParts parts) => parts.HasFlag(ConfinementParts.Files) ? PathLock.MakeRules(confinement.Paths, confinement.UsesTcp) : null;

    // /proc is another one than when the rules were made.
    private static void EnterRules(ChildProgram program, nint rules, bool hasOwnProcesses)
    {
        if (hasOwnProcesses)
        {
            program.Add(SystemCall.open, program.Text("/proc"), Libc.O_PATH | Libc.O_CLOEXEC, result: ChildProgram.Result.Keeps);
            program.Add(SystemCall.dup2, 0, 0, result: ChildProgram.Result.UsesKept);
            var beneath = (Libc.LandlockPathBeneath*)program.Memory(sizeof(Libc.LandlockPathBeneath));
            *beneath = new Libc.LandlockPathBeneath { Allowed = PathLock.OfFolder(PathRights.Read), Parent = 0 };
            program.Add(SystemCall.landlock_add_rule, rules, Libc.LANDLOCK_RULE_PATH_BENEATH, (nint)beneath);
        }
        program.Add(SystemCall.landlock_restrict_self, rules);
    }

    // The user's number is the same within and without.
    internal static void MapUser(ChildProgram program)
    {
        program.Write("/proc/self/setgroups", "deny");
        program.Write("/proc/self/uid_map", string.Create(CultureInfo.InvariantCulture, $"{Libc.geteuid()} {Libc.geteuid()} 1"));
        program.Write("/proc/self/gid_map", string.Create(CultureInfo.InvariantCulture, $"{Libc.getegid()} {Libc.getegid()} 1"));
    }

    // Of the rights in its namespaces it keeps one, by which it leaves its root for an empty one; root keeps what it was to keep of the host's.
    private static void GiveUp(ChildProgram program, ConfinementParts parts, HostCapabilities keeps)
    {
        var hasNamespace = parts.HasFlag(ConfinementParts.User);
        if (!hasNamespace && Libc.geteuid() != 0) return;
        var kept = HostCapabilities.ChangeRoot | (hasNamespace ? 0 : keeps);
        for (var i = 0; i < Capabilities; i++)
        {
            if (((ulong)kept & (1UL << i)) == 0) program.Add(SystemCall.prctl, Libc.PR_CAPBSET_DROP, i, result: ChildProgram.Result.MayFail);
        }
        if (!hasNamespace) return;
        // capset(2): a version and this thread; two times effective, permitted and inheritable, of 32 bits each.
        var header = (uint*)program.Memory(8);
        header[0] = CapabilityVersion3;
        var data = (uint*)program.Memory(24);
        for (var i = 0; i < 3; i++) (data[i], data[i + 3]) = ((uint)kept, (uint)((ulong)kept >> 32));
        program.Add(SystemCall.capset, (nint)header, (nint)data);
        program.Add(SystemCall.prctl, Libc.PR_CAP_AMBIENT, Libc.PR_CAP_AMBIENT_RAISE, Libc.CAP_SYS_CHROOT);
    }

    internal static nint Flags(ConfinementParts parts) =>
        (parts.HasFlag(ConfinementParts.User) ? Libc.CLONE_NEWUSER : 0) | (parts.HasFlag(ConfinementParts.Root) ? Libc.CLONE_NEWNS : 0) | (parts.HasFlag(ConfinementParts.Processes) ? Libc.CLONE_NEWPID : 0)
        | (parts.HasFlag(ConfinementParts.Messages) ? Libc.CLONE_NEWIPC : 0) | (parts.HasFlag(ConfinementParts.HostName) ? Libc.CLONE_NEWUTS : 0) | (parts.HasFlag(ConfinementParts.Network) ? Libc.CLONE_NEWNET : 0);

    private static (SafeFileHandle Read, SafeFileHandle Write) Pipe()
    {
        var ends = stackalloc int[2];
        if (Libc.pipe2(ends, Libc.O_CLOEXEC) != 0) throw HostException.FromErrno("cannot make a pipe");
        return (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true));
    }

    private readonly record struct Attempt(ConfinementParts Parts, bool HasOwnProcesses)
    {
        // With less, by what failed.
        internal Attempt Without(ChildFailure failure, ConfinementParts wanted, bool isRoot, Dictionary<ConfinementParts, string> refused)
        {
            var namespaces = Parts & ConfinementParts.Namespaces;
            // The namespaces at once. Root may lack the right to make them, as in a container, and have the one to make a user namespace.
            if (failure.Call is null)
            {
                if (namespaces == ConfinementParts.None) throw new HostException($"cannot make a process: {failure}");
                if (isRoot && !Parts.HasFlag(ConfinementParts.User) && wanted.HasFlag(ConfinementParts.User)) return this with { Parts = Parts | ConfinementParts.User };
                return Refuse(namespaces, failure, refused);
            }
            // Its own /proc is refused where the host's is not all to be seen, as in a container.
            if (failure is { For: ConfinementParts.Root, Call: SystemCall.mount } && HasOwnProcesses && Parts.HasFlag(ConfinementParts.Processes)) return this with { HasOwnProcesses = false };
            return failure.For switch
            {
                ConfinementParts.User => Refuse(namespaces, failure, refused),
                ConfinementParts.Files => Refuse(ConfinementParts.Files | ConfinementParts.Ports, failure, refused),
                ConfinementParts.Root or ConfinementParts.Processes => Refuse(failure.For, failure, refused),
                _ => throw new HostException($"cannot start a process: {failure}"),
            };
        }

        private Attempt Refuse(ConfinementParts parts, ChildFailure failure, Dictionary<ConfinementParts, string> refused)
        {
            foreach (var part in Enum.GetValues<ConfinementParts>())
                if (System.Numerics.BitOperations.IsPow2((int)part) && parts.HasFlag(part)) refused[part] = failure.ToString();
            return this with { Parts = Parts & ~parts };
        }
    }
}
