// docs/saved-state.md, tried by a reader that was written after it and uses nothing of the program's own.
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Lamina.Tests.Machines.Life;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Saving;

public sealed class SavedStateFormatTests : IDisposable
{
    private readonly KernelFolder _kernel = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-format-").FullName;

    public void Dispose()
    {
        _kernel.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void The_pages_example_is_read()
    {
        var fields = Fields(Convert.FromHexString("022A0B026869"));

        Assert.Equal((42ul, "hi"), (Integer(fields, 1), Encoding.UTF8.GetString(Assert.Single(Many(fields, 5)))));
    }

    [Theory]
    [InlineData(MachineType.Micro)]
    [InlineData(MachineType.Pc)]
    public async Task A_machine_is_read_by_the_page_alone(MachineType type)
    {
        var target = Path.Combine(_folder, "saved");
        var spec = Spec(_kernel) with { Type = type, Cpus = 2, Cpu = "x86-64-v2" };
        await using (var machine = Machine.Create(spec))
        {
            _ = machine.RunAsync(TestContext.Current.CancellationToken);
            await machine.PauseAsync(TestContext.Current.CancellationToken);
            await machine.SaveAsync(target, TestContext.Current.CancellationToken);
        }
        var state = await File.ReadAllBytesAsync(Path.Combine(target, "state"), TestContext.Current.CancellationToken);

        Assert.Equal("Lamina machine\n\0"u8.ToArray(), state[..16]);
        Assert.Equal(2, BinaryPrimitives.ReadInt32LittleEndian(state.AsSpan(16)));
        Assert.Equal(SHA256.HashData(state.AsSpan(0, state.Length - 32)), state[^32..]);
        var fields = Fields(state.AsSpan(20, state.Length - 52));
        using var definition = JsonDocument.Parse(Assert.Single(Many(fields, 1)));
        Assert.Equal(2, definition.RootElement.GetProperty("cpus").GetInt32());
        Assert.StartsWith("x86-64-v", Encoding.UTF8.GetString(Assert.Single(Many(fields, 2))), StringComparison.Ordinal);
        var clock = Fields(Assert.Single(Many(fields, 3)));
        Assert.True(Signed(Integer(clock, 1)) >= 0);
        Assert.InRange(new DateTime(Signed(Integer(clock, 4)), DateTimeKind.Utc), DateTime.UtcNow.AddHours(-1), DateTime.UtcNow.AddHours(1));
        var ranges = Many(fields, 4).Select(range => Fields(range)).Select(range => (Start: Integer(range, 1), Length: Integer(range, 2))).ToArray();
        // A PC's display lies over some of it.
        var bytes = ranges.Aggregate(0ul, (sum, range) => sum + range.Length);
        Assert.InRange(bytes, spec.MemoryBytes - (128 << 10), spec.MemoryBytes);
        Assert.Equal((long)bytes, new FileInfo(Path.Combine(target, "memory")).Length);
        var leaves = Many(Fields(Assert.Single(Many(fields, 6))), 1).Select(leaf => Fields(leaf)).ToArray();
        Assert.Contains(leaves, leaf => Integer(leaf, 1) == 1 && Integer(leaf, 5) != 0);

        var parts = Many(fields, 5).Select(part => Fields(part)).ToArray();
        Assert.All(parts, part => Assert.InRange(Signed(Integer(part, 3)), 1, 100));
        var cpus = parts.Where(part => Encoding.UTF8.GetString(Many(part, 2)[0]) == "x86-64 CPU").Select(part => Fields(Many(part, 4)[0])).ToArray();
        Assert.Equal(2, cpus.Length);
        Assert.All(cpus, cpu => Assert.Equal((16, 8, 8), (Many(cpu, 1).Count, Many(cpu, 4).Count, Many(cpu, 15).Count)));
        // The second one waits for the first.
        Assert.InRange(Signed(Integer(cpus[0], 18)), 0, 1);
        Assert.Equal(2, Signed(Integer(cpus[1], 18)));
        Assert.All(cpus, cpu => Assert.Equal(0x10ul, Integer(cpu, 7) & 0x10));
    }

    private static Dictionary<int, List<(ulong Integer, byte[] Bytes)>> Fields(ReadOnlySpan<byte> record)
    {
        var fields = new Dictionary<int, List<(ulong, byte[])>>();
        while (!record.IsEmpty)
        {
            var (key, value) = (Leb128(ref record), Leb128(ref record));
            var bytes = (key & 1) == 0 ? [] : record[..(int)value].ToArray();
            record = record[bytes.Length..];
            if (!fields.TryGetValue((int)(key >> 1), out var all)) fields[(int)(key >> 1)] = all = [];
            all.Add((value, bytes));
        }
        return fields;
    }

    private static ulong Leb128(ref ReadOnlySpan<byte> bytes)
    {
        var value = 0ul;
        for (var shift = 0; ; shift += 7)
        {
            var part = bytes[0];
            bytes = bytes[1..];
            value |= (ulong)(part & 0x7f) << shift;
            if (part < 0x80) return value;
        }
    }

    private static ulong Integer(Dictionary<int, List<(ulong Integer, byte[] Bytes)>> fields, int number) => Assert.Single(fields[number]).Integer;

    private static List<byte[]> Many(Dictionary<int, List<(ulong Integer, byte[] Bytes)>> fields, int number) => [.. fields[number].Select(field => field.Bytes)];

    private static long Signed(ulong zigzag) => (long)(zigzag >> 1) ^ -(long)(zigzag & 1);
}
