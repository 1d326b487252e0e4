// What a machine may take in all, and when that is said.
using Lamina.Control;
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Doctor;
using Lamina.Engines.Kvm;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.Translator;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Doctor;

public sealed class MachineAppetiteTests
{
    private const ulong MebiByte = 1 << 20;

    private static readonly IEngine s_kvm = new KvmEngine();

    private static MachineDefinition Machine(ulong mebiBytes, params DeviceDefinition[] devices) => new MachineDefinition { MemoryBytes = mebiBytes * MebiByte }.With(devices);

    private static ulong Of(MachineDefinition machine, IEngine engine) => MachineAppetite.Of(machine, engine);

    private static string? Warning(IEngine engine, ulong freeMebiBytes) =>
        MachineAppetite.Warning(Machine(512), engine, path => path == "/proc/meminfo" ? $"MemAvailable: {freeMebiBytes << 10} kB\n" : null);

    [Fact]
    public void Guest_memory_counts_byte_for_byte_where_the_hosts_kernel_runs_the_guest() =>
        Assert.Equal(512 * MebiByte, Of(Machine(1024), s_kvm) - Of(Machine(512), s_kvm));

    [Fact]
    public void The_translator_takes_code_with_its_lists_and_tables_for_each_vCPU()
    {
        var small = new TranslatorEngine(new TranslatorSettings { CodeBufferBytes = 64 << 20 });
        var large = new TranslatorEngine(new TranslatorSettings { CodeBufferBytes = 128 << 20 });
        var machine = Machine(512);

        Assert.Equal(160 * MebiByte, Of(machine, large) - Of(machine, small));
        var one = small.MostBytes(machine.MemoryBytes, 1) - 160 * MebiByte;
        // The tables' 64 MiB and a 128th of the memory, and what regions keep beside them.
        Assert.InRange(one, 68 * MebiByte, 150 * MebiByte);
        Assert.Equal(2 * one, small.MostBytes(machine.MemoryBytes, 2) - 160 * MebiByte);
    }

    [Fact]
    public void Each_device_adds_what_its_bounds_say()
    {
        ulong With(DeviceDefinition device) => Of(Machine(512, device), s_kvm) - Of(Machine(512), s_kvm);

        Assert.Equal(25 * MebiByte, With(new DiskDevice { Path = "a" }));
        Assert.Equal(50 * MebiByte, With(new DiskDevice { Path = "a", Backing = ["b"] }));
        Assert.Equal(256 * MebiByte, With(NetworkDevice.Parse("switch=/run/switch")!));
        Assert.Equal(16 * MebiByte, With(new SerialDevice()));
        Assert.Equal(512 * MebiByte / 3, With(new ShareDevice { Path = "/srv", Tag = "a" }));
        Assert.Equal(384 * MebiByte, With(VsockDevice.Parse("3,path=/tmp/guest.vsock")));
        // 64 MiB of buffers that connections share; the least of each, and objects.
        Assert.InRange(With(NetworkDevice.Parse("user")!), (64 + 32) * MebiByte, 128 * MebiByte);
    }

    // A host of 2 GiB has about 1,700 MiB for others when it has started. The image tiny has 256 MiB, debian 1 GiB.
    [Fact]
    public void A_host_of_2_GiB_is_told_of_a_guest_of_1_GiB_that_is_translated_and_of_no_smaller_one()
    {
        MachineDefinition Debian(ulong mebiBytes) =>
            Machine(mebiBytes, new SerialDevice(), new NetworkDevice(), new DiskDevice { Path = "disk.qcow2", Backing = ["base.qcow2"] }, new DiskDevice { Path = "seed.img", ReadOnly = true });
        string? Said(MachineDefinition machine, IEngine engine) => MachineAppetite.Warning(machine, engine, path => path == "/proc/meminfo" ? $"MemAvailable: {1700 << 10} kB\n" : null);

        Assert.Null(Said(Machine(256, new SerialDevice(), new NetworkDevice()), new TranslatorEngine()));
        Assert.Null(Said(Debian(512), new TranslatorEngine()));
        Assert.NotNull(Said(Debian(1024), new TranslatorEngine()));
        Assert.Null(Said(Debian(1024), s_kvm));
    }

    [Fact]
    public void A_host_with_less_is_told_with_both_figures_and_what_to_do()
    {
        var warning = Warning(new TranslatorEngine(), 600);

        Assert.NotNull(warning);
        Assert.Contains(ByteSize.Format(Of(Machine(512), new TranslatorEngine())), warning, StringComparison.Ordinal);
        Assert.Contains("600 MiB are free", warning, StringComparison.Ordinal);
        Assert.Contains("--code-cache", warning, StringComparison.Ordinal);
        Assert.DoesNotContain("--code-cache", Warning(s_kvm, 600)!, StringComparison.Ordinal);
    }

    [Fact]
    public void A_host_with_enough_and_one_that_does_not_tell_are_left_alone()
    {
        Assert.Null(Warning(s_kvm, 700));
        Assert.Null(Warning(new TranslatorEngine(), 100_000));
        Assert.Null(MachineAppetite.Warning(Machine(512), s_kvm, _ => null));
    }

    [Theory]
    [InlineData(100, 1)]
    [InlineData(100_000, 0)]
    public async Task A_machine_says_it_once_at_its_start(ulong freeMebiBytes, int sentences)
    {
        using var folder = new KernelFolder();
        var heard = new List<string>();
        var services = new MachineServices { Engine = new FakeEngine(TestMachines.Forever), Read = path => path == "/proc/meminfo" ? $"MemAvailable: {freeMebiBytes << 10} kB\n" : null };

        await using var machine = Lamina.Machine.Create(TestMachines.Spec(folder), new MachineHooks { Log = Log.To(line => heard.Add(line.Message), LogLevel.Warning) }, services);

        Assert.Equal(sentences, heard.Count(said => said.StartsWith("this machine may take ", StringComparison.Ordinal)));
    }
}
