// A disk: an image on the host, as a virtio block device or as a drive of a controller that its board has.
using Lamina.Backends.Disk;
using Lamina.Backends.Work;
using Lamina.Core.Block;
using Lamina.Core.Limits;
using Lamina.Devices.Ata;
using Lamina.Devices.Media;
using Lamina.Devices.Nvme;
using Lamina.Devices.Virtio.Block;
using Lamina.Disks;
using Lamina.Life;

namespace Lamina.Parts;

/// <summary>A disk.</summary>
internal sealed class DiskPart : IPart
{
    // Requests that wait for the host at once.
    private const int Requests = 16;

    private readonly DiskDevice _definition;
    private readonly IBlockBackend _backend;
    private Action? _retry;

    internal DiskPart(DiskDevice disk, int index, OpenContext context) =>
        (_definition, _backend) = (disk, context.Units.AddAside($"backends/disk {index}", DiskBackends.Open(disk, context.Log.Of($"devices/{disk.Name}"))));

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <inheritdoc/>
    public IReadOnlyList<FlowGate> Gates { get; private set; } = [];

    /// <summary>The disk as one that can be copied while the machine writes it; null where it is none.</summary>
    internal LayeredDisk? Layered => _backend as LayeredDisk;

    /// <summary>Makes an image for what is written to the disk from some moment on.</summary>
    /// <exception cref="MachineException">The disk can have none.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    internal DiskLayer AddLayer(string image, string below) => _backend is LayeredDisk disk
        ? disk.Add(image, below)
        : throw new MachineException($"the disk {Name} can have no layers: it is no qcow2 image that the machine writes");

    /// <summary>Has all that was written be in the disk's file, and there for good. No request may be under way.</summary>
    /// <exception cref="MachineException">The host fails.</exception>
    internal void Flush()
    {
        try
        {
            if (!_backend.IsReadOnly) _backend.Flush();
        }
        catch (IOException failure)
        {
            throw new MachineException(MachineError.Host, $"the machine cannot be saved: what it wrote to its disk {Name} cannot be written down there: {failure.Message}", failure);
        }
    }

    /// <summary>Refuses images that a machine would share with itself.</summary>
    internal static void Check(MachineDefinition machine) => DiskBackends.Check([.. machine.DevicesOf<DiskDevice>()]);

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context)
    {
        var gate = context.Gate(_definition.Limit);
        Gates = [gate];
        var (full, fail, log) = (context.Full, (Action<string>)context.Events.Fail, context.Log.Of(name));
        Action<bool>? waitsForSpace = _definition.OnFull == FullMode.Pause ? waits => full.Change(_definition.Path, waits, Guard.Around("full disks", () => _retry?.Invoke(), fail)) : null;
        if (_definition.Bus == DriveBus.Virtio)
        {
            var device = new VirtioBlock(_backend, new VirtioBlockOptions
            {
                Serial = _definition.Serial,
                Queues = _definition.Queues ?? Math.Min(context.Definition.Cpus, VirtioBlockOptions.MostQueues),
                BlockSize = _definition.BlockSize,
                WriteThrough = _definition.Cache == CacheMode.WriteThrough,
                Discard = _definition.Discard,
                Parallel = Requests,
                WritesWait = _definition.Direct || _definition.IsRemote,
                WaitsForSpace = waitsForSpace,
                Log = log,
                Gate = gate,
            }, context.Workers);
            _retry = device.Retry;
            places.Add(name, device);
            return;
        }
        // Operating systems tell drives apart by it.
        var serial = _definition.Serial.Length > 0 ? _definition.Serial : DriveSerial.Of(Name);
        var options = new DriveOptions { WriteThrough = _definition.Cache == CacheMode.WriteThrough, Discard = _definition.Discard, WaitsForSpace = waitsForSpace, Log = log, Gate = gate };
        if (_definition.Bus == DriveBus.Nvme)
        {
            var queues = _definition.Queues ?? Math.Min(context.Definition.Cpus, NvmeOptions.MostQueues);
            places.Add(name, wires =>
            {
                var controller = new NvmeController(wires, _backend, new NvmeOptions(serial, queues, _definition.BlockSize), options, context.Memory, context.Workers);
                _retry = controller.Retry;
                return controller;
            });
            return;
        }
        var drive = new AtaDisk(_backend, new AtaDiskOptions
        {
            Serial = serial,
            BlockSize = _definition.BlockSize,
            Medium = options,
        });
        _retry = drive.Retry;
        places.Add(name, _definition.Bus, drive);
    }
}
