// The memory of saved machines as what is other in it than in an earlier one's: all of it comes back, whatever becomes of that one, machines go on from it, and what is damaged is refused in one sentence.
using System.Security.Cryptography;
using Lamina.Saving;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

public sealed class ChangedMemoryTests : IDisposable
{
    private const int HeadLength = 64, Part = 64 << 10;

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Earlier => _folder.In("earlier");

    private string Later => _folder.In("later");

    private string Pieces => Path.Combine(Later, "memory-pieces");

    public void Dispose() => _folder.Dispose();

    // A memory of 40 parts and a page, random but for its first two parts, and what becomes of it.
    private byte[] Write(Action<byte[]> change)
    {
        var content = new byte[(40 * Part) + 4096];
        new Random(1).NextBytes(content.AsSpan(2 * Part));
        WriteFolder(Earlier, content);
        change(content);
        WriteFolder(Later, content);
        return content;
    }

    private static void WriteFolder(string folder, byte[] content)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, "memory"), content);
    }

    private static void Some(byte[] content)
    {
        content[5] = 1;
        content.AsSpan(7 * Part, Part).Clear();
        content[(9 * Part) - 1] ^= 1;
        content[^1] ^= 1;
    }

    private static byte[] ReadAll(string folder)
    {
        using var memory = SavedMemory.Open(folder);
        var content = new byte[(memory.Length + SavedMemory.Piece - 1) / SavedMemory.Piece * SavedMemory.Piece];
        for (var i = 0; i < content.Length / SavedMemory.Piece; i++) memory.Read(i, content.AsSpan(i * SavedMemory.Piece, SavedMemory.Piece));
        return content[..(int)memory.Length];
    }

    [Fact]
    public void What_is_other_is_kept_and_the_rest_is_the_earlier_ones()
    {
        var content = Write(Some);

        Assert.Null(SavedMemory.KeepChanges(Later, Earlier));

        Assert.Equal(["memory-base", "memory-changes", "memory-pieces"], Directory.EnumerateFiles(Later).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        Assert.Equal(["memory-base", "memory-changes", "memory-pieces"], SavedMemory.FilesIn(Later).Order(StringComparer.Ordinal));
        Assert.Equal((true, false), (SavedMemory.IsChanges(Later), SavedMemory.IsCompressed(Later)));
        // 0 holds something now and 1 is zero as before, 7 is zero now, 8 and the last one are other.
        Assert.Equal([1, 0, 0, 0, 0, 0, 0, 255, 1, 0], File.ReadAllBytes(Pieces)[HeadLength..(HeadLength + 10)]);
        Assert.Equal(1, File.ReadAllBytes(Pieces)[^1]);
        Assert.Equal(content, ReadAll(Later));
    }

    [Fact]
    public void It_stays_whole_when_the_earlier_one_goes_and_others_are_based_on_that_as_well()
    {
        var content = Write(Some);
        Assert.Null(SavedMemory.KeepChanges(Later, Earlier));
        Directory.Delete(Earlier, recursive: true);
        var further = (byte[])content.Clone();
        further[20 * Part] ^= 1;
        WriteFolder(_folder.In("further"), further);

        Assert.Null(SavedMemory.KeepChanges(_folder.In("further"), Later));
        Directory.Delete(Later, recursive: true);

        Assert.Equal(further, ReadAll(_folder.In("further")));
    }

    [Fact]
    public void What_has_not_much_in_common_is_kept_whole_and_why_is_said()
    {
        var content = Write(content => new Random(2).NextBytes(content.AsSpan(0, 30 * Part)));

        Assert.Equal("more than a half of it is other than before", SavedMemory.KeepChanges(Later, Earlier));
        WriteFolder(_folder.In("short"), content[..(20 * Part)]);
        Assert.Equal("the memory before it was of another size", SavedMemory.KeepChanges(_folder.In("short"), Earlier));
        Directory.CreateDirectory(_folder.In("none"));
        Assert.Equal("there is no memory before it", SavedMemory.KeepChanges(Later, _folder.In("none")));
        SavedMemory.Compress(Earlier);
        Assert.Equal("the memory before it is compressed", SavedMemory.KeepChanges(Later, Earlier));
        SavedMemory.Compress(Later);
        Assert.Equal("it goes on from one that is not whole", SavedMemory.KeepChanges(Later, Earlier));

        Assert.Equal(["memory-packed"], Directory.EnumerateFiles(Later).Select(file => Path.GetFileName(file)));
    }

    // Each run is a mapping of the machine's process, which may have 65,530.
    [Fact]
    public void Changes_that_lie_scattered_are_kept_in_longer_runs()
    {
        var content = Write(content =>
        {
            foreach (var piece in (int[])[4, 6, 20]) content[piece * Part] ^= 1;
        });

        Assert.Null(ChangedMemory.TryWrite(Later, Path.Combine(Earlier, "memory"), mostRuns: 5));
        File.Delete(Path.Combine(Later, "memory"));

        var pieces = File.ReadAllBytes(Pieces)[HeadLength..];
        Assert.Equal([4, 5, 6, 7, 20, 21], Enumerable.Range(0, pieces.Length).Where(piece => pieces[piece] == 1));
        Assert.Equal(content, ReadAll(Later));
        WriteFolder(_folder.In("scattered"), content);
        Assert.Equal("more than a half of it is other than before", ChangedMemory.TryWrite(_folder.In("scattered"), Path.Combine(Earlier, "memory"), mostRuns: 2));
    }

    [Fact]
    public void What_is_damaged_is_said_in_a_sentence_that_names_it()
    {
        Write(Some);
        Assert.Null(SavedMemory.KeepChanges(Later, Earlier));
        var whole = File.ReadAllBytes(Pieces);
        string Refusal(byte[] content)
        {
            File.WriteAllBytes(Pieces, content);
            return Assert.Throws<MachineException>(() => ReadAll(Later)).Message.Replace(Later, "FOLDER", StringComparison.Ordinal);
        }
        byte[] Changed(int at, int change, bool seal = true)
        {
            var changed = (byte[])whole.Clone();
            changed[at] ^= (byte)change;
            if (seal) SHA256.HashData([.. changed.AsSpan(0, 32), .. changed.AsSpan(HeadLength)]).CopyTo(changed, 32);
            return changed;
        }

        const string Says = "the saved machine cannot be used: FOLDER/memory-pieces is ";
        Assert.Equal($"{Says}damaged: it begins as another kind of file", Refusal(Changed(3, 1)));
        Assert.Equal($"{Says}of format 3, and this program knows up to 1; use the program that saved it, or a newer one", Refusal(Changed(16, 2)));
        Assert.Equal($"{Says}damaged: it says of itself what cannot be", Refusal(Changed(16, 1)));
        Assert.Equal($"{Says}damaged: it says of itself what cannot be", Refusal(Changed(22, 0x80)));
        Assert.Equal($"{Says}damaged: it says of itself what cannot be", Refusal(Changed(31, 0x80)));
        Assert.Equal($"{Says}damaged: it says of itself what cannot be", Refusal(Changed(24, 1)));
        Assert.Equal($"{Says}damaged: it says of itself what cannot be", Refusal(Changed(HeadLength, 2)));
        Assert.Equal($"{Says}damaged: it is not as long as its list of pieces", Refusal(Changed(26, 4)));
        Assert.Equal($"{Says}damaged: it is not as long as its list of pieces", Refusal([.. whole, 0]));
        Assert.Equal($"{Says}damaged: it ends too early", Refusal(whole[..20]));
        Assert.Equal($"{Says}damaged: its list of pieces has another digest than it says", Refusal(Changed(HeadLength + 3, 1, seal: false)));
        // One page less, in as many pieces.
        Assert.Equal($"{Says}damaged: memory-base and memory-changes are not as long as it says", Refusal(Changed(25, 0x20)));
        File.WriteAllBytes(Pieces, whole);
        foreach (var name in (string[])["memory-changes", "memory-base"])
        {
            File.Delete(Path.Combine(Later, name));
            Assert.Equal($"the saved machine cannot be used: {Path.Combine(Later, name)}: it does not exist", Assert.Throws<MachineException>(() => ReadAll(Later)).Message);
        }
    }

    [Theory, InlineData(MachineType.Micro), InlineData(MachineType.Pc)]
    public async Task A_machine_goes_on_from_it_and_can_be_saved_and_copied_again(MachineType type)
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await using (var machine = Machine.Create(new MachineDefinition
        {
            Type = type,
            Boot = new BootSource { KernelPath = _folder.Kernel },
            MemoryBytes = 16 << 20,
            Engine = EngineChoice.Translator,
            Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }],
        }))
        {
            _ = machine.RunAsync(Token);
            Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
            await machine.PauseAsync(Token);
            await machine.SaveAsync(Earlier, Token);
            // What the guest itself has as good as nothing of: a page in the middle of the memory.
            Assert.True(machine.Memory.TryWrite(8 << 20, [1, 2, 3]));
            await machine.SaveAsync(Later, Token);
        }
        var before = SHA256.HashData(File.ReadAllBytes(Path.Combine(Later, "memory")));
        Assert.Null(SavedMemory.KeepChanges(Later, Earlier));
        Directory.Delete(Earlier, recursive: true);

        await using var again = Machine.Restore(Later);
        var run = again.RunAsync(Token);
        await again.SaveAsync(_folder.In("again"), Token);
        await again.Serial.WriteLineAsync("on", Token);

        Assert.Equal("on\nLamina\n# ", (await again.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal));
        Assert.Equal(before, SHA256.HashData(File.ReadAllBytes(Path.Combine(_folder.In("again"), "memory"))));
        Assert.False(run.IsCompleted);
        using var description = await again.DescribeAsync(Token);
        await using var copy = Machine.Wait(description, new MachineHooks(), definition => definition);
        using (var forked = await again.DoAsync(new MachineAction.Fork([], null), Token))
        {
            copy.TakeUp(forked);
            _ = copy.RunAsync(Token);
            await copy.Serial.WriteLineAsync("copy", Token);
            Assert.EndsWith("Lamina\n# ", (await copy.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal), StringComparison.Ordinal);
        }
    }
}
