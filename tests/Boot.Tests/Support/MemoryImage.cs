// A guest's memory as it was at a moment. A machine that stands still keeps it.
using Lamina.Core.Memory;
using Xunit;

namespace Lamina.Tests.Boot.Support;

/// <summary>A copy of a guest's memory, to find out whether it changes.</summary>
internal sealed class MemoryImage(GuestMemory memory)
{
    private readonly byte[][] _copies = [.. memory.Ranges.Select(range => new byte[range.Length])];

    internal void Keep()
    {
        for (var i = 0; i < _copies.Length; i++) Assert.True(memory.TryRead(memory.Ranges[i].Start, _copies[i]));
    }

    /// <summary>Fails where a byte is not what it was.</summary>
    internal void AssertIsKept(string when)
    {
        for (var i = 0; i < _copies.Length; i++)
        {
            Assert.True(memory.TrySlice(memory.Ranges[i].Start, _copies[i].Length, out var now));
            var same = now.CommonPrefixLength(_copies[i]);
            Assert.True(same == now.Length, $"{when}: memory changed at 0x{memory.Ranges[i].Start + (ulong)same:x}");
        }
    }
}
