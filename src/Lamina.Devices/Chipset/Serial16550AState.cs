// The live registers of a 16550A.
using System.Runtime.CompilerServices;
using Lamina.Core.State;

namespace Lamina.Devices.Chipset;

/// <summary>A receiver FIFO's entries: the byte, bit 8 where a break arrived with it, and bit 9 where it came by the line.</summary>
[InlineArray(Serial16550ASpec.FifoLength)]
public struct SerialFifo
{
    private ushort _first;
}

/// <summary>A transmitter FIFO's entries.</summary>
[InlineArray(Serial16550ASpec.FifoLength)]
public struct SerialTransmitFifo
{
    private byte _first;
}

/// <summary>Everything a 16550A remembers. A fresh one is the state after master reset.</summary>
public struct Serial16550AState()
{
    /// <summary>IER.</summary>
    public byte InterruptEnable;

    /// <summary>FCR's lasting bits.</summary>
    public byte FifoControl;

    /// <summary>LCR.</summary>
    public byte LineControl;

    /// <summary>MCR.</summary>
    public byte ModemControl;

    /// <summary>MSR's deltas (bits 0 to 3); the inputs follow from MCR.</summary>
    public byte ModemDeltas;

    /// <summary>Scratch register.</summary>
    public byte Scratch;

    /// <summary>Divisor latch. The data sheet leaves it undefined after reset; here it is 9600 baud.</summary>
    public ushort Divisor = 12;

    /// <summary>Received characters, a ring. Without FIFOs only one is used.</summary>
    public SerialFifo Received;

    /// <summary>Where the ring's oldest entry is.</summary>
    public int Head;

    /// <summary>How many characters wait.</summary>
    public int Count;

    /// <summary>Written characters that the line does not take yet, the oldest first. Without FIFOs only one is used.</summary>
    public SerialTransmitFifo Unsent;

    /// <summary>How many of them there are; the transmitter is empty where there are none.</summary>
    public int UnsentCount;

    /// <summary>How often LSR was read since anything was written.</summary>
    public int LooksSinceWrite;

    /// <summary>How often it was read where no transmission explains it: enough of them, and the guest polls for input.</summary>
    public int IdleLooks;

    /// <summary>A character was lost; until LSR is read.</summary>
    public bool Overrun;

    /// <summary>The transmitter-empty interrupt waits; until IIR reports it or THR is written.</summary>
    public bool TransmitterEmptyPending;

    /// <summary>The character time-out waits; until the receiver is read.</summary>
    public bool TimeoutPending;

    /// <summary>When a character was last received or read (machine nanoseconds), while any waits.</summary>
    public long LastActivity;

    internal static void Exchange(SavedFields fields, ref Serial16550AState state)
    {
        fields.Value(1, ref state.InterruptEnable);
        fields.Value(2, ref state.FifoControl);
        fields.Value(3, ref state.LineControl);
        fields.Value(4, ref state.ModemControl);
        fields.Value(5, ref state.ModemDeltas);
        fields.Value(6, ref state.Scratch);
        fields.Value(7, ref state.Divisor);
        var received = ((ReadOnlySpan<ushort>)state.Received).ToArray();
        fields.Values(8, received);
        received.CopyTo((Span<ushort>)state.Received);
        fields.Value(9, ref state.Head);
        fields.Value(10, ref state.Count);
        fields.Value(11, ref state.Overrun);
        fields.Value(12, ref state.TransmitterEmptyPending);
        fields.Value(13, ref state.TimeoutPending);
        fields.Value(14, ref state.LastActivity);
        fields.Bytes(15, (Span<byte>)state.Unsent);
        fields.Value(16, ref state.UnsentCount);
        fields.Value(17, ref state.LooksSinceWrite);
        fields.Value(18, ref state.IdleLooks);
        if (!fields.IsLoading) return;
        SavedFields.Require(state.Head is >= 0 and < Serial16550ASpec.FifoLength && state.Count is >= 0 and <= Serial16550ASpec.FifoLength, $"{state.Count} characters from place {state.Head} on");
        SavedFields.Require(state.UnsentCount is >= 0 and <= Serial16550ASpec.FifoLength, $"{state.UnsentCount} characters to be sent");
        SavedFields.Require(state.LastActivity >= 0, "a time before the machine's first");
    }
}
