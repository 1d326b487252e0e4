// A console whose other end is the program: what the guest wrote can be read and waited for, and input can be sent.
using Lamina.Backends.Char;

namespace Lamina.Consoles;

/// <summary>The program's end of a guest's console.</summary>
public sealed class SerialConsole
{
    private readonly MemoryCharBackend _backend;

    internal SerialConsole(MemoryCharBackend backend) => _backend = backend;

    /// <summary>All that the guest wrote so far, as far as it is kept (UTF-8).</summary>
    public string Text => _backend.Text;

    /// <summary>
    /// Waits until the guest has written a text after what was read before, and returns everything from there up to its
    /// end. The next call goes on behind it.
    /// </summary>
    /// <exception cref="MachineException">The machine ended first.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public async Task<string> ReadUntilAsync(string text, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _backend.WaitForTextAsync(text, cancellationToken).ConfigureAwait(false);
        }
        catch (EndOfStreamException e)
        {
            throw new MachineException(MachineError.State, $"the machine ended before its console showed \"{text}\"", e);
        }
    }

    /// <summary>Sends input; done when the guest's device has taken all of it.</summary>
    /// <exception cref="MachineException">The machine ended first.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled; some of the input may have been taken.</exception>
    public async Task WriteAsync(string text, CancellationToken cancellationToken = default)
    {
        try
        {
            await _backend.WriteAsync(text, cancellationToken).ConfigureAwait(false);
        }
        catch (EndOfStreamException e)
        {
            throw new MachineException(MachineError.State, "the machine ended before its console took all of its input", e);
        }
    }

    /// <summary>Sends a line as a terminal does: the text and a line feed.</summary>
    /// <exception cref="MachineException">The machine ended first.</exception>
    public Task WriteLineAsync(string line, CancellationToken cancellationToken = default) => WriteAsync(line + "\n", cancellationToken);
}
