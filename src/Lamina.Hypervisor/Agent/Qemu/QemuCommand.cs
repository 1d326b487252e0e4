// A command in a guest by QEMU's agent, which starts programs and tells later that they have ended, and reads and writes files in pieces. So
// the command's streams are files in a folder of the guest's: its input is written there before it starts, what it prints is read while it
// runs, and the folder goes with it. There are no terminals. The guest's own shell is needed.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Lamina.Hypervisor.Agent.Qemu;

/// <summary>Runs one command for a client.</summary>
internal sealed partial class QemuCommand
{
    // In base64 and a line around it it is still far from the longest line.
    private const int Piece = 48 * 1024;

    private const int Hangup = 1, Killed = 9, MostSignal = 64;

    private const string MakeFolder = "umask 077 && d=$(mktemp -d /tmp/lamina-XXXXXXXXXX) && : >$d/in && : >$d/out && : >$d/err && echo $d";

    // $1: the folder; $2: the user; $3: where to begin; then the words.
    private const string Run = """
        d=$1 u=$2 w=$3
        shift 3
        exec <"$d/in" >"$d/out" 2>"$d/err"
        home=$(getent passwd "$u" | cut -d: -f6)
        [ -n "$home" ] || { echo "lamina: the guest has no user $u" >&2; exit 126; }
        export HOME="$home" USER="$u" LOGNAME="$u" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        if [ -n "$w" ]; then cd -- "$w" || exit 126; else cd -- "$HOME" 2>/dev/null || cd /; fi
        [ "$u" = root ] || set -- runuser -u "$u" -- "$@"
        exec "$@"
        """;

    private static readonly TimeSpan Soonest = TimeSpan.FromMilliseconds(10), Latest = TimeSpan.FromMilliseconds(200);

    private readonly AgentConnection _client;
    private readonly QemuAgent _agent;
    private readonly string _folder;
    private readonly int[] _room = [AgentSpec.Window, AgentSpec.Window];
    private long _process = -1;

    private QemuCommand(AgentConnection client, QemuAgent agent, string folder) => (_client, _agent, _folder) = (client, agent, folder);

    /// <summary>Carries a command out to its end.</summary>
    /// <param name="client">Who wants it.</param>
    /// <param name="agent">Who does it.</param>
    /// <param name="request">What is wanted (docs/agent.md, "x").</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="AgentException">It cannot be run, or the agent does not do as it says.</exception>
    internal static async Task RunAsync(AgentConnection client, QemuAgent agent, byte[] request, CancellationToken cancellationToken)
    {
        var words = Read(request, out var user, out var start);
        var folder = await AskShellAsync(agent, MakeFolder, cancellationToken).ConfigureAwait(false);
        if (!FolderName().IsMatch(folder)) throw AgentException.Nonsense("no folder for a command's streams");
        var command = new QemuCommand(client, agent, folder);
        try
        {
            await client.SendAsync(AgentFrame.Started, new byte[4], cancellationToken).ConfigureAwait(false);
            await command.WriteInputAsync(cancellationToken).ConfigureAwait(false);
            await command.RunAsync([folder, user ?? "root", start ?? "", .. words], cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await command.CleanAsync().ConfigureAwait(false);
        }
    }

    [GeneratedRegex("^/tmp/lamina-[A-Za-z0-9]{10}$")]
    private static partial Regex FolderName();

    // The words, with the variables in front of them.
    private static List<string> Read(byte[] request, out string? user, out string? start)
    {
        (user, start) = (null, null);
        List<string> words = [], variables = [];
        foreach (var text in Encoding.UTF8.GetString(request).Split('\0', StringSplitOptions.RemoveEmptyEntries))
        {
            switch (text[0])
            {
                case 'a': words.Add(text[1..]); break;
                case 'e': variables.Add(text[1..]); break;
                case 'u': user = text[1..]; break;
                case 'd': start = text[1..]; break;
                case 't': throw new AgentException("the guest's agent is QEMU's, which has no terminals; leave out --terminal, use 'lamina console', or give the guest Lamina's agent (docs/agent.md)", AgentSpec.NotRunnable);
                default: throw new AgentException("the request is none");
            }
        }
        if (words.Count == 0) words = ["/bin/sh", "-l"];
        return variables.Count == 0 ? words : ["env", .. variables, .. words];
    }

    // All of it before the command begins: the agent has no pipes.
    private async Task WriteInputAsync(CancellationToken cancellationToken)
    {
        long handle = -1;
        while (true)
        {
            var (kind, payload) = await _client.ReceiveAsync(cancellationToken).ConfigureAwait(false);
            if (kind == AgentFrame.Signal && payload.Length == 1) throw new AgentException("the command was ended before it began", 128 + payload.Span[0]);
            if (kind != AgentFrame.Input) continue;
            if (payload.IsEmpty) break;
            if (handle < 0) handle = await OpenAsync("in", "w", cancellationToken).ConfigureAwait(false);
            for (var done = 0; done < payload.Length; done += Piece)
            {
                var piece = payload.Slice(done, Math.Min(Piece, payload.Length - done)).ToArray();
                var wrote = await _agent.AskAsync("guest-file-write", arguments =>
                {
                    arguments.WriteNumber("handle", handle);
                    arguments.WriteBase64String("buf-b64", piece);
                }, QemuAgent.Patience, cancellationToken).ConfigureAwait(false);
                if (NumberOf(wrote, "count") != piece.Length) throw new AgentException("the guest's /tmp takes no more; the input of a command is kept there while it runs");
            }
            var taken = new byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(taken, payload.Length);
            await _client.SendAsync(AgentFrame.Taken, taken, cancellationToken).ConfigureAwait(false);
        }
        if (handle >= 0) await CloseAsync(handle, cancellationToken).ConfigureAwait(false);
    }

    private async Task RunAsync(string[] words, CancellationToken cancellationToken)
    {
        _process = await StartAsync(_agent, Run, words, captures: false, cancellationToken).ConfigureAwait(false);
        long[] handles = [await OpenAsync("out", "r", cancellationToken).ConfigureAwait(false), await OpenAsync("err", "r", cancellationToken).ConfigureAwait(false)];
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var hears = HearAsync(over);
        try
        {
            var (wait, end) = (Soonest, default(byte[]));
            while (true)
            {
                var (count, isRead) = (0, true);
                for (var i = 0; i < handles.Length; i++)
                {
                    var read = await ReadAsync(i, handles[i], over.Token).ConfigureAwait(false);
                    count += read ?? 0;
                    isRead &= read == 0;
                }
                if (isRead && end is not null) break;
                end ??= EndOf(await StatusAsync(_agent, _process, over.Token).ConfigureAwait(false));
                wait = count > 0 || isRead && end is not null ? Soonest : wait * 1.5 > Latest ? Latest : wait * 1.5;
                if (count == 0) await Task.Delay(wait, over.Token).ConfigureAwait(false);
            }
            _process = -1;
            foreach (var handle in handles) await CloseAsync(handle, over.Token).ConfigureAwait(false);
            foreach (var stream in (AgentFrame[])[AgentFrame.Output, AgentFrame.Errors]) await _client.SendAsync(stream, default, over.Token).ConfigureAwait(false);
            await _client.SendAsync(AgentFrame.Ended, end, over.Token).ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            await hears.ConfigureAwait(false);
        }
    }

    // What the client says meanwhile; where it goes, the command ends.
    private async Task HearAsync(CancellationTokenSource over)
    {
        try
        {
            while (true)
            {
                var (kind, payload) = await _client.ReceiveAsync(over.Token).ConfigureAwait(false);
                switch (kind)
                {
                    case AgentFrame.Credit when payload.Length == 5 && payload.Span[0] < _room.Length:
                        Interlocked.Add(ref _room[payload.Span[0]], BinaryPrimitives.ReadInt32LittleEndian(payload.Span[1..]));
                        break;
                    case AgentFrame.Signal when payload.Length == 1 && payload.Span[0] is > 0 and <= MostSignal:
                        await SignalAsync(payload.Span[0], over.Token).ConfigureAwait(false);
                        break;
                    default:
                        break;
                }
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            await over.CancelAsync().ConfigureAwait(false);
        }
    }

    // How many bytes came; null where the client has no room, so that nothing was looked for.
    private async Task<int?> ReadAsync(int stream, long handle, CancellationToken cancellationToken)
    {
        var most = Math.Min(Piece, Volatile.Read(ref _room[stream]));
        if (most <= 0) return null;
        var read = await _agent.AskAsync("guest-file-read", arguments =>
        {
            arguments.WriteNumber("handle", handle);
            arguments.WriteNumber("count", most);
        }, QemuAgent.Patience, cancellationToken).ConfigureAwait(false);
        var bytes = BytesOf(read, "buf-b64");
        if (bytes.Length > most) throw AgentException.Nonsense("more of a file than it was asked for");
        Interlocked.Add(ref _room[stream], -bytes.Length);
        if (bytes.Length > 0) await _client.SendAsync(stream == 0 ? AgentFrame.Output : AgentFrame.Errors, bytes, cancellationToken).ConfigureAwait(false);
        return bytes.Length;
    }

    private Task SignalAsync(int number, CancellationToken cancellationToken) =>
        StartAsync(_agent, "kill -s \"$1\" \"$2\"", [number.ToString(CultureInfo.InvariantCulture), _process.ToString(CultureInfo.InvariantCulture)], captures: false, cancellationToken);

    // Whatever became of it, nothing is to stay.
    private async Task CleanAsync()
    {
        try
        {
            if (_process >= 0)
            {
                await SignalAsync(Hangup, CancellationToken.None).ConfigureAwait(false);
                await Task.Delay(TimeSpan.FromSeconds(1)).ConfigureAwait(false);
                await SignalAsync(Killed, CancellationToken.None).ConfigureAwait(false);
            }
            _ = await StartAsync(_agent, "rm -rf -- \"$1\"", [_folder], captures: false, CancellationToken.None).ConfigureAwait(false);
        }
        catch (AgentException)
        {
            // With the guest its files have gone, or stay in its own /tmp.
        }
    }

    private async Task<long> OpenAsync(string name, string mode, CancellationToken cancellationToken)
    {
        var handle = await _agent.AskAsync("guest-file-open", arguments =>
        {
            arguments.WriteString("path", $"{_folder}/{name}");
            arguments.WriteString("mode", mode);
        }, QemuAgent.Patience, cancellationToken).ConfigureAwait(false);
        return handle.ValueKind == JsonValueKind.Number && handle.TryGetInt64(out var number) && number >= 0 ? number : throw AgentException.Nonsense("a file without a handle");
    }

    private Task CloseAsync(long handle, CancellationToken cancellationToken) =>
        _agent.AskAsync("guest-file-close", arguments => arguments.WriteNumber("handle", handle), QemuAgent.Patience, cancellationToken);

    // What a line of shell prints.
    private static async Task<string> AskShellAsync(QemuAgent agent, string script, CancellationToken cancellationToken)
    {
        var process = await StartAsync(agent, script, [], captures: true, cancellationToken).ConfigureAwait(false);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(QemuAgent.Patience);
        try
        {
            while (true)
            {
                var status = await StatusAsync(agent, process, patience.Token).ConfigureAwait(false);
                if (EndOf(status) is [0, var code])
                    return code == 0 ? Encoding.UTF8.GetString(BytesOf(status, "out-data")).TrimEnd('\n') : throw new AgentException("the guest's /tmp cannot be written to, where the streams of a command are kept while it runs");
                await Task.Delay(Soonest, patience.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AgentException("the guest's shell does not end");
        }
    }

    private static async Task<long> StartAsync(QemuAgent agent, string script, string[] words, bool captures, CancellationToken cancellationToken)
    {
        var started = await agent.AskAsync("guest-exec", arguments =>
        {
            arguments.WriteString("path", "/bin/sh");
            arguments.WriteStartArray("arg");
            foreach (var word in (string[])["-c", script, "lamina", .. words]) arguments.WriteStringValue(word);
            arguments.WriteEndArray();
            if (captures) arguments.WriteBoolean("capture-output", true);
        }, QemuAgent.Patience, cancellationToken).ConfigureAwait(false);
        return NumberOf(started, "pid") is > 0 and long process ? process : throw AgentException.Nonsense("a process without a number");
    }

    private static Task<JsonElement> StatusAsync(QemuAgent agent, long process, CancellationToken cancellationToken) =>
        agent.AskAsync("guest-exec-status", arguments => arguments.WriteNumber("pid", process), QemuAgent.Patience, cancellationToken);

    // Whether a signal, and the exit code or signal; null where it runs.
    private static byte[]? EndOf(JsonElement status)
    {
        if (status.ValueKind != JsonValueKind.Object || !status.TryGetProperty("exited", out var exited)) throw AgentException.Nonsense("a process that neither runs nor has ended");
        if (exited.ValueKind != JsonValueKind.True) return null;
        return NumberOf(status, "signal") is { } signal ? [1, (byte)signal] : NumberOf(status, "exitcode") is { } code ? [0, (byte)code] : throw AgentException.Nonsense("an end without an exit code");
    }

    private static long? NumberOf(JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null;

    private static byte[] BytesOf(JsonElement of, string name)
    {
        if (QemuAgent.TextOf(of, name) is not { } text) return [];
        var bytes = new byte[text.Length * 3L / 4 + 3];
        return Convert.TryFromBase64String(text, bytes, out var length) ? bytes[..length] : throw AgentException.Nonsense("bytes that are no base64");
    }
}
