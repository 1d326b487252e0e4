// What somebody would try who has got into a machine's process, from one of its threads: each attempt is a system call, or a few, and what
// became of it. What it needs of memory lies in a page that the process is made to take.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Lamina.Tests.Cli.Support;

/// <summary>Somebody in a process of ours.</summary>
internal sealed class Intruder
{
    private const int Page = 16384, ScratchAt = 8192;
    private const ulong Here = unchecked((ulong)-100), CloseOnExecute = 0x8_0000, Create = 0x40, WriteOnly = 1, Folder = 0x1_0000;
    private const ulong Local = 1, Internet = 2, Stream = 1;
    private const int Inet = 2, Packet = 17, Netlink = 16, Vsock = 40;
    private const ulong ReadExecute = 5, ReadWrite = 3, Private = 2, Anonymous = 0x20;

    private readonly int _process;
    private readonly ulong _instruction, _page;
    private readonly Dictionary<string, ulong> _texts = new(StringComparer.Ordinal);
    private int _used;

    /// <summary>Gets into a process, by its first thread.</summary>
    /// <exception cref="UnauthorizedAccessException">The host does not let this process trace that one.</exception>
    internal Intruder(int process)
    {
        (_process, _instruction) = (process, TracedThread.InstructionOf(process));
        using var first = TracedThread.Stop(process, process, _instruction) ?? throw new InvalidOperationException("the process has ended");
        _page = first.Call(9, 0, Page, ReadWrite, Private | Anonymous, ulong.MaxValue) is > 0 and var page ? (ulong)page : throw new InvalidOperationException("the process gets no memory");
    }

    /// <summary>Paths and addresses that are not the machine's, and some that are.</summary>
    internal sealed record Surroundings
    {
        /// <summary>A file of others, which can be read.</summary>
        public required string Secret { get; init; }

        /// <summary>A path in a folder of others, where nothing is.</summary>
        public required string Absent { get; init; }

        /// <summary>The machine's own definition, which is not its to write.</summary>
        public required string Definition { get; init; }

        /// <summary>A file that the process may write.</summary>
        public required string Own { get; init; }

        /// <summary>A socket of others in a file, at which somebody listens.</summary>
        public required string Socket { get; init; }

        /// <summary>A socket without a file, likewise: its name without the zero at its beginning.</summary>
        public required string Abstract { get; init; }

        /// <summary>A TCP port of the host's, likewise.</summary>
        public required int Port { get; init; }
    }

    /// <summary>An attempt, and what became of it.</summary>
    /// <param name="What">In words.</param>
    /// <param name="Result">What the call returned, an error negative; null: it ends the process.</param>
    /// <param name="MustEnd">Whether it is to end the process, and not only to be refused.</param>
    internal sealed record Attempt(string What, long? Result, bool MustEnd)
    {
        // EPERM, ENOENT, EACCES, EROFS, ENOSYS, ECONNREFUSED. By any other error the kernel says that it would have done it.
        private static readonly long[] Refusals = [-1, -2, -13, -30, -38, -111];

        /// <summary>Whether it came to where it was to go.</summary>
        public bool IsReached => Result is { } result && (MustEnd || !Refusals.Contains(result));

        /// <inheritdoc/>
        public override string ToString() => $"{What}: {Result?.ToString(CultureInfo.InvariantCulture) ?? "ended"}";
    }

    /// <summary>Makes all attempts from a thread. Null where the thread has ended.</summary>
    /// <param name="thread">Which.</param>
    /// <param name="around">What there is to try.</param>
    internal List<Attempt>? Try(int thread, Surroundings around)
    {
        using var traced = TracedThread.Stop(_process, thread, _instruction);
        if (traced is null) return null;
        var tried = new List<Attempt>();
        Open("reads its own file", around.Own, 0);
        Open("reads a file of others", around.Secret, 0);
        Open("reads a program", "/usr/bin/env", 0);
        Open("makes a file", around.Absent, WriteOnly | Create);
        Open("writes its definition", around.Definition, WriteOnly);
        Open("opens a disk of the host's", "/dev/mem", 0);
        Say("removes a file", traced.Call(87, Text(around.Secret)));
        Do("opens by a handle", 304, Here, _page, 0);
        Connect("connects by TCP", Socket(Inet), Internet, Address(around.Port));
        Connect("connects to a socket of others", Socket((int)Local), Local, Encoding.UTF8.GetBytes(around.Socket + "\0"));
        Connect("connects to a socket without a file", Socket((int)Local), Local, Encoding.UTF8.GetBytes("\0" + around.Abstract));
        foreach (var (family, name) in (ReadOnlySpan<(int, string)>)[(Packet, "packets"), (Netlink, "netlink"), (Vsock, "vsock")]) Say($"makes a socket of {name}", Close(traced.Call(41, (ulong)family, 3, 0)));
        var (program, words) = (Text("/bin/true"), Zeroes());
        Do("executes", 59, program, words, words);
        Do("executes below a folder", 322, Here, program, words, words);
        Do("forks", 57);
        Do("forks by vfork", 58);
        Do("makes a process", 56, 17);
        Say("makes a process by a structure", traced.Call(435, words, 88));
        Do("traces", 101, 16, 1);
        Do("reads another's memory", 310, 1, words, 1, words, 1);
        Do("writes another's memory", 311, 1, words, 1, words, 1);
        Map("maps its own file executable", around.Own);
        Say("makes memory executable", traced.Call(10, _page, 4096, ReadExecute));
        Anonymously("maps a file without a name executable");
        foreach (var (call, name) in (ReadOnlySpan<(int, string)>)[(105, "setuid"), (113, "setreuid"), (117, "setresuid"), (106, "setgid"), (114, "setregid"), (119, "setresgid"), (116, "setgroups"), (126, "capset")]) Do($"changes its user by {name}", call);
        Do("signals", 62, ulong.MaxValue, 0);
        Say("signals a thread of others", traced.Call(234, 2, 2, 0));
        Do("holds a process", 434, 1);
        Say("sees other processes", OtherProcesses());
        foreach (var (call, name) in (ReadOnlySpan<(int, string)>)[(161, "chroot"), (155, "pivot_root"), (165, "mount"), (272, "unshare"), (308, "setns"), (321, "bpf"), (298, "perf_event_open"), (250, "keyctl"), (323, "userfaultfd"), (175, "init_module"), (425, "io_uring_setup"), (427, "io_uring_register")]) Do($"reaches the kernel by {name}", call);
        return tried;

        void Do(string what, long call, params ReadOnlySpan<ulong> arguments) => tried.Add(new Attempt(what, traced.Call(call, arguments), MustEnd: true));
        void Say(string what, long? result) => tried.Add(new Attempt(what, result, MustEnd: false));
        void Open(string what, string path, ulong flags) => Say(what, Close(traced.Call(257, Here, Text(path), flags | CloseOnExecute, 0b110_000_000)));
        long? Socket(int family) => traced.Call(41, (ulong)family, Stream | CloseOnExecute, 0);

        long? Close(long? descriptor)
        {
            if (descriptor >= 0) traced.Call(3, (ulong)descriptor);
            return descriptor;
        }

        void Connect(string what, long? socket, ulong family, ReadOnlySpan<byte> address)
        {
            if (socket is not >= 0)
            {
                Say(what, socket);
                return;
            }
            var name = new byte[2 + address.Length];
            BinaryPrimitives.WriteUInt16LittleEndian(name, (ushort)family);
            address.CopyTo(name.AsSpan(2));
            traced.Write(_page + ScratchAt, name);
            Say(what, traced.Call(42, (ulong)socket, _page + ScratchAt, (ulong)name.Length));
            Close(socket);
        }

        void Map(string what, string path)
        {
            var file = traced.Call(257, Here, Text(path), CloseOnExecute);
            Say(what, file is not >= 0 ? file : traced.Call(9, 0, 4096, ReadExecute, Private, (ulong)file));
            Close(file);
        }

        void Anonymously(string what)
        {
            var file = traced.Call(319, Text("x"), 1);
            Say(what, file is not >= 0 ? file : traced.Call(9, 0, 4096, ReadExecute, Private, (ulong)file));
            Close(file);
        }

        // How many there are that it can see beside itself, as it would be an error that there are none.
        long? OtherProcesses()
        {
            var folder = traced.Call(257, Here, Text("/proc"), Folder | CloseOnExecute);
            if (folder is not >= 0) return folder;
            var others = 0;
            while (traced.Call(217, (ulong)folder, _page + ScratchAt, Page - ScratchAt) is > 0 and var length)
            {
                var entries = traced.Read(_page + ScratchAt, (int)length).AsSpan();
                while (entries.Length > 0)
                {
                    // struct linux_dirent64: its length at 16, the name at 19.
                    var size = BinaryPrimitives.ReadUInt16LittleEndian(entries[16..]);
                    var name = Encoding.UTF8.GetString(entries[19..size]).Split('\0')[0];
                    if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number != 1) others++;
                    entries = entries[size..];
                }
            }
            Close(folder);
            return others == 0 ? -1 : others;
        }

        ulong Text(string text)
        {
            if (_texts.TryGetValue(text, out var at)) return at;
            at = _page + (ulong)_used;
            var bytes = Encoding.UTF8.GetBytes(text + "\0");
            if (_used + bytes.Length > ScratchAt) throw new InvalidOperationException("too many texts");
            traced.Write(at, bytes);
            _used += bytes.Length;
            return _texts[text] = at;
        }

        ulong Zeroes() => Text(new string('\0', 128));
    }

    /// <summary>Has a thread make a call for good: it does not come back to where it was.</summary>
    internal void Leave(int thread, long call)
    {
        using var traced = TracedThread.Stop(_process, thread, _instruction) ?? throw new InvalidOperationException("the thread has ended");
        traced.GoOnWith(call);
    }

    private static byte[] Address(int port) => [(byte)(port >> 8), (byte)port, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
}
