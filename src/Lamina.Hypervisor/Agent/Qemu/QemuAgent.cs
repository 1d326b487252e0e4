// QEMU's guest agent in a foreign guest, at the other end of a channel: one command after another, an object of JSON a line each way. The
// channel has no beginning and no end, and may hold what was said to somebody before; guest-sync-delimited finds the place from which on both
// speak of the same. The guest is hostile: lines are bounded, answers come in time or are given up, and what is said is looked at by its type.
// Source: QEMU 10, qga/qapi-schema.json, and docs/interop/qemu-ga.rst.
using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Lamina.Hypervisor.Consoles;

namespace Lamina.Hypervisor.Agent.Qemu;

/// <summary>Asks QEMU's guest agent for things.</summary>
/// <param name="port">The channel that leads to it.</param>
internal sealed class QemuAgent(ConsoleHub port) : IDisposable
{
    /// <summary>The longest line that an agent may say.</summary>
    internal const int LongestLine = 256 * 1024;

    /// <summary>What an agent may take for an answer.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    // What an agent drops with all that came before it; what it says before an answer to guest-sync-delimited.
    private const byte Mark = 0xff;

    private readonly SemaphoreSlim _asking = new(1, 1);
    private readonly byte[] _piece = new byte[16 * 1024];
    private readonly ArrayBufferWriter<byte> _line = new();
    private ReadOnlyMemory<byte> _unread;
    private long _position;
    private bool _isInStep;

    /// <summary>Finds out whether there is an agent.</summary>
    /// <param name="timeout">How long it may take to be there.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal async Task<bool> AnswersAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            _ = await AskAsync("guest-ping", null, timeout, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (AgentException)
        {
            return false;
        }
    }

    /// <summary>Asks for something and waits for the answer.</summary>
    /// <param name="command">The command's name.</param>
    /// <param name="write">Writes its arguments; or null.</param>
    /// <param name="timeout">How long the answer may take.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What the command returned.</returns>
    /// <exception cref="AgentException">The agent refuses it, does not answer, or says what no agent says.</exception>
    internal Task<JsonElement> AskAsync(string command, Action<Utf8JsonWriter>? write, TimeSpan timeout, CancellationToken cancellationToken) =>
        InTurnAsync(command, write, hasAnswer: true, timeout, cancellationToken);

    /// <summary>Asks for something that is not answered where it is done.</summary>
    /// <exception cref="AgentException">The agent takes no command.</exception>
    internal Task TellAsync(string command, Action<Utf8JsonWriter>? write, CancellationToken cancellationToken) =>
        InTurnAsync(command, write, hasAnswer: false, Patience, cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => _asking.Dispose();

    private async Task<JsonElement> InTurnAsync(string command, Action<Utf8JsonWriter>? write, bool hasAnswer, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(timeout);
        var isHeld = false;
        try
        {
            await _asking.WaitAsync(patience.Token).ConfigureAwait(false);
            isHeld = true;
            if (!_isInStep) await ComeIntoStepAsync(patience.Token).ConfigureAwait(false);
            // Whatever is in the way from here on, an answer may come late.
            _isInStep = false;
            await SayAsync(command, write, mark: false, patience.Token).ConfigureAwait(false);
            if (!hasAnswer) return default;
            var answer = Read(await LineAsync(patience.Token).ConfigureAwait(false));
            _isInStep = true;
            if (answer.TryGetProperty("return", out var returned)) return returned;
            throw answer.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object && TextOf(error, "desc") is { } why ? new AgentException($"the guest's QEMU agent refuses {command}: {Shown(why)}") : AgentException.Nonsense($"no answer to {command}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AgentException($"the guest's QEMU agent has not answered {command} for {Duration.Exact(timeout)}");
        }
        finally
        {
            if (isHeld) _asking.Release();
        }
    }

    private async Task ComeIntoStepAsync(CancellationToken cancellationToken)
    {
        var id = RandomNumberGenerator.GetInt32(int.MaxValue);
        await SayAsync("guest-sync-delimited", arguments => arguments.WriteNumber("id", id), mark: true, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            while (await ByteAsync(cancellationToken).ConfigureAwait(false) != Mark)
            {
            }
            try
            {
                if (Read(await LineAsync(cancellationToken).ConfigureAwait(false)) is var answer && answer.TryGetProperty("return", out var said) && said.ValueKind == JsonValueKind.Number && said.TryGetInt32(out var number) && number == id) break;
            }
            catch (AgentException)
            {
                // It was said to somebody before.
            }
        }
        _isInStep = true;
    }

    private async Task SayAsync(string command, Action<Utf8JsonWriter>? write, bool mark, CancellationToken cancellationToken)
    {
        var line = new ArrayBufferWriter<byte>();
        if (mark) line.Write([Mark]);
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteString("execute", command);
            if (write is not null)
            {
                json.WriteStartObject("arguments");
                write(json);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        line.Write("\n"u8);
        if (!await port.TypeAsync(line.WrittenMemory, cancellationToken).ConfigureAwait(false)) throw AgentException.Gone();
    }

    private async Task<ReadOnlyMemory<byte>> LineAsync(CancellationToken cancellationToken)
    {
        _line.ResetWrittenCount();
        while (true)
        {
            if (_unread.IsEmpty) await FillAsync(cancellationToken).ConfigureAwait(false);
            var end = _unread.Span.IndexOf((byte)'\n');
            var part = end < 0 ? _unread : _unread[..end];
            if (_line.WrittenCount + part.Length > LongestLine) throw AgentException.Nonsense($"a line of more than {LongestLine} bytes");
            _line.Write(part.Span);
            _unread = end < 0 ? default : _unread[(end + 1)..];
            if (end >= 0) return _line.WrittenMemory;
        }
    }

    private async ValueTask<byte> ByteAsync(CancellationToken cancellationToken)
    {
        if (_unread.IsEmpty) await FillAsync(cancellationToken).ConfigureAwait(false);
        var first = _unread.Span[0];
        _unread = _unread[1..];
        return first;
    }

    private async Task FillAsync(CancellationToken cancellationToken)
    {
        // A guest that talks without end is heard for as long as an answer may take.
        cancellationToken.ThrowIfCancellationRequested();
        var (count, skipped) = await port.ReadAsync(_position, _piece, cancellationToken).ConfigureAwait(false);
        if (count == 0) throw AgentException.Gone();
        _position += skipped + count;
        _unread = _piece.AsMemory(0, count);
    }

    private static JsonElement Read(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 16 });
            if (document.RootElement.ValueKind == JsonValueKind.Object) return document.RootElement.Clone();
        }
        catch (JsonException)
        {
        }
        throw AgentException.Nonsense("a line that is no object of JSON");
    }

    /// <summary>A text of an object; null where it has none of that name, or one that is no UTF-8.</summary>
    internal static string? TextOf(JsonElement of, string name)
    {
        if (of.ValueKind != JsonValueKind.Object || !of.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String) return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The guest's words, as they may be shown.</summary>
    internal static string Shown(string text) => new([.. text.Take(AgentSpec.LongestSentence).Select(letter => char.IsControl(letter) ? '?' : letter)]);
}
