// What becomes of a kernel's places with addresses where it is loaded in parts: each is moved once, wherever the parts begin and end.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lamina.Boot;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class KernelRelocationsTests
{
    private const ulong Linked = 0x100_0000, Distance = 0x123_0000;
    private const int Length = 1000;

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Each_place_is_moved_once_however_the_kernel_is_cut(int lists)
    {
        var random = new Random(20261130 + lists);
        for (var round = 0; round < 2000; round++)
        {
            var (places, loaded) = (Places(random, lists), new byte[Length]);
            random.NextBytes(loaded);
            var expected = Moved(places, loaded);
            using var relocations = KernelRelocations.TryTake(Words(places), Linked, Length)!;

            // Some are shorter than a place, some follow each other at once.
            var parts = new List<(ulong Start, ulong End)>();
            for (var start = random.Next(40); start < Length; start = (int)parts[^1].End + random.Next(2) * random.Next(40))
                parts.Add(((ulong)start, (ulong)Math.Min(Length, start + 1 + random.Next(random.Next(2) == 0 ? 5 : 200))));
            foreach (var part in parts) relocations.MoveIn(loaded, part, Distance);
            relocations.MoveRest(loaded, parts, Distance);

            Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(loaded));
        }
    }

    public static TheoryData<string, uint[]> Refused => new()
    {
        { "no zero before the first", [1, 0, 0] },
        { "one list", [0] },
        { "four lists", [0, 0, 0, 0] },
        { "not in order", [0, At(20), At(10), 0] },
        { "twice the same", [0, At(20), At(20), 0] },
        { "before the kernel", [0, At(0) - 1, 0] },
        { "64 bits over the end", [0, At(Length - 7), 0] },
        { "32 bits over the end", [0, 0, At(Length - 3)] },
        { "behind the end", [0, 0, 0, uint.MaxValue] },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_are_no_lists_of_places_is_refused(string why, uint[] words) => Assert.True(KernelRelocations.TryTake(Buffer(words), Linked, Length) is null, why);

    [Fact]
    public void Places_at_the_very_end_are_taken()
    {
        using var relocations = KernelRelocations.TryTake(Buffer([0, At(Length - 8), 0, At(Length - 4)]), Linked, Length);

        Assert.NotNull(relocations);
    }

    private static uint At(int place) => (uint)(0xFFFF_FFFF_8000_0000 + Linked + (ulong)place);

    // No two overlap: the second's content would depend on the first.
    private static List<int>[] Places(Random random, int lists)
    {
        var places = new List<int>[lists];
        for (var i = 0; i < lists; i++) places[i] = [];
        for (var at = random.Next(20); at <= Length - 8; at += 8 + random.Next(20)) places[random.Next(lists)].Add(at);
        return places;
    }

    private static HostBuffer Words(List<int>[] places) => Buffer([.. places.SelectMany(list => (IEnumerable<uint>)[0, .. list.Select(At)])]);

    private static HostBuffer Buffer(uint[] words)
    {
        var buffer = new HostBuffer(words.Length * sizeof(uint));
        MemoryMarshal.AsBytes(words.AsSpan()).CopyTo(buffer.Span);
        return buffer;
    }

    private static byte[] Moved(List<int>[] places, byte[] loaded)
    {
        var moved = (byte[])loaded.Clone();
        for (var list = 0; list < places.Length; list++)
        {
            foreach (var at in places[list])
            {
                var place = moved.AsSpan(at);
                if (list == 0) BinaryPrimitives.WriteUInt64LittleEndian(place, BinaryPrimitives.ReadUInt64LittleEndian(place) + Distance);
                else if (list == places.Length - 1) BinaryPrimitives.WriteUInt32LittleEndian(place, BinaryPrimitives.ReadUInt32LittleEndian(place) + (uint)Distance);
                else BinaryPrimitives.WriteUInt32LittleEndian(place, BinaryPrimitives.ReadUInt32LittleEndian(place) - (uint)Distance);
            }
        }
        return moved;
    }
}
