// The framing of GDB's remote protocol: $data#sum with acknowledgements, escapes, and the lone byte that interrupts.
// GDB manual, appendix E.1. It knows no commands.
using System.Globalization;
using System.Text;

namespace Lamina.Debugging;

/// <summary>What came from GDB.</summary>
internal enum GdbInput
{
    /// <summary>A packet with a right sum.</summary>
    Packet,

    /// <summary>A packet with a wrong sum.</summary>
    Damaged,

    /// <summary>Ctrl-C.</summary>
    Interrupt,
}

/// <summary>Takes packets out of a stream of bytes.</summary>
internal sealed class GdbPackets
{
    /// <summary>The most bytes of a packet's data; told to GDB as PacketSize.</summary>
    internal const int MaximumLength = 0x4000;

    private const byte Start = (byte)'$', End = (byte)'#', Escape = (byte)'}', InterruptByte = 3, EscapeMask = 0x20;

    private readonly List<byte> _data = [];
    private State _state;
    private byte _sum, _claimed;

    private enum State
    {
        Outside,
        Inside,
        Escaped,
        FirstDigit,
        SecondDigit,
    }

    /// <summary>Takes one byte; returns what it completes, or null.</summary>
    internal (GdbInput Kind, byte[] Data)? Take(byte value)
    {
        switch (_state)
        {
            case State.Outside:
                if (value == InterruptByte) return (GdbInput.Interrupt, []);
                if (value != Start) return null;
                (_sum, _state) = (0, State.Inside);
                _data.Clear();
                return null;
            case State.FirstDigit:
                (_claimed, _state) = ((byte)(Digit(value) << 4), State.SecondDigit);
                return null;
            case State.SecondDigit:
                _state = State.Outside;
                return ((byte)(_claimed | Digit(value)) == _sum && _data.Count <= MaximumLength ? GdbInput.Packet : GdbInput.Damaged, _data.ToArray());
            default:
                TakeInside(value);
                return null;
        }
    }

    /// <summary>A packet for GDB.</summary>
    internal static byte[] Frame(string data)
    {
        var framed = new List<byte> { Start };
        byte sum = 0;
        foreach (var plain in Encoding.Latin1.GetBytes(data))
        {
            var special = plain is Start or End or Escape or (byte)'*';
            if (special)
            {
                framed.Add(Escape);
                sum += Escape;
            }
            var value = special ? (byte)(plain ^ EscapeMask) : plain;
            framed.Add(value);
            sum += value;
        }
        framed.Add(End);
        framed.AddRange(Encoding.ASCII.GetBytes(sum.ToString("x2", CultureInfo.InvariantCulture)));
        return [.. framed];
    }

    private void TakeInside(byte value)
    {
        if (_state == State.Inside && value == End)
        {
            _state = State.FirstDigit;
            return;
        }
        _sum += value;
        if (_state == State.Inside && value == Escape)
        {
            _state = State.Escaped;
            return;
        }
        // What is longer than we said we take is dropped and reported as damaged.
        if (_data.Count <= MaximumLength) _data.Add(_state == State.Escaped ? (byte)(value ^ EscapeMask) : value);
        _state = State.Inside;
    }

    private static byte Digit(byte value) => value switch
    {
        >= (byte)'0' and <= (byte)'9' => (byte)(value - '0'),
        >= (byte)'a' and <= (byte)'f' => (byte)(value - 'a' + 10),
        >= (byte)'A' and <= (byte)'F' => (byte)(value - 'A' + 10),
        _ => 0,
    };
}
