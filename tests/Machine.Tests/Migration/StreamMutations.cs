// What goes over a migration's link, changed at random: its bytes, its frames, what they claim, what they hold, their order, and the machine that they describe.
using System.Buffers.Binary;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using Lamina.Migration;
using Lamina.Saving;

namespace Lamina.Tests.Machines.Migration;

/// <summary>Changes one machine's stream.</summary>
/// <param name="stream">What it sends when it moves.</param>
/// <param name="other">What another machine sends.</param>
internal sealed class StreamMutations(byte[] stream, byte[] other)
{
    // What numbers are wrong at: their ends, and those of a page, a sector, the address space, the memory of 16 MiB and the disk of 1 MiB.
    private static readonly ulong[] s_extremes =
    [
        0, 1, 7, 511, 512, 513, 4095, 4096, 4097, 1 << 20, (1 << 20) - 512, (1 << 20) + 512, 16 << 20, (16 << 20) - 4096, (16 << 20) + 4096, int.MaxValue, uint.MaxValue, 1ul << 32, 1ul << 40, 1ul << 47, 1ul << 48, 1ul << 52,
        long.MaxValue, 1ul << 63, unchecked((ulong)-4096), unchecked((ulong)-512), ulong.MaxValue,
    ];

    private static readonly int[] s_lengths = [-1, int.MinValue, int.MaxValue, 0, 1, MigrationSpec.LongestFrame, MigrationSpec.LongestFrame + 1, MigrationSpec.StatePiece];

    private readonly List<Frame> _frames = Split(stream), _others = Split(other);

    /// <summary>A frame, and what its head says of it.</summary>
    private sealed record Frame(byte Kind, byte[] Content)
    {
        internal int Claims { get; init; } = Content.Length;

        internal byte Reserved { get; init; }
    }

    /// <summary>A stream that is wrong, or as right as the first one.</summary>
    internal byte[] Next(Random random)
    {
        var frames = _frames.ToList();
        for (var changes = random.Next(4) == 0 ? 2 : 1; changes > 0 && frames.Count > 0; changes--) Change(frames, random);
        var bytes = Join(frames);
        return random.Next(8) switch
        {
            0 => bytes[..random.Next(bytes.Length + 1)],
            1 => Overwritten(bytes, random),
            2 => [.. bytes[..random.Next(bytes.Length + 1)], .. Noise(random), .. bytes[random.Next(bytes.Length + 1)..]],
            _ => bytes,
        };
    }

    /// <summary>The same machine's, of which the first pages that it sends follow when it is given.</summary>
    internal static byte[] Following(byte[] stream)
    {
        var frames = Split(stream);
        var pages = frames.First(frame => frame.Kind == (byte)MigrationFrame.Pages);
        var (first, last) = (pages.Content[..(8 + 4096)], (byte[])[.. Address(BinaryPrimitives.ReadUInt64LittleEndian(pages.Content) + 4096), .. pages.Content.AsSpan(8 + 4096)]);
        byte[] list = [.. pages.Content.AsSpan(0, 8), .. Address(4096), .. last.AsSpan(0, 8), .. Address((ulong)last.Length - 8)];
        frames.Insert(frames.FindIndex(frame => frame.Kind == (byte)MigrationFrame.State), new Frame((byte)MigrationFrame.Missing, list));
        frames.AddRange([new Frame((byte)MigrationFrame.Pages, last), new Frame((byte)MigrationFrame.Round, []), new Frame((byte)MigrationFrame.Pages, first)]);
        return Join(frames);

        static byte[] Address(ulong number)
        {
            var bytes = new byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, number);
            return bytes;
        }
    }

    private void Change(List<Frame> frames, Random random)
    {
        var at = random.Next(frames.Count);
        var frame = frames[at];
        switch (random.Next(14))
        {
            case 0:
                frames.RemoveAt(at);
                break;
            case 1:
                frames.Insert(random.Next(frames.Count + 1), frame);
                break;
            case 2:
                var with = random.Next(frames.Count);
                (frames[at], frames[with]) = (frames[with], frames[at]);
                break;
            case 3:
                frames[at] = frame with { Kind = Kind(random) };
                break;
            case 4:
                frames[at] = frame with { Claims = random.Next(3) == 0 ? frame.Content.Length + random.Next(-9, 10) : s_lengths[random.Next(s_lengths.Length)] };
                break;
            case 5:
                frames[at] = frame with { Reserved = (byte)random.Next(1, 256) };
                break;
            case 6:
                frames[at] = new Frame(frame.Kind, Overwritten(frame.Content, random));
                break;
            case 7:
                frames[at] = new Frame(frame.Kind, frame.Content[..random.Next(frame.Content.Length + 1)]);
                break;
            case 8:
                frames[at] = new Frame(frame.Kind, [.. frame.Content, .. Noise(random)]);
                break;
            case 9:
            case 10:
                frames.Insert(random.Next(frames.Count + 1), Hostile(random));
                break;
            case 11:
                Change(frames, MigrationFrame.Description, random, Redescribed);
                break;
            case 12:
                Change(frames, MigrationFrame.State, random, random.Next(4) == 0 ? Redescribed : Relived);
                break;
            default:
                var foreign = _others[random.Next(_others.Count)];
                var telling = (byte)(random.Next(2) == 0 ? MigrationFrame.Description : MigrationFrame.State);
                if (random.Next(2) == 0) foreign = _others.First(found => found.Kind == telling);
                var place = frames.FindIndex(found => found.Kind == foreign.Kind);
                if (place < 0) frames.Insert(at, foreign);
                else frames[place] = foreign;
                break;
        }
    }

    // A frame as whoever wants to reach what is not the machine's would send it.
    private static Frame Hostile(Random random)
    {
        var kind = Kind(random);
        byte[] content = (MigrationFrame)kind switch
        {
            MigrationFrame.Pages => [.. Number(random), .. new byte[random.Next(3) * 4096 + (random.Next(4) == 0 ? random.Next(4096) : 0)]],
            MigrationFrame.ZeroPages => [.. Number(random), .. Number(random)],
            MigrationFrame.Missing => [.. Enumerable.Range(0, random.Next(1, 4)).SelectMany(_ => (byte[])[.. Number(random), .. Number(random)]), .. new byte[random.Next(4) == 0 ? random.Next(16) : 0]],
            MigrationFrame.Blocks => [.. Number(random).AsSpan(0, random.Next(2) * 4), .. Number(random), .. new byte[random.Next(3) * 512 + (random.Next(4) == 0 ? random.Next(512) : 0)]],
            MigrationFrame.ZeroBlocks => [.. random.Next(2) == 0 ? [0, 0, 0, 0] : Number(random)[..4], .. Number(random), .. Number(random)],
            MigrationFrame.State => new byte[random.Next(2) == 0 ? random.Next(100) : MigrationSpec.StatePiece],
            _ => Noise(random),
        };
        return new Frame(kind, content);
    }

    private static void Change(List<Frame> frames, MigrationFrame kind, Random random, Func<SavedMachine, Random, SavedMachine> change)
    {
        var at = frames.FindIndex(frame => frame.Kind == (byte)kind);
        if (at < 0) return;
        try
        {
            frames[at] = new Frame((byte)kind, change(SavedMachine.Decode(frames[at].Content), random).Encode());
        }
        catch (StateException)
        {
            // It was changed before, and is none.
        }
    }

    // Another machine, with a digest that fits.
    private static SavedMachine Redescribed(SavedMachine machine, Random random) => random.Next(9) switch
    {
        0 => machine with { Ranges = [.. machine.Ranges.Select(range => new MemoryRange(range.Start, Extreme(random)))] },
        1 => machine with { Ranges = [.. machine.Ranges.Select(range => new MemoryRange(Extreme(random), range.Length))] },
        2 => machine with { Ranges = random.Next(2) == 0 ? [] : [.. Enumerable.Repeat(machine.Ranges[0], random.Next(2, 64))] },
        3 => machine with { CpuModel = random.Next(3) switch { 0 => "", 1 => machine.CpuModel + ",+avx512f", _ => machine.CpuModel.Replace(",+", ",-", StringComparison.Ordinal) } },
        4 => machine with { Clock = new SavedClock((long)(Extreme(random) >> 2), Extreme(random), Math.Max(1, Extreme(random)), new DateTimeOffset(random.NextInt64(DateTimeOffset.MaxValue.Ticks), TimeSpan.Zero)) },
        5 => machine with { CpuIdentity = new CpuIdentity([.. machine.CpuIdentity!.Leaves.Select(leaf => random.Next(4) == 0 ? leaf with { Eax = (uint)Extreme(random), Ebx = (uint)random.Next(), Ecx = (uint)random.Next() } : leaf)], Extreme(random)) },
        6 => machine with { Definition = machine.Definition with { MemoryBytes = Extreme(random) } },
        7 => machine with { Definition = machine.Definition with { Cpus = (int)Extreme(random) } },
        _ => machine with { Definition = machine.Definition with { Devices = [.. machine.Definition.Devices.Skip(1), .. random.Next(2) == 0 ? [] : (DeviceDefinition[])[new RngDevice(), new BalloonDevice()]] } },
    };

    // Parts that are other than they were.
    private static SavedMachine Relived(SavedMachine machine, Random random)
    {
        var units = machine.Units.ToList();
        for (var changes = random.Next(1, 4); changes > 0 && units.Count > 1; changes--)
        {
            var at = random.Next(units.Count);
            var unit = units[at];
            switch (random.Next(12))
            {
                case 0:
                    units.RemoveAt(at);
                    break;
                case 1:
                    units.Add(unit);
                    break;
                case 2:
                    units[at] = unit with { Kind = unit.Kind with { Version = (int)Extreme(random) } };
                    break;
                case 3:
                    units[at] = unit with { Fields = units[random.Next(units.Count)].Fields };
                    break;
                case 4:
                    units[at] = unit with { Name = units[random.Next(units.Count)].Name };
                    break;
                case 5:
                    units[at] = unit with { Fields = unit.Fields[..random.Next(unit.Fields.Length + 1)] };
                    break;
                default:
                    units[at] = unit with { Fields = Overwritten(unit.Fields.ToArray(), random) };
                    break;
            }
        }
        return machine with { Units = units };
    }

    private static byte[] Overwritten(byte[] content, Random random)
    {
        var changed = (byte[])content.Clone();
        for (var changes = random.Next(1, 5); changes > 0 && changed.Length > 0; changes--)
        {
            var at = random.Next(changed.Length);
            switch (random.Next(5))
            {
                case 0:
                    changed[at] = 0;
                    break;
                case 1:
                    changed[at] = 0xff;
                    break;
                case 2:
                    changed[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 3:
                    // Where an address or a length lies, in what begins with one.
                    if (changed.Length >= 8) BinaryPrimitives.WriteUInt64LittleEndian(changed.AsSpan(Math.Min(random.Next(3) * 4, changed.Length - 8)), Extreme(random));
                    break;
                default:
                    changed[at] = (byte)random.Next(256);
                    break;
            }
        }
        return changed;
    }

    private static byte Kind(Random random)
    {
        var kinds = Enum.GetValues<MigrationFrame>();
        return random.Next(10) == 0 ? (byte)random.Next(256) : (byte)kinds[random.Next(kinds.Length)];
    }

    private static ulong Extreme(Random random) => s_extremes[random.Next(s_extremes.Length)];

    private static byte[] Number(Random random)
    {
        var bytes = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Extreme(random));
        return bytes;
    }

    private static byte[] Noise(Random random)
    {
        var bytes = new byte[random.Next(40)];
        random.NextBytes(bytes);
        return bytes;
    }

    private static List<Frame> Split(byte[] bytes)
    {
        var frames = new List<Frame>();
        for (var at = 0; at < bytes.Length;)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at + 4));
            frames.Add(new Frame(bytes[at], bytes.AsSpan(at + MigrationSpec.HeaderLength, length).ToArray()));
            at += MigrationSpec.HeaderLength + length;
        }
        return frames;
    }

    private static byte[] Join(List<Frame> frames)
    {
        using var bytes = new MemoryStream();
        Span<byte> head = stackalloc byte[MigrationSpec.HeaderLength];
        foreach (var frame in frames)
        {
            head.Fill(frame.Reserved);
            head[0] = frame.Kind;
            BinaryPrimitives.WriteInt32LittleEndian(head[4..], frame.Claims);
            bytes.Write(head);
            bytes.Write(frame.Content);
        }
        return bytes.ToArray();
    }
}
