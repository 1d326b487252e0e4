// The modern registers (virtio 1.2, 4.1.4.3 to 4.1.4.6), each structure in a page of one window.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using static Lamina.Devices.Virtio.Pci.VirtioPciSpec;

namespace Lamina.Devices.Virtio.Pci;

/// <content>The modern registers.</content>
public sealed partial class VirtioPci
{
    private sealed class ModernRegisters(VirtioPci function) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            switch (offset)
            {
                case < Interrupt:
                    return function.ReadCommon((int)(offset - Common), data);
                case < Device:
                    data.Clear();
                    if (offset == Interrupt) data[0] = function.TakeInterruptStatus();
                    return AccessResult.Ok;
                case < Notify:
                    lock (function._gate) function._function.Device.ReadConfig((int)(offset - Device), data);
                    return AccessResult.Ok;
                default:
                    // 4.1.4.4: there is nothing to be read.
                    data.Clear();
                    return AccessResult.Ok;
            }
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            switch (offset)
            {
                case < Interrupt:
                    return function.WriteCommon((int)(offset - Common), data);
                case < Device:
                    return AccessResult.Ok;
                case < Notify:
                    lock (function._gate) function._function.Device.WriteConfig((int)(offset - Device), data);
                    return AccessResult.Ok;
                default:
                    // Does not wait for other registers or for a slow reset. Each queue has a place of its own, which says which it is.
                    function._function.Notify((uint)((offset - Notify) / NotifyStride));
                    return AccessResult.Ok;
            }
        }
    }

    // Registers are read as rows of bytes: any width means the same.
    private AccessResult ReadCommon(int offset, Span<byte> data)
    {
        Span<byte> registers = stackalloc byte[CommonLength];
        lock (_gate) FillCommon(registers);
        data.Clear();
        if (offset < CommonLength) registers[offset..Math.Min(CommonLength, offset + data.Length)].CopyTo(data);
        return AccessResult.Ok;
    }

    private void FillCommon(Span<byte> registers)
    {
        var queue = _function.QueueState(_state.QueueSelect);
        var most = _function.QueueMaximum(_state.QueueSelect);
        registers.Clear();
        Put32(registers, DeviceFeatureSelect, _state.DeviceFeatureSelect);
        Put32(registers, DeviceFeature, Half(_function.OfferedFeatures, _state.DeviceFeatureSelect));
        Put32(registers, DriverFeatureSelect, _state.DriverFeatureSelect);
        Put32(registers, DriverFeature, Half(_function.DriverFeatures, _state.DriverFeatureSelect));
        Put16(registers, ConfigVector, _state.ConfigVector);
        Put16(registers, QueueCount, (ushort)_state.QueueVectors.Length);
        registers[DeviceStatus] = (byte)_function.Status;
        registers[ConfigGeneration] = (byte)_function.Device.ConfigGeneration;
        Put16(registers, QueueSelect, _state.QueueSelect);
        // 4.1.4.3.1: until the driver says otherwise, the most that there may be.
        Put16(registers, QueueSize, queue.Size == 0 ? most : (ushort)queue.Size);
        Put16(registers, QueueVector, QueueVectorOfSelected);
        Put16(registers, QueueEnable, queue.Ready ? (ushort)1 : (ushort)0);
        Put16(registers, QueueNotifyOffset, _state.QueueSelect);
        Put64(registers, QueueDescriptor, queue.DescriptorArea);
        Put64(registers, QueueDriver, queue.DriverArea);
        Put64(registers, QueueDevice, queue.DeviceArea);
        Put16(registers, QueueNotifyData, _state.QueueSelect);
        // A reset of a queue is over before the write that asks for it returns: QueueReset stays 0.
    }

    // 4.1.3.1: a register is written as a whole, one of 64 bits also by its halves.
    private AccessResult WriteCommon(int offset, ReadOnlySpan<byte> data)
    {
        var length = offset switch
        {
            DeviceFeatureSelect or DeviceFeature or DriverFeatureSelect or DriverFeature => sizeof(uint),
            DeviceStatus or ConfigGeneration => sizeof(byte),
            >= QueueDescriptor and < QueueNotifyData => offset % sizeof(ulong) == 0 && data.Length == sizeof(ulong) ? sizeof(ulong) : sizeof(uint),
            _ => sizeof(ushort),
        };
        if (data.Length != length || offset % Math.Min(length, sizeof(uint)) != 0) return AccessResult.InvalidSize;
        if (offset >= CommonLength) return AccessResult.Unclaimed;
        lock (_gate)
        {
            if (length == sizeof(ulong))
            {
                WriteArea(offset, BinaryPrimitives.ReadUInt32LittleEndian(data));
                WriteArea(offset + sizeof(uint), BinaryPrimitives.ReadUInt32LittleEndian(data[sizeof(uint)..]));
            }
            else
            {
                WriteCommon(offset, length switch
                {
                    sizeof(uint) => BinaryPrimitives.ReadUInt32LittleEndian(data),
                    sizeof(ushort) => BinaryPrimitives.ReadUInt16LittleEndian(data),
                    _ => data[0],
                });
            }
        }
        return AccessResult.Ok;
    }

    private void WriteCommon(int offset, uint value)
    {
        switch (offset)
        {
            case DeviceFeatureSelect:
                _state.DeviceFeatureSelect = value;
                break;
            case DriverFeatureSelect:
                _state.DriverFeatureSelect = value;
                break;
            case DriverFeature:
                _function.WriteDriverFeatures(_state.DriverFeatureSelect, value);
                break;
            case ConfigVector:
                SetConfigVector(value);
                break;
            case DeviceStatus:
                if (value == 0) ResetDevice();
                else _function.WriteStatus((byte)value);
                break;
            case QueueSelect:
                _state.QueueSelect = (ushort)value;
                break;
            case QueueSize:
                if (_function.TryConfigure(_state.QueueSelect, out var queue)) queue[0].Size = value;
                break;
            case QueueVector:
                QueueVectorOfSelected = (ushort)value;
                break;
            case QueueEnable:
                // 4.1.4.3.2: nobody disables a queue so.
                if (value == 1) Enable();
                break;
            case QueueReset:
                if (value == 1) _function.ResetQueue(_state.QueueSelect);
                break;
            case >= QueueDescriptor and < QueueNotifyData:
                WriteArea(offset, value);
                break;
        }
    }

    private void Enable()
    {
        if (_function.TryConfigure(_state.QueueSelect, out var queue) && queue[0].Size == 0) queue[0].Size = _function.QueueMaximum(_state.QueueSelect);
        _function.SetReady(_state.QueueSelect, true);
    }

    // The addresses of the selected queue's areas, by halves; while it is ready they do not change.
    private void WriteArea(int offset, uint value)
    {
        if (!_function.TryConfigure(_state.QueueSelect, out var queue)) return;
        ref var area = ref offset < QueueDriver ? ref queue[0].DescriptorArea : ref offset < QueueDevice ? ref queue[0].DriverArea : ref queue[0].DeviceArea;
        area = offset % sizeof(ulong) == 0 ? area & ~0xffff_fffful | value : area & 0xffff_ffff | (ulong)value << 32;
    }

    private static uint Half(ulong features, uint select) => select < 2 ? (uint)(features >> (int)(select * 32)) : 0;

    private static void Put16(Span<byte> registers, int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(registers[offset..], value);

    private static void Put32(Span<byte> registers, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(registers[offset..], value);

    private static void Put64(Span<byte> registers, int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(registers[offset..], value);
}
