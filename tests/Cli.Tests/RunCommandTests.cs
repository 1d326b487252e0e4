// "lamina run" through the real program, with guests of a few instructions: every way in which a run ends.
using System.IO.Compression;
using System.Runtime.InteropServices;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class RunCommandTests : IDisposable
{
    private const UnixFileMode OwnersAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_guests_output_is_standard_output_and_ours_is_not()
    {
        var outcome = await Run(Guest.Halts, "--timeout", "500ms");

        Assert.Equal((124, "up\n"), (outcome.ExitCode, outcome.Output.Replace("\r", "", StringComparison.Ordinal)));
        Assert.Matches(@"^lamina: (translator|kvm) \(", outcome.ErrorLines[0]);
        Assert.StartsWith("lamina: ", outcome.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Equal(2, outcome.ErrorLines.Length);
    }

    [Theory]
    [InlineData(0x10, 33)]
    [InlineData(0x00, 1)]
    [InlineData(0xff, 255)]
    public async Task A_write_to_the_debug_exit_port_is_the_exit_code(byte value, int code)
    {
        var outcome = await Run(Guest.Writes(0xf4, value), "--debug-exit", "0xf4", "--timeout", "60s");

        Assert.Equal(code, outcome.ExitCode);
        Assert.Single(outcome.ErrorLines);
    }

    [Theory]
    [InlineData(90)]
    [InlineData(100)]
    public async Task Too_few_open_files_are_one_sentence_with_what_is_needed(int files)
    {
        var outcome = await WithFilesAsync($"{files}");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Matches($@"^lamina: this machine takes \d+ open files at least, and this process may have {files}; raise the limit \(ulimit -n 1024\)", Assert.Single(outcome.ErrorLines));
    }

    [Fact]
    public async Task A_limit_of_open_files_that_may_be_raised_is_raised() => Assert.Equal(33, (await WithFilesAsync("-S 100")).ExitCode);

    /// <summary>The signal that comes with it (SIGXFSZ) would end the program.</summary>
    [Fact]
    public async Task A_limit_of_files_that_is_less_than_the_memory_is_one_sentence()
    {
        var outcome = await HostProcess.RunAsync("sh",
            ["-c", "ulimit -f 100 && exec \"$@\"", "sh", LaminaProgram.File, "run", "--engine", "translator", "--kernel", Guest.In(_folder, Guest.Halts)], HostProcess.WithSmallFiles);

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("File too large", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_debug_exit_port_is_off_by_default() =>
        Assert.Equal(124, (await Run(Guest.Writes(0xf4, 0x10), "--timeout", "300ms")).ExitCode);

    [Fact]
    public async Task A_triple_fault_ends_the_run_with_no_reboot()
    {
        var outcome = await Run(Guest.TripleFaults, "--no-reboot", "--timeout", "60s");

        Assert.Equal(11, outcome.ExitCode);
        Assert.Contains("triple", outcome.ErrorLines[^1], StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_triple_fault_starts_the_guest_again_otherwise() =>
        Assert.Equal(124, (await Run(Guest.TripleFaults, "--timeout", "500ms")).ExitCode);

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130)]
    [InlineData(PosixSignal.SIGTERM, 143)]
    [InlineData(PosixSignal.SIGHUP, 129)]
    public async Task A_signal_ends_a_guest_that_halts_or_runs_in_circles(PosixSignal signal, int code)
    {
        foreach (var image in (byte[][])[Guest.Halts, Guest.Loops])
        {
            using var run = Start(image, "--serial", $"file:{_folder.File("serial")}");
            await run.SaidAsync("translator");
            while (!File.Exists(_folder.File("serial")) || new FileInfo(_folder.File("serial")).Length == 0) await Task.Yield();

            run.Signal(signal);
            var outcome = await run.EndAsync();

            Assert.Equal(code, outcome.ExitCode);
            Assert.Single(outcome.ErrorLines);
            File.Delete(_folder.File("serial"));
        }
    }

    private Task<Outcome> WithFilesAsync(string limit) => HostProcess.RunAsync("sh",
        ["-c", $"ulimit -n {limit} && exec \"$@\"", "sh", LaminaProgram.File, "run", "--engine", "translator", "--cpus", "8", "--kernel", Guest.In(_folder, Guest.Writes(0xf4, 0x10)), "--debug-exit", "0xf4"]);

    [Theory]
    [InlineData("stdio")]
    [InlineData("stdio,when-full=drop")]
    public async Task A_reader_that_never_reads_does_not_keep_the_run_from_ending_and_what_it_misses_is_told(string serial)
    {
        using var session = Unread($"--serial {serial} --timeout 4s");

        var outcome = await session.EndAsync();

        Assert.Equal("code 124", outcome.ErrorLines[^1]);
        Assert.Matches("^lamina: [1-9][0-9]* bytes of output of the guest's serial port were dropped, which their reader did not take$", outcome.ErrorLines.Single(line => line.Contains("dropped", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_reader_that_never_reads_does_not_keep_a_signal_from_ending_the_run()
    {
        using var session = Unread("& echo \"pid $! \" >&2; wait $!");
        await session.SaidAsync("translator");
        await session.SaidAsync("pid ");
        var run = int.Parse(session.Errors.Split("pid ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);

        using var kill = System.Diagnostics.Process.Start("kill", [$"{run}"]);
        var outcome = await session.EndAsync();

        Assert.Equal("code 143", outcome.ErrorLines[^1]);
    }

    // A run of a guest that prints without end; the reader opens its end of the pipe, and lives as long as the run.
    private HostProcess Unread(string words)
    {
        using (var mkfifo = System.Diagnostics.Process.Start("mkfifo", [_folder.File("end")])) mkfifo.WaitForExit();
        return HostProcess.Start("/bin/sh", ["-c", $"{{ \"$L\" run --kernel \"$G\" --engine translator {words}; echo \"code $?\" >&2; : >\"$F\"; }} | : <\"$F\""], new Dictionary<string, string?>
        {
            ["L"] = LaminaProgram.File,
            ["G"] = Guest.In(_folder, Guest.Prints),
            ["F"] = _folder.File("end"),
        });
    }

    [Fact]
    public async Task On_a_terminal_Ctrl_A_X_ends_the_run_and_the_terminal_is_as_it_was()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/script"), "script (bsdutils) is not installed on this host");
        const string session = "before=$(stty -g); \"$L\" run --kernel \"$G\"; echo \"code $?\"; [ \"$(stty -g)\" = \"$before\" ] && echo restored";
        using var terminal = HostProcess.Start("/usr/bin/script", ["-qc", session, "/dev/null"], keepsInput: true, environment: new Dictionary<string, string?>
        {
            ["L"] = LaminaProgram.File,
            ["G"] = Guest.In(_folder, Guest.Halts),
            ["SHELL"] = "/bin/sh",
        });
        await terminal.SaidAsync("up");

        // Ctrl-C belongs to the guest here, which does not look at it.
        await terminal.TypeAsync("\u0003\u0001h");
        await terminal.SaidAsync("Ctrl-A X");
        await terminal.TypeAsync("\u0001x");
        await terminal.SaidAsync("restored");

        await terminal.TypeAsync("\u0004");
        var outcome = await terminal.EndAsync();
        Assert.Contains("code 130", outcome.Output, StringComparison.Ordinal);
        // Nothing but text: no escape sequences of System.Console's.
        Assert.DoesNotContain('\u001b', outcome.Output);
    }

    [Fact]
    public async Task Statistics_are_told_at_the_end()
    {
        var outcome = await Run(Guest.Writes(0xf4, 1), "--debug-exit", "0xf4", "--stats");

        Assert.Equal(3, outcome.ExitCode);
        Assert.True(outcome.ErrorLines.Length > 3, outcome.Errors);
        Assert.All(outcome.ErrorLines.Skip(1), line => Assert.Matches(@"^\S.* [a-z0-9_]+( \([^)]+\))? +[\d,]+( B| ns)?$", line));
        Assert.Contains(outcome.ErrorLines, line => line.StartsWith("memory ", StringComparison.Ordinal) && line.Contains("memory_resident_bytes", StringComparison.Ordinal));
        Assert.Contains(outcome.ErrorLines, line => line.StartsWith("vcpus ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_signal_has_the_state_of_every_part_written_to_a_file_and_the_guest_runs_on()
    {
        var file = _folder.File("seen.json");
        using var run = LaminaProgram.Start(["run", "--kernel", Guest.In(_folder, Guest.Halts), "--inspect", file]);
        await run.SaidAsync("lamina: ");

        // The program says its engine just before it listens for the machine.
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!File.Exists(file))
        {
            run.Signal((PosixSignal)10);
            await poll.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
        run.Signal(PosixSignal.SIGTERM);
        var outcome = await run.EndAsync();

        Assert.Equal(143, outcome.ExitCode);
        Assert.Equal(OwnersAlone, File.GetUnixFileMode(file));
        using var seen = System.Text.Json.JsonDocument.Parse(File.ReadAllText(file));
        Assert.Equal("running", seen.RootElement.GetProperty("life").GetProperty("state").GetString());
        Assert.StartsWith("0x", seen.RootElement.GetProperty("vcpus").GetProperty("0").GetProperty("state").GetProperty("rip").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public Task A_folder_for_what_is_seen_that_there_is_not_is_refused() =>
        Refused("--inspect: there is no folder", "--kernel", Guest.In(_folder, Guest.Halts), "--inspect", _folder.File("none/seen"));

    [Fact]
    public async Task A_trace_goes_to_its_file()
    {
        var outcome = await Run(Guest.TripleFaults, "--no-reboot", "--trace", _folder.File("trace"));

        Assert.Equal(11, outcome.ExitCode);
        var lines = File.ReadAllLines(_folder.File("trace"));
        Assert.NotEmpty(lines);
        Assert.DoesNotContain(lines, line => line.Contains('{', StringComparison.Ordinal));
        // Registers and command lines are in it.
        Assert.Equal(OwnersAlone, File.GetUnixFileMode(_folder.File("trace")));
        Assert.Equal(2, outcome.ErrorLines.Length);
    }

    [Theory]
    [InlineData("empty", "", "is empty")]
    [InlineData("text", "this is not a kernel\n", "kernel")]
    [InlineData("elf", "\u007fELF\u0002\u0001\u0001", "kernel")]
    public async Task A_file_that_is_no_kernel_is_refused(string name, string content, string sentence)
    {
        File.WriteAllText(_folder.File(name), content, System.Text.Encoding.Latin1);

        await Refused(sentence, "--kernel", _folder.File(name));
    }

    [Fact]
    public Task A_kernel_that_is_missing_is_refused() => Refused("does not exist", "--kernel", _folder.File("missing"));

    [Fact]
    public Task A_folder_is_no_kernel() => Refused("is a folder", "--kernel", _folder.Path);

    [Theory]
    [InlineData("0")]
    [InlineData("1M")]
    [InlineData("15M")]
    [InlineData("1P")]
    [InlineData("16777217")]
    public Task Memory_that_no_machine_can_have_is_refused(string size) => Refused("memory", "--kernel", Guest.In(_folder, Guest.Halts), "--memory", size);

    [Fact]
    public Task More_CPUs_than_there_can_be_are_refused() => Refused("CPU", "--kernel", Guest.In(_folder, Guest.Halts), "--cpus", "1000");

    [Fact]
    public async Task An_initrd_that_does_not_fit_is_refused()
    {
        using (var file = File.Create(_folder.File("initrd"))) file.SetLength(64 << 20);

        await Refused("initrd", "--kernel", Guest.In(_folder, Guest.Halts), "--initrd", _folder.File("initrd"), "--memory", "32M");
    }

    [Fact]
    public Task An_initrd_that_is_missing_is_refused() =>
        Refused("does not exist", "--kernel", Guest.In(_folder, Guest.Halts), "--initrd", _folder.File("missing"));

    [Fact]
    public async Task Half_an_initrd_is_refused()
    {
        var packed = new MemoryStream();
        await using (var zip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true)) zip.Write(Enumerable.Range(0, 1 << 16).Select(number => (byte)(number * number >> 3)).ToArray());
        File.WriteAllBytes(_folder.File("initrd"), packed.ToArray()[..(int)(packed.Length / 2)]);

        await Refused($"the initrd {_folder.File("initrd")} is cut off: ", "--kernel", Guest.In(_folder, Guest.Halts), "--initrd", _folder.File("initrd"));
    }

    /// <summary>It is waited for, in case that somebody is about to write, but not without an end.</summary>
    [Theory]
    [InlineData("kernel", "1h", "10 s")]
    [InlineData("initrd", "1h", "10 s")]
    [InlineData("kernel", "1s", "1 s")]
    [InlineData("initrd", "200ms", "0.2 s")]
    public async Task A_pipe_that_nobody_writes_to_is_refused_within_the_time_of_the_run(string what, string timeout, string said)
    {
        var outcome = await LaminaProgram.RunAsync(["run", "--timeout", timeout, .. OnPipe(what)]);

        Assert.Equal($"lamina: the {what} {_folder.File("pipe")} is a pipe from which nothing came for {said}; name a file, or have somebody write to it", Assert.Single(outcome.ErrorLines));
        Assert.Equal(2, outcome.ExitCode);
    }

    [Theory]
    [InlineData("kernel", PosixSignal.SIGTERM, 143)]
    [InlineData("initrd", PosixSignal.SIGINT, 130)]
    [InlineData("kernel", PosixSignal.SIGHUP, 129)]
    public async Task A_signal_ends_the_wait_for_a_pipe(string what, PosixSignal signal, int code)
    {
        using var run = LaminaProgram.Start(["run", .. OnPipe(what)]);
        // Opened for writing when the program has it open.
        using var silent = await Task.Run(() => File.OpenHandle(_folder.File("pipe"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite), TestContext.Current.CancellationToken);

        run.Signal(signal);
        var outcome = await run.EndAsync();

        Assert.Equal((code, "", ""), (outcome.ExitCode, outcome.Output, outcome.Errors));
    }

    private string[] OnPipe(string what)
    {
        using (var mkfifo = System.Diagnostics.Process.Start("mkfifo", [_folder.File("pipe")])) mkfifo.WaitForExit();
        return what == "kernel" ? ["--kernel", _folder.File("pipe")] : ["--kernel", Guest.In(_folder, Guest.Halts), "--initrd", _folder.File("pipe")];
    }

    [Fact]
    public Task A_serial_file_that_cannot_be_made_is_refused() =>
        Refused("/nonexistent/serial", "--kernel", Guest.In(_folder, Guest.Halts), "--serial", "file:/nonexistent/serial");

    [Theory]
    [InlineData("is no network", "--net", "bridged")]
    [InlineData("has no option \"vlan=3\"", "--net", "user,vlan=3")]
    [InlineData("is no published port", "--publish", "eighty:80")]
    [InlineData("--publish needs a network card", "--net", "none", "--publish", "8080:80")]
    [InlineData("--net: mtu: '100' is not possible", "--net", "user,mtu=100")]
    public Task Networks_that_cannot_be_are_refused(string sentence, params string[] words) =>
        Refused(sentence, ["--kernel", Guest.In(_folder, Guest.Halts), .. words]);

    [Fact]
    public Task More_devices_than_there_is_room_for_are_refused() =>
        Refused("room for 32 devices", ["--kernel", Guest.In(_folder, Guest.Halts), .. Enumerable.Repeat<string[]>(["--net", "user"], 31).SelectMany(words => words)]);

    [Fact]
    public async Task A_published_port_that_was_picked_is_told()
    {
        var outcome = await Run(Guest.Writes(0xf4, 1), "--debug-exit", "0xf4", "--publish", "0:80");

        Assert.Equal(3, outcome.ExitCode);
        Assert.Matches("^lamina: 127.0.0.1:[1-9][0-9]* leads to the guest's port 80$", outcome.ErrorLines[1]);
    }

    [Fact]
    public async Task A_published_port_that_is_in_use_is_refused()
    {
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        var port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;

        await Refused($"TCP port {port} of 127.0.0.1 is in use by another program", code: 1, "--kernel", Guest.In(_folder, Guest.Halts), "--publish", $"{port}:80");
    }

    [Fact]
    public Task A_switch_in_a_folder_that_does_not_exist_is_refused() =>
        Refused("does not exist", "--kernel", Guest.In(_folder, Guest.Halts), "--net", "switch=/nonexistent/lan");

    [Theory]
    [InlineData(0b111_111_000, "others may write to it")]
    [InlineData(0b111_000_010, "others may write to it")]
    public Task A_folder_for_code_that_others_may_write_to_is_refused(int mode, string sentence)
    {
        File.SetUnixFileMode(Directory.CreateDirectory(_folder.File("code")).FullName, (UnixFileMode)mode);

        return Refused(sentence, "--kernel", Guest.In(_folder, Guest.Halts), "--code-archive", _folder.File("code"));
    }

    [Fact]
    public Task A_folder_for_code_that_cannot_be_made_is_refused()
    {
        File.WriteAllText(_folder.File("file"), "");

        return Refused("name another folder", "--kernel", Guest.In(_folder, Guest.Halts), "--code-archive", _folder.File("file/code"));
    }

    [Fact]
    public async Task Without_a_folder_for_code_that_can_be_used_nothing_is_kept_and_nothing_is_said()
    {
        File.SetUnixFileMode(Directory.CreateDirectory(_folder.File("lamina/code")).FullName, (UnixFileMode)0b111_111_111);

        var outcome = await LaminaProgram.RunAsync(["run", "--engine", "translator", "--stats", "--debug-exit", "0xf4", "--kernel", Guest.In(_folder, Guest.Writes(0xf4, 1))],
            new Dictionary<string, string?> { ["XDG_CACHE_HOME"] = _folder.Path });

        Assert.Equal(3, outcome.ExitCode);
        Assert.DoesNotContain("archive", outcome.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("off", false)]
    [InlineData("code", true)]
    public async Task Code_is_kept_where_the_user_says(string folder, bool kept)
    {
        if (kept) folder = _folder.File(folder);

        var outcome = await Run(Guest.Writes(0xf4, 1), "--engine", "translator", "--stats", "--debug-exit", "0xf4", "--code-archive", folder);

        Assert.Equal(3, outcome.ExitCode);
        Assert.Equal(kept, outcome.Errors.Contains("archive_adopted_blocks", StringComparison.Ordinal));
        Assert.Equal(kept, Directory.Exists(folder));
    }

    private Task<Outcome> Run(byte[] guest, params string[] words) => LaminaProgram.RunAsync(["run", "--kernel", Guest.In(_folder, guest), .. words]);

    private HostProcess Start(byte[] guest, params string[] words) => LaminaProgram.Start(["run", "--kernel", Guest.In(_folder, guest), .. words]);

    private static Task Refused(string sentence, params string[] words) => Refused(sentence, 2, words);

    private static async Task Refused(string sentence, int code, params string[] words)
    {
        var outcome = await LaminaProgram.RunAsync(["run", "--timeout", "60s", .. words]);

        var line = Assert.Single(outcome.ErrorLines);
        Assert.StartsWith("lamina: ", line, StringComparison.Ordinal);
        Assert.Contains(sentence, line, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(code, outcome.ExitCode);
    }
}
