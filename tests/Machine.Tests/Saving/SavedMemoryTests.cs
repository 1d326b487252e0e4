// The memory of saved machines, compressed: all of it comes back, machines go on from it, and what is damaged is refused in one sentence.
using System.Buffers.Binary;
using System.Security.Cryptography;
using Lamina.Saving;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

public sealed class SavedMemoryTests : IDisposable
{
    private const int HeadLength = 64, EntryLength = 36;

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    private string Packed => _folder.In("memory-packed");

    private string Folder => Path.GetDirectoryName(_folder.In("x"))!;

    // Pieces that are zero, that become shorter, that do not, and a last one that is not whole.
    private byte[] Compress()
    {
        var content = new byte[(4 * SavedMemory.Piece) + 4096];
        content.AsSpan(SavedMemory.Piece + 5000, 300).Fill(7);
        new Random(1).NextBytes(content.AsSpan(2 * SavedMemory.Piece, SavedMemory.Piece));
        content[^1] = 9;
        _folder.File("memory", content);
        SavedMemory.Compress(Folder);
        return content;
    }

    private byte[] ReadAll()
    {
        using var memory = SavedMemory.Open(Folder);
        var content = new byte[(memory.Length + SavedMemory.Piece - 1) / SavedMemory.Piece * SavedMemory.Piece];
        for (var i = 0; i < content.Length / SavedMemory.Piece; i++) memory.Read(i, content.AsSpan(i * SavedMemory.Piece, SavedMemory.Piece));
        return content[..(int)memory.Length];
    }

    // What stands in the list of pieces is true: what is tried is what stands behind it.
    private static void Seal(byte[] packed)
    {
        var table = EntryLength * (int)((BinaryPrimitives.ReadUInt64LittleEndian(packed.AsSpan(24)) + SavedMemory.Piece - 1) / SavedMemory.Piece);
        SHA256.HashData([.. packed.AsSpan(0, 32), .. packed.AsSpan(HeadLength, table)]).CopyTo(packed, 32);
    }

    private string? Refusal(byte[] packed)
    {
        File.WriteAllBytes(Packed, packed);
        return Assert.Throws<MachineException>(ReadAll).Message.Replace(Packed, "FILE", StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_compressed_is_another_file_with_the_same_in_it_and_stays_as_it_is_a_second_time()
    {
        var content = Compress();

        Assert.Equal((false, true), (File.Exists(_folder.In("memory")), SavedMemory.IsCompressed(Folder)));
        var length = new FileInfo(Packed).Length;
        Assert.InRange(length, HeadLength + (5 * EntryLength) + SavedMemory.Piece, HeadLength + (5 * EntryLength) + SavedMemory.Piece + 2000);
        Assert.Equal(content, ReadAll());
        SavedMemory.Compress(Folder);
        Assert.Equal((length, "memory-packed"), (new FileInfo(Packed).Length, SavedMemory.FilesIn(Folder).Single()));
    }

    [Fact]
    public void Behind_the_end_there_are_zeros()
    {
        Compress();
        using var memory = SavedMemory.Open(Folder);
        var piece = new byte[SavedMemory.Piece];

        foreach (var number in (int[])[5, 5000])
        {
            piece.AsSpan().Fill(1);
            memory.Read(number, piece);
            Assert.False(piece.AsSpan().ContainsAnyExcept((byte)0));
        }
    }

    [Fact]
    public void What_is_damaged_is_said_in_a_sentence_that_names_it()
    {
        Compress();
        var whole = File.ReadAllBytes(Packed);
        byte[] Changed(int at, int change, bool seal = true)
        {
            var changed = (byte[])whole.Clone();
            changed[at] ^= (byte)change;
            if (seal) Seal(changed);
            return changed;
        }

        Assert.Equal("the saved machine cannot be used: FILE is damaged: it begins as another kind of file", Refusal(Changed(3, 1)));
        Assert.Equal("the saved machine cannot be used: FILE is of format 3, and this program knows up to 1; use the program that saved it, or a newer one", Refusal(Changed(16, 2)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it says of itself what cannot be", Refusal(Changed(16, 1)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it says of itself what cannot be", Refusal(Changed(22, 1)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it says of itself what cannot be", Refusal(Changed(30, 1, seal: false)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it ends too early", Refusal(Changed(28, 0x80, seal: false)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: its list of pieces has another digest than it says", Refusal(Changed(HeadLength + 50, 1, seal: false)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: piece 1 is longer than what it holds", Refusal(Changed(HeadLength + EntryLength + 3, 0x80)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: piece 4 is longer than what it holds", Refusal(Changed(HeadLength + (4 * EntryLength) + 1, 0x20)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it is not as long as its pieces", Refusal(Changed(HeadLength + EntryLength, 1)));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it is not as long as its pieces", Refusal([.. whole, 0]));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it is not as long as its pieces", Refusal(whole[..^1]));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it ends too early", Refusal(whole[..100]));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: it ends too early", Refusal([]));
        Assert.Equal("the saved machine cannot be used: FILE is damaged: piece 2 has another digest than it says", Refusal(Changed(whole.Length - 5000, 1)));
        // A frame that is none, of which the digest is right.
        var frame = HeadLength + (5 * EntryLength);
        var other = Changed(frame, 0xff);
        SHA256.HashData(other.AsSpan(frame, BinaryPrimitives.ReadInt32LittleEndian(other.AsSpan(HeadLength + EntryLength)))).CopyTo(other, HeadLength + EntryLength + 4);
        Seal(other);
        Assert.Equal("the saved machine cannot be used: FILE is damaged: piece 1 cannot be decompressed", Refusal(other));
        File.Delete(Packed);
        Assert.Equal($"the saved machine cannot be used: {_folder.In("memory")}: it does not exist", Assert.Throws<MachineException>(ReadAll).Message);
    }

    [Theory, InlineData(MachineType.Micro), InlineData(MachineType.Pc)]
    public async Task A_machine_goes_on_from_it_and_can_be_saved_again(MachineType type)
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var plain = _folder.In("plain");
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
            await machine.SaveAsync(plain, Token);
        }
        var before = SHA256.HashData(File.ReadAllBytes(Path.Combine(plain, "memory")));
        SavedMemory.Compress(plain);

        await using var again = Machine.Restore(plain);
        var run = again.RunAsync(Token);
        await again.SaveAsync(_folder.In("again"), Token);
        await again.Serial.WriteLineAsync("on", Token);

        Assert.Equal("on\nLamina\n# ", (await again.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal));
        // It waits for its serial port, and writes nothing meanwhile.
        Assert.Equal(before, SHA256.HashData(File.ReadAllBytes(Path.Combine(_folder.In("again"), "memory"))));
        await using var further = Machine.Restore(_folder.In("again"));
        _ = further.RunAsync(Token);
        await further.Serial.WriteLineAsync("further", Token);
        Assert.EndsWith("Lamina\n# ", (await further.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.False(run.IsCompleted);
    }

    [Fact]
    public async Task Memory_of_another_length_than_the_machines_is_refused()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var saved = _folder.In("saved");
        await using (var machine = Machine.Create(new MachineDefinition { Boot = new BootSource { KernelPath = _folder.Kernel }, MemoryBytes = 16 << 20, Engine = EngineChoice.Translator, Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }] }))
        {
            _ = machine.RunAsync(Token);
            Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
            await machine.SaveAsync(saved, Token);
        }
        File.WriteAllBytes(Path.Combine(saved, "memory"), File.ReadAllBytes(Path.Combine(saved, "memory"))[..^4096]);
        SavedMemory.Compress(saved);

        var refused = Assert.Throws<MachineException>(() => Machine.Restore(saved));

        Assert.Equal($"the saved machine cannot be used: {Path.Combine(saved, "memory-packed")} holds {(16 << 20) - 4096} bytes, and the machine's memory {16 << 20}", refused.Message);
    }
}
