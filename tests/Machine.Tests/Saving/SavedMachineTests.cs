// The files of a saved machine: whole or not there, refused with a sentence where they are another's, damaged or newer.
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using Lamina.Saving;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

public sealed class SavedMachineTests : IDisposable
{
    private const ulong MiB = 1 << 20, GiB = 1 << 30;

    private static readonly MemoryRange[] s_ranges = [new(0, 3 * MiB), new(4 * GiB, MiB + 8192)];

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-saved-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Target => Path.Combine(_folder, "machine");

    private static SavedMachine Example() => new()
    {
        Definition = new MachineDefinition { MemoryBytes = 64 * MiB, Cpus = 2 }.With(new NetworkDevice { Mac = "02:00:00:00:00:07" }),
        CpuModel = "x86-64-v1,+sse3",
        CpuIdentity = new CpuIdentity([new CpuLeaf(0, 0, 0x16, 1, 2, 3), new CpuLeaf(4, 1, 5, 6, 7, uint.MaxValue)], 0x8000_0000_0000_0021),
        Clock = new SavedClock(1_234_567_890, 9_876_543_210, 2_000_000_000, new DateTimeOffset(2026, 5, 6, 7, 8, 9, TimeSpan.Zero)),
        Ranges = s_ranges,
        Units = [new SavedUnit("chipset/pit", new SavedKind("8254", 3), new byte[] { 1, 2, 3 }), new SavedUnit("empty", new SavedKind("nothing", 1), Array.Empty<byte>())],
    };

    private static GuestMemory Filled(int seed)
    {
        var memory = new GuestMemory(s_ranges);
        var random = new Random(seed);
        var bytes = new byte[10_000];
        foreach (var range in s_ranges)
            for (var n = 0; n < 5; n++)
            {
                random.NextBytes(bytes);
                Assert.True(memory.TryWrite(range.Start + (ulong)random.NextInt64((long)range.Length - bytes.Length), bytes));
            }
        Assert.True(memory.TryWrite(s_ranges[^1].End - 1, (byte)7));
        return memory;
    }

    private static byte[] Content(GuestMemory memory) => [.. memory.Ranges.SelectMany(range =>
    {
        var bytes = new byte[range.Length];
        Assert.True(memory.TryRead(range.Start, bytes));
        return bytes;
    })];

    [Fact]
    public void What_was_written_is_read()
    {
        using var memory = Filled(1);
        Example().Write(Target, file => MemoryFile.Write(file, memory));

        var read = SavedMachine.Read(Target);
        using var file = new SavedStart(Target, read).OpenMemory(s_ranges)!;
        using var fresh = new GuestMemory(s_ranges, file.Backing);

        var example = Example();
        Assert.Equal(DefinitionJson.Write(example.Definition), DefinitionJson.Write(read.Definition));
        Assert.Equal((example.CpuModel, example.Clock), (read.CpuModel, read.Clock));
        Assert.Equal(example.CpuIdentity!.Leaves, read.CpuIdentity!.Leaves);
        Assert.Equal(example.CpuIdentity.ArchCapabilities, read.CpuIdentity.ArchCapabilities);
        Assert.Equal(s_ranges, read.Ranges);
        Assert.Equal(example.Units.Select(unit => (unit.Name, unit.Kind, Convert.ToHexString(unit.Fields.Span))), read.Units.Select(unit => (unit.Name, unit.Kind, Convert.ToHexString(unit.Fields.Span))));
        Assert.Equal(Content(memory), Content(fresh));

        // What is written afterwards is no matter of the file's.
        Assert.True(fresh.TryWrite(s_ranges[0].Start, ~0ul));
        using var again = new GuestMemory(s_ranges, file.Backing);
        Assert.Equal(Content(memory), Content(again));
    }

    [Fact]
    public void The_files_are_their_owners_and_take_the_room_of_what_was_touched()
    {
        using var memory = Filled(2);
        Example().Write(Target, file => MemoryFile.Write(file, memory));

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Target));
        foreach (var file in Directory.GetFiles(Target)) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Equal((long)memory.Size, new FileInfo(Path.Combine(Target, "memory")).Length);
        Assert.Equal(["machine"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public void A_folder_that_is_there_is_left_alone()
    {
        using var memory = Filled(3);
        Directory.CreateDirectory(Target);

        var refused = Assert.Throws<MachineException>(() => Example().Write(Target, file => MemoryFile.Write(file, memory)));

        Assert.Contains("is there already; choose another place", refused.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(Target));
    }

    [Fact]
    public void Where_it_cannot_be_written_nothing_is_left()
    {
        using var memory = Filled(4);
        var nowhere = Path.Combine(_folder, "file", "machine");
        File.WriteAllText(Path.Combine(_folder, "file"), "");

        var refused = Assert.Throws<MachineException>(() => Example().Write(nowhere, file => MemoryFile.Write(file, memory)));

        Assert.StartsWith($"the machine cannot be saved to {nowhere}: ", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["file"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    // Example as a program of format 1 wrote it, which knew no leaves of CPUID. The file stays for good.
    [Fact]
    public void A_state_of_the_first_format_is_read()
    {
        var read = SavedMachine.Decode(Convert.FromHexString(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Saving", "machine.1.hex")).Trim()));

        Assert.Null(read.CpuIdentity);
        var example = Example();
        Assert.Equal((example.CpuModel, example.Clock), (read.CpuModel, read.Clock));
        Assert.Equal(s_ranges, read.Ranges);
        Assert.Equal(example.Units.Select(unit => (unit.Name, unit.Kind)), read.Units.Select(unit => (unit.Name, unit.Kind)));
    }

    [Fact]
    public void What_an_interrupted_save_left_is_no_machine_and_in_nobodys_way()
    {
        using var memory = Filled(5);
        Directory.CreateDirectory(Target + ".new");
        File.WriteAllText(Path.Combine(Target + ".new", "memory"), "half");

        Assert.Contains("is no saved machine", Assert.Throws<MachineException>(() => SavedMachine.Read(Target)).Message, StringComparison.Ordinal);
        Example().Write(Target, file => MemoryFile.Write(file, memory));

        Assert.Equal(["machine"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public void A_state_that_is_not_what_it_was_is_refused()
    {
        var whole = Example().Encode();
        Assert.Equal(2, SavedMachine.Decode(whole).Units.Count);
        for (var length = 0; length < whole.Length; length++) Assert.Throws<StateException>(() => SavedMachine.Decode(whole[..length]));
        for (var at = 0; at < whole.Length; at++)
        {
            var damaged = (byte[])whole.Clone();
            damaged[at] ^= 0x10;
            Assert.Throws<StateException>(() => SavedMachine.Decode(damaged));
        }
    }

    [Theory]
    [InlineData(0, "is no state of a machine")]
    [InlineData(16, "is of format 18, and this program knows up to 2; use the program that saved it, or a newer one")]
    [InlineData(40, "is damaged: its digest is another one than it says")]
    public void What_is_wrong_is_said(int at, string why)
    {
        using var memory = Filled(6);
        Example().Write(Target, file => MemoryFile.Write(file, memory));
        var path = Path.Combine(Target, "state");
        var content = File.ReadAllBytes(path);
        content[at] ^= 0x10;
        File.WriteAllBytes(path, content);

        var refused = Assert.Throws<MachineException>(() => SavedMachine.Read(Target));

        Assert.Equal((MachineError.File, $"the saved machine cannot be used: {path} {why}"), (refused.Error, refused.Message));
    }

    [Fact]
    public void A_file_that_is_too_long_for_a_state_is_not_read()
    {
        using var memory = Filled(1);
        Example().Write(Target, file => MemoryFile.Write(file, memory));
        // A hole: its length is all that there is of it.
        using (var file = File.OpenWrite(Path.Combine(Target, "state"))) file.SetLength((256 << 20) + 1);
        var before = GC.GetTotalAllocatedBytes();

        var refused = Assert.Throws<MachineException>(() => SavedMachine.Read(Target));

        Assert.EndsWith($"{Path.Combine(Target, "state")} has {(256 << 20) + 1} bytes, and at most {256 << 20} are taken", refused.Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 64 << 20);
    }

    [Theory]
    [InlineData(4096, true)]
    [InlineData(4097, false)]
    public void A_state_has_so_many_parts_and_not_one_more(int count, bool isRead)
    {
        var state = (Example() with { Units = [.. Enumerable.Range(0, count).Select(n => new SavedUnit($"part {n}", new SavedKind("part", 1), Array.Empty<byte>()))] }).Encode();

        if (isRead) Assert.Equal(count, SavedMachine.Decode(state).Units.Count);
        else Assert.Contains("is there 4097 times, and 4096 are the most", Assert.Throws<StateException>(() => SavedMachine.Decode(state)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_of_another_size_is_refused()
    {
        using var memory = Filled(7);
        Example().Write(Target, file => MemoryFile.Write(file, memory));
        using (var file = File.OpenWrite(Path.Combine(Target, "memory"))) file.SetLength(file.Length - 1);

        var refused = Assert.Throws<MachineException>(() => new SavedStart(Target, SavedMachine.Read(Target)).OpenMemory(s_ranges));

        Assert.Contains($"memory holds {4 * MiB + 8191} bytes, and the machine's memory {4 * MiB + 8192}", refused.Message, StringComparison.Ordinal);
    }
}
