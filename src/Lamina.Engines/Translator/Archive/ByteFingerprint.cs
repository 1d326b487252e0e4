// What the bytes that a block was made from come to. When translations are put into the archive, beside the bytes of their
// page, these must be the bytes that they were made from; a device, or another vCPU, may just have changed them without the
// block being stale yet. Guests could make two texts of bytes with one fingerprint if they knew the key: it is drawn anew for
// each machine. Polynomial hashing modulo 2^61 - 1: for any two texts of n words one key in 2^61/n does that.
using System.Buffers.Binary;
using Lamina.Engines.Translator.Code;

namespace Lamina.Engines.Translator.Archive;

internal sealed class ByteFingerprint
{
    private const ulong Modulus = (1ul << 61) - 1, WordMask = (1ul << 8 * WordBytes) - 1;
    private const int WordBytes = 7;

    private readonly ulong _key;

    public ByteFingerprint()
    {
        Span<byte> random = stackalloc byte[8];
        Host.HostRandom.Fill(random);
        _key = BinaryPrimitives.ReadUInt64LittleEndian(random) % Modulus;
    }

    /// <summary>The fingerprint of what a block was made from: its own bytes and those that it looked ahead at.</summary>
    public ulong Of(ReadOnlySpan<byte> page, Block block)
    {
        var hash = Add(1, page.Slice((int)(block.Physical & 0xfff), block.Length));
        hash = Add(hash, page.Slice(block.First.Start, block.First.Length));
        return Add(hash, page.Slice(block.Second.Start, block.Second.Length));
    }

    private ulong Add(ulong hash, ReadOnlySpan<byte> bytes)
    {
        hash = Step(hash, (ulong)bytes.Length);
        // Words have to be less than the modulus, lest there be two for one remainder.
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[WordBytes..]) hash = Step(hash, BinaryPrimitives.ReadUInt64LittleEndian(bytes) & WordMask);
        foreach (var one in bytes) hash = Step(hash, one);
        return hash;
    }

    private ulong Step(ulong hash, ulong word)
    {
        var high = Math.BigMul(hash, _key, out var low);
        var sum = (low & Modulus) + (low >> 61 | high << 3) + word;
        sum = (sum & Modulus) + (sum >> 61);
        return sum >= Modulus ? sum - Modulus : sum;
    }
}
