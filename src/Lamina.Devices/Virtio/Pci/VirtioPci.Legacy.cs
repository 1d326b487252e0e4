// The registers of the legacy interface, at ports (virtio 1.2, 4.1.4.8): what drivers from before version 1.0 know, and boot loaders.
// Queues are split ones of the one size that the device has, in consecutive pages; there is no step that settles features.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Devices.Virtio.Rings;
using static Lamina.Devices.Virtio.Pci.VirtioPciSpec;

namespace Lamina.Devices.Virtio.Pci;

/// <content>The legacy registers.</content>
public sealed partial class VirtioPci
{
    private sealed class LegacyRegisters(VirtioPci function) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            function.ReadLegacy((int)offset, data);
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data) => function.WriteLegacy((int)offset, data);
    }

    // The device's configuration lies behind the vectors, where these are there. 4.1.4.8.
    private int LegacyConfigOffset
    {
        get
        {
            lock (InterruptGate) return MessageTable!.IsEnabled ? LegacyConfigWithVectors : LegacyConfig;
        }
    }

    private void ReadLegacy(int offset, Span<byte> data)
    {
        var config = LegacyConfigOffset;
        if (offset >= config)
        {
            lock (_gate) _function.Device.ReadConfig(offset - config, data);
            return;
        }
        Span<byte> registers = stackalloc byte[LegacyConfigWithVectors];
        lock (_gate) FillLegacy(registers);
        if (offset <= LegacyInterrupt && offset + data.Length > LegacyInterrupt) registers[LegacyInterrupt] = TakeInterruptStatus();
        data.Clear();
        registers[offset..Math.Min(config, offset + data.Length)].CopyTo(data);
    }

    private void FillLegacy(Span<byte> registers)
    {
        registers.Clear();
        Put32(registers, LegacyDeviceFeatures, _function.LegacyFeatures);
        Put32(registers, LegacyDriverFeatures, (uint)_function.DriverFeatures);
        var queue = _function.QueueState(_state.QueueSelect);
        Put32(registers, LegacyQueueAddress, queue.Ready ? (uint)(queue.DescriptorArea >> LegacyPageShift) : 0);
        Put16(registers, LegacyQueueSize, _function.QueueMaximum(_state.QueueSelect));
        Put16(registers, LegacyQueueSelect, _state.QueueSelect);
        // The step that this interface does not have is not seen in it, nor what the driver has not yet said.
        registers[LegacyStatus] = (byte)(_function.Status & ~VirtioStatus.FeaturesOk & (_state.StartedEarly ? ~VirtioStatus.DriverOk : ~VirtioStatus.None));
        Put16(registers, LegacyConfigVector, _state.ConfigVector);
        Put16(registers, LegacyQueueVector, QueueVectorOfSelected);
    }

    private AccessResult WriteLegacy(int offset, ReadOnlySpan<byte> data)
    {
        var config = LegacyConfigOffset;
        if (offset >= config)
        {
            lock (_gate) _function.Device.WriteConfig(offset - config, data);
            return AccessResult.Ok;
        }
        var length = offset is LegacyDriverFeatures or LegacyQueueAddress ? sizeof(uint) : offset is LegacyStatus or LegacyInterrupt ? sizeof(byte) : sizeof(ushort);
        if (data.Length != length) return AccessResult.InvalidSize;
        var value = length == sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(data) : length == sizeof(byte) ? data[0] : BinaryPrimitives.ReadUInt16LittleEndian(data);
        if (offset == LegacyQueueNotify)
        {
            NotifyLegacy(value);
            return AccessResult.Ok;
        }
        lock (_gate) WriteLegacy(offset, value);
        return AccessResult.Ok;
    }

    private void WriteLegacy(int offset, uint value)
    {
        switch (offset)
        {
            case LegacyDriverFeatures:
                _function.WriteDriverFeatures(0, value);
                break;
            case LegacyQueueAddress:
                PlaceLegacyQueue(value);
                break;
            case LegacyQueueSelect:
                _state.QueueSelect = (ushort)value;
                break;
            case LegacyStatus:
                if (value == 0) ResetDevice();
                else _function.WriteLegacyStatus((byte)value);
                _state.StartedEarly &= (value & (uint)VirtioStatus.DriverOk) == 0;
                break;
            case LegacyConfigVector:
                SetConfigVector(value);
                break;
            case LegacyQueueVector:
                QueueVectorOfSelected = (ushort)value;
                break;
        }
    }

    // 3.1.2: some drivers use the device before they say that they are ready. Whoever has a driver and a queue, and notifies, is.
    private void NotifyLegacy(uint index)
    {
        if (index < _state.QueueVectors.Length && !_function.Queues[(int)index].IsLive)
        {
            lock (_gate)
            {
                var status = _function.Status;
                if (status.HasFlag(VirtioStatus.Driver) && !status.HasFlag(VirtioStatus.DriverOk) && _function.QueueState(index).Ready)
                {
                    _function.WriteLegacyStatus((byte)(status | VirtioStatus.DriverOk));
                    _state.StartedEarly = true;
                }
            }
        }
        _function.Notify(index);
    }

    // 2.7.2: the descriptor table, the available ring, and from the next page on the used ring. Page 0 takes the queue away.
    private void PlaceLegacyQueue(uint page)
    {
        var index = (uint)_state.QueueSelect;
        if (page == 0)
        {
            _function.SetReady(index, false);
            return;
        }
        if (!_function.TryConfigure(index, out var queue)) return;
        var size = (ulong)_function.QueueMaximum(index);
        var descriptors = (ulong)page << LegacyPageShift;
        var available = descriptors + (size * RingSpec.DescriptorSize);
        var end = available + RingSpec.AvailableRing + (size * sizeof(ushort)) + sizeof(ushort);
        queue[0] = queue[0] with { Size = (uint)size, DescriptorArea = descriptors, DriverArea = available, DeviceArea = (end + LegacyAlignment - 1) & ~(LegacyAlignment - 1) };
        _function.SetReady(index, true);
    }
}
