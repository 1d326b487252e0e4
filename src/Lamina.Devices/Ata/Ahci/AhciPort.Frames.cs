// How a port tells of a command's end: by a frame of its device's in memory, by its registers, and by an interrupt.
using System.Buffers.Binary;
using static Lamina.Devices.Ata.Ahci.AhciSpec;

namespace Lamina.Devices.Ata.Ahci;

internal sealed partial class AhciPort
{
    // A command has ended: tells of it by the frame that its kind ends with.
    private void Finish(string? failure)
    {
        var (slot, action, queued) = (_current.Slot, _current.Action, _current.IsQueued);
        var failed = (_file.Status & AtaSpec.Error) != 0;
        _ = _ram.TryWrite(ListAddress + ((ulong)slot * HeaderLength) + HeaderCount, (uint)action.Done);
        _registers.TaskFile = (uint)_file.Error << 8 | _file.Status;
        if (queued && (failure is not null || !failed))
        {
            if (!failed) _registers.Active &= ~(1u << slot);
            PutBitsFrame(failed ? 0 : 1u << slot);
            _registers.Status |= BitsFrame;
        }
        else if (!failed && action is { Work: AtaWork.Answer or AtaWork.Read, IsDma: false, IsPacket: false })
        {
            PutPioFrame(action);
            _registers.Status |= PioFrame;
        }
        else
        {
            PutRegisterFrame(interrupts: true);
            _registers.Status |= RegisterFrame;
        }
        // 6.2.2: the slot of one that failed stays marked, and nothing is carried out before software starts the list anew.
        if (failed)
        {
            _registers.Halted = true;
            _registers.Status |= TaskFileError;
            _epoch++;
        }
        else
        {
            _registers.Issue &= ~(1u << slot);
        }
        if (failed) _registers.Failed = slot;
        _current = new UnderWay { Slot = -1, Action = AtaAction.Of(AtaWork.None) };
        _changed();
    }

    private void Halt(uint why)
    {
        _current = new UnderWay { Slot = -1, Action = AtaAction.Of(AtaWork.None) };
        _registers.Halted = true;
        _registers.Status |= why;
        _changed();
    }

    private ulong ListAddress => (ulong)_registers.ListHigh << 32 | _registers.List;

    // Frames that nobody receives are lost.
    private void PutFrame(int place, ReadOnlySpan<byte> frame)
    {
        if ((_registers.Command & ReceiveFrames) != 0) _ = _ram.TryWrite(((ulong)_registers.FisHigh << 32 | _registers.Fis) + (ulong)place, frame);
    }

    private void FillFrame(Span<byte> frame, byte type, byte bits)
    {
        frame.Clear();
        (frame[0], frame[1], frame[2], frame[3]) = (type, bits, _file.Status, _file.Error);
        for (var i = 0; i < 3; i++) (frame[4 + i], frame[8 + i]) = ((byte)(_file.Address >> (8 * i)), (byte)(_file.Address >> (24 + (8 * i))));
        (frame[7], frame[12], frame[13]) = (_file.Device, (byte)_file.Count, (byte)(_file.Count >> 8));
    }

    private void PutRegisterFrame(bool interrupts)
    {
        Span<byte> frame = stackalloc byte[DeviceFrameLength];
        FillFrame(frame, DeviceFrame, interrupts ? AhciSpec.Interrupts : (byte)0);
        PutFrame(RegisterFrameAt, frame);
    }

    private void PutPioFrame(in AtaAction action)
    {
        Span<byte> frame = stackalloc byte[DeviceFrameLength];
        FillFrame(frame, PioSetup, AhciSpec.Interrupts | ToHost);
        frame[2] |= AtaSpec.DataRequest;
        frame[15] = _file.Status;
        BinaryPrimitives.WriteUInt16LittleEndian(frame[16..], (ushort)Math.Min(action.Block, ushort.MaxValue - 1));
        PutFrame(PioFrameAt, frame);
    }

    private void PutBitsFrame(uint ended)
    {
        Span<byte> frame = stackalloc byte[BitsFrameLength];
        (frame[0], frame[1], frame[2], frame[3]) = (DeviceBits, AhciSpec.Interrupts, (byte)(_file.Status & 0x77), _file.Error);
        BinaryPrimitives.WriteUInt32LittleEndian(frame[4..], ended);
        PutFrame(BitsFrameAt, frame);
    }
}
