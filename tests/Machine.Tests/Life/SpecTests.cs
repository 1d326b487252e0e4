// Specs that cannot be: each is refused in one sentence before anything is made.
using Lamina.Backends.Disk;
using Lamina.Engines.X86.Cpuid;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Life;

public sealed class SpecTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, string> Wrong => new()
    {
        { "memory0", "too little" },
        { "memory1P", "1 PiB" },
        { "cpus0", "at least one" },
        { "cpus256", "at most 255" },
        { "timeout", "time-out" },
        { "gdb", "70000" },
        { "debugExitTaken", "another device" },
        { "debugExitHigh", "too high" },
        { "kernel", "does not exist" },
        { "initrd", "does not exist" },
        { "modules", "no modules" },
        { "type", "machine type" },
        { "twoStdio", "both" },
        { "cpu", "there is no CPU model 'i486'" },
        { "slots", "room for 32 devices" },
        { "folder", "there is no folder" },
        { "archive", "name another folder" },
        { "nothing", "nothing to boot" },
        { "blocks", "no whole number of blocks of 4096 bytes; make it 8192 bytes with 'lamina disk resize'" },
    };

    [Fact]
    public void A_CPU_feature_that_the_host_lacks_is_named()
    {
        // No processor has all of them: some are AMD's only, some Intel's.
        var offered = CpuModel.ForHost(new CpuModelOptions { TscHz = 1_000_000_000 }).Features;
        var missing = FeatureTable.All.First(feature => !offered.Contains(feature)).Name;
        var spec = Spec(_folder) with { Engine = EngineChoice.Translator, Cpu = $"host,+{missing}" };

        var refusal = Assert.Throws<MachineException>(() => Machine.Create(spec));

        Assert.StartsWith($"this host cannot give the CPU model 'host,+{missing}': it lacks ", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(missing, refusal.Message["this host cannot give the CPU model 'host,+".Length..], StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_spec_that_cannot_be_is_refused_in_a_sentence(string kind, string word)
    {
        var good = Spec(_folder);
        var spec = kind switch
        {
            "memory0" => good with { MemoryBytes = 0 },
            "memory1P" => good with { MemoryBytes = 1ul << 50 },
            "cpus0" => good with { Cpus = 0 },
            "cpus256" => good with { Cpus = 256 },
            "timeout" => good with { Timeout = TimeSpan.Zero },
            "gdb" => good with { GdbPort = 70000 },
            "debugExitTaken" => good with { DebugExitPort = 0x3F8 },
            "debugExitHigh" => good with { DebugExitPort = 0xFFFE },
            "kernel" => good with { Boot = good.Boot with { KernelPath = _folder.In("none") } },
            "initrd" => good with { Boot = good.Boot with { InitrdPath = _folder.In("none") } },
            "modules" => good with { Boot = good.Boot with { Modules = [new BootModule(_folder.Kernel)] } },
            "type" => good with { Type = (MachineType)7 },
            "cpu" => good with { Cpu = "i486" },
            "slots" => good.With(Enumerable.Range(0, 31).Select(i => new DiskDevice { Path = $"{i}" })),
            "blocks" => good.With(new DiskDevice { Path = _folder.File("disk.raw", new byte[4096 + 512]), BlockSize = 4096 }),
            "folder" => good.With(new ShareDevice { Path = "/nonexistent", Tag = "a" }),
            "archive" => good with { CodeArchive = _folder.Kernel },
            "nothing" => good with { Boot = new BootSource() },
            _ => good.With(new SerialDevice { To = new ConsoleTarget.Stdio() }, new ConsoleDevice { To = new ConsoleTarget.Stdio() }),
        };

        var refusal = Assert.Throws<MachineException>(() => Create(spec, Forever));

        Assert.Contains(word, refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public async Task A_refused_spec_leaves_no_file_open()
    {
        Assert.Throws<MachineException>(() => Create(Spec(_folder) with { DebugExitPort = 0x3F8 }, Forever));

        await using var stream = new FileStream(_folder.Kernel, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.True(stream.CanWrite);
    }

    [Fact]
    public void A_disk_that_there_is_not_is_refused_by_the_check_which_opens_nothing()
    {
        var there = _folder.File("there.img", new byte[512]);
        Machine.Check(Spec(_folder).With(new DiskDevice { Path = there }));

        var refused = Assert.Throws<MachineException>(() => Machine.Check(Spec(_folder).With(new DiskDevice { Path = _folder.In("none/missing.img") })));

        Assert.Equal(MachineError.File, refused.Error);
        Assert.Contains("there is no disk image", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("new.qcow2", null, ImageFormat.Qcow2)]
    [InlineData("new", null, ImageFormat.Qcow2)]
    [InlineData("new.raw", null, ImageFormat.Raw)]
    [InlineData("new.img", null, ImageFormat.Raw)]
    [InlineData("new.img", ImageFormat.Qcow2, ImageFormat.Qcow2)]
    public async Task A_disk_that_has_a_size_is_made_where_there_is_none_and_kept_where_there_is(string name, ImageFormat? said, ImageFormat made)
    {
        var disk = new DiskDevice { Path = _folder.In(name), Size = 1 << 20, Format = said };
        Machine.Check(Spec(_folder).With(disk));
        Assert.False(File.Exists(disk.Path));

        await using (Create(Spec(_folder).With(disk), Forever))
        {
            // The machine's own lock.
            Assert.ThrowsAny<IOException>(() => LayeredDisk.Open(new DiskOptions { Path = disk.Path, Format = made == ImageFormat.Raw ? DiskFormat.Raw : DiskFormat.Qcow2 }).Dispose());
        }
        var info = DiskTools.Inspect(disk.Path);
        Assert.Equal((made == ImageFormat.Raw ? DiskFormat.Raw : DiskFormat.Qcow2, 1ul << 20), (info.Format, info.Size));

        var later = disk with { Size = 2 << 20 };
        Machine.Check(Spec(_folder).With(later));
        await Create(Spec(_folder).With(later), Forever).DisposeAsync();
        Assert.Equal(1ul << 20, DiskTools.Inspect(disk.Path).Size);
    }

    [Theory]
    [InlineData("new.qcow2,size=1M,ro", "leave ro out")]
    [InlineData("new.qcow2,size=1M,temporary", "leave temporary out")]
    [InlineData("new.qcow2,size=0", "0 bytes")]
    [InlineData("new.qcow2,size=6144,block-size=4096", "no whole number of blocks")]
    public void A_disk_that_cannot_be_made_is_refused_by_the_check(string text, string word)
    {
        var disk = DiskDevice.Parse(text);
        var refused = Assert.Throws<MachineException>(() => Machine.Check(Spec(_folder).With(disk with { Path = _folder.In(disk.Path) })));

        Assert.Contains(word, refused.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.In(disk.Path)));
    }
}
