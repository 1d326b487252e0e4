// What a machine boots, as it goes to another host: the files that come along, under names that are the same everywhere.
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Stored;
using Lamina.Images.Bios;

namespace Lamina.Hypervisor.Migrating;

/// <summary>Definitions that go to another host.</summary>
internal static class CarriedBoot
{
    /// <summary>A definition of a machine that runs, by whose paths nothing of its host is meant.</summary>
    /// <param name="definition">The definition.</param>
    /// <exception cref="MachineException">Something that it leads to is this host's, and the guest would miss it.</exception>
    internal static MachineDefinition Of(MachineDefinition definition) => definition with
    {
        Name = null,
        CodeArchive = null,
        Display = null,
        GdbPort = null,
        GdbArchitecture = default,
        Pool = null,
        Lock = definition.Lock == LockMode.Off ? LockMode.On : definition.Lock,
        Boot = definition.Boot with
        {
            KernelPath = definition.Boot.KernelPath is null ? null : CarriedSpec.Kernel,
            InitrdPath = definition.Boot.InitrdPath is null ? null : CarriedSpec.Initrd,
            Firmware = OwnFirmware(definition) is null ? definition.Boot.Firmware : CarriedSpec.Firmware,
            Modules = [.. definition.Boot.Modules.Select((module, index) => module with { Path = CarriedSpec.Module(index) })],
        },
        Devices = [.. definition.Devices.Select(device => device is VsockDevice vsock ? vsock with { Path = CarriedSpec.Sockets } : device)],
    };

    /// <summary>The files that it boots, and the disk with its settings.</summary>
    internal static IReadOnlyList<(string Name, string Path)> FilesOf(MachineHome home, MachineDefinition definition)
    {
        var boot = definition.Boot;
        var hasKernel = File.Exists(home.Kernel);
        var files = new List<(string, string)>();
        if ((hasKernel ? home.Kernel : boot.KernelPath) is { } kernel) files.Add((CarriedSpec.Kernel, kernel));
        if ((hasKernel ? File.Exists(home.Initrd) ? home.Initrd : null : boot.InitrdPath) is { } initrd) files.Add((CarriedSpec.Initrd, initrd));
        // One that is fetched is fetched there, too.
        if (OwnFirmware(definition) is { } firmware)
        {
            files.Add((CarriedSpec.Firmware, firmware));
            if (FirmwareStore.VariablesPathOf(firmware) is { } variables) files.Add((CarriedSpec.FirmwareVariables, variables));
        }
        for (var i = 0; i < boot.Modules.Count; i++) files.Add((CarriedSpec.Module(i), boot.Modules[i].Path));
        if (File.Exists(home.Seed)) files.Add((CarriedSpec.Seed, home.Seed));
        return files;
    }

    private static string? OwnFirmware(MachineDefinition definition) => definition.Boot.Firmware is { } named && !BootSource.IsFirmwareName(named) ? named : null;
}
