// A floppy disk controller 82077AA with up to two drives. Commands come byte by byte, data go by DMA channel 2, results are read byte by byte; what
// concerns a disk is done by a worker, which waits for the host in no virtual CPU's place.
using Lamina.Core.Block;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Core.Work;
using Lamina.Devices.Ata;
using Lamina.Devices.Chipset;
using static Lamina.Devices.Floppy.FloppySpec;

namespace Lamina.Devices.Floppy;

/// <summary>The controller.</summary>
public sealed class FloppyController : IResettable, IPausable, ISavedUnit, IInspected, IDisposable
{
    /// <summary>How many drives it has places for.</summary>
    public const int Places = Drives;

    private const int LongestCommand = 9;

    private readonly Lock _gate = new();
    private readonly IInterruptLine _line;
    private readonly Dma8237 _dma;
    private readonly GuestMemory _memory;
    private readonly IWorker _worker;
    private readonly FloppyDrive?[] _drives = new FloppyDrive?[Drives];
    private readonly Lazy<BlockMemory> _sector = new(() => new BlockMemory(SectorSize));
    private readonly WorkInHand _hand = new();
    private FloppyState _state = FloppyState.AtPowerOn();
    private int _epoch;
    private bool _paused;

    /// <summary>Makes one without drives.</summary>
    /// <param name="line">Its interrupt, 6.</param>
    /// <param name="dma">The DMA controller.</param>
    /// <param name="memory">Guest memory.</param>
    /// <param name="workers">Makes what works for it.</param>
    public FloppyController(IInterruptLine line, Dma8237 dma, GuestMemory memory, IWorkerFactory workers)
    {
        ArgumentNullException.ThrowIfNull(workers);
        (_line, _dma, _memory) = (line, dma, memory);
        _worker = workers.Create("floppy", Work);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("82077AA", 1);

    /// <summary>Connects a drive; before the machine runs.</summary>
    public void Put(int place, FloppyDrive drive) => _drives[place] = drive;

    /// <summary>Puts it to its ports.</summary>
    public void MapPorts(Bus ports)
    {
        ArgumentNullException.ThrowIfNull(ports);
        ports.Map(Ports, PortsLength, new BytePorts(Read, Write), "floppy controller");
        ports.Map(DirectionPort, 1, new BytePorts(_ => ReadDirection(), (_, value) => WriteRate(value)), "floppy controller's rate");
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
        {
            _epoch++;
            _state = FloppyState.AtPowerOn();
            Drive();
        }
        _hand.Await();
    }

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_gate) _paused = true;
        _hand.Await();
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_gate) _paused = false;
        _worker.Wake();
    }

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) fields.Record(1, ref _state, FloppyState.Exchange);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            fields.Record(1, ref _state, FloppyState.Exchange);
            Drive();
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.Say("phase", _state.Phase);
        node.SayHex("output", _state.Output);
        node.SayHex("command", _state.Bytes[0]);
        node.Say("cylinder of A", (long)_state.Cylinders[0]);
        node.Say("interrupt", _state.Interrupt);
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _worker.Dispose();
        if (_sector.IsValueCreated) _sector.Value.Dispose();
    }

    private bool IsInReset => (_state.Output & NotReset) == 0;

    private void Drive() => _line.SetLevel(_state.Interrupt && (_state.Output & (Gate | NotReset)) == (Gate | NotReset));

    private byte Read(int register)
    {
        lock (_gate)
        {
            switch (register)
            {
                case Output:
                    return _state.Output;
                case MainStatus:
                    if (IsInReset) return 0;
                    return (byte)(_state.Seeking | _state.Phase switch
                    {
                        FloppyPhase.Command => Request | (_state.Length > 0 ? InCommand : 0),
                        FloppyPhase.Result => Request | ToHost | InCommand,
                        _ => InCommand,
                    });
                case Fifo when _state.Phase == FloppyPhase.Result:
                    var value = _state.Bytes[_state.At++];
                    _state.Interrupt = false;
                    if (_state.At == _state.Length) _state.Expect();
                    Drive();
                    return value;
                default:
                    return 0;
            }
        }
    }

    private void Write(int register, byte value)
    {
        var waits = false;
        lock (_gate)
        {
            switch (register)
            {
                case Output:
                    var before = _state.Output;
                    _state.Output = value;
                    waits = (value & NotReset) == 0 && (before & NotReset) != 0;
                    if (waits) Abandon();
                    else if ((value & NotReset) != 0 && (before & NotReset) == 0) Begin();
                    break;
                case MainStatus when (value & SoftReset) != 0:
                    _state.Rate = (byte)(value & RateMask);
                    Abandon();
                    if (!IsInReset) Begin();
                    waits = true;
                    break;
                case MainStatus:
                    _state.Rate = (byte)(value & RateMask);
                    break;
                case Fifo when _state.Phase == FloppyPhase.Command && !IsInReset:
                    _state.Bytes[_state.Length++] = value;
                    if (_state.Length == LengthOf(_state.Bytes[0])) Do();
                    break;
                default:
                    break;
            }
            Drive();
        }
        if (waits) _hand.Await();
    }

    private byte ReadDirection()
    {
        lock (_gate) return _drives[_state.Output & 1] is { } drive && (_state.Output & DriveMask) < Drives && drive.Changed ? (byte)0x80 : (byte)0;
    }

    private void WriteRate(byte value)
    {
        lock (_gate) _state.Rate = (byte)(value & RateMask);
    }

    private void Abandon()
    {
        _epoch++;
        _state.Expect();
        (_state.Interrupt, _state.Seeking, _state.Polls) = (false, 0, 0);
    }

    // 6.1.2 (polling): after a reset an interrupt is pending for each of four drives.
    private void Begin() => (_state.Interrupt, _state.Polls) = (true, 4);

    // How many bytes a command has.
    private static int LengthOf(byte first) => (FloppyCommand)(first & CommandMask) switch
    {
        FloppyCommand.Specify or FloppyCommand.Seek => 3,
        FloppyCommand.SenseDrive or FloppyCommand.Recalibrate or FloppyCommand.ReadId or FloppyCommand.PerpendicularMode => 2,
        FloppyCommand.Configure => 4,
        FloppyCommand.FormatTrack => 6,
        FloppyCommand.ReadData or FloppyCommand.WriteData or FloppyCommand.Verify => LongestCommand,
        _ => 1,
    };

    private void Do()
    {
        var (bytes, unit) = (_state.Bytes, _state.Bytes[1] & DriveMask);
        switch ((FloppyCommand)(bytes[0] & CommandMask))
        {
            case FloppyCommand.Specify or FloppyCommand.Configure or FloppyCommand.PerpendicularMode:
                _state.Expect();
                break;
            case FloppyCommand.SenseDrive:
                var drive = DriveOf(unit);
                Answer((byte)(bytes[1] & 7 | DriveReady | (drive is { IsReadOnly: true } ? DriveProtected : 0) | (_state.Cylinders[unit] == 0 ? AtTrack0 : 0)));
                break;
            case FloppyCommand.Recalibrate:
                EndSeek(unit, 0, DriveOf(unit) is null);
                break;
            case FloppyCommand.Seek:
                EndSeek(unit, bytes[2], noTrack0: false);
                break;
            case FloppyCommand.SenseInterrupt:
                SenseInterrupt();
                break;
            case FloppyCommand.Version:
                Answer(VersionValue);
                break;
            case FloppyCommand.Lock:
                Answer((byte)((bytes[0] & Locks) != 0 ? 0x10 : 0));
                break;
            case FloppyCommand.DumpRegisters:
                Answer(_state.Cylinders[0], _state.Cylinders[1], _state.Cylinders[2], _state.Cylinders[3], 0, 0, 0, 0, 0, 0);
                break;
            case FloppyCommand.ReadId or FloppyCommand.ReadData or FloppyCommand.WriteData or FloppyCommand.Verify or FloppyCommand.FormatTrack:
                _state.Phase = FloppyPhase.Work;
                _worker.Wake();
                break;
            default:
                Answer(Invalid);
                break;
        }
    }

    private FloppyDrive? DriveOf(int unit) => unit < Drives ? _drives[unit] : null;

    private void Answer(params ReadOnlySpan<byte> result)
    {
        result.CopyTo(_state.Bytes);
        (_state.Phase, _state.At, _state.Length) = (FloppyPhase.Result, 0, result.Length);
    }

    private void EndSeek(int unit, byte cylinder, bool noTrack0)
    {
        _state.Cylinders[unit] = cylinder;
        if (DriveOf(unit) is { } drive) drive.Changed = false;
        _state.Seeking |= (byte)(1 << unit);
        _state.SeekResult = (byte)(SeekEnd | unit | (noTrack0 ? Abnormal | NoTrack0 : 0));
        _state.Expect();
        _state.Interrupt = true;
    }

    private void SenseInterrupt()
    {
        if (_state.Polls > 0)
        {
            var unit = 4 - _state.Polls--;
            _state.Interrupt = false;
            Answer((byte)(Polled | unit), _state.Cylinders[unit]);
        }
        else if (_state.Seeking != 0)
        {
            var result = _state.SeekResult;
            (_state.Seeking, _state.Interrupt) = (0, false);
            Answer(result, _state.Cylinders[result & DriveMask]);
        }
        else
        {
            Answer(Invalid);
        }
    }

    private void Work()
    {
        byte[] command;
        byte rate;
        int epoch;
        byte cylinder;
        lock (_gate)
        {
            if (_paused || _state.Phase != FloppyPhase.Work) return;
            (command, rate, epoch, cylinder) = ([.. _state.Bytes], _state.Rate, _epoch, _state.Cylinders[_state.Bytes[1] & DriveMask]);
            _hand.Begin();
        }
        try
        {
            var result = new FloppyTransfer(_dma, _memory, _sector.Value).Run(DriveOf(command[1] & DriveMask), command, rate, cylinder);
            lock (_gate)
            {
                if (_epoch != epoch) return;
                Answer(result);
                _state.Interrupt = true;
                Drive();
            }
        }
        finally
        {
            _hand.End();
        }
    }
}
