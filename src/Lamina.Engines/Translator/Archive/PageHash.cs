// What the bytes of a page of guest code come to, for finding what there is of it. Guests can make pages that come to the same;
// the bytes themselves decide.
using System.Numerics;
using System.Runtime.InteropServices;

namespace Lamina.Engines.Translator.Archive;

internal static class PageHash
{
    /// <summary>The hash of a page.</summary>
    public static ulong Of(ReadOnlySpan<byte> page)
    {
        const ulong a = 0x9e37_79b9_7f4a_7c15, b = 0xc2b2_ae3d_27d4_eb4f;
        var (first, second) = (a, b);
        var words = MemoryMarshal.Cast<byte, ulong>(page);
        for (var i = 0; i + 1 < words.Length; i += 2)
        {
            first = BitOperations.RotateLeft((first ^ words[i]) * a, 29);
            second = BitOperations.RotateLeft((second ^ words[i + 1]) * b, 31);
        }
        return (first ^ BitOperations.RotateLeft(second, 17)) * a;
    }
}
