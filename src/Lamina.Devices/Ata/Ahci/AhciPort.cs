// A port of an AHCI controller, with a drive or without: its registers, the list of commands that software writes into memory, and a worker that carries
// those out, one after another. A command of the queue (NCQ) is taken in when it is its turn, and its end told by its bit in SACT.
//
// The controller's lock guards it. The worker works without it on what no register can change meanwhile; what ends its work from outside (START taken
// away, a reset) counts an epoch on and waits until memory is touched no more.
using System.Numerics;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.Limits;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Work;
using Lamina.Devices.Media;
using static Lamina.Devices.Ata.Ahci.AhciSpec;

namespace Lamina.Devices.Ata.Ahci;

/// <summary>A port.</summary>
internal sealed partial class AhciPort : IHeldBack, ISavedUnit, IDisposable
{
    private readonly Lock _gate;
    private readonly GuestMemory _ram;
    private readonly TransferMemory _memory;
    private readonly IWorker _worker;
    private readonly Action _changed;
    private readonly BlockBuffer _none = new();
    private readonly WorkInHand _hand = new();
    private PortRegisters _registers;
    private UnderWay _current = new() { Slot = -1 };
    private AtaTaskFile _file;
    private int _epoch;
    private bool _paused, _stalled, _wantsSpace;
    private volatile bool _heldBack;

    internal AhciPort(string name, Lock gate, GuestMemory ram, IWorkerFactory workers, Action changed)
    {
        (_gate, _ram, _memory, _changed) = (gate, ram, new TransferMemory(ram), changed);
        _worker = workers.Create(name, Work);
        Connect(isPower: true);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("AHCI port", 1);

    internal AtaDrive? Drive { get; private set; }

    /// <summary>Whether it asks for an interrupt.</summary>
    internal bool Interrupts => (_registers.Status & _registers.Enable) != 0;

    /// <summary>Connects a drive; before the machine runs.</summary>
    internal void Put(AtaDrive drive)
    {
        drive.Place = AtaPlace.Serial;
        Drive = drive;
        drive.OnRetry(() =>
        {
            lock (_gate) _stalled = false;
            _worker.Wake();
        });
        Connect(isPower: true);
    }

    /// <summary>With the lock: as at power-on, or after the controller's reset.</summary>
    internal void Reset(bool isPower)
    {
        Abandon();
        var (list, listHigh, fis, fisHigh) = (_registers.List, _registers.ListHigh, _registers.Fis, _registers.FisHigh);
        _registers = default;
        // 10.4.3: where lists are stays.
        if (!isPower) (_registers.List, _registers.ListHigh, _registers.Fis, _registers.FisHigh) = (list, listHigh, fis, fisHigh);
        _heldBack = false;
        Connect(isPower);
    }

    /// <summary>Without the lock: returns when the worker touches neither memory nor a medium for what was given up before.</summary>
    internal void AwaitWorker() => _hand.Await();

    internal void Pause()
    {
        lock (_gate) _paused = true;
        AwaitWorker();
    }

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

    /// <summary>With the lock: reads a register.</summary>
    internal uint Read(int register) => register switch
    {
        ListBase => _registers.List,
        ListBaseHigh => _registers.ListHigh,
        FisBase => _registers.Fis,
        FisBaseHigh => _registers.FisHigh,
        Status => _registers.Status,
        Enable => _registers.Enable,
        Command => _registers.Command | SpinUp | PowerOn | (IsStarted ? ListRunning : 0) | ((_registers.Command & ReceiveFrames) != 0 ? FramesRunning : 0) | (uint)(_current.Slot >= 0 ? _current.Slot : _registers.Failed) << CurrentShift,
        TaskFile => _registers.TaskFile,
        Signature => _registers.Signature,
        LinkStatus => _registers.Link,
        LinkControl => _registers.LinkControl,
        LinkError => _registers.LinkError,
        Active => _registers.Active,
        Issue => _registers.Issue,
        _ => 0,
    };

    /// <summary>With the lock: writes a register.</summary>
    /// <returns>Whether what was given up is to be waited for.</returns>
    internal bool Write(int register, uint value)
    {
        var waits = false;
        switch (register)
        {
            case ListBase:
                _registers.List = value & ListMask;
                break;
            case ListBaseHigh:
                _registers.ListHigh = value;
                break;
            case FisBase:
                _registers.Fis = value & FisMask;
                break;
            case FisBaseHigh:
                _registers.FisHigh = value;
                break;
            case Status:
                _registers.Status &= ~(value & ClearMask);
                break;
            case Enable:
                _registers.Enable = value & EnableMask;
                break;
            case Command:
                waits = WriteCommand(value);
                break;
            case LinkControl:
                waits = WriteLink(value & LinkControlMask);
                break;
            case LinkError:
                _registers.LinkError &= ~value;
                if ((_registers.LinkError & Exchanged) == 0) _registers.Status &= ~PortChange;
                if ((_registers.LinkError & ReadyAgain) == 0) _registers.Status &= ~ReadyChange;
                break;
            case Active:
                if (IsStarted) _registers.Active |= value;
                break;
            case Issue:
                if (IsStarted)
                {
                    _registers.Issue |= value;
                    _worker.Wake();
                }
                break;
            default:
                break;
        }
        return waits;
    }

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        Exchange(fields);
        _registers.Require();
        SavedFields.Require(_current.Slot is >= -1 and < Slots && (_current.Slot < 0 || (Drive is not null && IsStarted)) && (_current.Slot < 0) == (_current.Action.Work == AtaWork.None), $"slot {_current.Slot}, {_current.Action.Work}");
        SavedFields.Require(_current.Slot < 0 || _current.Action.Work != AtaWork.Packet, "a packet that was taken in by half");
        SavedFields.Require((_registers.Link != 0) == (Drive is not null) || (_registers.LinkControl & DetectMask) != 0, "a link without a drive");
        _stalled = false;
    }

    internal void Inspect(InspectNode node)
    {
        node.SayHex("command", Read(Command));
        node.SayHex("interrupt status", _registers.Status);
        node.SayHex("task file", _registers.TaskFile);
        node.SayHex("issued", _registers.Issue);
        node.SayHex("active", _registers.Active);
        if (_current.Slot < 0) return;
        node.Say("slot", (long)_current.Slot);
        node.Say("work", _current.Action.Work);
        node.Say("bytes", (long)_current.Action.Length);
        node.Say("bytes moved", (long)_current.Action.Done);
        node.Say("waits for space", _stalled);
    }

    /// <inheritdoc/>
    public void Dispose() => _worker.Dispose();

    private bool IsStarted => (_registers.Command & Start) != 0;

    private void Exchange(SavedFields fields)
    {
        fields.Record(1, ref _registers, PortRegisters.Exchange);
        fields.Record(2, ref _current, UnderWay.Exchange);
        fields.Record(3, ref _file, AtaTaskFile.Exchange);
    }

    // Gives up what is under way.
    private void Abandon()
    {
        _epoch++;
        HasSpace();
        _stalled = false;
        _current = new UnderWay { Slot = -1 };
    }

    private void HasSpace()
    {
        if (!_wantsSpace) return;
        _wantsSpace = false;
        Drive?.WaitsForSpace?.Invoke(false);
    }

    // The link is there, where there is a drive, which shows what it is.
    private void Connect(bool isPower)
    {
        Abandon();
        if (Drive is not { } drive)
        {
            (_registers.Link, _registers.TaskFile, _registers.Signature) = (0, NoTaskFile, uint.MaxValue);
            return;
        }
        drive.Reset(isPower);
        _registers.Link = LinkUp;
        Sign(drive);
    }

    private void Sign(AtaDrive drive)
    {
        _file = new AtaTaskFile { Count = AtaSpec.SignatureCount, Address = drive.Signature, Status = drive.StatusAfterReset, Error = AtaSpec.Passed };
        _registers.Signature = (uint)_file.Address << 8 | _file.Count;
        _registers.TaskFile = (uint)_file.Error << 8 | _file.Status;
        // 10.1.1: it waits until frames are received.
        _registers.FrameWaits = true;
        DeliverSignature();
    }

    private void DeliverSignature()
    {
        if (!_registers.FrameWaits || (_registers.Command & ReceiveFrames) == 0) return;
        _registers.FrameWaits = false;
        PutRegisterFrame(interrupts: false);
    }

    private bool WriteCommand(uint value)
    {
        var before = _registers.Command;
        _registers.Command = value & CommandWritable;
        if ((value & Override) != 0 && !IsStarted) _registers.TaskFile &= ~(uint)(AtaSpec.Busy | AtaSpec.DataRequest);
        DeliverSignature();
        if (IsStarted || (before & Start) == 0) return false;
        // 3.3.7: without START there are no commands.
        Abandon();
        (_registers.Issue, _registers.Active, _registers.Halted, _registers.Failed) = (0, 0, false, 0);
        return true;
    }

    private bool WriteLink(uint value)
    {
        var (before, now) = (_registers.LinkControl & DetectMask, value & DetectMask);
        _registers.LinkControl = value;
        if (before == now) return false;
        if (now is Detect or Offline)
        {
            Abandon();
            (_registers.Link, _registers.TaskFile) = (now == Offline ? 4u : 0, NoTaskFile);
            return true;
        }
        if (before is not (Detect or Offline)) return false;
        Connect(isPower: false);
        if (Drive is null) return false;
        _registers.LinkError |= Exchanged | ReadyAgain;
        _registers.Status |= PortChange;
        _changed();
        return false;
    }

    private void Work()
    {
        while (TryTake(out var job))
        {
            try
            {
                CarryOut(job);
            }
            finally
            {
                _hand.End();
            }
        }
    }

    private readonly record struct Job(AtaAction Action, int Epoch, int Length, TablePosition At, ulong Table, int Entries);

    private bool TryTake(out Job job)
    {
        lock (_gate)
        {
            job = default;
            while (true)
            {
                if (_paused || _heldBack || _stalled || Drive is null || !IsStarted || _registers.Halted) return false;
                if (_current.Slot < 0 && !TakeIn()) return false;
                // What ended at once has made room for the next one.
                if (_current.Slot >= 0) break;
            }
            if (Drive.Gate is { } gate && !gate.TryPass(this)) return false;
            var length = Math.Min(_current.Action.Left, MostAtOnce);
            Drive.Gate?.Charge((ulong)length);
            job = new Job(_current.Action, _epoch, length, _current.At, _current.Table, _current.Entries);
            _hand.Begin();
            return true;
        }
    }

    // The next command of the list, of which one that cannot be read halts the port.
    private bool TakeIn()
    {
        var issued = _registers.Issue;
        if (issued == 0) return false;
        var slot = BitOperations.TrailingZeroCount(issued);
        var header = ListAddress + ((ulong)slot * HeaderLength);
        Span<byte> frame = stackalloc byte[HostFrameLength];
        if (!_ram.TryRead(header, out uint flags) || !_ram.TryRead(header + HeaderTable, out ulong table) || !_ram.TryRead(table &= TableMask, frame))
        {
            Halt(BusError);
            return false;
        }
        if ((flags & HeaderFrameMask) < LeastFrameDwords || frame[0] != HostFrame)
        {
            Halt(BusError);
            return false;
        }
        _current = new UnderWay { Slot = slot, Table = table + EntriesAt, Entries = (int)(flags >> HeaderEntriesShift), Action = AtaAction.Of(AtaWork.None) };
        if ((frame[1] & IsCommand) == 0) TakeControl(frame);
        else TakeCommand(frame, table);
        return true;
    }

    // A frame that writes the control register: a reset is begun, and ended.
    private void TakeControl(ReadOnlySpan<byte> frame)
    {
        _registers.Issue &= ~(1u << _current.Slot);
        _current.Slot = -1;
        if ((frame[15] & AtaSpec.SoftReset) != 0)
        {
            _registers.InReset = true;
            return;
        }
        if (!_registers.InReset) return;
        _registers.InReset = false;
        Drive!.Reset(isPower: false);
        Sign(Drive);
        _registers.Status |= RegisterFrame;
        _changed();
    }

    private void TakeCommand(ReadOnlySpan<byte> frame, ulong table)
    {
        _file = new AtaTaskFile
        {
            Features = (ushort)(frame[11] << 8 | frame[3]),
            Count = (ushort)(frame[13] << 8 | frame[12]),
            Address = (ulong)frame[10] << 40 | (ulong)frame[9] << 32 | (ulong)frame[8] << 24 | (uint)frame[6] << 16 | (uint)frame[5] << 8 | frame[4],
            Device = frame[7],
        };
        var opcode = (AtaOpcode)frame[2];
        if (opcode is AtaOpcode.ReadQueued or AtaOpcode.WriteQueued && Drive is AtaDisk disk && _file.Count >> 3 == _current.Slot)
        {
            _current.IsQueued = true;
            _current.Action = disk.BeginQueued(ref _file, opcode == AtaOpcode.WriteQueued);
            if (_current.Action.Work != AtaWork.None)
            {
                // It is taken in, and the list has room for another.
                _registers.Issue &= ~(1u << _current.Slot);
                _registers.TaskFile = AtaSpec.Ready | AtaSpec.SeekComplete;
                return;
            }
        }
        else
        {
            _current.Action = Drive!.Begin(ref _file, opcode);
            if (_current.Action.Work == AtaWork.Packet)
            {
                var isDma = _current.Action.IsDma;
                Span<byte> packet = stackalloc byte[AtaSpec.PacketLength];
                if (!_ram.TryRead(table + PacketAt, packet))
                {
                    Halt(BusError);
                    return;
                }
                _current.Action = Drive.BeginPacket(ref _file, packet) with { IsDma = isDma };
            }
        }
        if (_current.Action.Work == AtaWork.None) Finish(null);
        else _registers.TaskFile = AtaSpec.Busy;
    }

    private void CarryOut(Job job)
    {
        string? failure = null;
        var (moved, at, error) = (job.Length, (TablePosition?)job.At, 0u);
        try
        {
            if (job.Action.IsToHost || job.Action.IsFromHost) (moved, at, error) = Move(job);
            else Drive!.CarryOut(job.Action, _none, 0);
        }
        catch (IOException refused)
        {
            if (refused.IsDiskFull() && Drive!.WaitsForSpace is { } waits)
            {
                lock (_gate)
                {
                    if (_epoch != job.Epoch) return;
                    (_stalled, _wantsSpace) = (true, true);
                    waits(true);
                }
                return;
            }
            failure = refused.Message;
        }
        lock (_gate)
        {
            if (_epoch != job.Epoch) return;
            HasSpace();
            if (error != 0)
            {
                Halt(error);
                return;
            }
            if (failure is null)
            {
                _current.Action.Done += moved;
                _current.At = at ?? job.At;
                if (_current.Action.Left > 0) return;
            }
            Drive!.End(ref _file, _current.Action, failure);
            Finish(failure);
        }
    }

    // The next part of a transfer. What is no memory is an error of the bus; a table that is too short overflows.
    private (int Moved, TablePosition? At, uint Error) Move(Job job)
    {
        var unit = job.Action.Work switch { AtaWork.Answer => 1, AtaWork.Trim => job.Action.Length, _ => job.Action.Unit };
        if (Collect(job, job.Length) is not { } at) return (0, null, BusError);
        var whole = _memory.Length / unit * unit;
        if (whole == 0) return (0, null, Overflow);
        if (whole != _memory.Length)
        {
            if (Collect(job, whole) is not { } rest || _memory.Length != whole) return (0, null, BusError);
            at = rest;
        }
        if (job.Action.Work == AtaWork.Answer) _memory.Buffer.CopyFrom(job.Action.Answer.AsSpan(job.Action.Done, whole));
        try
        {
            if (job.Action.Work != AtaWork.Answer) Drive!.CarryOut(job.Action, _memory.Buffer, whole);
        }
        finally
        {
            // What a failed read left there counts as well.
            if (job.Action.IsToHost) _memory.NotifyWritten();
        }
        return (whole, at, 0);
    }

    private TablePosition? Collect(Job job, int most)
    {
        var at = job.At;
        _memory.Clear();
        while (_memory.Length < most && _memory.Pieces < MostPieces && at.Entry < job.Entries)
        {
            var entry = job.Table + ((ulong)at.Entry * EntryLength);
            if (!_ram.TryRead(entry, out ulong address) || !_ram.TryRead(entry + EntryCount, out uint word)) return null;
            var length = (int)(word & EntryLengthMask) + 1;
            var take = Math.Min(length - at.Used, most - _memory.Length);
            // The guest changed the table meanwhile.
            if (take <= 0 || !_memory.TryAdd(address + (ulong)at.Used, take)) return null;
            at.Used += take;
            if (at.Used == length) at = new TablePosition { Entry = at.Entry + 1 };
        }
        return at;
    }

    // The command that is carried out.
    private struct UnderWay
    {
        internal int Slot, Entries;
        internal bool IsQueued;
        internal ulong Table;
        internal TablePosition At;
        internal AtaAction Action;

        internal static void Exchange(SavedFields fields, ref UnderWay under)
        {
            fields.Value(1, ref under.Slot);
            fields.Value(2, ref under.Entries);
            fields.Value(3, ref under.IsQueued);
            fields.Value(4, ref under.Table);
            fields.Record(5, ref under.At, TablePosition.Exchange);
            fields.Record(6, ref under.Action, AtaAction.Exchange);
            if (fields.IsLoading) SavedFields.Require(under.Entries is >= 0 and <= ushort.MaxValue, $"a table of {under.Entries} entries");
        }
    }
}
