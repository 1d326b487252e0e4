// What the keyboard controller and what is plugged into it remember.
using System.Runtime.CompilerServices;
using Lamina.Core.State;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>The controller's RAM.</summary>
[InlineArray(I8042Spec.RamLength)]
public struct I8042Ram
{
    private byte _first;
}

/// <summary>Everything the controller remembers.</summary>
public struct I8042State
{
    /// <summary>RAM; byte 0 is the configuration.</summary>
    public I8042Ram Ram;

    /// <summary>The output buffer.</summary>
    public byte Output;

    /// <summary>Status bits that belong to the output buffer; zero while it is empty.</summary>
    public byte OutputStatus;

    /// <summary>The last write went to the command port.</summary>
    public bool WasCommand;

    /// <summary>The command whose parameter is awaited on the data port, or 0.</summary>
    public byte Command;

    /// <summary>The output port's bits other than reset.</summary>
    public byte OutputPort;

    /// <summary>What is in the output buffer came from a device, which has to be read before the controller can answer.</summary>
    public bool FromDevice;

    /// <summary>An answer of the controller's that waits for the output buffer, with its status bits; none where those are zero.</summary>
    public byte Answer, AnswerStatus;

    /// <summary>The last byte of the keyboard was the prefix of a key that goes up, which translation makes a bit of the next one.</summary>
    public bool Break;

    /// <summary>When the next byte of a device can be here at the earliest.</summary>
    public long NextByte;

    internal static void Exchange(SavedFields fields, ref I8042State state)
    {
        fields.Bytes(1, (Span<byte>)state.Ram);
        fields.Value(2, ref state.Output);
        fields.Value(3, ref state.OutputStatus);
        fields.Value(4, ref state.WasCommand);
        fields.Value(5, ref state.Command);
        fields.Value(6, ref state.OutputPort);
    }

    internal static void ExchangeWithDevices(SavedFields fields, ref I8042State state)
    {
        Exchange(fields, ref state);
        fields.Value(7, ref state.FromDevice);
        fields.Value(8, ref state.Answer);
        fields.Value(9, ref state.AnswerStatus);
        fields.Value(10, ref state.Break);
        fields.Value(11, ref state.NextByte);
    }
}
