// One IDE channel: the ports of its task file and its bus master, two places for drives, one interrupt line, and a worker that does what waits for
// the host, so that no virtual CPU does. A drive is BUSY while it is the worker's turn. ATA/ATAPI-6, chapter 9 (protocols), for one host and two devices.
//
// Lock order: this channel, then the interrupts' chain. The worker works without the lock on what no port can change meanwhile; what ends its work from
// outside (a reset, a stopped bus master) counts an epoch on and waits until it touches memory no more.
using Lamina.Core.Block;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.Limits;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Work;
using Lamina.Devices.Chipset;
using Lamina.Devices.Media;
using static Lamina.Devices.Ata.AtaSpec;
using static Lamina.Devices.Ata.Ide.IdeSpec;

namespace Lamina.Devices.Ata.Ide;

/// <summary>A channel.</summary>
internal sealed partial class IdeChannel : IHeldBack, ISavedUnit, IDisposable
{
    private readonly Lock _gate = new();
    private readonly IdeSlot[] _slots = [new(), new()];
    private readonly IInterruptLine _line;
    private readonly TransferMemory _memory;
    private readonly BlockBuffer _piece = new();
    private readonly WorkInHand _hand = new();
    private readonly IWorker _worker;
    private IdeMaster _master;
    private byte _control;
    private bool _asserted, _paused;
    private volatile bool _heldBack;

    internal IdeChannel(string name, IInterruptLine line, GuestMemory memory, IWorkerFactory workers)
    {
        (_line, _memory, _master) = (line, new TransferMemory(memory), new IdeMaster(memory));
        (CommandBlock, ControlBlock) = (new CommandPorts(this), new BytePorts(_ => ReadControl(), (_, value) => WriteControl(value)));
        _worker = workers.Create(name, Work);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("IDE channel", 1);

    /// <summary>What answers at its two ranges of ports.</summary>
    internal IBusDevice CommandBlock { get; }

    internal IBusDevice ControlBlock { get; }

    /// <summary>Connects a drive; before the machine runs.</summary>
    internal void Put(int place, AtaDrive drive)
    {
        _slots[place].Put(drive, place == 0 ? AtaPlace.Zero : AtaPlace.One);
        drive.OnRetry(Retry);
    }

    /// <summary>As at power-on. No vCPU runs.</summary>
    internal void Reset()
    {
        lock (_gate)
        {
            foreach (var slot in _slots) slot.Sign(isPower: true);
            _master.Reset();
            (_control, _heldBack) = (0, false);
            DriveLine();
        }
        _hand.Await();
        // What the worker did before it saw that it was over.
        lock (_gate)
        {
            foreach (var slot in _slots) slot.Sign(isPower: true);
        }
    }

    /// <summary>Comes to rest: no more work is begun.</summary>
    internal void Pause()
    {
        lock (_gate) _paused = true;
        _hand.Await();
    }

    /// <summary>Goes on with what waited.</summary>
    internal void Resume()
    {
        lock (_gate) _paused = false;
        _worker.Wake();
    }

    /// <inheritdoc/>
    public void HoldBack() => _heldBack = true;

    /// <inheritdoc/>
    public void GoOn()
    {
        _heldBack = false;
        _worker.Wake();
    }

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            Exchange(fields);
            SavedFields.Require((_control & ~(HighOrder | SoftReset | NoInterrupts)) == 0, $"a control register of 0x{_control:x}");
            DriveLine(noteEdge: false);
        }
    }

    internal void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("control", _control);
        node.Say("interrupt", _asserted);
        node.Say("stands still", _paused);
        _master.Inspect(node.Below("bus master"));
        for (var i = 0; i < Drives; i++)
            if (_slots[i].Drive is not null) _slots[i].Inspect(node.Below($"device {i}"));
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _worker.Dispose();
        foreach (var slot in _slots) slot.Dispose();
    }

    private IdeSlot Selected => _slots[(_slots[0].File.Device & DeviceOne) != 0 ? 1 : 0];

    private bool HasDrives => _slots[0].Drive is not null || _slots[1].Drive is not null;

    private void Exchange(SavedFields fields)
    {
        fields.Value(1, ref _control);
        fields.Record(2, ref _master, IdeMaster.Exchange);
        fields.Records(3, _slots, IdeSlot.Exchange);
        if (fields.IsLoading) SavedFields.Require(((_slots[0].File.Device ^ _slots[1].File.Device) & DeviceOne) == 0, "two devices that are selected at once");
        // What waited for space is tried again by who loads it.
        if (fields.IsLoading)
            foreach (var slot in _slots) slot.Stalled = false;
    }

    private byte ReadCommand(int register)
    {
        lock (_gate)
        {
            if (!HasDrives) return Floating;
            var slot = Selected;
            // A device that is not there has nothing to show, and above all not what another one has.
            if (slot.Drive is null) return 0;
            var shift = (_control & HighOrder) != 0 ? 8 : 0;
            switch (register)
            {
                case Errors:
                    return slot.File.Error;
                case Count:
                    return (byte)(slot.File.Count >> shift);
                case Low or Middle or High:
                    return (byte)(slot.File.Address >> ((8 * (register - Low)) + (3 * shift)));
                case Device:
                    return slot.File.Device;
                case Status:
                    var status = slot.File.Status;
                    if ((_control & SoftReset) == 0) slot.Interrupt = false;
                    DriveLine();
                    return status;
                default:
                    return 0;
            }
        }
    }

    private void WriteCommand(int register, byte value)
    {
        lock (_gate)
        {
            if (!HasDrives) return;
            _control &= unchecked((byte)~HighOrder);
            if (register == Command)
            {
                WriteOpcode((AtaOpcode)value);
                DriveLine();
            }
            else if (register == Device)
            {
                foreach (var slot in _slots) slot.File.Device = value;
                DriveLine();
            }
            else if (Selected.Phase == IdePhase.Idle)
            {
                // Both devices see what is written.
                foreach (var slot in _slots) WriteRegister(ref slot.File, register, value);
            }
        }
    }

    private static void WriteRegister(ref AtaTaskFile file, int register, byte value)
    {
        switch (register)
        {
            case Features:
                file.Features = (ushort)(file.Features << 8 | value);
                break;
            case Count:
                file.Count = (ushort)(file.Count << 8 | value);
                break;
            case Low or Middle or High:
                var shift = 8 * (register - Low);
                var before = file.Address >> shift & 0xff;
                file.Address = file.Address & ~(0xff0000fful << shift) | before << (shift + 24) | (ulong)value << shift;
                break;
            default:
                break;
        }
    }

    private byte ReadControl()
    {
        lock (_gate) return !HasDrives ? Floating : Selected.Drive is null ? (byte)0 : Selected.File.Status;
    }

    private void WriteControl(byte value)
    {
        bool waits;
        lock (_gate)
        {
            var before = _control;
            _control = (byte)(value & (HighOrder | SoftReset | NoInterrupts));
            var (was, now) = ((before & SoftReset) != 0, (value & SoftReset) != 0);
            waits = now && !was;
            // 9.2: both devices are busy as long as the bit is set, and show what they are afterwards.
            if (now != was)
            {
                foreach (var slot in _slots)
                {
                    slot.Sign(isPower: false);
                    if (now) slot.File.Status = Busy;
                }
            }
            DriveLine();
        }
        if (waits) _hand.Await();
    }

    /// <summary>Reads a register of the bus master.</summary>
    internal byte ReadMaster(int register)
    {
        lock (_gate) return _master.Read(register);
    }

    /// <summary>Writes one.</summary>
    internal void WriteMaster(int register, byte value)
    {
        bool starts, stops;
        lock (_gate)
        {
            var before = _master.IsActive;
            _master.Write(register, value);
            (starts, stops) = (!before && _master.IsActive, before && !_master.IsActive);
            // What is not moved yet is not moved any more, until the bus master is started again.
            if (stops)
                foreach (var slot in _slots.Where(slot => slot.Phase == IdePhase.Dma)) slot.Epoch++;
        }
        if (stops) _hand.Await();
        else if (starts) _worker.Wake();
    }

    // The bytes of one access; what is behind the end of a block is not of the next one.
    private void ReadData(Span<byte> data)
    {
        data.Clear();
        lock (_gate)
        {
            if (!HasDrives)
                for (var i = 0; i < data.Length; i++) data[i] = i % 2 == 0 ? Floating : byte.MaxValue;
            if (Selected is not { Phase: IdePhase.ToHost } slot) return;
            var length = Math.Min(data.Length, slot.BlockEnd - slot.At);
            slot.Bytes.Slice(slot.At, length).CopyTo(data);
            slot.At += length;
            if (slot.At == slot.BlockEnd) EndBlock(slot);
        }
    }

    private void WriteData(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            if (Selected is not { Phase: IdePhase.FromHost or IdePhase.Packet } slot) return;
            var length = Math.Min(data.Length, slot.BlockEnd - slot.At);
            data[..length].CopyTo(slot.Bytes[slot.At..]);
            slot.At += length;
            if (slot.At == slot.BlockEnd) EndBlock(slot);
        }
    }

    private void WriteOpcode(AtaOpcode opcode)
    {
        if ((_control & SoftReset) != 0) return;
        if (opcode == AtaOpcode.ExecuteDiagnostic)
        {
            // 9.10: both devices do it, and device 0 speaks for both.
            foreach (var place in _slots)
            {
                place.Sign(isPower: false);
                place.File.Device = 0;
            }
            if (_slots[0].Drive is not null) Ask(_slots[0]);
            return;
        }
        var slot = Selected;
        if (slot.Drive is not { } drive) return;
        if (opcode == AtaOpcode.DeviceReset && drive.Signature == PacketSignature)
        {
            var device = slot.File.Device;
            slot.Sign(isPower: false);
            slot.File.Device = (byte)(device & DeviceOne);
            return;
        }
        if (slot.Phase != IdePhase.Idle) return;
        slot.Forget();
        // What it asked for is taken back before it asks anew, which is an edge then.
        DriveLine();
        slot.ByteLimit = slot.File.ByteCount;
        Begin(slot, drive.Begin(ref slot.File, opcode));
    }

    // What a command, or its packet, comes to.
    private void Begin(IdeSlot slot, AtaAction action)
    {
        slot.Action = action;
        switch (action.Work)
        {
            case AtaWork.None:
                slot.Phase = IdePhase.Idle;
                Ask(slot);
                break;
            case AtaWork.Packet:
                // No interrupt: it is ready for the packet at once.
                slot.File.Count = ReasonCommand;
                AskForBlock(slot, IdePhase.Packet, PacketLength, PacketLength);
                break;
            case AtaWork.Flush:
                Wait(slot, IdePhase.Work);
                break;
            case var _ when action.IsDma:
                Wait(slot, IdePhase.Dma);
                break;
            case AtaWork.Answer:
                action.Answer.CopyTo(slot.Bytes);
                slot.Filled = action.Length;
                NextBlock(slot);
                break;
            case AtaWork.Read:
                Wait(slot, IdePhase.Work);
                break;
            case AtaWork.Write or AtaWork.Trim:
                AskForBlock(slot, IdePhase.FromHost, Math.Min(action.Block, action.Left), Math.Min(action.Block, action.Left));
                break;
            default:
                break;
        }
    }

    private static void AskForBlock(IdeSlot slot, IdePhase phase, int length, int filled)
    {
        (slot.Phase, slot.At, slot.BlockEnd, slot.Filled) = (phase, 0, length, filled);
        slot.File.Status = Ready | SeekComplete | DataRequest;
    }

    private void Wait(IdeSlot slot, IdePhase phase)
    {
        (slot.Phase, slot.File.Status) = (phase, Busy);
        _worker.Wake();
    }

    private static void Ask(IdeSlot slot) => slot.Interrupt = true;

    // The host is to read what is next in the buffer.
    private static void NextBlock(IdeSlot slot)
    {
        var length = slot.Filled - slot.At;
        if (slot.Action.IsPacket)
        {
            // SFF-8020i, 5.7 (byte count): only a last block is odd. 0 and all ones stand for as much as there can be.
            var limit = slot.ByteLimit is 0 or 0xffff ? 0xfffe : slot.ByteLimit;
            if (length > limit) length = Math.Max(limit & ~1, 2);
            slot.File.ByteCount = (ushort)Math.Min(length, 0xfffe);
            slot.File.Count = ReasonToHost;
            length = slot.File.ByteCount;
        }
        else
        {
            length = Math.Min(length, slot.Action.Block);
        }
        slot.BlockEnd = slot.At + length;
        (slot.Phase, slot.File.Status) = (IdePhase.ToHost, Ready | SeekComplete | DataRequest);
        Ask(slot);
    }

    // The host has moved the present block.
    private void EndBlock(IdeSlot slot)
    {
        switch (slot.Phase)
        {
            case IdePhase.Packet:
                // Its own, since what is to be read from comes into the buffer.
                Span<byte> packet = stackalloc byte[PacketLength];
                slot.Bytes[..PacketLength].CopyTo(packet);
                var isDma = slot.Action.IsDma;
                (slot.At, slot.BlockEnd, slot.Filled) = (0, 0, 0);
                Begin(slot, slot.Drive!.BeginPacket(ref slot.File, packet) with { IsDma = isDma });
                break;
            case IdePhase.ToHost:
                // What of the buffer was read of before has been counted.
                if (slot.At < slot.Filled)
                {
                    NextBlock(slot);
                    break;
                }
                slot.Action.Done += slot.Filled;
                (slot.At, slot.BlockEnd, slot.Filled) = (0, 0, 0);
                if (slot.Action.Left > 0) Wait(slot, IdePhase.Work);
                else End(slot, null);
                break;
            case IdePhase.FromHost:
                Wait(slot, IdePhase.Work);
                break;
            default:
                break;
        }
        DriveLine();
    }

    // A command has ended. Of a host that reads data itself, the last block was the end's sign (9.5).
    private static void End(IdeSlot slot, string? failure)
    {
        var wasRead = failure is null && slot.Action is { IsPacket: false, IsToHost: true, IsDma: false };
        slot.Drive!.End(ref slot.File, slot.Action, failure);
        slot.Phase = IdePhase.Idle;
        (slot.At, slot.BlockEnd, slot.Filled) = (0, 0, 0);
        if (!wasRead) Ask(slot);
    }

    private void DriveLine(bool noteEdge = true)
    {
        var asserted = (_control & NoInterrupts) == 0 && Selected is { Drive: not null, Interrupt: true };
        if (asserted == _asserted) return;
        _asserted = asserted;
        if (asserted && noteEdge) _master.NoteInterrupt();
        _line.SetLevel(asserted);
    }

    private void Retry()
    {
        lock (_gate)
        {
            foreach (var slot in _slots) slot.Stalled = false;
        }
        _worker.Wake();
    }

    // A register is a byte, but for data, which are as wide as the access.
    private sealed class CommandPorts(IdeChannel channel) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            if (offset == Data) channel.ReadData(data);
            else
                for (var i = 0; i < data.Length; i++) data[i] = channel.ReadCommand((int)offset + i);
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            if (offset == Data) channel.WriteData(data);
            else
                for (var i = 0; i < data.Length; i++) channel.WriteCommand((int)offset + i, data[i]);
            return AccessResult.Ok;
        }
    }
}
