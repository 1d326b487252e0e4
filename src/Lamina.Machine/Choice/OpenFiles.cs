// How many open files a machine takes of this process, so that one that cannot have them is told at once and not when its guest does
// something that needs one more. What the guest's connections and files take comes on top; where those find no more, they fail alone.
using Lamina.Backends.Disk;
using Lamina.Backends.Share;
using Lamina.Core.Engine;
using Lamina.Host.Io;

namespace Lamina.Choice;

/// <summary>The open files of a machine.</summary>
internal static class OpenFiles
{
    // Standard input, output and error, the runtime's own, kernel and initrd, the archive of code, and what is open for a moment.
    private const int OfTheProgram = 26;

    // Of a guest that is to get anywhere on its network.
    private const int Connections = 8;

    // Of a disk that another program serves, to that.
    private const int RemoteConnections = DiskImages.MostConnections;

    /// <summary>How many a machine takes at least.</summary>
    internal static int Of(MachineDefinition machine, IEngine engine) =>
        OfTheProgram + machine.Cpus * engine.DescriptorsPerVcpu + machine.Boot.Modules.Count + machine.Devices.Sum(device => Of(device, machine.Cpus));

    /// <summary>Raises the process's limit as far as it may be, and refuses a machine for which that is not enough.</summary>
    /// <exception cref="MachineException">It is not.</exception>
    internal static void Check(MachineDefinition machine, IEngine engine)
    {
        var (limit, needed) = (HostLimits.RaiseDescriptors(), Of(machine, engine));
        if (limit < needed)
            throw new MachineException(MachineError.Host, $"this machine takes {needed} open files at least, and this process may have {limit}; raise the limit (ulimit -n {HostLimits.UsualDescriptors}), or give the machine fewer CPUs and devices");
    }

    // A ring takes two for each queue.
    private static int Of(DeviceDefinition device, int cpus) => device switch
    {
        DiskDevice { IsRemote: true } => 2 + RemoteConnections,
        DiskDevice disk => 2 + disk.Backing.Count + (disk.Direct ? 2 * (disk.Queues ?? cpus) : 0),
        CdromDevice or FloppyDevice => 2,
        NetworkDevice { Link: NetworkLink.User user } => 2 + user.Published.Count + Connections,
        NetworkDevice => 4,
        ShareDevice => 2 + 2 * ShareLimits.Least,
        VsockDevice => 3 + Connections,
        SerialDevice or ConsoleDevice or ChannelDevice => 3,
        _ => 0,
    };
}
