// What a machine that comes from elsewhere may be: one that leads to nothing of this host but what came with it. Who exports leaves the rest out.
using Lamina.Backends.Disk;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Carrying;

/// <summary>Checks definitions and files that came from elsewhere.</summary>
internal static class CarriedCheck
{
    /// <summary>Refuses a definition that leads to what is the host's.</summary>
    /// <exception cref="MachineException">It does; the message says where.</exception>
    internal static void Check(MachineDefinition definition)
    {
        CheckWithoutDevices(definition);
        foreach (var device in definition.Devices)
            if (WhyNot(device) is { } path) throw Leads($"a {device.Kind}", path);
    }

    /// <summary>The same of all but its devices.</summary>
    /// <exception cref="MachineException">It does; the message says where.</exception>
    internal static void CheckWithoutDevices(MachineDefinition definition)
    {
        var boot = definition.Boot;
        if (boot.KernelPath is not (null or CarriedSpec.Kernel)) throw Leads("its kernel", boot.KernelPath);
        if (boot.InitrdPath is not (null or CarriedSpec.Initrd)) throw Leads("its initial RAM disk", boot.InitrdPath);
        if (boot.Firmware is not (null or CarriedSpec.Firmware) && !BootSource.IsFirmwareName(boot.Firmware)) throw Leads("its firmware", boot.Firmware);
        for (var i = 0; i < boot.Modules.Count; i++)
            if (boot.Modules[i].Path != CarriedSpec.Module(i)) throw Leads("a module", boot.Modules[i].Path);
        if (definition.CodeArchive is not null) throw Leads("its code", definition.CodeArchive);
        if (definition.Display is { } display) throw Leads("its display", display.Where);
        if (definition.Lock == LockMode.Off) throw new MachineException("its process is not to be locked; write \"lock\": \"on\", and turn it off behind the import where you trust it");
    }

    /// <summary>The names of the files that can come with a definition.</summary>
    internal static IEnumerable<string> FilesOf(MachineDefinition definition) =>
    [
        CarriedSpec.Kernel, CarriedSpec.Initrd, CarriedSpec.Firmware, CarriedSpec.FirmwareVariables, CarriedSpec.Base, CarriedSpec.Disk, CarriedSpec.Seed, CarriedSpec.Variables,
        .. definition.Boot.Modules.Select(module => module.Path), .. definition.DevicesOf<DiskDevice>().Select(disk => disk.Path),
    ];

    /// <summary>Refuses files that are missing, or that name others.</summary>
    /// <exception cref="MachineException">One is not as it must be.</exception>
    internal static void CheckFiles(MachineHome home, MachineDefinition definition)
    {
        string[] begins = definition.FirmwareToBoot is not { } firmware ? [CarriedSpec.Kernel] : BootSource.IsFirmwareName(firmware) ? [] : [CarriedSpec.Firmware];
        string[] needed = [.. begins, .. definition.Boot.InitrdPath is null ? [] : (string[])[CarriedSpec.Initrd], .. definition.Boot.Modules.Select(module => module.Path), .. definition.DevicesOf<DiskDevice>().Select(disk => disk.Path)];
        foreach (var name in needed)
            if (!File.Exists(Path.Combine(home.Folder, name))) throw Wrong($"{name} is missing");
        if (MachineDisks.Missing(home) is { } missing) throw Wrong($"{Path.GetFileName(missing)} is missing");
        var own = File.Exists(home.Disk) ? (IEnumerable<string>)[home.Base, .. home.Layers, home.Disk] : [];
        var below = new HashSet<string>();
        foreach (var path in own)
        {
            if (BackingOf(path, path == home.Base ? null : DiskFormat.Qcow2) is { } name && !below.Contains(name)) throw Wrong($"{Path.GetFileName(path)} is based on {name}, which did not come with it");
            below.Add(Path.GetFileName(path));
        }
        foreach (var disk in definition.DevicesOf<DiskDevice>())
            if (BackingOf(Path.Combine(home.Folder, disk.Path), DiskFormat.Qcow2) is { } name) throw Wrong($"{disk.Path} is based on {name}, which did not come with it");
    }

    private static string? BackingOf(string path, DiskFormat? format)
    {
        try
        {
            return DiskTools.Inspect(path, format).BackingFile;
        }
        catch (DiskImageException none)
        {
            throw new MachineException(MachineError.File, $"the machine cannot be imported: {none.Message}", none);
        }
    }

    /// <summary>What a device leads to that did not come with it; null where there is nothing.</summary>
    internal static string? WhyNot(DeviceDefinition device) => device switch
    {
        DiskDevice { Format: not ImageFormat.Qcow2 } disk => $"{disk.Path}, which is not said to be qcow2",
        DiskDevice { Backing: [var backing, ..] } => backing,
        DiskDevice disk => IsName(disk.Path) ? null : disk.Path,
        CdromDevice { Path.Length: > 0 } cdrom => cdrom.Path,
        FloppyDevice floppy => floppy.Path,
        ShareDevice share => share.Path,
        VsockDevice vsock => vsock.Path == CarriedSpec.Sockets ? null : vsock.Path,
        NetworkDevice { Link: NetworkLink.User } => null,
        NetworkDevice card => $"{card}",
        SerialDevice { To: ConsoleTarget.Stdio or ConsoleTarget.Null } => null,
        SerialDevice serial => $"{serial.To}",
        ConsoleDevice { To: ConsoleTarget.Null } => null,
        ConsoleDevice console => $"{console.To}",
        ChannelDevice channel => channel.Path.Length == 0 ? null : channel.Path,
        _ => null,
    };

    // Its own disk, its definition and what it writes have names of their own.
    private static bool IsName(string path) => path.StartsWith("disk-", StringComparison.Ordinal) && path.EndsWith(".qcow2", StringComparison.Ordinal) && path.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter is '-' or '.');

    private static MachineException Leads(string what, string? where) => new($"{what} leads to {where}, and what comes from elsewhere may lead to nothing of this host");

    private static MachineException Wrong(string why) => new(MachineError.File, $"this is no whole exported machine: {why}");
}
