// VNC authentication: the client encrypts a challenge by DES, with the password's first eight bytes as the key, each with its bits in reverse. DES
// itself is FIPS 46-3; cryptographic libraries do not have it any more. It keeps a password from who listens for a moment, and not from who
// has time: where others can listen, a tunnel is what protects.
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Lamina.Backends.Display;

/// <summary>Answers to challenges.</summary>
internal static class VncPassword
{
    /// <summary>How many bytes of a password count.</summary>
    internal const int Length = 8;

    // FIPS 46-3: the permuted choices of the key, the rounds' shifts, the expansion, the eight selections and the permutation behind them.
    private static ReadOnlySpan<byte> KeyChoice => [57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4];
    private static ReadOnlySpan<byte> RoundChoice => [14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32];
    private static ReadOnlySpan<byte> Shifts => [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
    private static ReadOnlySpan<byte> First => [58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7];
    private static ReadOnlySpan<byte> Last => [40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21, 61, 29, 36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25];
    private static ReadOnlySpan<byte> Expansion => [32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17, 16, 17, 18, 19, 20, 21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1];
    private static ReadOnlySpan<byte> Permutation => [16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25];

    private static readonly string[] Selections =
    [
        "E4D12FB83A6C59070F74E2D1A6CB953841E8D62BFC973A50FC8249175B3EA06D",
        "F18E6B34972DC05A3D47F28EC01A69B50E7BA4D158C6932FD8A13F42B67C05E9",
        "A09E63F51DC7B428D709346A285ECBF1D6498F30B12C5AE71AD069874FE3B52C",
        "7DE3069A1285BC4FD8B56F03472C1AE9A690CB7DF13E52843F06A1D8945BC72E",
        "2C417AB6853FD0E9EB2C47D150FA3986421BAD78F9C5630EB8C71E2D6F09A453",
        "C1AF92680D34E75BAF427C9561DE0B389EF528C3704A1DB6432C95FABE17608D",
        "4B2EF08D3C975A61D0B7491AE35C2F8614BDC37EAF6805926BD814A7950FE23C",
        "D2846FB1A93E50C71FD8A374C56B0E927B419CE206ADF35821E74A8DFC90356B",
    ];

    /// <summary>A challenge's answer.</summary>
    /// <param name="password">The password, of which the first eight bytes count.</param>
    /// <param name="challenge">16 bytes.</param>
    internal static byte[] Answer(ReadOnlySpan<byte> password, ReadOnlySpan<byte> challenge)
    {
        ulong key = 0;
        for (var i = 0; i < Length; i++) key = key << 8 | (i < password.Length ? Reversed(password[i]) : 0u);
        var answer = new byte[challenge.Length];
        for (var at = 0; at < challenge.Length; at += sizeof(ulong)) BinaryPrimitives.WriteUInt64BigEndian(answer.AsSpan(at), Encrypt(key, BinaryPrimitives.ReadUInt64BigEndian(challenge[at..])));
        return answer;
    }

    /// <summary>Whether an answer is the right one; takes as long whether or not.</summary>
    internal static bool IsRight(ReadOnlySpan<byte> password, ReadOnlySpan<byte> challenge, ReadOnlySpan<byte> answer) => CryptographicOperations.FixedTimeEquals(Answer(password, challenge), answer);

    internal static ulong Encrypt(ulong key, ulong block)
    {
        Span<ulong> keys = stackalloc ulong[16];
        var halves = Choose(key, KeyChoice, 64);
        uint left = (uint)(halves >> 28), right = (uint)halves & 0xfff_ffff;
        for (var round = 0; round < keys.Length; round++)
        {
            (left, right) = (Turn(left, Shifts[round]), Turn(right, Shifts[round]));
            keys[round] = Choose((ulong)left << 28 | right, RoundChoice, 56);
        }
        block = Choose(block, First, 64);
        (left, right) = ((uint)(block >> 32), (uint)block);
        foreach (var roundKey in keys) (left, right) = (right, left ^ Mix(right, roundKey));
        return Choose((ulong)right << 32 | left, Last, 64);
    }

    private static uint Mix(uint half, ulong key)
    {
        var bits = Choose(half, Expansion, 32) ^ key;
        uint mixed = 0;
        for (var i = 0; i < Selections.Length; i++)
        {
            var six = (int)(bits >> (42 - (6 * i))) & 0x3f;
            mixed = mixed << 4 | (uint)Convert.FromHexString("0" + Selections[i][((six >> 4 & 2 | six & 1) * 16) + (six >> 1 & 15)])[0];
        }
        return (uint)Choose(mixed, Permutation, 32);
    }

    private static uint Turn(uint half, int by) => (half << by | half >> (28 - by)) & 0xfff_ffff;

    // Bits are counted from 1, the highest first.
    private static ulong Choose(ulong bits, ReadOnlySpan<byte> places, int width)
    {
        ulong chosen = 0;
        foreach (var place in places) chosen = chosen << 1 | (bits >> (width - place) & 1);
        return chosen;
    }

    private static uint Reversed(byte value)
    {
        uint reversed = 0;
        for (var i = 0; i < 8; i++) reversed = reversed << 1 | (uint)(value >> i & 1);
        return reversed;
    }
}
