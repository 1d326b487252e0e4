// A machine's screen of characters in the terminal, and the terminal's keys at the machine's keyboard: "lamina run --display text". One thread
// reads keys; a task looks at the screen now and then, more seldom the longer nothing changes. The terminal is put back at the end.
using System.Text;
using Lamina.Backends.Char;
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Host.Io;
using Lamina.Host.Terminals;

namespace Lamina.Cli.TextScreens;

/// <summary>Shows a screen.</summary>
internal sealed class TextDisplay : IDisposable
{
    private const string Word = "text", Help = "Ctrl-A X ends the machine, Ctrl-A Ctrl-A sends Ctrl-A to the guest; any key goes on";
    private const string NoTerminal = "--display text shows the screen in a terminal, and there is none here; --display vnc serves it to viewers";
    private const int PollMilliseconds = 100, MostWaiting = 16384, UsualColumns = 80, UsualRows = 25;

    private static readonly TimeSpan Soonest = TimeSpan.FromMilliseconds(33), Latest = TimeSpan.FromMilliseconds(150);

    private readonly Machine _machine;
    private readonly Terminal _terminal;
    private readonly Action _quit;
    private readonly ScreenPainter _painter = new();
    private readonly EscapeFilter _escape = new();
    private readonly TerminalKeys _keys;
    private readonly EventDescriptor _wake = new();
    private readonly CancellationTokenSource _ends = new();
    private readonly Thread _reader;
    private readonly Task _showing;
    private volatile bool _isAnew, _helps;
    private Task _typing = Task.CompletedTask;
    private int _waiting;
    private bool _disposed;

    private TextDisplay(Machine machine, Terminal terminal, KeyboardLayout layout, Action quit)
    {
        (_machine, _terminal, _quit, _keys) = (machine, terminal, quit, new TerminalKeys(layout));
        _terminal.EnterRaw();
        _terminal.Resized += PaintAnew;
        Write(ScreenPainter.Begin);
        _reader = new Thread(ReadKeys) { IsBackground = true, Name = "screen-keys" };
        _reader.Start();
        _showing = Task.Run(ShowAsync);
    }

    /// <summary>Whether a value of --display asks for it.</summary>
    internal static bool IsMeant(string? value) => value is Word || value?.StartsWith($"{Word}=", StringComparison.Ordinal) == true;

    /// <summary>Finds out whether it can be, before anything is made.</summary>
    /// <param name="value">The value of --display.</param>
    /// <returns>The layout of the keyboard, or a sentence that says why not.</returns>
    internal static (KeyboardLayout? Layout, string? Problem) Check(string value)
    {
        var name = value == Word ? KeyboardLayout.All[0].Name : value[(Word.Length + 1)..];
        if (KeyboardLayout.Find(name) is not { } layout) return (null, $"--display: there is no keyboard layout '{name}'; there are {string.Join(", ", KeyboardLayout.All.Select(each => each.Name))}");
        return HostIo.IsTerminal(HostIo.Input) && HostIo.IsTerminal(HostIo.Output) ? (layout, null) : (null, NoTerminal);
    }

    /// <summary>Shows a machine's screen until it is disposed of.</summary>
    /// <param name="machine">The machine, of the kind pc.</param>
    /// <param name="layout">The layout that its guest has.</param>
    /// <param name="quit">Called when the user wants its end.</param>
    /// <exception cref="MachineException">There is no terminal any more.</exception>
    internal static TextDisplay Show(Machine machine, KeyboardLayout layout, Action quit) =>
        new(machine, Terminal.TryOpen(HostIo.Input) ?? throw new MachineException(MachineError.Host, NoTerminal), layout, quit);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _ends.Cancel();
        _wake.Set();
        _reader.Join();
        _showing.Wait();
        _terminal.Resized -= PaintAnew;
        Write(ScreenPainter.End);
        _terminal.Dispose();
        _wake.Dispose();
        _ends.Dispose();
    }

    private void PaintAnew() => _isAnew = true;

    private async Task ShowAsync()
    {
        try
        {
            using var watch = _machine.Screen.Watch();
            for (var pause = Soonest; ;)
            {
                var anew = _isAnew;
                _isAnew = false;
                if (anew) _painter.Forget();
                // Both are to be asked.
                if (watch.HasChanged() | anew)
                {
                    Write(Paint());
                    pause = Soonest;
                }
                await Task.Delay(pause, _ends.Token).ConfigureAwait(false);
                pause = pause * 1.1 < Latest ? pause * 1.1 : Latest;
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or ObjectDisposedException)
        {
            // It, or the machine.
        }
    }

    private string Paint()
    {
        var (columns, rows) = _terminal.Size is ( > 0, > 0) and var size ? (size.Columns, size.Rows) : (UsualColumns, UsualRows);
        if (_helps) return _painter.Say(Help, columns, rows);
        if (_machine.Screen.Read() is { } text) return _painter.Paint(text, columns, rows);
        return _painter.Say(_machine.Screen.Mode is "blank" ? "" : $"the guest shows a picture ({_machine.Screen.Mode}): --display vnc serves it to viewers; of a machine that is kept, 'lamina screen NAME FILE.png' writes it", columns, rows);
    }

    private void ReadKeys()
    {
        var buffer = new byte[4096];
        while (!_ends.IsCancellationRequested)
        {
            var (ready, _) = HostIo.Wait((HostIo.Input, HostPoll.Readable), (_wake.Descriptor, HostPoll.Readable), -1);
            if (ready == HostPoll.None || _ends.IsCancellationRequested) continue;
            var count = HostIo.Read(HostIo.Input, buffer);
            // The terminal is gone, and a signal says so.
            if (count <= 0) return;
            Take(buffer.AsSpan(0, count));
        }
    }

    private void Take(Span<byte> typed)
    {
        if (_helps) (_helps, _isAnew) = (false, true);
        var request = _escape.Filter(typed, out var length);
        var strokes = _keys.Read(typed[..length]);
        // What is typed beyond all room is dropped, as terminals do.
        if (strokes.Count > 0 && Interlocked.Add(ref _waiting, strokes.Count) <= MostWaiting) _typing = TypeAsync(_typing, strokes);
        else Interlocked.Add(ref _waiting, -strokes.Count);
        if (request == EscapeRequest.Quit) _quit();
        else if (request == EscapeRequest.Help) (_helps, _isAnew) = (true, true);
    }

    // In the order in which they were typed; what a guest does not read is dropped.
    private async Task TypeAsync(Task before, IReadOnlyList<KeyStroke> strokes)
    {
        await before.ConfigureAwait(false);
        try
        {
            await _machine.TypeAsync(strokes, cancellationToken: _ends.Token).ConfigureAwait(false);
        }
        catch (Exception dropped) when (dropped is MachineException or OperationCanceledException or ObjectDisposedException)
        {
            // Nobody waits for it.
        }
        Interlocked.Add(ref _waiting, -strokes.Count);
    }

    // A terminal that takes nothing holds nobody up when all ends.
    private void Write(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var at = 0; at < bytes.Length;)
        {
            var (ready, _) = HostIo.Wait((HostIo.Output, HostPoll.Writable), (-1, HostPoll.None), PollMilliseconds);
            if (ready == HostPoll.None)
            {
                if (_ends.IsCancellationRequested) return;
                continue;
            }
            var count = HostIo.Write(HostIo.Output, bytes.AsSpan(at, Math.Min(HostIo.AtomicPipeWrite, bytes.Length - at)));
            if (count < 0) return;
            at += count;
        }
    }
}
