using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Lamina.Tests.Cli.Support;

internal sealed record Outcome(int ExitCode, string Output, string Errors)
{
    public string[] ErrorLines => Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>A process as a user starts it: words, environment, signals, exit code.</summary>
internal sealed class HostProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>For a program that may not make large files: the runtime's files in memory, which the native program has not, are such.</summary>
    public static readonly IReadOnlyDictionary<string, string?> WithSmallFiles = new Dictionary<string, string?> { ["DOTNET_EnableWriteXorExecute"] = "0" };

    private readonly Process _process;
    private readonly StringBuilder _output = new(), _errors = new();
    private readonly Task _readers;
    private readonly SemaphoreSlim _said = new(0);

    private HostProcess(ProcessStartInfo info, bool keepsInput)
    {
        _process = Process.Start(info)!;
        if (!keepsInput) _process.StandardInput.Close();
        _readers = Task.WhenAll(Read(_process.StandardOutput, _output), Read(_process.StandardError, _errors));
    }

    public int Id => _process.Id;

    /// <summary>What it has written to standard error so far.</summary>
    public string Errors => Snapshot(_errors);

    /// <summary>What it has written to standard output so far.</summary>
    public string Output => Snapshot(_output);

    public static HostProcess Start(string file, IEnumerable<string> words, IReadOnlyDictionary<string, string?>? environment = null, string? folder = null, bool keepsInput = false)
    {
        var info = new ProcessStartInfo(file) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder ?? "" };
        foreach (var word in words) info.ArgumentList.Add(word);
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>()) info.Environment[name] = value;
        return new HostProcess(info, keepsInput);
    }

    public static async Task<Outcome> RunAsync(string file, IEnumerable<string> words, IReadOnlyDictionary<string, string?>? environment = null, string? folder = null)
    {
        using var process = Start(file, words, environment, folder);
        return await process.EndAsync();
    }

    /// <summary>Waits until the process wrote a text to standard error or output.</summary>
    public async Task SaidAsync(string text)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!Snapshot(_errors).Contains(text, StringComparison.Ordinal) && !Snapshot(_output).Contains(text, StringComparison.Ordinal))
            await _said.WaitAsync(patience.Token);
    }

    /// <summary>Writes to the process's standard input, which must have been kept open.</summary>
    public async Task TypeAsync(string keys)
    {
        await _process.StandardInput.WriteAsync(keys);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>The processes that a process has started; none where it has ended.</summary>
    public static int[] ChildrenOf(int process)
    {
        try
        {
            return [.. Directory.EnumerateDirectories($"/proc/{process}/task").SelectMany(task => System.IO.File.ReadAllText(Path.Combine(task, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(id => int.Parse(id, CultureInfo.InvariantCulture))];
        }
        catch (IOException)
        {
            return [];
        }
    }

    /// <summary>Ends a process as kill -9 does, where it has not ended.</summary>
    public static void Kill(int process)
    {
        try
        {
            using var killed = Process.GetProcessById(process);
            killed.Kill();
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException)
        {
            // It has ended.
        }
    }

    /// <summary>A TCP port of the loopback interface that nobody listened at just now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Ends it as kill -9 does, and nothing that it started.</summary>
    public void Kill() => _process.Kill();

    /// <summary>Waits for its end, for so long.</summary>
    public bool HasEndedWithin(TimeSpan time) => _process.WaitForExit(time);

    public void Signal(PosixSignal signal)
    {
        var number = signal switch { PosixSignal.SIGHUP => 1, PosixSignal.SIGINT => 2, PosixSignal.SIGTERM => 15, _ => (int)signal };
        using var kill = Process.Start("kill", [$"-{number}", $"{_process.Id}"]);
        kill.WaitForExit();
    }

    public async Task<Outcome> EndAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{_process.StartInfo.FileName} did not end; it said: {Snapshot(_errors)}");
        }
        await _readers.WaitAsync(patience.Token);
        return new Outcome(_process.ExitCode, Snapshot(_output), Snapshot(_errors));
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        _process.Dispose();
        _said.Dispose();
    }

    private static string Snapshot(StringBuilder text)
    {
        lock (text) return text.ToString();
    }

    private async Task Read(StreamReader reader, StringBuilder text)
    {
        var buffer = new char[4096];
        while (await reader.ReadAsync(buffer) is > 0 and var count)
        {
            lock (text) text.Append(buffer, 0, count);
            _said.Release();
        }
    }
}
