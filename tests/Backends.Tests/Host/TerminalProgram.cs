// A program at a terminal, as the machine is one: takes it into raw mode, echoes what is typed in brackets, and ends
// in the way it was told to. And the person who watches it.
using System.Diagnostics;
using System.Text;
using Lamina.Backends.Char;
using Lamina.Core.Char;
using Lamina.Host.Io;
using Lamina.Host.Terminals;
using Xunit;

namespace Lamina.Tests.Backends.Host;

internal sealed class TerminalProgram : IDisposable
{
    public const string Argument = "--at-terminal";

    private readonly PseudoTerminal _pair = PseudoTerminal.Create();
    private readonly Process _process;
    private string _seen = "";

    /// <summary>Starts the program and waits until it has the terminal.</summary>
    public TerminalProgram(string mode)
    {
        // exec: the process is the program itself, so that signals reach it and its exit code is its own.
        var command = $"exec '{Environment.ProcessPath}' {Argument} {mode} <{_pair.Path} >{_pair.Path} 2>/dev/null";
        _process = Process.Start("/bin/sh", ["-c", command]);
        See("ready");
        Waiting.Until(() => IsRaw);
    }

    /// <summary>Whether the terminal is in raw mode, by the terminal's own account.</summary>
    public bool IsRaw => Mode.Contains("-icanon") && Mode.Contains("-echo ") && Mode.Contains("-isig") && Mode.Contains("-opost");

    /// <summary>Whether the terminal is in its usual mode.</summary>
    public bool IsCooked => Mode.Contains(" icanon") && Mode.Contains(" echo ") && Mode.Contains(" isig") && Mode.Contains(" opost");

    public bool IsStopped => File.ReadAllText($"/proc/{_process.Id}/stat").Split(") ")[1].StartsWith('T');

    private string Mode
    {
        get
        {
            using var stty = Process.Start(new ProcessStartInfo("stty", ["-F", _pair.Path, "-a"]) { RedirectStandardOutput = true })!;
            return " " + stty.StandardOutput.ReadToEnd().ReplaceLineEndings(" ");
        }
    }

    /// <summary>The program's side.</summary>
    public static int Run(string mode)
    {
        var backend = new StdioCharBackend(new StdioOptions { Quit = () => Environment.Exit(7) });
        backend.Attach(new Echo(backend));
        backend.Write("ready"u8);
        if (mode == "wait") Thread.Sleep(Timeout.Infinite);
        // The person has seen the raw mode, and tells it by a key.
        Echo.Typed.Wait();
        if (mode == "throw") throw new InvalidOperationException("as the test wants");
        backend.Write(Encoding.ASCII.GetBytes(new string('w', 20_000) + "last words"));
        if (mode == "exit") Environment.Exit(3);
        return 4;
    }

    public void Type(string keys) => HostIo.Write(_pair.Controller, Encoding.ASCII.GetBytes(keys));

    /// <summary>Waits until a text was seen.</summary>
    public void See(string text)
    {
        while (!_seen.Contains(text)) _seen += Waiting.Read(_pair.Controller);
        _seen = "";
    }

    public void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", _process.Id.ToString()]);
        kill.WaitForExit();
    }

    /// <summary>Waits for its end. The exit code, or 128 + the signal that ended it.</summary>
    public int Wait()
    {
        Assert.True(_process.WaitForExit(Waiting.Limit), "the program did not end");
        return _process.ExitCode;
    }

    public void Dispose()
    {
        _process.Kill();
        _process.Dispose();
        _pair.Dispose();
    }

    private sealed class Echo(ICharBackend backend) : ICharReceiver
    {
        public static readonly ManualResetEventSlim Typed = new();

        public int Receive(ReadOnlySpan<byte> data)
        {
            backend.Write([(byte)'[', .. data, (byte)']']);
            Typed.Set();
            return data.Length;
        }

        public void ReadyToSend()
        {
        }
    }
}
