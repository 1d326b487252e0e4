// QEMU's agent as a guest would have it, at the other end of a channel: it runs programs and opens files of this host's, and says what a test
// wants said instead where one does.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Lamina.Core.Char;
using Lamina.Hypervisor.Agent.Qemu;
using Lamina.Hypervisor.Consoles;
using Xunit;

namespace Lamina.Tests.Hypervisor.Agent;

internal sealed class FakeQemuAgent : ICharReceiver, IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<byte> _heard = [];
    private readonly Dictionary<long, FileStream> _files = [];
    private readonly Dictionary<long, (Process Process, Task<string>? Output)> _processes = [];
    private readonly ConsoleHub _hub = new(null);

    internal FakeQemuAgent()
    {
        _hub.Attach(this);
        Agent = new QemuAgent(_hub);
    }

    /// <summary>The host's end.</summary>
    internal QemuAgent Agent { get; }

    /// <summary>What is said to a command in place of what this one says; null for the usual; an empty text for nothing.</summary>
    internal Func<string, string?> Answers { get; set; } = static _ => null;

    /// <summary>The commands that came, but for guest-sync-delimited.</summary>
    internal ConcurrentQueue<string> Commands { get; } = [];

    /// <summary>Whether it has told that a command has ended whose output is not its to keep.</summary>
    internal bool HasToldEnd { get; private set; }

    internal void Say(byte[] bytes) => _hub.Write(bytes);

    internal void Say(string text) => Say(Encoding.UTF8.GetBytes(text));

    public int Receive(ReadOnlySpan<byte> data)
    {
        var lines = new List<string>();
        lock (_gate)
        {
            foreach (var one in data)
            {
                if (one == 0xff) _heard.Clear();
                else if (one != (byte)'\n') _heard.Add(one);
                else
                {
                    lines.Add(Encoding.UTF8.GetString([.. _heard]));
                    _heard.Clear();
                }
            }
        }
        foreach (var line in lines) Answer(line);
        return data.Length;
    }

    public void ReadyToSend()
    {
    }

    public void Dispose()
    {
        Agent.Dispose();
        _hub.Dispose();
        foreach (var file in _files.Values) file.Dispose();
        foreach (var (process, _) in _processes.Values)
        {
            if (!process.HasExited) process.Kill();
            process.Dispose();
        }
    }

    private void Answer(string line)
    {
        using var request = JsonDocument.Parse(line);
        var command = request.RootElement.GetProperty("execute").GetString()!;
        var arguments = request.RootElement.TryGetProperty("arguments", out var given) ? given : default;
        if (command == "guest-sync-delimited")
        {
            Say([0xff, .. Encoding.UTF8.GetBytes($"{{\"return\": {arguments.GetProperty("id")}}}\n")]);
            return;
        }
        Commands.Enqueue(command);
        Say(Answers(command) ?? $"{{\"return\": {Do(command, arguments)}}}\n");
    }

    private string Do(string command, JsonElement arguments) => command switch
    {
        "guest-exec" => Start(arguments),
        "guest-exec-status" => Status(arguments.GetProperty("pid").GetInt64()),
        "guest-file-open" => Open(arguments.GetProperty("path").GetString()!, arguments.GetProperty("mode").GetString()!),
        "guest-file-read" => Read(_files[arguments.GetProperty("handle").GetInt64()], arguments.GetProperty("count").GetInt32()),
        "guest-file-write" => Write(_files[arguments.GetProperty("handle").GetInt64()], arguments.GetProperty("buf-b64").GetBytesFromBase64()),
        "guest-file-close" => Close(arguments.GetProperty("handle").GetInt64()),
        _ => "{}",
    };

    private string Start(JsonElement arguments)
    {
        var captures = arguments.TryGetProperty("capture-output", out var captured) && captured.GetBoolean();
        var info = new ProcessStartInfo(arguments.GetProperty("path").GetString()!) { RedirectStandardOutput = true };
        foreach (var word in arguments.GetProperty("arg").EnumerateArray()) info.ArgumentList.Add(word.GetString()!);
        var process = Process.Start(info)!;
        lock (_gate) _processes.Add(process.Id, (process, captures ? process.StandardOutput.ReadToEndAsync() : null));
        return $"{{\"pid\": {process.Id}}}";
    }

    private string Status(long number)
    {
        (Process Process, Task<string>? Output) one;
        lock (_gate) one = _processes[number];
        if (!one.Process.HasExited) return "{\"exited\": false}";
        HasToldEnd |= one.Output is null;
        // Whoever holds its output beside it holds the test up, and no longer.
        one.Output?.Wait(TestContext.Current.CancellationToken);
        var code = one.Process.ExitCode;
        var end = code > 128 ? $"\"signal\": {code - 128}" : $"\"exitcode\": {code}";
        return one.Output is null ? $"{{\"exited\": true, {end}}}" : $"{{\"exited\": true, {end}, \"out-data\": \"{Convert.ToBase64String(Encoding.UTF8.GetBytes(one.Output.Result))}\"}}";
    }

    private string Open(string path, string mode)
    {
        var number = 1000 + _files.Count;
        _files.Add(number, new FileStream(path, mode == "w" ? FileMode.Create : FileMode.Open, mode == "w" ? FileAccess.Write : FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return $"{number}";
    }

    private static string Read(FileStream file, int count)
    {
        var buffer = new byte[count];
        var length = file.Read(buffer);
        return $"{{\"count\": {length}, \"buf-b64\": \"{Convert.ToBase64String(buffer, 0, length)}\", \"eof\": {(length == 0 ? "true" : "false")}}}";
    }

    private static string Write(FileStream file, byte[] bytes)
    {
        file.Write(bytes);
        file.Flush();
        return $"{{\"count\": {bytes.Length}, \"eof\": false}}";
    }

    private string Close(long number)
    {
        _files[number].Dispose();
        return "{}";
    }
}
