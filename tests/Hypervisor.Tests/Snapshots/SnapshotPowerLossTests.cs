// The power fails at any moment while snapshots of a machine are taken, put back and removed: afterwards they can be listed, each is whole, those that were there before are there and can be gone on from, and the next
// one can be taken. LAMINA_FUZZ_CASES and LAMINA_FUZZ_SEED say how often and where to begin; ./test --all loses it a thousand times.
using System.Globalization;
using System.Security.Cryptography;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;
using Lamina.Saving;
using Xunit;

namespace Lamina.Tests.Hypervisor.Snapshots;

public sealed class SnapshotPowerLossTests : IDisposable
{
    private const int Usual = 100, All = 1000;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-power-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task After_a_power_loss_at_any_moment_the_tree_is_whole_and_every_complete_snapshot_restores()
    {
        FileTrace.SkipWhereMissing();
        var life = Directory.CreateDirectory(Path.Combine(_folder, "life")).FullName;
        SnapshotLife.Make(life);
        using (var copying = System.Diagnostics.Process.Start("cp", ["-a", life, Path.Combine(_folder, "made")])) await copying.WaitForExitAsync(Token);
        var calls = FileTrace.Run(Path.Combine(_folder, "log"), Environment.ProcessPath!, SnapshotLife.Word, life);
        Assert.Equal(["five", "four", "six"], SnapshotStore.List(SnapshotLife.Store(life).Find(SnapshotLife.Machine)).Select(snapshot => snapshot.Name).Order(StringComparer.Ordinal));
        string five = Path.Combine(life, "machines", SnapshotLife.Machine, "snapshots", "five"), six = Path.Combine(Path.GetDirectoryName(five)!, "six");
        Assert.Equal((true, true), (SavedMemory.IsCompressed(five), SavedMemory.IsChanges(six)));
        var memory = new Dictionary<string, string>(StringComparer.Ordinal) { ["two"] = Digest(five), ["five"] = Digest(five), ["six"] = Digest(six) };

        var losses = Read("LAMINA_FUZZ_CASES") ?? (Environment.GetEnvironmentVariable("LAMINA_TEST_ALL") == "1" ? All : Usual);
        var moments = 0;
        Replay(calls, (_, _, _) => moments++);
        var random = new Random(Read("LAMINA_FUZZ_SEED") ?? 0);
        var cuts = Enumerable.Range(0, losses).GroupBy(i => i < moments ? (int)((long)i * moments / Math.Min(losses, moments)) : random.Next(moments)).ToDictionary(cut => cut.Key, cut => cut.Count());
        var (moment, whole) = (0, 0);
        Replay(calls, (folder, there, mayBe) =>
        {
            for (var i = cuts.GetValueOrDefault(moment); i > 0; i--)
            {
                var place = Directory.CreateDirectory(Path.Combine(_folder, $"loss {moment} {i}")).FullName;
                folder.LosePower(place, random);
                Check(place, $"power loss {i} at change {moment} of {moments}", there, mayBe, memory).WaitAsync(Token).GetAwaiter().GetResult();
                Directory.Delete(place, recursive: true);
                whole += there.Length;
            }
            moment++;
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"{losses} losses of power among {moments} changes; {whole} complete snapshots looked at");
        Assert.True(whole > losses);

        void Replay(IReadOnlyList<string> calls, Action<RecordedFolder, string[], string[]> at) => SnapshotPowerLossTests.Replay(life, Path.Combine(_folder, "made"), calls, at);
    }

    // Gives the folder before each change, with the snapshots that are there then, and those that may be.
    private static void Replay(string life, string made, IReadOnlyList<string> calls, Action<RecordedFolder, string[], string[]> at)
    {
        var folder = new RecordedFolder(life);
        folder.TakeUp(made);
        var (there, mayBe) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<string>(StringComparer.Ordinal));
        FileTrace.Replay(folder, calls, mark =>
        {
            switch (mark?.Split(' '))
            {
                case [SnapshotLife.Takes, var name, SnapshotLife.Begins]:
                    mayBe.Add(name);
                    break;
                case [SnapshotLife.Takes, var name, SnapshotLife.Done]:
                    there.Add(name);
                    break;
                case [SnapshotLife.Removes, var name, SnapshotLife.Begins]:
                    there.Remove(name);
                    break;
                case [SnapshotLife.Removes, var name, SnapshotLife.Done]:
                    mayBe.Remove(name);
                    break;
                default:
                    at(folder, [.. there], [.. mayBe]);
                    break;
            }
        });
    }

    private static async Task Check(string place, string when, string[] there, string[] mayBe, Dictionary<string, string> memory)
    {
        try
        {
            var home = SnapshotLife.Store(place).Find(SnapshotLife.Machine);
            // The machine's own disk is there with everything below it.
            _ = SnapshotLife.ReadDisk(home);
            var names = SnapshotStore.List(home).Select(snapshot => snapshot.Name).ToArray();
            Assert.Empty(there.Except(names));
            Assert.Empty(names.Except(mayBe));
            foreach (var name in names)
            {
                var (disk, variables, hasMemory) = SnapshotLife.Kept[name];
                SnapshotStore.Restore(home, name);
                Assert.Equal((name, disk, variables), (name, SnapshotLife.ReadDisk(home), File.Exists(home.Variables) ? File.ReadAllBytes(home.Variables).Single() : null));
                Assert.Equal(hasMemory, SuspendRecord.Read(home) is not null);
                if (!hasMemory) continue;
                Assert.Equal(memory[name], Digest(Path.Combine(home.Snapshots, name)));
                await GoOnAsync(home);
            }
            await SnapshotStore.CreateAsync(home, "next", cancellationToken: Token);
            Assert.Equal([.. names.Append("next").Order(StringComparer.Ordinal)], Directory.EnumerateDirectories(home.Snapshots).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        }
        catch (Exception failure)
        {
            Assert.Fail($"{when}: {failure}");
        }
    }

    // As its process does.
    private static async Task GoOnAsync(MachineHome home)
    {
        var suspended = SuspendRecord.Read(home)!;
        suspended.CheckDisks(home, suspended.Moved(Machine.DefinitionOf(suspended.StateOf(home)), home));
        await using var machine = Machine.Restore(suspended.StateOf(home), null, saved => suspended.Moved(saved, home));
        var run = machine.RunAsync(Token);
        await machine.PauseAsync(Token);
        Assert.False(run.IsCompleted);
    }

    private static string Digest(string snapshot)
    {
        using var memory = SavedMemory.Open(snapshot);
        var content = new byte[memory.Length];
        for (var i = 0; i < content.Length / SavedMemory.Piece; i++) memory.Read(i, content.AsSpan(i * SavedMemory.Piece, SavedMemory.Piece));
        return Convert.ToHexString(SHA256.HashData(content));
    }

    private static int? Read(string variable) => Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
