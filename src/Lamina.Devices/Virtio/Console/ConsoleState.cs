// What the driver brought a virtio console to, by port; reset is a fresh one. Sizes are not part of it: they are the
// host's and outlive a reset.
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Console;

/// <summary>Control messages that a port still owes to the driver; at most one of each, so a driver cannot pile them up.</summary>
[Flags]
internal enum OwedMessages : byte
{
    None = 0,
    Add = 1,
    Console = 2,
    Name = 4,
    Open = 8,
    Resize = 16,
    All = Add | Console | Name | Open | Resize,
}

/// <summary>One port.</summary>
internal struct ConsolePortState()
{
    /// <summary>Input that waits for a buffer of the guest: a ring of bytes.</summary>
    internal readonly byte[] Input = new byte[ConsoleSpec.InputBufferLength];

    /// <summary>Where the waiting input begins.</summary>
    internal int InputStart;

    /// <summary>How much of it there is.</summary>
    internal int InputLength;

    /// <summary>Whether the backend was told to wait for room.</summary>
    internal bool BackendWaits;

    /// <summary>Whether the driver was told of the port, which happens once (5.3.6.2.1).</summary>
    internal bool Added;

    /// <summary>Whether the driver said PORT_READY.</summary>
    internal bool Ready;

    /// <summary>Whether the guest has the port open.</summary>
    internal bool Open;

    /// <summary>Whether the driver was told last that the host's end is connected.</summary>
    internal bool ToldConnected;

    /// <summary>What is still to be sent.</summary>
    internal OwedMessages Owed;

    internal static void Exchange(SavedFields fields, ref ConsolePortState state)
    {
        var input = fields.IsLoading ? [] : state.WaitingInput();
        fields.Bytes(1, ref input, ConsoleSpec.InputBufferLength);
        fields.Value(2, ref state.Added);
        fields.Value(3, ref state.Ready);
        fields.Value(4, ref state.Open);
        fields.Value(5, ref state.ToldConnected);
        var owed = (byte)state.Owed;
        fields.Value(6, ref owed);
        if (!fields.IsLoading) return;
        SavedFields.Require((owed & ~(byte)OwedMessages.All) == 0, $"messages 0x{owed:x} for a port");
        input.CopyTo(state.Input, 0);
        (state.InputStart, state.InputLength, state.Owed) = (0, input.Length, (OwedMessages)owed);
    }

    private readonly byte[] WaitingInput()
    {
        var input = new byte[InputLength];
        for (var i = 0; i < input.Length; i++) input[i] = Input[(InputStart + i) % Input.Length];
        return input;
    }
}

/// <summary>The whole device.</summary>
internal struct ConsoleState(int ports)
{
    /// <summary>Whether the driver is set up.</summary>
    internal bool Active;

    /// <summary>Whether it speaks of several ports.</summary>
    internal bool Multiport;

    /// <summary>The ports.</summary>
    internal readonly ConsolePortState[] Ports = [.. Enumerable.Range(0, ports).Select(_ => new ConsolePortState())];
}
