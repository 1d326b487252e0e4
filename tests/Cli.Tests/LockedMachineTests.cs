// The lock of the program that users have, around a machine that has every kind of device and a guest that uses them: all of them work, and
// from each kind of thread that such a process has nothing is reached which is not the machine's.
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Lamina.Host.Locks;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed partial class LockedMachineTests : KeptMachines
{
    private const string Name = "web";

    // What a thread may do in all: one attempt that is allowed, so that it is seen that attempts are made.
    private const string Allowed = "reads its own file";

    private static readonly string[] OfEveryMachine = ["lamina", "vcpu", "timers", "console-log", "virtio-Entropy", "virtio-Console", "virtio-Vsock", ".NET Finalizer", ".NET TP Worker", ".NET TP Gate", ".NET Sockets", ".NET SigHandler"];
    private static readonly string[] OfDevices = ["virtio-Block", "virtio-Net", "virtio-FileSyst", "virtio-Balloon", "net-user"];

    private readonly CancellationToken _cancellation = TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_device_works_in_a_machine_that_is_locked_and_does_so_when_it_was_written_down()
    {
        using var host = new TcpListener(IPAddress.Loopback, 0);
        host.Start();
        var (published, later, shared) = (HostProcess.FreePort(), HostProcess.FreePort(), Folder.File("shared"));
        await StartAsync(EveryDevice($"user,publish=127.0.0.1:{published}:7,host={((IPEndPoint)host.LocalEndpoint).Port}"));
        Assert.Superset((HashSet<string>)["files", "calls"], (await LockedByAsync()).ToHashSet());
        await GuestAsync("mkdir -p /s; mount -t virtiofs s /s; (while :; do nc -l -p 7 -e cat; done) >/dev/null 2>&1 & echo kept >/tmp/kept; dd if=/dev/urandom of=/tmp/p bs=64k count=32 2>/dev/null");

        await UseAsync(published);
        Expect(0, await RunAsync("pause", Name));
        Expect(0, await RunAsync("resume", Name));
        await UseAsync(published);
        Expect(0, await RunAsync("set", Name, "--publish", $"127.0.0.1:{later}:7"));
        await UseAsync(later);
        Expect(0, await RunAsync("suspend", Name));
        Expect(0, await RunAsync("start", Name));
        Assert.Superset((HashSet<string>)["files", "calls"], (await LockedByAsync()).ToHashSet());
        Assert.Equal("kept\n", await GuestAsync("cat /tmp/kept"));
        await UseAsync(later);

        var digest = (await GuestAsync("md5sum </tmp/p"))[..32];
        Expect(0, await RunAsync("stop", Name));
        Assert.Equal("off", await StateAsync(Name));
        Expect(0, await RunAsync("disk", "check", Folder.File("a.qcow2")));
        Expect(0, await RunAsync("disk", "convert", "--format", "raw", Folder.File("a.qcow2"), Folder.File("a.raw")));
        foreach (var disk in (string[])["raw.img", "a.raw"])
        {
            using var file = File.OpenHandle(Folder.File(disk));
            var bytes = new byte[32 << 16];
            Assert.Equal(bytes.Length, RandomAccess.Read(file, bytes, 0));
            Assert.Equal(digest, Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(bytes)));
        }

        // Each device once, to and from the guest.
        async Task UseAsync(int port)
        {
            await File.WriteAllTextAsync(Path.Combine(shared, "in"), $"{port}\n", _cancellation);
            Assert.Equal($"{port}\n", await GuestAsync("cat /s/in; cp /s/in /s/out; mv /s/out /s/moved; chmod 600 /s/moved"));
            Assert.Equal($"{port}\n", await File.ReadAllTextAsync(Path.Combine(shared, "moved"), _cancellation));
            var digests = await GuestAsync("for disk in vda vdb; do dd if=/tmp/p of=/dev/$disk bs=64k conv=fsync; done 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; for file in /tmp/p /dev/vda /dev/vdb; do dd if=$file bs=64k count=32 2>/dev/null | md5sum; done");
            Assert.Single(digests.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToHashSet());
            Assert.Equal("64\n", await GuestAsync("dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c"));
            Assert.Equal("hello\n", await EchoAsync(port));
            var sent = GuestAsync($"echo out | nc -w 5 10.0.2.2 {((IPEndPoint)host.LocalEndpoint).Port}");
            using (var client = await host.AcceptTcpClientAsync(_cancellation))
            using (var reader = new StreamReader(client.GetStream())) Assert.Equal("out", await reader.ReadLineAsync(_cancellation));
            await sent;
            var before = await FreeAsync();
            Expect(0, await RunAsync("set", Name, "--memory", "160M"));
            while (await FreeAsync() > before - 60_000) _cancellation.ThrowIfCancellationRequested();
            Expect(0, await RunAsync("set", Name, "--memory", "256M"));
            while (await FreeAsync() < before - 20_000) _cancellation.ThrowIfCancellationRequested();
            using var console = Start(["console", Name, "--history", "0"], keepsInput: true);
            await console.TypeAsync($"echo con''sole {port}\n");
            await console.SaidAsync($"console {port}");
        }

        async Task<int> FreeAsync() => int.Parse(await GuestAsync("sed -n 's/^MemFree: *\\([0-9]*\\).*/\\1/p' /proc/meminfo"), System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task From_no_thread_of_a_machine_with_every_device_is_anything_reached_that_is_not_the_machines()
    {
        await StartAsync(EveryDevice("user,publish=127.0.0.1:0:7"));
        // By then each device's threads have worked.
        await GuestAsync("mkdir -p /s; mount -t virtiofs s /s; echo x >/s/x; for disk in vda vdb; do dd if=/dev/zero of=/dev/$disk bs=64k count=4 conv=fsync; done 2>/dev/null; dd if=/dev/hwrng of=/dev/null bs=64 count=1 2>/dev/null");

        // A user network reaches what the host does; the kernel's rings are this machine's, and what they do is bounded (docs/security.md).
        await TryEachThreadAsync([.. OfEveryMachine, .. OfDevices], ["connects by TCP"]);

        Assert.Equal("still here\n", await GuestAsync("echo still here"));
    }

    [Fact]
    public async Task From_no_thread_of_a_machine_without_network_and_share_is_more_reached()
    {
        await StartAsync("--disk", await DiskAsync("a.qcow2"), "--net", "none");
        await GuestAsync("dd if=/dev/zero of=/dev/vda bs=64k count=4 conv=fsync 2>/dev/null");

        await TryEachThreadAsync([.. OfEveryMachine, "virtio-Block"], []);

        Assert.Equal("still here\n", await GuestAsync("echo still here"));
    }

    // The process is its user's, and was there before its lock: it has no namespaces.
    [Fact]
    public async Task From_no_thread_of_a_machine_on_a_terminal_are_more_files_reached_than_its_own_and_those_of_its_temporary_folder()
    {
        Assert.SkipWhen(PathLock.Version == 0, "this host's kernel has no Landlock");
        var words = await TinyImage.WordsAsync();
        var (temporary, definition) = (Folder.Folder("tmp"), Folder.File("definition"));
        await File.WriteAllTextAsync(Path.Combine(temporary, "own"), "own", _cancellation);
        await File.WriteAllTextAsync(definition, "{}", _cancellation);
        // Through a shell: this process's runtime waits for its own children, and would take the stops of their first thread from who traces it.
        using var run = HostProcess.Start("/bin/sh", ["-c", "exec 3<&0; \"$@\" <&3 3<&- & wait $!", "sh", LaminaProgram.File, "run", .. words, "--engine", "translator", "--net", "none", "--disk", await DiskAsync("a.qcow2")],
            new Dictionary<string, string?>(Environment) { ["TMPDIR"] = temporary }, keepsInput: true);
        await run.SaidAsync("~ #");

        // What is /usr's is read by the C library and by the runtime; who it is and which processes there are, is not hidden.
        string[] alsoAllowed = ["reads a program", "sees other processes", "signals a thread of others", .. LaminaProgram.IsNative ? Array.Empty<string>() : ["makes memory executable", "maps a file without a name executable", "maps its own file executable"]];
        await TryEachThreadAsync(Assert.Single(HostProcess.ChildrenOf(run.Id)), definition, Path.Combine(temporary, "own"), alsoAllowed, []);

        await run.TypeAsync("echo still h''ere; poweroff\n");
        await run.SaidAsync("still here");
        Assert.Equal(0, (await run.EndAsync()).ExitCode);
    }

    [Fact]
    public async Task A_queues_thread_that_executes_ends_the_machine_and_it_is_said_why()
    {
        await StartAsync(EveryDevice("user,publish=127.0.0.1:0:7"));
        var process = await ProcessAsync();
        await OnOneThreadAsync(() =>
        {
            var threads = TracedThread.Of(process);
            new Intruder(process).Leave(LaminaProgram.IsNative ? threads.First(thread => thread.Name.StartsWith("virtio-Net", StringComparison.Ordinal)).Thread : threads[^1].Thread, 59);
        });

        Expect(1, await RunAsync("wait", Name), "lamina: the machine web has no end of its own: *execve*");
        Assert.Equal("killed", await StateAsync(Name));
    }

    private async Task TryEachThreadAsync(string[] kinds, string[] alsoAllowed)
    {
        var (process, inForce) = (await ProcessAsync(), await LockedByAsync());
        // Code that is compiled as it runs becomes executable, and is read as it is needed.
        if (!LaminaProgram.IsNative) alsoAllowed = [.. alsoAllowed, "reads a program", "makes memory executable", "maps a file without a name executable"];
        if (!inForce.Contains("processes")) alsoAllowed = [.. alsoAllowed, "sees other processes"];
        if (!inForce.Contains("root")) alsoAllowed = [.. alsoAllowed, "maps its own file executable"];
        if (PathLock.Version < 6 && !inForce.Contains("network")) alsoAllowed = [.. alsoAllowed, "connects to a socket without a file"];
        CheckWhoItIs(process, inForce);
        Assert.SkipUnless(inForce.Contains("files") || inForce.Contains("root"), "this host has neither Landlock nor mount namespaces for this user");
        await TryEachThreadAsync(process, Home(Name, "machine.json"), Home(Name, "run", "run.json"), alsoAllowed, kinds);
    }

    private async Task TryEachThreadAsync(int process, string definition, string own, string[] alsoAllowed, string[] kinds)
    {
        using var port = new TcpListener(IPAddress.Loopback, 0);
        port.Start();
        var around = new Intruder.Surroundings
        {
            Secret = Folder.File("secret"),
            Absent = Folder.File("absent"),
            Definition = definition,
            Own = own,
            Socket = Folder.File("socket"),
            Abstract = $"lamina-test-{System.Environment.ProcessId}",
            Port = ((IPEndPoint)port.LocalEndpoint).Port,
        };
        await File.WriteAllTextAsync(around.Secret, "secret", _cancellation);
        using var socket = Listen(around.Socket);
        using var nameless = Listen("\0" + around.Abstract);
        var (seen, wrong) = (new HashSet<string>(), new List<(string Thread, string What)>());
        await OnOneThreadAsync(() =>
        {
            var intruder = new Intruder(process);
            foreach (var (thread, name) in TracedThread.Of(process))
            {
                if (intruder.Try(thread, around) is not { } tried) continue;
                seen.Add(Number().Replace(name, ""));
                wrong.AddRange(tried.Where(attempt => attempt.What == Allowed ? !attempt.IsReached : attempt.IsReached && !alsoAllowed.Contains(attempt.What)).Select(attempt => (name, $"{attempt}")));
            }
        });

        Assert.True(wrong.Count == 0, string.Join('\n', wrong.GroupBy(one => one.What, one => one.Thread).Select(same => $"{same.Key}, from {same.Count()} threads: {string.Join(", ", same)}")));
        // A runtime that compiles as it runs names its own threads only; that of finalizers not before it has something to do.
        if (LaminaProgram.IsNative) Assert.Empty(kinds.Except(seen));
        else Assert.Contains(".NET SynchManag", seen);
        Assert.True(File.Exists(around.Secret) && !File.Exists(around.Absent));
    }

    // What is said to be in force, where the kernel tells it of a process.
    private static void CheckWhoItIs(int process, string[] inForce)
    {
        foreach (var (part, file) in ((string, string)[])[("processes", "pid"), ("root", "mnt"), ("ipc", "ipc"), ("host-name", "uts"), ("network", "net")])
            if (inForce.Contains(part)) Assert.NotEqual(File.ResolveLinkTarget($"/proc/self/ns/{file}", false)!.Name, File.ResolveLinkTarget($"/proc/{process}/ns/{file}", false)!.Name);
        var status = File.ReadAllLines($"/proc/{process}/status").Select(line => line.Split(':', 2)).ToDictionary(line => line[0], line => line[1].Trim());
        Assert.Equal(("1", "2"), (status["NoNewPrivs"], status["Seccomp"]));
        if (!inForce.Contains("user")) return;
        // A user namespace, or a user whom nothing belongs to: real, effective, saved and of files.
        if (File.ResolveLinkTarget("/proc/self/ns/user", false)!.Name != File.ResolveLinkTarget($"/proc/{process}/ns/user", false)!.Name) return;
        Assert.DoesNotContain("0", status["Uid"].Split('\t'));
        Assert.Equal("0000000000000000", status["CapEff"]);
    }

    // Every kind that needs nothing of the host's administrator.
    private string[] EveryDevice(string network)
    {
        File.WriteAllBytes(Folder.File("raw.img"), new byte[16 << 20]);
        var ring = Lamina.Host.Io.Ring.DiskRing.WhyNot() is null ? "io_uring" : "threads";
        return ["--cpus", "2", "--disk", DiskAsync("a.qcow2").GetAwaiter().GetResult(), "--disk", $"{Folder.File("raw.img")},format=raw,direct,aio={ring}", "--net", network, "--share", $"{Folder.Folder("shared")}:s", "--balloon"];
    }

    private async Task<string> DiskAsync(string name)
    {
        Expect(0, await RunAsync("disk", "create", Folder.File(name), "32M"));
        return Folder.File(name);
    }

    private async Task StartAsync(params string[] words)
    {
        await StartTinyAsync(Name, words);
        Expect(0, await RunAsync("exec", "--wait", "2m", Name, "--", "true"));
    }

    // A connection to the guest's echo, which begins to listen when it has served another.
    private async Task<string> EchoAsync(int port)
    {
        while (true)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port, _cancellation);
            try
            {
                await client.GetStream().WriteAsync("hello\n"u8.ToArray(), _cancellation);
                using var reader = new StreamReader(client.GetStream());
                if (await reader.ReadLineAsync(_cancellation) is { } line) return line + "\n";
            }
            catch (IOException)
            {
                // Refused in the guest.
            }
        }
    }

    private async Task<string> GuestAsync(string command)
    {
        var outcome = await RunAsync("exec", Name, "--", "sh", "-c", command);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        return outcome.Output;
    }

    private async Task<JsonElement> StatusAsync()
    {
        using var inspected = JsonDocument.Parse((await RunAsync("inspect", Name)).Output);
        return inspected.RootElement.GetProperty("status").Clone();
    }

    private async Task<int> ProcessAsync() => (await StatusAsync()).GetProperty("pid").GetInt32();

    private async Task<string[]> LockedByAsync() => [.. (await StatusAsync()).GetProperty("locked-by").EnumerateArray().Select(word => word.GetString()!)];

    // ptrace knows who traces by the thread.
    private static async Task OnOneThreadAsync(Action action)
    {
        try
        {
            await Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        catch (UnauthorizedAccessException refused)
        {
            Assert.Skip($"this host lets no process be traced: {refused.Message}");
        }
    }

    private static Socket Listen(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        socket.Listen();
        return socket;
    }

    [GeneratedRegex("[ -]?[0-9]*$")]
    private static partial Regex Number();
}
