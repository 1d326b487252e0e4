// What the floppy controller remembers.
using Lamina.Core.State;

namespace Lamina.Devices.Floppy;

/// <summary>What it waits for.</summary>
internal enum FloppyPhase
{
    /// <summary>A command's next byte.</summary>
    Command = 0,

    /// <summary>Its worker.</summary>
    Work = 1,

    /// <summary>The result's next byte is read.</summary>
    Result = 2,
}

internal struct FloppyState
{
    private const int MostBytes = 16;

    internal FloppyPhase Phase;

    /// <summary>A command's bytes, or a result's; how many there are, and of a result how many were read.</summary>
    internal byte[] Bytes;

    internal int Length, At;

    /// <summary>Where the drives' heads are.</summary>
    internal byte[] Cylinders;

    /// <summary>Registers; drives whose seek was not told of yet, and how it ended; how many drives are to be told of after a reset.</summary>
    internal byte Output, Rate, Seeking, SeekResult;

    internal int Polls;
    internal bool Interrupt;

    internal static FloppyState AtPowerOn() => new() { Bytes = new byte[MostBytes], Cylinders = new byte[4] };

    /// <summary>The next command's first byte is expected.</summary>
    internal void Expect() => (Phase, Length, At) = (FloppyPhase.Command, 0, 0);

    internal static void Exchange(SavedFields fields, ref FloppyState state)
    {
        fields.Choice(1, ref state.Phase);
        fields.Bytes(2, state.Bytes);
        fields.Value(3, ref state.Length);
        fields.Value(4, ref state.At);
        fields.Bytes(5, state.Cylinders);
        fields.Value(6, ref state.Output);
        fields.Value(7, ref state.Rate);
        fields.Value(8, ref state.Seeking);
        fields.Value(9, ref state.SeekResult);
        fields.Value(10, ref state.Polls);
        fields.Value(11, ref state.Interrupt);
        if (!fields.IsLoading) return;
        SavedFields.Require(state.Length is >= 0 and <= 10 && state.At >= 0 && (state.Phase == FloppyPhase.Result ? state.At < state.Length : state is { At: 0, Length: < 9 } || state.Phase == FloppyPhase.Work), $"{state.Length} bytes at {state.At}");
        SavedFields.Require(state.Polls is >= 0 and <= 4 && state.Seeking < 16 && state.Rate < 4, "registers that cannot be");
    }
}
