// Which engine is chosen on which host, what is said of it, and how long a measurement is believed.
using Lamina.Choice;
using Lamina.Core.Engine;
using Lamina.Engines.Kvm;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Machines.Choice;

public sealed class EngineSelectorTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;
    private int _measurements;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Hardware_virtualization_is_chosen_and_its_speed_told()
    {
        var selected = EngineSelector.Select(Spec(EngineChoice.Auto, 4), Host(speed: 3.2e9));

        Assert.Equal("kvm", selected.Engine.Name);
        Assert.Equal("kvm (hardware virtualization: guest kernels run at 3200 million instructions a second)", selected.Description);
    }

    [Fact]
    public void A_software_assisted_KVM_is_not_chosen_and_the_reason_is_told()
    {
        var selected = EngineSelector.Select(Spec(EngineChoice.Auto, 1), Host(speed: 1.5e6));

        Assert.Equal("translator", selected.Engine.Name);
        Assert.Equal("translator (/dev/kvm is software-assisted here: it runs guest kernels at 1.5 million instructions a second)", selected.Description);
    }

    [Theory]
    [InlineData(DeviceFile.NotFound, "there is no /dev/kvm", "modul")]
    [InlineData(DeviceFile.AccessDenied, "/dev/kvm may not be opened by this user", "usermod -aG kvm")]
    [InlineData(DeviceFile.NoDevice, "/dev/kvm has no driver", "firmware")]
    public void Without_a_KVM_the_translator_is_chosen_and_asking_for_KVM_is_refused_with_the_remedy(int error, string problem, string remedy)
    {
        var host = Host(speed: 0) with { WhyNot = () => KvmSystem.Refusal("/dev/kvm", error) };

        var selected = EngineSelector.Select(Spec(EngineChoice.Auto, 1), host);
        var refusal = Assert.Throws<MachineException>(() => EngineSelector.Select(Spec(EngineChoice.Kvm, 1), host));

        Assert.Equal("translator", selected.Engine.Name);
        Assert.Equal($"translator (no hardware virtualization: {problem})", selected.Description);
        Assert.Contains(problem, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, refusal.Message, StringComparison.Ordinal);
        Assert.IsType<HostException>(refusal.InnerException);
        Assert.Equal(0, _measurements);
    }

    [Fact]
    public void A_KVM_that_fails_while_it_is_measured_is_not_chosen()
    {
        var host = Host(speed: 0) with { Measure = () => throw new HostException("the kernel makes no virtual machine") };

        Assert.Contains("makes no virtual machine", EngineSelector.Select(Spec(EngineChoice.Auto, 1), host).Description, StringComparison.Ordinal);
        Assert.Throws<MachineException>(() => EngineSelector.Select(Spec(EngineChoice.Kvm, 1), host));
    }

    [Fact]
    public void A_slow_KVM_runs_where_it_is_asked_for_with_a_warning()
    {
        var selected = EngineSelector.Select(Spec(EngineChoice.Kvm, 2), Host(speed: 1.5e6));

        Assert.Equal("kvm", selected.Engine.Name);
        Assert.Contains("software-assisted", selected.Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(EngineChoice.Auto)]
    [InlineData(EngineChoice.Translator)]
    public void The_translator_says_how_many_CPUs_it_runs(EngineChoice choice)
    {
        var refusal = Assert.Throws<MachineException>(() => EngineSelector.Select(Spec(choice, 33), Host(speed: 1.5e6)));

        Assert.StartsWith("the translator runs at most 32 virtual CPUs a machine, not 33; ", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(IrqchipChoice.Split)]
    [InlineData(IrqchipChoice.Kernel)]
    public void Interrupt_controllers_in_the_hosts_kernel_are_refused_where_the_translator_runs(IrqchipChoice irqchip)
    {
        var spec = Spec(EngineChoice.Auto, 1) with { Irqchip = irqchip };

        var refusal = Assert.Throws<MachineException>(() => EngineSelector.Select(spec, Host(speed: 1.5e6)));

        Assert.Contains("use --irqchip user or auto, or --engine kvm", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_measurement_is_kept_for_the_same_boot_and_modules_only()
    {
        var host = Host(speed: 2e9);
        host.Judge();
        Assert.Equal(2e9, host.Judge().InstructionsPerSecond);
        Assert.Equal(1, _measurements);

        (host with { Identity = () => "another boot" }).Judge();
        Assert.Equal(2, _measurements);
    }

    [Theory]
    [InlineData("")]
    [InlineData("boot kvm_amd\n")]
    [InlineData("boot kvm_amd\nfast\n")]
    [InlineData("boot kvm_amd\n-5\n")]
    [InlineData("boot kvm_amd\n5\n6\n")]
    public void A_damaged_memory_of_a_measurement_is_measured_again(string content)
    {
        var host = Host(speed: 2e9);
        File.WriteAllText(host.File!, content);

        Assert.Equal(2e9, host.Judge().InstructionsPerSecond);
        Assert.Equal(1, _measurements);
    }

    [Fact]
    public void Where_nothing_can_be_kept_it_is_measured_each_time()
    {
        var host = Host(speed: 2e9) with { File = "/proc/no/such/folder/speed" };

        Assert.True(host.Judge().IsHardware && host.Judge().IsHardware);
        Assert.Equal(2, _measurements);
    }

    private static MachineDefinition Spec(EngineChoice engine, int cpus) => new() { Boot = new BootSource { KernelPath = "" }, Engine = engine, Cpus = cpus };

    private KvmHost Host(double speed) => new()
    {
        WhyNot = () => null,
        Identity = () => "boot kvm_amd",
        File = Path.Combine(_folder, "speed"),
        Measure = () =>
        {
            _measurements++;
            return speed;
        },
    };
}
