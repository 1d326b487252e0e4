// The line of JSON that a migration begins with, and the line that answers it, changed at random: each is refused in one sentence, or taken. Nothing else happens to the process that reads
// it, which takes no more memory than such a line may, and nothing is left among the machines. LAMINA_FUZZ_CASES and LAMINA_FUZZ_SEED say how many and where to begin; ./test --all takes 100,000.
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Host.Io;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Migrating;
using Lamina.Hypervisor.Running;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Migrating;

// It measures what the process takes.
[Collection(Alone.Name)]
public sealed class MutatedHeadTests : IDisposable
{
    private const int Usual = 3000, All = 100_000;

    // What one line may have of the heap, beside what it is long itself: three images that are made may be a pebibyte long each, with 16 MiB of tables.
    private const long MostAllocated = 160 << 20;

    private const int LongestSentence = 2100;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static readonly string[] Texts = ["", "\0", "a\0b", "../../x", "/", "/etc/passwd", "disk.qcow2", "kernel", "web", "\ud800", "\u001b[2J", "user", "tap", "nbd://x/y", "any", "9999999999999999999", "on", "\n", new('a', 5000), new('é', 300), "{\"a\":1}", "file:/x", "unix:\0", "1T", "-1", "host,-x"];

    private static readonly string[] Values = ["null", "true", "false", "0", "-1", "1e308", "-1e400", "9223372036854775807", "9223372036854775808", "18446744073709551615", "1125899906842624", "1125899906842112", "4294967296", "0.5", "[]", "{}", "[[[[[[]]]]]]", "[null]", "\"\\u0000\""];

    // Characters that only escapes can say, and a half of one that is none.
    private static readonly string[] Escapes = ["\\u0000", "\\ud800", "\\u001b", "\\n", "\\/", "\\"];

    private static readonly DeviceDefinition[] Devices =
    [
        new DiskDevice { Path = "/srv/further.qcow2", Name = "further" }, new NetworkDevice { Link = new NetworkLink.Switch("/run/lan") { Vlan = 7 } }, new NetworkDevice { Link = new NetworkLink.User { Published = [PublishedPort.Parse("8080:80")] } },
        new ShareDevice { Path = "/srv/data", Tag = "data" }, new SerialDevice { To = new ConsoleTarget.Unix("/run/tty") }, new VsockDevice { Path = CarriedSpec.Sockets },
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-heads-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Each_head_is_refused_in_one_sentence_and_nothing_is_left_of_it()
    {
        var store = new MachineStore(Path.Combine(_folder, "machines"));
        // What could be started is not there.
        var receiver = new MachineReceiver(new MachineLauncher(Path.Combine(_folder, "no-program")), store);
        var further = Path.Combine(_folder, "further.qcow2");
        var places = ArrivalPlaces.Parse([$"further,path={further}", $"network0,path={Path.Combine(_folder, "lan")}", $"share0,path={_folder}", "serial0,to=null"], []);
        var head = await HeadAsync();
        var (whole, common) = (0, new HashSet<string>());
        await RunAsync("head", async random =>
        {
            var bytes = Mutated(head, random);
            using var peer = new DuplexStream(new MemoryStream([.. bytes, .. "kernel"u8]), new MemoryStream());
            var sentence = await RefusalAsync(() => receiver.ReceiveAsync(peer, null, places, Token));
            Assert.NotNull(sentence);
            if (sentence.Contains("no-program", StringComparison.Ordinal)) whole++;
            common.Add(sentence);
            Assert.Empty(Directory.Exists(store.Folder) ? Directory.EnumerateDirectories(store.Folder) : []);
            Assert.Equal([], Directory.EnumerateFiles(_folder));
            return bytes.Length;
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"{common.Count} sentences, {whole} heads of which a machine was to be made");
        Assert.True(whole > 0 && common.Count > 20, $"{common.Count} sentences, {whole} taken");
    }

    [Fact]
    public Task Each_answer_is_a_refusal_in_one_sentence_or_none() => RunAsync("answer", async random =>
    {
        var bytes = Mutated(random.Next(2) == 0 ? "{\"ok\":null}" : "{\"error\":\"busy\",\"message\":\"there is a machine web already\"}", random);
        using var peer = new MemoryStream([.. bytes, .. "\n{\"ok\":null}\n"u8]);
        _ = await RefusalAsync(() => MigrationHead.AnsweredAsync(peer, Token));
        return bytes.Length;
    });

    private static async Task RunAsync(string what, Func<Random, Task<int>> tryOne)
    {
        var (first, count) = (Number("LAMINA_FUZZ_SEED") ?? 0, Number("LAMINA_FUZZ_CASES") ?? (Environment.GetEnvironmentVariable("LAMINA_TEST_ALL") == "1" ? All : Usual));
        for (var seed = first; seed < first + count; seed++)
        {
            try
            {
                var allocated = GC.GetTotalAllocatedBytes();
                var length = await tryOne(new Random(seed)).WaitAsync(Patience, Token);
                allocated = GC.GetTotalAllocatedBytes() - allocated;
                Assert.True(allocated < MostAllocated + 100L * length, $"{length} bytes had {allocated}");
            }
            catch (Exception failure) when (failure is not OperationCanceledException)
            {
                Assert.Fail($"{what}, seed {seed}: {failure}");
            }
        }
    }

    // Null where it is none.
    private static async Task<string?> RefusalAsync(Func<Task> what)
    {
        try
        {
            await what();
            return null;
        }
        catch (Exception refused) when (refused is MachineException or IOException)
        {
            Assert.True(refused.Message.Length is > 0 and < LongestSentence, $"a sentence of {refused.Message.Length} characters");
            return refused.Message;
        }
    }

    private static async Task<string> HeadAsync()
    {
        var definition = new MachineDefinition { Boot = new BootSource { KernelPath = CarriedSpec.Kernel, CommandLine = "console=ttyS0" }, MemoryBytes = 64 << 20, Cpus = 2, Engine = EngineChoice.Translator, Devices = Devices };
        using var peer = new MemoryStream();
        await new MigrationHead("web", "/srv/machines/web", definition, definition, [(CarriedSpec.Kernel, 6)], 1 << 20, [("further", 1 << 20)]).WriteAsync(peer, Token);
        return Encoding.UTF8.GetString(peer.ToArray()).TrimEnd('\n');
    }

    // A line, or what is none.
    private static byte[] Mutated(string line, Random random)
    {
        if (random.Next(3) == 0) return Bytes(Encoding.UTF8.GetBytes(line), random);
        var root = JsonNode.Parse(line)!;
        for (var changes = random.Next(1, 4); changes > 0; changes--) Change(root, random);
        var text = root.ToJsonString(new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        if (random.Next(4) == 0 && text.Length > 0) text = text.Insert(random.Next(text.Length), Escapes[random.Next(Escapes.Length)]);
        return [.. Encoding.UTF8.GetBytes(text.ReplaceLineEndings("")), (byte)'\n'];
    }

    private static void Change(JsonNode root, Random random)
    {
        var places = Places(root).ToList();
        if (places.Count == 0) return;
        var (parent, key) = places[random.Next(places.Count)];
        var value = random.Next(3) switch
        {
            0 => JsonValue.Create(Texts[random.Next(Texts.Length)]),
            1 => Read(Values[random.Next(Values.Length)]),
            _ => places[random.Next(places.Count)] is var other ? (other.Parent is JsonObject from ? from[(string)other.Key] : ((JsonArray)other.Parent)[(int)other.Key])?.DeepClone() : null,
        };
        switch (parent, random.Next(5))
        {
            case (JsonObject it, 0):
                it.Remove((string)key);
                break;
            case (JsonObject it, 1):
                it[Texts[random.Next(Texts.Length)]] = value;
                break;
            case (JsonObject it, _):
                it[(string)key] = value;
                break;
            case (JsonArray it, 0):
                it.RemoveAt((int)key);
                break;
            case (JsonArray it, 1):
                for (var more = random.Next(1, 300); more > 0; more--) it.Add(value?.DeepClone());
                break;
            case (JsonArray it, _):
                it[(int)key] = value;
                break;
            default:
                break;
        }
    }

    // What JSON can say and this form of it cannot is left to changes of bytes.
    private static JsonNode? Read(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static IEnumerable<(JsonNode Parent, object Key)> Places(JsonNode node)
    {
        IEnumerable<(object Key, JsonNode? Child)> children = node switch
        {
            JsonObject it => it.Select(pair => ((object)pair.Key, pair.Value)),
            JsonArray it => it.Select((child, index) => ((object)index, child)),
            _ => [],
        };
        foreach (var (key, child) in children)
        {
            yield return (node, key);
            if (child is not null)
                foreach (var place in Places(child)) yield return place;
        }
    }

    private static byte[] Bytes(byte[] line, Random random)
    {
        var bytes = line.ToList();
        for (var changes = random.Next(1, 6); changes > 0 && bytes.Count > 1; changes--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 40), bytes.Count - at));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 200), bytes.Count - at)));
                    break;
                case 4:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(random.Next(2) == 0 ? Values[random.Next(Values.Length)] : Escapes[random.Next(Escapes.Length)]));
                    break;
                default:
                    bytes.InsertRange(at, Enumerable.Repeat("[{\" "u8[random.Next(4)], random.Next(1, 300)));
                    break;
            }
        }
        // One that is cut has no end.
        return random.Next(8) == 0 ? [.. bytes] : [.. bytes, (byte)'\n'];
    }

    private static int? Number(string variable) => Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
