// A machine's definition on its way to another one: read, to be checked and taken by a machine that runs, and only then written.
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>A change of a machine's definition. What is not written is as if it had not begun.</summary>
public sealed class MachineEdit : IDisposable
{
    private readonly HostLock _order;

    internal MachineEdit(MachineHome home, MachineDefinition before, HostLock order) => (Home, Before, _order) = (home, before, order);

    /// <summary>The machine.</summary>
    public MachineHome Home { get; }

    /// <summary>What its definition says, with paths from the root on.</summary>
    public MachineDefinition Before { get; }

    /// <summary>A definition as it is kept: with paths from the root on, without a name (which is the folder's), and with the formats of its images, whatever a guest writes to them later.</summary>
    /// <exception cref="MachineException">It does not say what is booted.</exception>
    /// <exception cref="IOException">An image is not there.</exception>
    public MachineDefinition Kept(MachineDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        MachineFile.Require(definition);
        var kept = definition.MapPaths(Path.GetFullPath);
        return kept with { Name = null, Devices = [.. kept.Devices.Select(WithFormat)] };
    }

    // The format of an image that the machine has is the one that it had when it was added, whatever its guest wrote to it.
    private DeviceDefinition WithFormat(DeviceDefinition device) => device is DiskDevice { Format: null } disk && Before.DevicesOf<DiskDevice>().FirstOrDefault(known => known.Path == disk.Path) is { } before
        ? disk with { Format = before.Format }
        : StoredMachine.WithFormat(device);

    /// <summary>Writes the definition, whole or not at all.</summary>
    /// <param name="after">What <see cref="Kept"/> gave.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Write(MachineDefinition after)
    {
        try
        {
            MachineFile.Change(Home, Before, after);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{Home.Definition} cannot be written ({Host.HostFiles.Reason(failure, Home.Definition)}); the machine is as it was", failure);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _order.Dispose();
}
