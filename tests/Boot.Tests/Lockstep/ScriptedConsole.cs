// What the serial port of a machine in lockstep is connected to: keeps the output, and types the next line whenever the
// output ends in a prompt. Input is given to the port between two instructions, like interrupts.
using System.Text;
using Lamina.Core.Char;

namespace Lamina.Tests.Boot.Lockstep;

/// <summary>A console with a script.</summary>
internal sealed class ScriptedConsole(string prompt, IEnumerable<string> lines) : ICharBackend
{
    private readonly Queue<string> _lines = new(lines);
    private readonly StringBuilder _output = new();
    private ICharReceiver? _receiver;
    private byte[] _typed = [];
    private int _taken, _answered;

    public string Output => _output.ToString();

    public int Write(ReadOnlySpan<byte> data)
    {
        _output.Append(Encoding.Latin1.GetString(data));
        return data.Length;
    }

    public void Attach(ICharReceiver receiver) => _receiver = receiver;

    public void ReadyToReceive()
    {
    }

    /// <summary>Offers the guest what it has not taken yet.</summary>
    public void Type()
    {
        if (_taken == _typed.Length)
        {
            if (_lines.Count == 0 || !EndsInPrompt()) return;
            (_typed, _taken, _answered) = (Encoding.ASCII.GetBytes(_lines.Dequeue() + "\n"), 0, _output.Length);
        }
        _taken += _receiver?.Receive(_typed.AsSpan(_taken)) ?? 0;
    }

    public void Dispose()
    {
    }

    private bool EndsInPrompt()
    {
        if (_output.Length < prompt.Length || _output.Length == _answered) return false;
        for (var i = 0; i < prompt.Length; i++)
            if (_output[_output.Length - prompt.Length + i] != prompt[i]) return false;
        return true;
    }
}
