// What is kept of a machine, changed at random: cut off, overwritten, with a digest that fits again, with parts that are other than they were.
// Each is refused in a sentence, or makes a machine that runs and ends; nothing else happens to the process, which takes no more memory than
// the machine may have. LAMINA_FUZZ_CASES and LAMINA_FUZZ_SEED say how many and where to begin;
// ./test --all takes 2,000.
using System.Security.Cryptography;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Saving;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

public sealed class MutatedStateTests : IDisposable
{
    private const int Usual = 120, All = 2000;

    // Of the guest's RAM, and what this process may take beside it for a machine.
    private const ulong Ram = 16 << 20;
    private const long MostBeside = 512 << 20;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Each_is_refused_in_a_sentence_or_makes_a_machine()
    {
        var (first, count) = (FuzzLength.Seed, FuzzLength.Cases(Usual, All));
        var saved = await SaveAsync();
        var (state, memory) = (await File.ReadAllBytesAsync(Path.Combine(saved, "state"), Token), await File.ReadAllBytesAsync(Path.Combine(saved, "memory"), Token));
        var (refused, made) = (0, 0);
        var most = Environment.WorkingSet + MostBeside;
        for (var seed = first; seed < first + count; seed++)
        {
            var random = new Random(seed);
            var folder = _folder.In($"case {seed}");
            Directory.CreateDirectory(folder);
            await File.WriteAllBytesAsync(Path.Combine(folder, "state"), Mutate(state, random), Token);
            await File.WriteAllBytesAsync(Path.Combine(folder, "memory"), random.Next(8) == 0 ? memory[..random.Next(memory.Length)] : memory, Token);
            try
            {
                if (await RunAsync(folder).WaitAsync(Patience, Token) is { } sentence)
                {
                    Assert.True(sentence.Length > 0 && !sentence.Contains('\n', StringComparison.Ordinal), $"seed {seed}: {sentence}");
                    refused++;
                }
                else made++;
            }
            catch (Exception failure) when (failure is not OperationCanceledException)
            {
                Assert.Fail($"seed {seed}: {failure}");
            }
            Assert.True(Environment.WorkingSet < most, $"seed {seed}: this process has {Environment.WorkingSet >> 20} MiB");
            Directory.Delete(folder, recursive: true);
        }
        Assert.True(count < Usual || refused > count / 4 && made > 0, $"{refused} refused, {made} made");
    }

    // The sentence that it is refused with, or ends with; null for one that runs.
    private static async Task<string?> RunAsync(string folder)
    {
        try
        {
            await using var machine = Machine.Restore(folder);
            var run = machine.RunAsync(Token);
            // It answers, does something else, or nothing: all of that is a machine.
            var typed = machine.Serial.WriteLineAsync("x", Token);
            await Task.WhenAny(run, machine.PauseAsync(Token));
            if (run.IsCompleted && await run is { End: MachineEnd.Failed } failed) return failed.Message;
            return null;
        }
        catch (MachineException none)
        {
            return none.Message;
        }
    }

    private static byte[] Mutate(byte[] state, Random random)
    {
        switch (random.Next(6))
        {
            case 0:
                return Overwritten(state, random);
            case 1:
                return Sealed(state[..random.Next(state.Length)]);
            case 2:
            case 3:
                return Sealed(Overwritten(state[..^SHA256.HashSizeInBytes], random), isCut: true);
            default:
                var machine = SavedMachine.Decode(state);
                var units = machine.Units.ToList();
                for (var changes = random.Next(1, 4); changes > 0 && units.Count > 1; changes--)
                {
                    var at = random.Next(units.Count);
                    if (random.Next(10) == 0) units.RemoveAt(at);
                    else units[at] = new SavedUnit(units[at].Name, units[at].Kind, Overwritten(units[at].Fields.ToArray(), random));
                }
                return (machine with { Units = units }).Encode();
        }
    }

    private static byte[] Overwritten(byte[] content, Random random)
    {
        var changed = (byte[])content.Clone();
        for (var changes = random.Next(1, 6); changes > 0 && changed.Length > 0; changes--)
            changed[random.Next(changed.Length)] = random.Next(3) switch { 0 => 0, 1 => 0xff, _ => (byte)random.Next(256) };
        return changed;
    }

    // With a digest that fits.
    private static byte[] Sealed(byte[] content, bool isCut = false)
    {
        var fields = isCut || content.Length < SHA256.HashSizeInBytes ? content : content[..^SHA256.HashSizeInBytes];
        return [.. fields, .. SHA256.HashData(fields)];
    }

    private async Task<string> SaveAsync()
    {
        await File.WriteAllBytesAsync(_folder.Kernel, EchoGuest.Image, Token);
        Directory.CreateDirectory(_folder.In("share"));
        await File.WriteAllBytesAsync(_folder.In("disk.raw"), new byte[1 << 20], Token);
        await using var machine = Machine.Create(new MachineDefinition
        {
            Boot = new BootSource { KernelPath = _folder.Kernel },
            MemoryBytes = Ram,
            Cpus = 2,
            Engine = EngineChoice.Translator,
            Devices =
            [
                new SerialDevice { To = new ConsoleTarget.Memory() }, new BalloonDevice(), new NetworkDevice(), new RngDevice(), new ConsoleDevice { To = new ConsoleTarget.Null() },
                new VsockDevice { Path = _folder.In("vsock") }, new ShareDevice { Path = _folder.In("share"), Tag = "data" }, new DiskDevice { Path = _folder.In("disk.raw"), Format = ImageFormat.Raw },
            ],
        });
        _ = machine.RunAsync(Token);
        await machine.Serial.ReadUntilAsync("# ", Token);
        await machine.SaveAsync(_folder.In("saved"), Token);
        return _folder.In("saved");
    }
}
