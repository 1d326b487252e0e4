// The most memory of the host that a machine may take in all, whatever its guest does: its RAM, what the engine makes beside it, what
// devices and the channels behind them keep, and the program. It is the sum of the bounds in docs/bounds.md; a machine that is well
// behaved takes much less. Asked at the start, where one sentence is said if the host has less.
using Lamina.Backends.Char;
using Lamina.Backends.Disk;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.User;
using Lamina.Backends.Share;
using Lamina.Backends.Vsock;
using Lamina.Core.Engine;
using Lamina.Devices.Virtio.Vsock;

namespace Lamina.Doctor;

/// <summary>What machines may take.</summary>
internal static class MachineAppetite
{
    // The runtime, the program's code and the stacks of its threads.
    private const ulong Program = 96 << 20;

    /// <summary>Bytes that a machine may take.</summary>
    /// <param name="machine">The machine, complete.</param>
    /// <param name="engine">What runs it.</param>
    internal static ulong Of(MachineDefinition machine, IEngine engine) =>
        Program + machine.RamBytes + engine.MostBytes(machine.RamBytes, machine.Cpus)
        + (ulong)machine.Devices.Sum(device => Of(device, machine.RamBytes));

    /// <summary>A sentence where the host has less than a machine may take; null where it has enough, or does not tell.</summary>
    /// <param name="machine">The machine, complete.</param>
    /// <param name="engine">What runs it.</param>
    /// <param name="read">The text of a file of the host's, or null.</param>
    internal static string? Warning(MachineDefinition machine, IEngine engine, Func<string, string?> read)
    {
        var most = Of(machine, engine);
        if (HostMemory.Free(read) is not { } free || free >= most) return null;
        var less = engine.MostBytes(machine.RamBytes, machine.Cpus) == 0 ? "memory or fewer CPUs and devices" : "memory, a smaller code cache (--code-cache), or fewer CPUs and devices";
        return $"this machine may take {ByteSize.Format(most)} of the host's memory at most, and {ByteSize.Format(free)} are free; give it less {less}, or end something else";
    }

    private static long Of(DeviceDefinition device, ulong guestBytes) => device switch
    {
        DiskDevice disk => (1 + disk.Backing.Count) * DiskImages.MostBytes,
        CdromDevice or FloppyDevice => DiskImages.MostBytes,
        NetworkDevice { Link: NetworkLink.User } => new UserNetOptions().MostBytes,
        NetworkDevice { Link: NetworkLink.Switch or NetworkLink.Socket } => SwitchBackend.MostBytes,
        ShareDevice => ShareLimits.For(1, guestBytes).NodeBytes,
        VsockDevice => VirtioVsock.MostConnections * (VirtioVsock.BytesPerConnection + UnixSocketHost.BytesPerConnection),
        SerialDevice serial => Of(serial.To),
        ConsoleDevice console => Of(console.To),
        ChannelDevice { Path.Length: > 0 } => new StdioOptions().MostBytes,
        _ => 0,
    };

    private static long Of(ConsoleTarget target) => target switch
    {
        ConsoleTarget.Memory memory => memory.Capacity,
        ConsoleTarget.Null or ConsoleTarget.Own => 0,
        _ => new StdioOptions().MostBytes,
    };
}
