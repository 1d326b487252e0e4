// Virtio over PCI (virtio 1.2, 4.1): a virtio device as a function of a PCI device, with the modern registers, and where its type has
// a number for it the legacy ones as well. This is the function; the registers are in VirtioPci.Modern.cs and VirtioPci.Legacy.cs, and
// what the device does stands behind VirtioFunction.
// Lock order: configuration space, _gate, what VirtioFunction has, the interrupts' lock.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Devices.Pci;
using static Lamina.Devices.Virtio.Pci.VirtioPciSpec;

namespace Lamina.Devices.Virtio.Pci;

/// <summary>A virtio device on a PCI bus.</summary>
public sealed partial class VirtioPci : PciFunction, IVirtioInterrupts, IPausable, ICounted
{
    private readonly VirtioFunction _function;
    private readonly Lock _gate = new();
    private readonly bool _hasLegacy;
    private readonly int _access;
    private readonly IBusDevice _modern, _legacy;
    private VirtioPciState _state;
    private byte _interruptStatus;

    /// <summary>Puts a device onto a bus.</summary>
    /// <param name="device">The device; it belongs to this transport from now on.</param>
    /// <param name="options">What it needs of the machine.</param>
    /// <param name="wires">What the function is connected with; its pin is driven while no messages are enabled.</param>
    public VirtioPci(IVirtioDevice device, VirtioOptions options, PciWires wires) : base(IdentityOf(device.Type, out var hasLegacy), wires)
    {
        _hasLegacy = hasLegacy;
        _function = new VirtioFunction(device, options, this, hasLegacy: hasLegacy);
        _state = new VirtioPciState(device.Queues.Count);
        (_modern, _legacy) = (new ModernRegisters(this), new LegacyRegisters(this));
        if (hasLegacy) AddBar(LegacyBar, PciSpec.BarIsPorts, LegacyLength, _legacy);
        // A message for each queue, and one for changes of the configuration.
        AddMessageTable(MessageBar, device.Queues.Count + 1);
        AddBar(ModernBar, PciSpec.BarIs64Bits | PciSpec.BarIsPrefetchable, ModernLength, _modern);
        AddStructure(CommonStructure, Common, CommonLength);
        AddStructure(InterruptStructure, Interrupt, 1);
        AddStructure(DeviceStructure, Device, PageLength);
        var notify = AddStructure(NotifyStructure, Notify, PageLength, more: sizeof(uint));
        Fix(notify + CapabilityMore, NotifyStride, sizeof(uint));
        _access = AddStructure(AccessStructure, 0, 0, more: sizeof(uint));
        Fix(_access + CapabilityBar, 0, 1, writable: 0xff);
        Fix(_access + CapabilityOffset, 0, sizeof(uint), uint.MaxValue);
        Fix(_access + CapabilitySize, 0, sizeof(uint), uint.MaxValue);
        Fix(_access + CapabilityMore, 0, sizeof(uint), uint.MaxValue);
    }

    /// <summary>The device's type.</summary>
    public VirtioDeviceType DeviceType => _function.Device.Type;

    /// <summary>The device status, for inspection.</summary>
    public VirtioStatus Status => _function.Status;

    void IVirtioInterrupts.UsedBuffers(int queue)
    {
        lock (InterruptGate)
        {
            // 4.1.5.1.3: a message, or the pin and a bit that says why.
            if (MessageTable!.IsEnabled) MessageTable.Signal(_state.QueueVectors[queue]);
            else Raise(UsedBuffer);
        }
    }

    void IVirtioInterrupts.ConfigurationChanged()
    {
        lock (InterruptGate)
        {
            Raise(ConfigurationChange);
            if (MessageTable!.IsEnabled) MessageTable.Signal(_state.ConfigVector);
        }
    }

    /// <inheritdoc/>
    public void Pause() => _function.Pause();

    /// <inheritdoc/>
    public void Resume() => _function.Resume();

    /// <inheritdoc/>
    public override SavedKind Kind => new("virtio over PCI", 1);

    /// <inheritdoc/>
    public override void Save(SavedFields fields)
    {
        base.Save(fields);
        Exchange(fields);
    }

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        base.Load(fields);
        Exchange(fields);
        lock (InterruptGate)
        {
            SavedFields.Require((_interruptStatus & ~(UsedBuffer | ConfigurationChange)) == 0, $"an interrupt status of 0x{_interruptStatus:x}");
            SetPin(_interruptStatus != 0);
        }
    }

    /// <summary>The machine's reset. When it returns nothing touches guest memory, and the function answers nowhere.</summary>
    public override void Reset()
    {
        lock (_gate) ResetDevice();
        base.Reset();
    }

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        node.Kind = $"virtio {DeviceType} over PCI";
        base.Inspect(node);
        node.Locked(InterruptGate, () => node.SayHex("interrupt status", _interruptStatus));
        _function.Inspect(node);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters) => (_function.Device as ICounted)?.Count(counters);

    /// <summary>Stops the device and its workers.</summary>
    public override void Dispose()
    {
        // First nobody comes to it any more.
        base.Dispose();
        lock (_gate) _function.Dispose();
    }

    // 4.1.4.9: a window in configuration space through which the structures are reached without their base address registers.
    /// <inheritdoc/>
    protected override void Reading(int offset, int length)
    {
        if (!Overlaps(offset, length) || !TryFindAccess(out var device, out var at, out var size)) return;
        var data = Space.Slice(_access + CapabilityMore, size);
        if (device.Read(at, data) != AccessResult.Ok) data.Fill(0xff);
    }

    /// <inheritdoc/>
    protected override void Written(int offset, int length)
    {
        // A reset and a load write all of it, and ask for nothing.
        if (length <= sizeof(ulong) && Overlaps(offset, length) && TryFindAccess(out var device, out var at, out var size)) device.Write(at, Space.Slice(_access + CapabilityMore, size));
    }

    private bool Overlaps(int offset, int length) => offset < _access + CapabilityMore + sizeof(uint) && offset + length > _access + CapabilityMore;

    private bool TryFindAccess(out IBusDevice device, out ulong offset, out int size)
    {
        var own = Space[_access..];
        offset = BinaryPrimitives.ReadUInt32LittleEndian(own[CapabilityOffset..]);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(own[CapabilitySize..]);
        size = length is 1 or 2 or 4 ? (int)length : 0;
        device = own[CapabilityBar] == LegacyBar && _hasLegacy ? _legacy : _modern;
        var end = device == _legacy ? LegacyLength : own[CapabilityBar] == ModernBar ? ModernLength : 0;
        return size != 0 && offset % length == 0 && offset + length <= end;
    }

    private int AddStructure(byte kind, ulong offset, uint length, int more = 0)
    {
        var at = AddCapability(PciSpec.VendorCapability, CapabilityLength + more);
        Fix(at + 2, (uint)(CapabilityLength + more), 1);
        Fix(at + CapabilityKind, kind, 1);
        Fix(at + CapabilityBar, kind == AccessStructure ? 0 : (uint)ModernBar, 1);
        Fix(at + CapabilityOffset, (uint)offset, sizeof(uint));
        Fix(at + CapabilitySize, length, sizeof(uint));
        return at;
    }

    private void Exchange(SavedFields fields)
    {
        lock (_gate)
        {
            lock (InterruptGate)
            {
                fields.Record(10, ref _state, VirtioPciState.Exchange);
                fields.Value(11, ref _interruptStatus);
                if (fields.IsLoading)
                    foreach (var vector in _state.QueueVectors.Append(_state.ConfigVector)) SavedFields.Require(Vector(vector) == vector, $"a message {vector}, and there are {MessageTable!.Vectors}");
            }
            fields.Unit(12, _function);
        }
    }

    // With _gate. The function is silent by the time that the registers are cleared, so that no bit can be set behind that.
    private void ResetDevice()
    {
        _function.WriteStatus(0);
        lock (InterruptGate) _state = new VirtioPciState(_state.QueueVectors.Length);
        _ = TakeInterruptStatus();
    }

    // With the interrupts' lock.
    private void Raise(byte cause)
    {
        _interruptStatus |= cause;
        SetPin(true);
    }

    // 4.1.4.5.1: who reads it clears it, and the pin.
    private byte TakeInterruptStatus()
    {
        lock (InterruptGate)
        {
            var status = _interruptStatus;
            _interruptStatus = 0;
            SetPin(false);
            return status;
        }
    }

    // 4.1.5.1.2: a vector that cannot be had reads as none.
    private ushort Vector(uint vector) => vector < (uint)MessageTable!.Vectors ? (ushort)vector : NoVector;

    private void SetConfigVector(uint vector)
    {
        lock (InterruptGate) _state.ConfigVector = Vector(vector);
    }

    private ushort QueueVectorOfSelected
    {
        get => _state.QueueSelect < _state.QueueVectors.Length ? _state.QueueVectors[_state.QueueSelect] : NoVector;
        set
        {
            lock (InterruptGate)
            {
                if (_state.QueueSelect < _state.QueueVectors.Length) _state.QueueVectors[_state.QueueSelect] = Vector(value);
            }
        }
    }
}
