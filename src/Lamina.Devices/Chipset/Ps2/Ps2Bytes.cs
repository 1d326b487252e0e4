// Bytes that a keyboard or a mouse has for the controller, in order. What answers a command goes before what the user did.
using System.Runtime.CompilerServices;
using Lamina.Core.State;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>A queue of up to <see cref="Most"/> bytes.</summary>
internal struct Ps2Bytes
{
    internal const int Most = 128;

    private Buffer _bytes;
    private byte _count;

    internal readonly int Count => _count;

    internal readonly int Room => Most - _count;

    internal static void Exchange(SavedFields fields, ref Ps2Bytes queue)
    {
        fields.Bytes(1, (Span<byte>)queue._bytes);
        fields.Value(2, ref queue._count);
        SavedFields.Require(queue._count <= Most, "its queue is longer than it can be");
    }

    /// <summary>Adds all of it; what has no room is dropped as a whole.</summary>
    internal bool Add(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > Room) return false;
        bytes.CopyTo(((Span<byte>)_bytes)[_count..]);
        _count += (byte)bytes.Length;
        return true;
    }

    /// <summary>Adds the answer to a command. A guest that goes on commanding without reading loses the older ones.</summary>
    internal void AddAnswer(params ReadOnlySpan<byte> bytes)
    {
        if (Add(bytes)) return;
        Clear();
        Add(bytes);
    }

    /// <summary>Takes the first one; there is one.</summary>
    internal byte Take()
    {
        Span<byte> bytes = _bytes;
        var first = bytes[0];
        bytes[1.._count].CopyTo(bytes);
        bytes[--_count] = 0;
        return first;
    }

    internal void Clear() => this = default;

    [InlineArray(Most)]
    private struct Buffer
    {
        private byte _first;
    }
}
