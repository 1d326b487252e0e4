// What comes over a migration's link, changed at random: it is refused in one sentence, or makes a machine that runs and ends. Nothing else happens to the process that
// takes it in, which takes no more memory than the machine may have that was announced. LAMINA_FUZZ_CASES and LAMINA_FUZZ_SEED say how many and where to begin; ./test --all
// takes 100,000.
using System.Globalization;
using Lamina.Backends.Disk;
using Lamina.Host;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Migration;

// It measures what the process takes.
[Collection(Alone.Name)]
public sealed class MutatedStreamTests : IDisposable
{
    private const int Usual = 300, All = 100_000;
    private const ulong Ram = 16 << 20, DiskLength = 1 << 20;

    // What one stream may have of this process's heap, and all of them of its memory and of its address space, beside what the first ones had. What a stream claims
    // is far beyond it.
    private const long MostAllocated = 32 << 20, MostResident = 512 << 20, MostMapped = 4L << 30;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public MutatedStreamTests() => File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Each_is_refused_in_one_sentence_or_makes_a_machine()
    {
        var count = FuzzLength.Cases(Usual, All);
        var stream = await RecordAsync(Definition("from.qcow2"));
        var mutations = new StreamMutations(stream, await RecordAsync(Definition("from.qcow2") with { MemoryBytes = 2 * Ram, Cpus = 2 }));
        var following = StreamMutations.Following(stream);
        var followingMutations = new StreamMutations(following, stream);
        for (var i = 0; i < 3; i++) Assert.Null(await TakeAsync(stream));
        using (var faults = PageFaults.TryOpen(out _))
            if (faults is not null) Assert.Null(await TakeAsync(following));
        var (refused, made) = (0, 0);
        var (resident, mapped) = (Status("VmRSS") + MostResident, Status("VmPeak") + MostMapped);
        for (var seed = FuzzLength.Seed; seed < FuzzLength.Seed + count; seed++)
        {
            var bytes = (seed % 3 == 0 ? followingMutations : mutations).Next(new Random(seed));
            var allocated = GC.GetTotalAllocatedBytes();
            try
            {
                if (await TakeAsync(bytes).WaitAsync(Patience, Token) is { } sentence)
                {
                    Assert.True(sentence.Length is > 0 and < 3000 && !sentence.Any(char.IsControl), $"seed {seed}: {sentence}");
                    refused++;
                }
                else made++;
            }
            catch (Exception failure) when (failure is not (OperationCanceledException or Xunit.Sdk.XunitException))
            {
                Assert.Fail($"seed {seed}: {failure}");
            }
            allocated = GC.GetTotalAllocatedBytes() - allocated;
            Assert.True(allocated < MostAllocated + 4 * bytes.Length, $"seed {seed}: a stream of {bytes.Length} bytes had {allocated}");
            Assert.True(Status("VmRSS") < resident && Status("VmPeak") < mapped, $"seed {seed}: this process has {Status("VmRSS") >> 20} MiB, and had {Status("VmPeak") >> 20} MiB of address space");
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{count} streams: {refused} refused, {made} made a machine");
        Assert.True(count < Usual || refused > count / 4 && made > 0, $"{refused} refused, {made} made");
    }

    // The sentence that it is refused with; null for a machine that runs, or ends as one does.
    private async Task<string?> TakeAsync(byte[] bytes)
    {
        try
        {
            await using var arrival = await MachineArrival.BeginAsync(new RecordedStream(new MemoryStream(bytes)), Token);
            await using var machine = arrival.Build(new MachineHooks(), Here);
            var run = await arrival.TakeAsync(cancellationToken: Token);
            _ = await arrival.MemoryAsync(Token);
            return run.IsCompleted && await run is { End: MachineEnd.Failed } failed ? failed.Message : null;
        }
        catch (Exception refused) when (refused is MachineException or IOException)
        {
            return refused.Message;
        }
    }

    // What whoever takes a machine in does with what it is described as: no more of the host than was announced.
    private MachineDefinition Here(MachineDefinition there)
    {
        if (there.RamBytes > Ram || there.Cpus > 1) throw new MachineException("the machine is larger than was announced");
        return there with { Boot = new BootSource { KernelPath = _folder.Kernel }, Devices = [.. there.Devices.Select(device => device is DiskDevice disk ? disk with { Path = Disk("to.qcow2") } : device)] };
    }

    private MachineDefinition Definition(string disk) => new()
    {
        Boot = new BootSource { KernelPath = _folder.Kernel },
        MemoryBytes = Ram,
        Engine = EngineChoice.Translator,
        Devices = [new SerialDevice { To = new ConsoleTarget.Memory() }, new BalloonDevice(), new RngDevice(), new ConsoleDevice { To = new ConsoleTarget.Null() }, new DiskDevice { Path = Disk(disk), Format = ImageFormat.Qcow2 }],
    };

    private string Disk(string name)
    {
        var path = _folder.In(name);
        if (File.Exists(path)) return path;
        DiskTools.Create(new DiskCreation { Path = path, Size = DiskLength });
        using var disk = (LayeredDisk)LayeredDisk.Open(new DiskOptions { Path = path, Format = DiskFormat.Qcow2 });
        using var memory = new Core.Block.BlockMemory(4096);
        memory.Bytes.Fill(0x5a);
        var buffer = new Core.Block.BlockBuffer();
        buffer.Add(memory, 0, memory.Bytes.Length);
        Core.Block.BlockBackendExtensions.Write(disk, DiskLength / 2, buffer);
        disk.Flush();
        return path;
    }

    // What really goes over the link when a machine moves.
    private async Task<byte[]> RecordAsync(MachineDefinition definition)
    {
        await using var machine = Machine.Create(definition);
        _ = machine.RunAsync(Token);
        await machine.Serial.ReadUntilAsync("# ", Token);
        var (here, there, _) = Link.Make();
        var recorded = new RecordedStream(there);
        var arrives = Task.Run(async () =>
        {
            await using var arrival = await MachineArrival.BeginAsync(recorded, Token);
            await using var arrived = arrival.Build(new MachineHooks(), moved => moved with { Devices = [.. moved.Devices.Select(device => device is DiskDevice disk ? disk with { Path = Disk("to.qcow2") } : device)] });
            await arrival.TakeAsync(cancellationToken: Token);
        }, Token);
        await machine.MigrateAsync(here, cancellationToken: Token);
        await arrives;
        return recorded.Recorded.ToArray();
    }

    // proc_pid_status(5)
    private static long Status(string what) =>
        long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith(what + ":", StringComparison.Ordinal))[(what.Length + 1)..^2], NumberStyles.Integer, CultureInfo.InvariantCulture) << 10;
}
