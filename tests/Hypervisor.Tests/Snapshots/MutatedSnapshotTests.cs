// What is kept of a machine in its snapshots, changed at random: bits, ends, fields, files that are gone, that are others, or that are none. Whatever is asked of the machine then ends, with what was asked for or in one sentence; nothing else
// happens to the process, which takes no more memory than the machine was started with. LAMINA_FUZZ_CASES and LAMINA_FUZZ_SEED say how many and where to begin; ./test --all takes 2,000.
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.Host;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Snapshots;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Snapshots;

// It measures what the process takes.
[Collection(Alone.Name)]
public sealed partial class MutatedSnapshotTests : IDisposable
{
    private const int Usual = 150, All = 2000;

    // Firmware's variables may have 16 MiB, and are read and written by each of what is done.
    private const long MostAllocated = 256 << 20, MostResident = 512 << 20, MostMapped = 4L << 30;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    // Numbers that are at an end, and values of another kind.
    private static readonly string[] s_values =
        ["0", "1", "2", "-1", "2147483647", "2147483648", "4294967296", "9223372036854775807", "18446744073709551615", "1e308", "0.5", "null", "true", "false", "\"\"", "\"x\"", "[]", "{}", "[[[[[[]]]]]]", "\"\\u001b[2J\\n\"", "\"../../../../etc/passwd\"", "\"/dev/zero\"", "\"16 EiB\"", "\"1 TiB\""];

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-mutated-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Whatever_is_changed_ends_in_one_sentence_or_is_no_harm()
    {
        var count = Read("LAMINA_FUZZ_CASES") ?? (Environment.GetEnvironmentVariable("LAMINA_TEST_ALL") == "1" ? All : Usual);
        var first = Read("LAMINA_FUZZ_SEED") ?? 0;
        var whole = Directory.CreateDirectory(Path.Combine(_folder, "whole")).FullName;
        SnapshotLife.Make(whole);
        await SnapshotLife.RunAsync(whole, upTo: "three", cancellationToken: Token);
        Assert.Empty(await UseAsync(Copy(whole, "as it is"), "two"));
        var compressed = Directory.CreateDirectory(Path.Combine(_folder, "compressed")).FullName;
        SnapshotLife.Make(compressed);
        await SnapshotLife.RunAsync(compressed, upTo: "three", second: SnapshotMemory.Compressed, cancellationToken: Token);
        Assert.Empty(await UseAsync(Copy(compressed, "as it is, compressed"), "two"));
        var changes = Directory.CreateDirectory(Path.Combine(_folder, "changes")).FullName;
        SnapshotLife.Make(changes);
        await SnapshotLife.RunAsync(changes, upTo: "three", second: SnapshotMemory.Changes, cancellationToken: Token);
        Assert.Empty(await UseAsync(Copy(changes, "as it is, changes"), "two"));
        var (refused, taken) = (0, 0);
        var (resident, mapped) = (Status("VmRSS") + MostResident, Status("VmPeak") + MostMapped);
        for (var seed = first; seed < first + count; seed++)
        {
            var random = new Random(seed);
            var home = Copy((seed % 3) switch { 0 => compressed, 1 => changes, _ => whole }, $"case {seed}");
            var what = Mutate(home, random);
            var allocated = GC.GetTotalAllocatedBytes();
            try
            {
                var sentences = await UseAsync(home, random.Next(4) == 0 ? "one" : "two").WaitAsync(Patience, Token);
                foreach (var sentence in sentences) Assert.True(sentence.Length is > 0 and < 3000 && !sentence.Any(char.IsControl), $"seed {seed}, {what}: {sentence}");
                if (sentences.Count > 0) refused++;
                else taken++;
            }
            catch (Exception failure) when (failure is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"seed {seed}, {what}: {failure}");
            }
            allocated = GC.GetTotalAllocatedBytes() - allocated;
            Assert.True(allocated < MostAllocated && Status("VmRSS") < resident && Status("VmPeak") < mapped, $"seed {seed}, {what}: {allocated} bytes, {Status("VmRSS") >> 20} MiB, {Status("VmPeak") >> 20} MiB of address space");
            Directory.Delete(Path.GetDirectoryName(Path.GetDirectoryName(home.Folder)!)!, recursive: true);
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{count} cases: {refused} refused, {taken} taken");
        Assert.True(count < Usual || refused > count / 4 && taken > 0, $"{refused} refused, {taken} taken");
    }

    // What is done with a machine that has snapshots: each of it by itself. The sentences that it is refused with.
    private static async Task<List<string>> UseAsync(MachineHome home, string name)
    {
        var sentences = new List<string>();
        // Whatever has become of one, all are listed.
        Assert.Equal(["one", "three", "two"], SnapshotStore.List(home).Select(snapshot => snapshot.Name).Order(StringComparer.Ordinal));
        await TryAsync(() => Task.FromResult(SnapshotStore.CurrentOf(home)));
        await TryAsync(() => Task.FromResult(SnapshotStore.SpaceOf(home, SnapshotStore.Find(home, name))));
        await TryAsync(() => Task.FromResult(SnapshotDifference.Between(home, SnapshotStore.Find(home, "one"), SnapshotStore.Find(home, "two"))));
        await TryAsync(async () =>
        {
            SnapshotStore.Restore(home, name);
            _ = SnapshotLife.ReadDisk(home);
            if (SuspendRecord.Read(home) is { } suspended) await GoOnAsync(home, suspended);
            return true;
        });
        await TryAsync(() => SnapshotStore.CreateAsync(home, "next", cancellationToken: Token));
        await TryAsync(() =>
        {
            SuspendRecord.Drop(home);
            SnapshotStore.Remove(home, name);
            return Task.FromResult(true);
        });
        return sentences;

        async Task TryAsync<T>(Func<Task<T>> work)
        {
            try
            {
                _ = await work();
            }
            catch (Exception refused) when (refused is MachineException or IOException or UnauthorizedAccessException)
            {
                sentences.Add(refused.Message);
            }
        }
    }

    // As whoever starts it does, and then its process.
    private static async Task GoOnAsync(MachineHome home, SuspendRecord suspended)
    {
        var definition = suspended.Moved(Machine.DefinitionOf(suspended.StateOf(home)), home);
        HostClaim.Check(home, MachineFile.ReadStarted(home), definition);
        suspended.CheckDisks(home, definition);
        await using var machine = Machine.Restore(suspended.StateOf(home), null, saved => suspended.Moved(saved, home));
        var run = machine.RunAsync(Token);
        await Task.WhenAny(run, machine.PauseAsync(Token));
        if (run.IsCompleted && await run is { End: MachineEnd.Failed, Message: { } why }) throw new MachineException(why);
    }

    private static string Mutate(MachineHome home, Random random)
    {
        var (one, two) = (Path.Combine(home.Snapshots, "one"), Path.Combine(home.Snapshots, "two"));
        string[] files = [.. Directory.EnumerateFiles(two).Order(StringComparer.Ordinal), .. Directory.EnumerateFiles(one).Order(StringComparer.Ordinal), .. home.Layers, Path.Combine(home.Snapshots, ".current")];
        // What a person or a program would look at is changed more often.
        string[] records = [.. files.Where(file => Path.GetExtension(file) == ".json")];
        var path = random.Next(3) == 0 ? records[random.Next(records.Length)] : random.Next(3) == 0 ? Path.Combine(two, "state") : files[random.Next(files.Length)];
        var content = File.ReadAllBytes(path);
        var kind = random.Next(14);
        var what = $"{Path.GetRelativePath(home.Folder, path)}, change {kind}";
        File.Delete(path);
        switch (kind)
        {
            case 0:
                break;
            case 1:
                File.WriteAllBytes(path, content[..random.Next(content.Length + 1)]);
                break;
            case 2:
                File.WriteAllBytes(path, [.. content, .. new byte[random.Next(1, 9000)]]);
                break;
            case 3:
                var other = files[random.Next(files.Length)];
                if (other == path) File.WriteAllBytes(path, []);
                else File.Copy(other, path);
                break;
            case 4:
                File.CreateSymbolicLink(path, random.Next(2) == 0 ? "/dev/zero" : files.First(file => file != path));
                break;
            case 5:
                Directory.CreateDirectory(path);
                break;
            case 6:
                using (var made = System.Diagnostics.Process.Start("mkfifo", [path])) made.WaitForExit();
                break;
            case 7 or 8 or 9 or 10 when Path.GetExtension(path) == ".json":
                File.WriteAllText(path, Rewritten(Encoding.UTF8.GetString(content), random));
                break;
            case 7 or 8 or 9 when Path.GetFileName(path) == "state":
                File.WriteAllBytes(path, Sealed(Overwritten(content[..^SHA256.HashSizeInBytes], random)));
                break;
            case 7 or 8 or 9 when Path.GetFileName(path) == "memory-pieces":
                File.WriteAllBytes(path, SealedPieces(Overwritten(content, random)));
                break;
            default:
                File.WriteAllBytes(path, Overwritten(content, random));
                break;
        }
        return what;
    }

    // A value, or a whole field, of what is JSON still, or nearly.
    private static string Rewritten(string text, Random random)
    {
        var values = Values().Matches(text);
        var value = values[random.Next(values.Count)];
        var with = s_values[random.Next(s_values.Length)];
        return random.Next(8) switch
        {
            0 => "[" + text + "]",
            1 => new string('[', random.Next(2000)) + text,
            2 => JsonNode.Parse(text) is JsonObject root && root.Remove(root.ElementAt(random.Next(root.Count)).Key) ? root.ToJsonString() : text,
            3 => text.Insert(text.LastIndexOf('}'), $", \"{(char)random.Next('a', 'z')}\\u001b\": {with}"),
            _ => string.Concat(text.AsSpan(0, value.Index), ": ", with, text.AsSpan(value.Index + value.Length)),
        };
    }

    private static byte[] Overwritten(byte[] content, Random random)
    {
        var changed = (byte[])content.Clone();
        for (var changes = random.Next(1, 6); changes > 0 && changed.Length > 0; changes--)
        {
            var at = random.Next(random.Next(2) == 0 ? Math.Min(changed.Length, 200) : changed.Length);
            changed[at] = random.Next(4) switch { 0 => 0, 1 => 0xff, 2 => (byte)(changed[at] ^ 1 << random.Next(8)), _ => (byte)random.Next(256) };
        }
        return changed;
    }

    private static byte[] Sealed(byte[] fields) => [.. fields, .. SHA256.HashData(fields)];

    // docs/saved-state.md, "memory-pieces": the digest is of what lies around it.
    private static byte[] SealedPieces(byte[] content)
    {
        SHA256.HashData([.. content.AsSpan(0, 32), .. content.AsSpan(64)]).CopyTo(content, 32);
        return content;
    }

    // By second names: what changes a file puts another one in its place.
    private MachineHome Copy(string whole, string name)
    {
        CopyFolder(whole, Path.Combine(_folder, name));
        return SnapshotLife.Store(Path.Combine(_folder, name)).Find(SnapshotLife.Machine);

        static void CopyFolder(string from, string to)
        {
            Directory.CreateDirectory(to);
            foreach (var file in Directory.EnumerateFiles(from)) Assert.True(HostFiles.TryLink(file, Path.Combine(to, Path.GetFileName(file))));
            foreach (var folder in Directory.EnumerateDirectories(from)) CopyFolder(folder, Path.Combine(to, Path.GetFileName(folder)));
        }
    }

    private static int? Read(string variable) => Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;

    // proc_pid_status(5)
    private static long Status(string what) =>
        long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith(what + ":", StringComparison.Ordinal))[(what.Length + 1)..^2], NumberStyles.Integer, CultureInfo.InvariantCulture) << 10;

    [GeneratedRegex(@": (?:""[^""]*""|[-\d.]+|true|false|null)")]
    private static partial Regex Values();
}
