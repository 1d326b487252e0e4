// Requests about a machine's screen: what it shows, as text and as a picture, and waiting for it.
using System.Text.Json;
using Lamina.Control;
using Lamina.Hypervisor.Contract;
using Lamina.Screens;

namespace Lamina.Hypervisor.Serving;

/// <summary>Carries out requests about the screen.</summary>
internal static class ScreenRequests
{
    private static readonly TimeSpan LookForClient = TimeSpan.FromSeconds(1);

    /// <summary>"screen".</summary>
    internal static Action<Utf8JsonWriter> Look(ControlRequest request, Machine machine)
    {
        var wantsPicture = IsOn(request, "picture");
        request.RefuseOthers();
        Refuse(machine);
        var screen = machine.Screen;
        var (mode, text, picture) = (screen.Mode, screen.Read(), screen.Look());
        var file = wantsPicture ? Png.Encode(picture) : null;
        return line =>
        {
            line.WriteStartObject();
            line.WriteString("mode", mode);
            line.WriteNumber("width", picture.Width);
            line.WriteNumber("height", picture.Height);
            if (text is not null)
            {
                line.WriteStartArray("text");
                for (var row = 0; row < text.Rows; row++) line.WriteStringValue(text.Line(row));
                line.WriteEndArray();
                if (text.Cursor is { } cursor)
                {
                    line.WriteStartObject("cursor");
                    line.WriteNumber("column", cursor.Column);
                    line.WriteNumber("row", cursor.Row);
                    line.WriteEndObject();
                }
            }
            if (file is not null) line.WriteBase64String("png", file);
            line.WriteEndObject();
        };
    }

    /// <summary>"wait-screen".</summary>
    /// <param name="request">What is waited for.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="hasGone">Whether the client has.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal static async Task<Action<Utf8JsonWriter>> WaitAsync(ControlRequest request, Machine machine, Func<bool> hasGone, CancellationToken cancellationToken)
    {
        var (text, still, timeout) = (request.Text("text"), request.Time("still"), request.Time("timeout"));
        request.RefuseOthers();
        if (text is { Length: > 0 } == still is not null) throw new ControlRequestException("\"wait-screen\" needs either a \"text\" that the screen is to show, or for how long it is to be \"still\"");
        Refuse(machine);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var wait = text is not null ? machine.WaitForScreenTextAsync(text, ends.Token) : machine.WaitForStillScreenAsync(still!.Value, ends.Token);
        using var late = timeout is { } time ? new CancellationTokenSource(time) : new CancellationTokenSource();
        try
        {
            // Nobody else would find out that a client went which says nothing and is told nothing.
            while (!wait.IsCompleted && !late.IsCancellationRequested && !hasGone())
                await Task.WhenAny(wait, Task.Delay(LookForClient, late.Token)).ConfigureAwait(false);
            if (!wait.IsCompleted) await ends.CancelAsync().ConfigureAwait(false);
            await wait.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return static line => line.WriteBooleanValue(false);
        }
        return static line => line.WriteBooleanValue(true);
    }

    private static bool IsOn(ControlRequest request, string name) => request.Value(name) switch
    {
        null or "off" => false,
        "on" => true,
        _ => throw new ControlRequestException($"\"{name}\" is true or false"),
    };

    private static void Refuse(Machine machine)
    {
        if (machine.State == MachineState.Ended) throw new MachineException(MachineError.State, "the machine has ended");
    }
}
