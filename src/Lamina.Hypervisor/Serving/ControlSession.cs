// One program's conversation with a machine: requests are read line by line and answered in the order in which they came, each when it is
// done; events, where they are asked for, come between the answers. A request for a console, or for the
// guest's agent, ends the conversation: the socket is the console, or leads to the agent, from then on. A client that does not read is waited for, and holds up nobody but itself.
using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text.Json;
using Lamina.Control;
using Lamina.Core.Inspection;
using Lamina.Host.Io;
using Lamina.Hypervisor.Consoles;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;
using Lamina.Migration;

namespace Lamina.Hypervisor.Serving;

/// <summary>What a connection has become: carries it to its end, beginning with what the client has sent already.</summary>
internal delegate Task Attachment(PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken);

/// <summary>Answers one client.</summary>
/// <param name="stream">The client.</param>
/// <param name="served">Who is asked.</param>
internal sealed class ControlSession(NetworkStream stream, ServedMachine served)
{
    private const int Piece = 16 * 1024;

    private readonly SemaphoreSlim _writing = new(1, 1);
    // Held while a request is answered, so that the one that ends the machine is answered before the machine's end ends the session.
    private readonly SemaphoreSlim _answering = new(1, 1);
    private Task _events = Task.CompletedTask;
    private volatile bool _isAttached;

    private Machine Machine => served.Machine;

    /// <summary>Talks until the client goes, or the machine has ended and that was told.</summary>
    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await SendAsync(ControlLines.Greeting(served.Name), ends.Token).ConfigureAwait(false);
        var reader = PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true));
        var requests = ServeAsync(reader, ends.Token);
        var ended = EndedAsync(ends.Token);
        // With the machine a session ends, too, once its events are told. One that looks at a console ends when all of that is.
        if (await Task.WhenAny(requests, ended).ConfigureAwait(false) == ended)
        {
            await _answering.WaitAsync(cancellationToken).ConfigureAwait(false);
            await _events.ConfigureAwait(false);
            if (_isAttached) await requests.ConfigureAwait(false);
        }
        await ends.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(requests, ended, _events).ConfigureAwait(false);
    }

    private async Task EndedAsync(CancellationToken cancellationToken)
    {
        await foreach (var told in Machine.WatchAsync(cancellationToken).ConfigureAwait(false))
            if (told is MachineEvent.Ended) return;
    }

    private async Task ServeAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            var buffer = read.Buffer;
            while (buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = buffer.Slice(0, end).ToArray();
                buffer = buffer.Slice(buffer.GetPosition(1, end));
                if (line.AsSpan().Trim(" \t\r"u8).IsEmpty) continue;
                Attachment? attached;
                await _answering.WaitAsync(cancellationToken).ConfigureAwait(false);
                try
                {
                    attached = await AnswerAsync(line, cancellationToken).ConfigureAwait(false);
                }
                finally
                {
                    _answering.Release();
                }
                if (attached is null) continue;
                await attached(reader, buffer, cancellationToken).ConfigureAwait(false);
                return;
            }
            if (buffer.Length > ControlSpec.LongestRequest)
            {
                await SendAsync(ControlLines.Refusal(null, new ControlRequestException($"a request has at most {ControlSpec.LongestRequest} bytes")), cancellationToken).ConfigureAwait(false);
                return;
            }
            reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted) return;
        }
    }

    // Gives what the socket is to become; null where it stays what it is.
    private async Task<Attachment?> AnswerAsync(byte[] line, CancellationToken cancellationToken)
    {
        JsonElement? id = null;
        try
        {
            var request = ControlRequest.Read(line);
            id = request.Id;
            if (request.Verb is "console" or "agent" or "snapshot" or "fork" or "file" or "migrate" or "hand-over")
            {
                var attachment = request.Verb switch
                {
                    "console" => ToConsole(request),
                    "snapshot" => ToSnapshot(request),
                    "fork" => ToFork(request),
                    "file" => ToFile(request),
                    "migrate" => ToMigrate(request),
                    "hand-over" => ToHandOver(request),
                    _ => await ToAgentAsync(request, cancellationToken).ConfigureAwait(false),
                };
                _isAttached = true;
                await SendAsync(ControlLines.Answer(id, null), cancellationToken).ConfigureAwait(false);
                return attachment;
            }
            var answer = await CarryOutAsync(request, cancellationToken).ConfigureAwait(false);
            await SendAsync(ControlLines.Answer(id, answer), cancellationToken).ConfigureAwait(false);
            if (request.Verb == "watch") _events = TellAsync(Machine.WatchAsync(cancellationToken), cancellationToken);
        }
        catch (Exception failure) when (failure is not (OperationCanceledException or ObjectDisposedException) && !cancellationToken.IsCancellationRequested)
        {
            await SendAsync(ControlLines.Refusal(id, failure), cancellationToken).ConfigureAwait(false);
        }
        return null;
    }

    // What it answers writes one value; null: there is nothing to say but that it was done.
    private async Task<Action<Utf8JsonWriter>?> CarryOutAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        switch (request.Verb)
        {
            case "status":
                request.RefuseOthers();
                return served.Status.Write;
            case "pause":
                request.RefuseOthers();
                await Machine.PauseAsync(cancellationToken).ConfigureAwait(false);
                return null;
            case "resume":
                request.RefuseOthers();
                await Machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
                // The guest's clock stood, too; where there is an agent it sets it, and nobody waits for it.
                _ = AgentRelay.TrySetClockAsync(served);
                return null;
            case "reset":
                request.RefuseOthers();
                await Machine.ResetAsync(cancellationToken).ConfigureAwait(false);
                return null;
            case "power-button":
                request.RefuseOthers();
                var listens = await Machine.PressPowerButtonAsync(cancellationToken).ConfigureAwait(false);
                return line => line.WriteBooleanValue(listens);
            case "shut-down":
                var timeout = request.Time("timeout");
                request.RefuseOthers();
                // It goes on by itself, whoever asked for it; its end is an event.
                _ = Machine.ShutDownAsync(timeout: timeout, cancellationToken: CancellationToken.None);
                return null;
            case "stop":
                request.RefuseOthers();
                await Machine.StopAsync(CancellationToken.None).ConfigureAwait(false);
                return null;
            case "save":
                var folder = request.Text("folder") ?? throw new ControlRequestException("\"save\" needs a \"folder\" that is not there yet");
                request.RefuseOthers();
                if (!Path.IsPathFullyQualified(folder)) throw new ControlRequestException($"the folder \"{folder}\" counts from nowhere; write it from the root on");
                var saved = await Machine.SaveAsync(folder, cancellationToken).ConfigureAwait(false);
                return line => line.WriteNumberValue(saved.StoodStill.TotalMilliseconds);
            case "suspend":
                request.RefuseOthers();
                var suspended = await Machine.SuspendAsync(served.SuspendTo, CancellationToken.None).ConfigureAwait(false);
                return line => line.WriteNumberValue(suspended.StoodStill.TotalMilliseconds);
            case "balloon":
                var bytes = request.Number("bytes") ?? throw new ControlRequestException("\"balloon\" needs \"bytes\", the memory that the guest is to do without");
                request.RefuseOthers();
                var without = await Machine.DoAsync(new MachineAction.ResizeBalloon(bytes), cancellationToken).ConfigureAwait(false);
                return line => line.WriteNumberValue(without);
            case "keys":
                await InputRequests.TypeAsync(request, Machine, cancellationToken).ConfigureAwait(false);
                return null;
            case "pointer":
                InputRequests.Move(request, Machine);
                return null;
            case "set":
                var wanted = request.Definition("definition") ?? throw new ControlRequestException("\"set\" needs a \"definition\", all that the machine is to be");
                request.RefuseOthers();
                var (inForce, later) = await served.Changes.SetAsync(wanted, cancellationToken).ConfigureAwait(false);
                return line => WriteChanged(line, inForce, later);
            case "waiting":
                var next = request.Definition("definition") ?? throw new ControlRequestException("\"waiting\" needs a \"definition\", all that the machine is to be");
                request.RefuseOthers();
                return line => WriteWords(line, served.Changes.Waiting(next));
            case "limits":
                return await LimitRequests.CarryOutAsync(request, served, cancellationToken).ConfigureAwait(false);
            case "inspect":
                var path = request.Text("path") ?? "";
                request.RefuseOthers();
                var node = await Machine.InspectAsync(path, cancellationToken).ConfigureAwait(false);
                return node.WriteTo;
            case "screen":
                return ScreenRequests.Look(request, Machine);
            case "wait-screen":
                return await ScreenRequests.WaitAsync(request, Machine, HasGone, cancellationToken).ConfigureAwait(false);
            case "addresses":
                request.RefuseOthers();
                // The agent of a guest that stands still says nothing new.
                var addresses = Machine.State == MachineState.Paused ? served.Addresses.Last : await served.Addresses.GetAsync(cancellationToken).ConfigureAwait(false);
                return line => GuestInterface.Write(line, addresses ?? []);
            case "counters":
                request.RefuseOthers();
                return line => WriteCounters(line, [.. Machine.Counters, .. ProcessCounters.Read()]);
            case "definition":
                request.RefuseOthers();
                return line => DefinitionJson.Write(line, served.Definition);
            case "watch":
                request.RefuseOthers();
                if (!_events.IsCompleted) throw new ControlRequestException("events are told already");
                return null;
            default:
                throw new ControlRequestException($"there is no \"{request.Verb}\"; there are status, pause, resume, reset, power-button, shut-down, stop, save, suspend, balloon, keys, pointer, set, waiting, limits, inspect, screen, wait-screen, addresses, counters, definition, watch, console, agent, snapshot, fork, migrate and file");
        }
    }

    // Not one that only closes its sending side.
    private bool HasGone() => HostIo.Wait(((int)stream.Socket.Handle, HostPoll.None), (-1, HostPoll.None), 0).First.HasFlag(HostPoll.Closed);

    private async Task<Attachment> ToAgentAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        var timeout = request.Time("timeout");
        request.RefuseOthers();
        var agent = await AgentRelay.ConnectAsync(served, timeout, HasGone, cancellationToken).ConfigureAwait(false);
        return agent is null ? (reader, early, ends) => AgentRelay.ServeAsync(served.Qemu!, stream, reader, early, ends)
            : (reader, early, ends) => AgentRelay.CarryAsync(agent, stream, reader, early, ends);
    }

    private Attachment ToSnapshot(ControlRequest request)
    {
        var (memory, layer) = (request.Value("memory") ?? "on", request.Text("layer"));
        request.RefuseOthers();
        if (memory is not ("on" or "off")) throw new ControlRequestException("\"memory\" is true or false");
        if (layer is not null && MachineHome.LayerNumber(layer) == 0) throw new ControlRequestException("a \"layer\" is a file's name like \"layer-1.qcow2\"");
        return new SnapshotSession(stream, served, memory == "on", layer).RunAsync;
    }

    private Attachment ToFile(ControlRequest request)
    {
        var path = request.Text("path") ?? throw new ControlRequestException("\"file\" needs a \"path\", what the file is called");
        request.RefuseOthers();
        return (reader, early, ends) => served.Handed.ReceiveAsync(stream, path, reader, early, ends);
    }

    private Attachment ToMigrate(ControlRequest request)
    {
        var place = request.Text("to") ?? throw new ControlRequestException("\"migrate\" needs \"to\", what the place is called");
        var options = new MigrationOptions { PostCopy = request.IsSo("post-copy") };
        if (request.Time("downtime") is { } downtime) options = options with { Downtime = downtime };
        if (request.Time("silence") is { } silence) options = options with { Silence = silence };
        request.RefuseOthers();
        return new MigrationSession(stream, served, place, options).RunAsync;
    }

    private Attachment ToHandOver(ControlRequest request)
    {
        var silence = request.Time("silence");
        request.RefuseOthers();
        if (Machine.GdbPort is { } port) throw new MachineException(MachineError.State, $"the machine has a debugger's port ({port}), whose debugger would be cut off; restart it instead");
        return new HandOverSession(stream, served, served.Held ?? throw new MachineException(MachineError.State, "the machine leaves nothing behind, and another process has nothing to find it by"), silence).RunAsync;
    }

    private Attachment ToFork(ControlRequest request)
    {
        var (copies, spare, layer) = (request.Texts("copies") ?? throw new ControlRequestException("\"fork\" needs \"copies\", their names"), request.Number("spare") ?? 0, request.Text("layer"));
        request.RefuseOthers();
        if (copies.Count > ControlSpec.MostCopies || !copies.All(MachineStore.IsHostName)) throw new ControlRequestException($"\"copies\" are up to {ControlSpec.MostCopies} names of machines");
        if (layer is not null && MachineHome.LayerNumber(layer) == 0) throw new ControlRequestException("a \"layer\" is a file's name like \"layer-1.qcow2\"");
        return new ForkSession(stream, served, new ForkRequest(copies, (int)Math.Min(spare, ForkPool.Most), layer)).RunAsync;
    }

    private Attachment ToConsole(ControlRequest request)
    {
        var console = ConsoleOf(request);
        return (reader, early, ends) => AttachAsync(console, reader, early, ends);
    }

    private (ConsoleHub Hub, long From) ConsoleOf(ControlRequest request)
    {
        var device = request.Text("device");
        var history = request.Number("history") ?? 0;
        request.RefuseOthers();
        foreach (var (name, hub) in served.Consoles)
        {
            if (device is not null && name != device) continue;
            var (oldest, written) = hub.Kept;
            return (hub, history >= (ulong)(written - oldest) ? oldest : written - (long)history);
        }
        throw new MachineException(MachineError.Definition, device is null ? "the machine has no console that can be looked at" : $"the machine has no console {device} that can be looked at");
    }

    private static void WriteChanged(Utf8JsonWriter line, IReadOnlyList<string> inForce, IReadOnlyList<string> later)
    {
        line.WriteStartObject();
        foreach (var (name, words) in ((string, IReadOnlyList<string>)[])[(ControlSpec.InForce, inForce), (ControlSpec.AtNextStart, later)])
        {
            line.WritePropertyName(name);
            WriteWords(line, words);
        }
        line.WriteEndObject();
    }

    private static void WriteWords(Utf8JsonWriter line, IReadOnlyList<string> words)
    {
        line.WriteStartArray();
        foreach (var word in words) line.WriteStringValue(word);
        line.WriteEndArray();
    }

    private static void WriteCounters(Utf8JsonWriter line, IReadOnlyList<Counter> counters)
    {
        line.WriteStartArray();
        foreach (var counter in counters)
        {
            line.WriteStartObject();
            line.WriteString("name", counter.Name);
            if (counter.Part.Length > 0) line.WriteString("part", counter.Part);
            if (counter.Of is { } of) line.WriteString("of", of);
            line.WriteNumber("value", counter.Value);
            line.WriteString("kind", ControlNames.Of(counter.Kind));
            line.WriteString("unit", ControlNames.Of(counter.Unit));
            line.WriteEndObject();
        }
        line.WriteEndArray();
    }

    private async Task TellAsync(IAsyncEnumerable<MachineEvent> events, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var told in events.ConfigureAwait(false)) await SendAsync(ControlLines.Event(told), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went; its session ends by itself.
        }
    }

    // Ends with the machine, or when the client goes. One that only closes its sending side goes on to read.
    private async Task AttachAsync((ConsoleHub Hub, long From) console, PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var types = TypeAsync(console.Hub, reader, early, gone.Token);
        try
        {
            var (position, buffer) = (console.From, new byte[Piece]);
            while (true)
            {
                var (count, skipped) = await console.Hub.ReadAsync(position, buffer, gone.Token).ConfigureAwait(false);
                if (count == 0) return;
                if (skipped > 0) await stream.WriteAsync(ConsoleHub.SkippedText(skipped), gone.Token).ConfigureAwait(false);
                await stream.WriteAsync(buffer.AsMemory(0, count), gone.Token).ConfigureAwait(false);
                position += skipped + count;
            }
        }
        finally
        {
            await gone.CancelAsync().ConfigureAwait(false);
            await types.ConfigureAwait(false);
        }
    }

    private static async Task TypeAsync(ConsoleHub hub, PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        try
        {
            var data = early;
            while (true)
            {
                foreach (var piece in data)
                    if (!await hub.TypeAsync(piece, cancellationToken).ConfigureAwait(false)) return;
                reader.AdvanceTo(data.End);
                var read = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                data = read.Buffer;
                if (data.IsEmpty && read.IsCompleted) return;
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went.
        }
    }

    private async Task SendAsync(byte[] line, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await stream.WriteAsync(line, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }
}
