// Queues against drivers that programs of random bytes drive: whatever stands in a ring, the device takes only buffers that lie
// in RAM, ends, throws nothing, and serves a good driver after a reset. A program that once did harm is added to
// queue-corpus.txt as a line of hexadecimal; the corpus is tried every time, and random changes are made to its lines.
// LAMINA_FUZZ_CASES says how many (20000), LAMINA_FUZZ_SEED where they begin.
using System.Buffers.Binary;
using System.Globalization;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Rings;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class QueueFuzzTests
{
    private const ulong RingAt = TestGuest.Ram, Data = TestGuest.Ram + 0x1_0000;
    private const int RingBytes = 0x1000, LongestProgram = 512;

    // 2.7 and 2.8: a store is an offset of two bytes into the ring and eight bytes of content.
    private const int StoreLength = 10;

    private static readonly int Cases = int.Parse(Environment.GetEnvironmentVariable("LAMINA_FUZZ_CASES") ?? "20000", CultureInfo.InvariantCulture);
    private static readonly int Seed = int.Parse(Environment.GetEnvironmentVariable("LAMINA_FUZZ_SEED") ?? "1", CultureInfo.InvariantCulture);

    private static List<byte[]> Corpus => [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Virtio", "queue-corpus.txt"))
        .Where(line => line.Length != 0 && line[0] != '#').Select(line => Convert.FromHexString(line.Replace(" ", "", StringComparison.Ordinal)))];

    [Fact]
    public void Saved_programs_do_no_harm()
    {
        foreach (var program in Corpus) Drive(program);
    }

    [Fact]
    public void Changed_programs_do_no_harm()
    {
        var corpus = Corpus;
        for (var i = 0; i < Cases; i++)
        {
            var random = new Random(Seed + i);
            var program = Change(corpus[random.Next(corpus.Count)], corpus[random.Next(corpus.Count)], random);
            try
            {
                Drive(program);
            }
            catch (Exception e)
            {
                Assert.Fail($"case {Seed + i}: {e.Message}\nthe line for the corpus: {Convert.ToHexStringLower(program)}");
            }
        }
    }

    private static byte[] Change(byte[] program, byte[] other, Random random)
    {
        List<byte> bytes = [.. program];
        if (random.Next(3) == 0) bytes.AddRange(other.Skip(1));
        for (var changes = random.Next(1, 8); changes > 0; changes--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(4))
            {
                case 0: bytes[at] = (byte)random.Next(256); break;
                case 1: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 2: bytes.Insert(at, (byte)random.Next(256)); break;
                default:
                    if (bytes.Count > 1) bytes.RemoveAt(at);
                    break;
            }
        }
        return [.. bytes.Take(LongestProgram)];
    }

    // The first byte: features and the queue's size; then steps, each of a byte that says what and how it goes on.
    private static void Drive(byte[] program)
    {
        var features = TestFeatures.Plain | ((program[0] & 1) != 0 ? VirtioFeatures.RingPacked : 0)
            | ((program[0] & 2) != 0 ? VirtioFeatures.IndirectDescriptors : 0) | ((program[0] & 4) != 0 ? VirtioFeatures.EventIndex : 0);
        var size = 1u << (program[0] >> 3 & 3);
        var kept = new Queue<DescriptorChain>();
        var keeps = (program[0] & 0x20) != 0;
        var device = new TestDevice(1) { Work = queue => Serve(queue, kept, keeps) };
        using var guest = new TestGuest(device);
        Start(guest, features, size);
        for (var at = 1; at < program.Length; at++)
        {
            switch (program[at] % 8)
            {
                case < 5 when at + StoreLength < program.Length:
                    var offset = BinaryPrimitives.ReadUInt16LittleEndian(program.AsSpan(at + 1)) % (RingBytes - 8);
                    guest.Memory.TryWrite(RingAt + (ulong)offset, program.AsSpan(at + 3, 8));
                    at += StoreLength;
                    break;
                case 5:
                    // Later, and perhaps after a reset.
                    if (kept.TryDequeue(out var chain)) device.Host.Queues[0].Complete(chain, uint.MaxValue);
                    break;
                case 6:
                    if (guest.NeedsReset || program[at] > 0xf0) Start(guest, features, size);
                    break;
                default:
                    guest.Write(0x50, 0);
                    guest.Workers.Run(rounds: 64);
                    break;
            }
        }

        guest.Memory.Clear();
        Start(guest, TestFeatures.Plain, 8);
        var driver = new SplitDriver(guest, 0, 8, RingAt);
        driver.Offer(new Part(Data, 16), new Part(Data + 16, 16, Writable: true));
        kept.Clear();
        guest.Notify(0);
        Assert.Equal(keeps, driver.TakeUsed() is null);
        Assert.False(guest.NeedsReset);
    }

    private static void Start(TestGuest guest, ulong features, uint size)
    {
        guest.Negotiate(features);
        if ((features & VirtioFeatures.RingPacked) != 0) new PackedDriver(guest, 0, size, RingAt).Place();
        else new SplitDriver(guest, 0, size, RingAt).Place();
        guest.DriverOk();
        guest.Workers.Run(rounds: 64);
    }

    private static bool Serve(Virtqueue queue, Queue<DescriptorChain> kept, bool keeps)
    {
        Span<byte> bytes = stackalloc byte[64];
        for (var i = 0; i < 64; i++)
        {
            if (!queue.TryTake(out var chain)) return false;
            foreach (var segment in (BufferSegment[])[.. chain.Readable, .. chain.Writable])
            {
                Assert.True(segment.Length == 0 || (segment.Address >= TestGuest.Ram && segment.Address + segment.Length <= TestGuest.Ram + TestGuest.RamLength
                    && segment.Address + segment.Length > segment.Address), $"the buffer {segment} is not RAM");
            }
            _ = chain.Read(0, bytes);
            _ = chain.Write(0, bytes);
            if (keeps) kept.Enqueue(chain);
            else queue.Complete(chain, chain.WritableLength);
        }
        return true;
    }
}
