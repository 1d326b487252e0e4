// Virtio over MMIO, version 2 (virtio 1.2, 4.2): decodes the registers of one virtio device and drives its interrupt line.
// The legacy version 1 is not offered. vCPUs call Read and Write; what the device does stands behind VirtioFunction.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Virtio.Mmio;

/// <summary>A virtio device in a window of memory-mapped registers.</summary>
public sealed class VirtioMmio : IBusDevice, IVirtioInterrupts, IResettable, IPausable, ISavedUnit, IInspected, ICounted, IDisposable
{
    /// <summary>The length of the register window in bytes.</summary>
    public const ulong WindowLength = 0x200;

    /// <summary>The offset of the register that the driver writes a queue's index to, as 32 bits, to notify the device of it.</summary>
    public const ulong Doorbell = MmioSpec.QueueNotify;

    private readonly VirtioFunction _function;
    private readonly IInterruptLine _line;
    private readonly Lock _gate = new();
    private readonly Lock _interruptGate = new();
    private MmioState _state;
    private uint _interruptStatus;

    /// <summary>Puts a device behind registers.</summary>
    /// <param name="device">The device; it belongs to this transport from now on.</param>
    /// <param name="options">What it needs of the machine.</param>
    /// <param name="line">Its interrupt; level triggered, asserted while an interrupt status bit stands.</param>
    /// <param name="connectDoorbell">Spares the driver's CPU the way to <see cref="Write"/>; null where nobody can.</param>
    public VirtioMmio(IVirtioDevice device, VirtioOptions options, IInterruptLine line, ConnectDoorbell? connectDoorbell = null)
    {
        _line = line;
        _function = new VirtioFunction(device, options, this, connectDoorbell);
    }

    /// <summary>The device's type.</summary>
    public VirtioDeviceType DeviceType => _function.Device.Type;

    /// <summary>The device status, for inspection.</summary>
    public VirtioStatus Status => _function.Status;

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        if (offset >= WindowLength) return AccessResult.Unclaimed;
        if (offset >= MmioSpec.Config)
        {
            lock (_gate) _function.Device.ReadConfig((int)(offset - MmioSpec.Config), data);
            return AccessResult.Ok;
        }
        // 4.2.2.2: control registers are accessed by 32 aligned bits only.
        if (data.Length != sizeof(uint) || offset % sizeof(uint) != 0) return AccessResult.InvalidSize;
        if (!TryReadRegister(offset, out var value)) return AccessResult.Unclaimed;
        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset >= WindowLength) return AccessResult.Unclaimed;
        if (offset >= MmioSpec.Config)
        {
            lock (_gate) _function.Device.WriteConfig((int)(offset - MmioSpec.Config), data);
            return AccessResult.Ok;
        }
        if (data.Length != sizeof(uint) || offset % sizeof(uint) != 0) return AccessResult.InvalidSize;
        var value = BinaryPrimitives.ReadUInt32LittleEndian(data);
        switch (offset)
        {
            // The two registers of the data path do not wait for one another or for a slow reset.
            case MmioSpec.QueueNotify:
                _function.Notify(value);
                return AccessResult.Ok;
            case MmioSpec.InterruptAcknowledge:
                Acknowledge(value);
                return AccessResult.Ok;
            default:
                lock (_gate) return WriteRegister(offset, value);
        }
    }

    void IVirtioInterrupts.UsedBuffers(int queue) => Raise(MmioSpec.UsedBuffer);

    void IVirtioInterrupts.ConfigurationChanged() => Raise(MmioSpec.ConfigurationChange);

    /// <inheritdoc/>
    public void Pause() => _function.Pause();

    /// <inheritdoc/>
    public void Resume() => _function.Resume();

    /// <inheritdoc/>
    public SavedKind Kind => new("virtio over MMIO", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        Exchange(fields);
        lock (_interruptGate)
        {
            SavedFields.Require((_interruptStatus & ~(MmioSpec.UsedBuffer | MmioSpec.ConfigurationChange)) == 0, $"an interrupt status of 0x{_interruptStatus:x}");
            _line.SetLevel(_interruptStatus != 0);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = $"virtio {DeviceType} over MMIO";
        node.Locked(_interruptGate, () => node.SayHex("interrupt status", _interruptStatus));
        _function.Inspect(node);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters) => (_function.Device as ICounted)?.Count(counters);

    /// <summary>The machine's reset: as if the driver had reset the device. When it returns nothing touches guest memory.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _ = WriteRegister(MmioSpec.Status, 0);
            _state = default;
        }
    }

    /// <summary>Stops the device and its workers.</summary>
    public void Dispose()
    {
        lock (_gate) _function.Dispose();
    }

    private void Exchange(SavedFields fields)
    {
        lock (_gate)
        {
            fields.Record(1, ref _state, MmioState.Exchange);
            lock (_interruptGate) fields.Value(2, ref _interruptStatus);
            fields.Unit(3, _function);
        }
    }

    private bool TryReadRegister(ulong offset, out uint value)
    {
        if (offset == MmioSpec.InterruptStatus)
        {
            lock (_interruptGate) value = _interruptStatus;
            return true;
        }
        lock (_gate)
        {
            uint? read = offset switch
            {
                MmioSpec.MagicValue => MmioSpec.Magic,
                MmioSpec.Version => MmioSpec.CurrentVersion,
                MmioSpec.DeviceId => (uint)_function.Device.Type,
                MmioSpec.VendorId => MmioSpec.Vendor,
                MmioSpec.DeviceFeatures => _state.DeviceFeaturesSelect < 2
                    ? (uint)(_function.OfferedFeatures >> (int)(_state.DeviceFeaturesSelect * 32)) : 0,
                MmioSpec.QueueSizeMaximum => _function.QueueMaximum(_state.QueueSelect),
                MmioSpec.QueueReady => _function.IsReady(_state.QueueSelect) ? 1u : 0,
                MmioSpec.Status => (uint)_function.Status,
                // No device here has shared memory: every region is one that does not exist (length and base -1).
                MmioSpec.SharedMemoryLengthLow or MmioSpec.SharedMemoryLengthHigh
                    or MmioSpec.SharedMemoryBaseLow or MmioSpec.SharedMemoryBaseHigh => uint.MaxValue,
                // A reset of a queue is over before the write that asks for it returns.
                MmioSpec.QueueReset => 0u,
                MmioSpec.ConfigGeneration => _function.Device.ConfigGeneration,
                _ => IsWriteOnly(offset) ? 0u : null,
            };
            value = read ?? 0;
            return read is not null;
        }
    }

    private static bool IsWriteOnly(ulong offset) => offset is MmioSpec.DeviceFeaturesSelect or MmioSpec.DriverFeatures
        or MmioSpec.DriverFeaturesSelect or MmioSpec.QueueSelect or MmioSpec.QueueSize or MmioSpec.QueueNotify
        or MmioSpec.InterruptAcknowledge or MmioSpec.QueueDescriptorLow or MmioSpec.QueueDescriptorHigh or MmioSpec.QueueDriverLow
        or MmioSpec.QueueDriverHigh or MmioSpec.QueueDeviceLow or MmioSpec.QueueDeviceHigh or MmioSpec.SharedMemorySelect;

    private AccessResult WriteRegister(ulong offset, uint value)
    {
        switch (offset)
        {
            case MmioSpec.DeviceFeaturesSelect:
                _state.DeviceFeaturesSelect = value;
                break;
            case MmioSpec.DriverFeatures:
                _function.WriteDriverFeatures(_state.DriverFeaturesSelect, value);
                break;
            case MmioSpec.DriverFeaturesSelect:
                _state.DriverFeaturesSelect = value;
                break;
            case MmioSpec.QueueSelect:
                _state.QueueSelect = value;
                break;
            case MmioSpec.QueueReady:
                _function.SetReady(_state.QueueSelect, (value & 1) != 0);
                break;
            case MmioSpec.QueueReset:
                if (value == 1) _function.ResetQueue(_state.QueueSelect);
                break;
            case MmioSpec.Status:
                WriteStatus((byte)value);
                break;
            case MmioSpec.SharedMemorySelect:
                break;
            default:
                return WriteQueueRegister(offset, value);
        }
        return AccessResult.Ok;
    }

    // The registers of the selected queue's place; while it is ready they do not change (4.2.2.2).
    private AccessResult WriteQueueRegister(ulong offset, uint value)
    {
        var writable = _function.TryConfigure(_state.QueueSelect, out var queue);
        VirtioQueueState ignored = default;
        ref var target = ref writable ? ref queue[0] : ref ignored;
        switch (offset)
        {
            case MmioSpec.QueueSize:
                target.Size = value;
                break;
            case MmioSpec.QueueDescriptorLow or MmioSpec.QueueDescriptorHigh:
                SetHalf(ref target.DescriptorArea, offset, value);
                break;
            case MmioSpec.QueueDriverLow or MmioSpec.QueueDriverHigh:
                SetHalf(ref target.DriverArea, offset, value);
                break;
            case MmioSpec.QueueDeviceLow or MmioSpec.QueueDeviceHigh:
                SetHalf(ref target.DeviceArea, offset, value);
                break;
            default:
                return AccessResult.Unclaimed;
        }
        return AccessResult.Ok;
    }

    // The low halves lie at multiples of 8, the high ones 4 behind.
    private static void SetHalf(ref ulong address, ulong offset, uint value) =>
        address = offset % 8 == 0 ? address & ~0xffff_fffful | value : address & 0xffff_ffff | (ulong)value << 32;

    private void WriteStatus(byte value)
    {
        _function.WriteStatus(value);
        if (value != 0) return;
        // The function is silent by now, so that no bit can be set behind this.
        _state = default;
        Acknowledge(uint.MaxValue);
    }

    private void Raise(uint cause)
    {
        lock (_interruptGate)
        {
            _interruptStatus |= cause;
            _line.SetLevel(true);
        }
    }

    private void Acknowledge(uint causes)
    {
        lock (_interruptGate)
        {
            _interruptStatus &= ~causes;
            if (_interruptStatus == 0) _line.SetLevel(false);
        }
    }
}
