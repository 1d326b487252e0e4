// The keyboard controller of a PC, with a keyboard and a mouse or with nothing plugged in. It answers every command at once; where nothing
// is there it tells so by the time-out answer that ends a kernel's probe quickly; it resets the machine on request. A byte of a device
// comes a byte's time after the last one was read, and no clock runs but then.
using Lamina.Core.Bus;
using Lamina.Core.Input;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using static Lamina.Devices.Chipset.Ps2.I8042Spec;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>What a keyboard controller is connected to where it has devices.</summary>
/// <param name="Clock">The machine's clock.</param>
/// <param name="KeyboardLine">The keyboard's interrupt.</param>
/// <param name="MouseLine">The mouse's.</param>
public sealed record Ps2Wires(IMachineClock Clock, IInterruptLine KeyboardLine, IInterruptLine MouseLine);

/// <summary>An 8042 keyboard controller.</summary>
public sealed class I8042 : IKeyboardInput, IPointerInput, IResettable, IPausable, ISavedUnit, IInspected, IDisposable
{
    // What a user does while the machine stands still is done when it goes on, up to so much.
    private const int MostHeld = 256;

    private readonly Lock _gate = new();
    private readonly IInterruptLine _keyboardLine;
    private readonly Action _requestReset;
    private readonly Ps2Wires? _wires;
    private readonly IDeviceTimer? _nextByte;
    private readonly Ps2Keyboard? _keyboard;
    private readonly Ps2Mouse? _mouse;
    private readonly List<Action> _held = [];
    private bool _paused;
    private I8042State _state;

    /// <summary>Creates one without devices, in its reset state.</summary>
    /// <param name="line">The keyboard's interrupt.</param>
    /// <param name="requestReset">Asks for a reset of the machine; called without locks, on a vCPU's thread, and must not wait for it.</param>
    public I8042(IInterruptLine line, Action requestReset) : this(line, requestReset, null)
    {
    }

    /// <summary>Creates one with a keyboard and a mouse, in its reset state.</summary>
    /// <param name="wires">What it is connected to.</param>
    /// <param name="requestReset">Asks for a reset of the machine; called without locks, on a vCPU's thread, and must not wait for it.</param>
    public I8042(Ps2Wires wires, Action requestReset) : this(wires.KeyboardLine, requestReset, wires)
    {
    }

    private I8042(IInterruptLine line, Action requestReset, Ps2Wires? wires)
    {
        (_keyboardLine, _requestReset, _wires) = (line, requestReset, wires);
        if (wires is not null) (_keyboard, _mouse, _nextByte) = (new Ps2Keyboard(), new Ps2Mouse(), wires.Clock.CreateTimer(BringNext));
        Data = new BytePorts(_ => ReadData(), (_, value) => WriteData(value));
        Command = new BytePorts(_ => ReadStatus(), (_, value) => WriteCommand(value));
        Reset();
    }

    /// <summary>Port 0x60.</summary>
    public IBusDevice Data { get; }

    /// <summary>Port 0x64.</summary>
    public IBusDevice Command { get; }

    /// <summary>A copy of the live registers.</summary>
    public I8042State State
    {
        get { lock (_gate) return _state; }
    }

    /// <inheritdoc/>
    public KeyboardLights Lights
    {
        get { lock (_gate) return _keyboard?.Lights ?? KeyboardLights.None; }
    }

    /// <inheritdoc/>
    public bool IsReady
    {
        get { lock (_gate) return _keyboard is { IsReady: true } && !_paused && (_state.Ram[0] & ConfigKeyboardDisabled) == 0 && (_state.OutputStatus & OutputFull) == 0; }
    }

    private long Now => _wires?.Clock.NowNanoseconds ?? 0;

    /// <summary>Claims the two ports.</summary>
    public void MapPorts(Bus ports)
    {
        ports.Map(DataPort, 1, Data);
        ports.Map(CommandPort, 1, Command);
    }

    /// <inheritdoc/>
    public void Press(KeyCode key) => Do(() => _keyboard?.Set(key, true));

    /// <inheritdoc/>
    public void Release(KeyCode key) => Do(() => _keyboard?.Set(key, false));

    /// <inheritdoc/>
    public void Move(int right, int down, int wheel, PointerButtons buttons) => Do(() => _mouse?.Move(right, down, wheel, buttons));

    /// <summary>Reset: both ports off, no interrupts, the system flag as after firmware's self-test; codes come as set 1.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _state = new I8042State { OutputPort = OutputA20, NextByte = Now };
            _state.Ram[0] = ConfigSystem | ConfigKeyboardDisabled | ConfigAuxiliaryDisabled;
            if (_keyboard is not null) _state.Ram[0] |= ConfigTranslate;
            _keyboard?.Reset();
            _mouse?.Reset();
            Advance();
        }
    }

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_gate) _paused = true;
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_gate)
        {
            _paused = false;
            foreach (var act in _held) act();
            _held.Clear();
            Advance();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _nextByte?.Dispose();

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("configuration", _state.Ram[0]);
        node.SayHex("output", _state.Output);
        node.SayHex("output status", _state.OutputStatus);
        node.SayHex("command", _state.Command);
        node.SayHex("output port", _state.OutputPort);
        _keyboard?.Inspect(node.Below("keyboard"));
        _mouse?.Inspect(node.Below("mouse"));
    });

    /// <inheritdoc/>
    public SavedKind Kind => new(_keyboard is null ? "8042 without devices" : "8042 with keyboard and mouse", 1);

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
            Advance();
        }
    }

    private void Exchange(SavedFields fields)
    {
        if (_keyboard is null || _mouse is null)
        {
            I8042State.Exchange(fields, ref _state);
            return;
        }
        I8042State.ExchangeWithDevices(fields, ref _state);
        SavedFields.Require(_state.NextByte <= Now + ByteNanoseconds, "the next byte of its devices is further away than a byte takes");
        fields.Unit(12, _keyboard);
        fields.Unit(13, _mouse);
    }

    private void Do(Action act)
    {
        lock (_gate)
        {
            if (_keyboard is null) return;
            if (_paused)
            {
                if (_held.Count < MostHeld) _held.Add(act);
                return;
            }
            act();
            Advance();
        }
    }

    private byte ReadStatus()
    {
        lock (_gate)
            return (byte)(NotLocked | _state.OutputStatus | (_state.Ram[0] & SystemFlag) | (_state.WasCommand ? WasCommand : 0));
    }

    private byte ReadData()
    {
        lock (_gate)
        {
            var value = _state.Output;
            if ((_state.OutputStatus & OutputFull) != 0)
            {
                if (_state.FromDevice) _state.NextByte = Now + ByteNanoseconds;
                (_state.OutputStatus, _state.FromDevice) = (0, false);
                // The line falls before the next byte raises it.
                UpdateLines();
            }
            Advance();
            return value;
        }
    }

    private void WriteCommand(byte command)
    {
        bool reset;
        lock (_gate)
        {
            (_state.WasCommand, _state.Command) = (true, 0);
            reset = Execute(command);
            Advance();
        }
        if (reset) _requestReset();
    }

    private void WriteData(byte value)
    {
        bool reset;
        lock (_gate)
        {
            var command = _state.Command;
            (_state.WasCommand, _state.Command) = (false, 0);
            reset = TakeParameter(command, value);
            Advance();
        }
        if (reset) _requestReset();
    }

    /// <summary>Carries out a command; true where it resets the machine.</summary>
    private bool Execute(byte command)
    {
        switch (command)
        {
            case >= ReadRam and <= ReadRam + RamMask:
                Answer(_state.Ram[command & RamMask]);
                break;
            case (>= WriteRam and <= WriteRam + RamMask) or WriteOutputPort or WriteKeyboardBuffer or WriteAuxiliaryBuffer or WriteAuxiliary:
                _state.Command = command;
                break;
            case DisableAuxiliary:
                _state.Ram[0] |= ConfigAuxiliaryDisabled;
                break;
            case EnableAuxiliary:
                _state.Ram[0] &= 0xff & ~ConfigAuxiliaryDisabled;
                break;
            case DisableKeyboard:
                _state.Ram[0] |= ConfigKeyboardDisabled;
                break;
            case EnableKeyboard:
                _state.Ram[0] &= 0xff & ~ConfigKeyboardDisabled;
                break;
            case TestAuxiliary:
                Answer(_mouse is null ? ClockStuckLow : InterfaceGood);
                break;
            case SelfTest:
                _state.Ram[0] |= ConfigSystem;
                Answer(SelfTestPassed);
                break;
            case TestKeyboard:
                Answer(InterfaceGood);
                break;
            case ReadInputPort:
                Answer(InputNotLocked);
                break;
            case ReadOutputPort:
                Answer((byte)(_state.OutputPort | OutputNotReset));
                break;
            case ReadTestInputs:
                Answer(0);
                break;
            case >= PulseLines:
                // Bit 0 low pulses the CPU's reset; the other lines lead nowhere.
                return (command & OutputNotReset) == 0;
        }
        return false;
    }

    /// <summary>A write to the data port: a command's parameter, or a byte for the keyboard.</summary>
    private bool TakeParameter(byte command, byte value)
    {
        switch (command)
        {
            case >= WriteRam and <= WriteRam + RamMask:
                _state.Ram[command & RamMask] = value;
                break;
            case WriteOutputPort:
                _state.OutputPort = (byte)(value & ~OutputNotReset);
                return (value & OutputNotReset) == 0;
            case WriteAuxiliaryBuffer when _mouse is not null:
                Answer(value, AuxiliaryOutput);
                break;
            case WriteKeyboardBuffer or WriteAuxiliaryBuffer:
                // Without an auxiliary side its echo comes as the keyboard's, which is how a kernel learns of its absence.
                Answer(value);
                break;
            case WriteAuxiliary when _mouse is not null:
                // A device that is spoken to is let answer.
                _state.Ram[0] &= 0xff & ~ConfigAuxiliaryDisabled;
                _mouse.Receive(value);
                break;
            case WriteAuxiliary:
                Answer(Resend, AuxiliaryOutput | TimedOut);
                break;
            default:
                if (_keyboard is null)
                {
                    Answer(Resend, TimedOut);
                    break;
                }
                _state.Ram[0] &= 0xff & ~ConfigKeyboardDisabled;
                _keyboard.Receive(value);
                break;
        }
        return false;
    }

    // What a device sent is read before; what the controller itself said last is worth nothing any more.
    private void Answer(byte value, int status = 0)
    {
        status |= OutputFull;
        if (_state.FromDevice) (_state.Answer, _state.AnswerStatus) = (value, (byte)status);
        else (_state.Output, _state.OutputStatus) = (value, (byte)status);
    }

    private void BringNext()
    {
        lock (_gate)
            if (!_paused) Advance();
    }

    // Brings what waits into the output buffer where that is empty.
    private void Advance()
    {
        if ((_state.OutputStatus & OutputFull) == 0)
        {
            if (_state.AnswerStatus != 0)
            {
                (_state.Output, _state.OutputStatus) = (_state.Answer, _state.AnswerStatus);
                (_state.Answer, _state.AnswerStatus) = (0, 0);
            }
            else if (FindSender() is { } sender)
            {
                if (Now < _state.NextByte) _nextByte!.Arm(_state.NextByte);
                else Bring(sender);
            }
        }
        UpdateLines();
    }

    private IPs2Device? FindSender() =>
        _keyboard is { HasByte: true } && (_state.Ram[0] & ConfigKeyboardDisabled) == 0 ? _keyboard
        : _mouse is { HasByte: true } && (_state.Ram[0] & ConfigAuxiliaryDisabled) == 0 ? _mouse : null;

    private void Bring(IPs2Device sender)
    {
        var value = sender.TakeByte();
        if (sender == _keyboard && (_state.Ram[0] & ConfigTranslate) != 0)
        {
            if (value == ScanCodes.BreakPrefix)
            {
                _state.Break = true;
                // Its code is right behind it.
                if (!sender.HasByte) return;
                value = sender.TakeByte();
            }
            value = (byte)(ScanCodes.Translate(value) | (_state.Break ? ScanCodes.BreakBit : 0));
            _state.Break = false;
        }
        (_state.Output, _state.OutputStatus, _state.FromDevice) = (value, (byte)(OutputFull | (sender == _mouse ? AuxiliaryOutput : 0)), true);
    }

    private void UpdateLines()
    {
        var (full, auxiliary) = ((_state.OutputStatus & OutputFull) != 0, (_state.OutputStatus & AuxiliaryOutput) != 0);
        _keyboardLine.SetLevel(full && !auxiliary && (_state.Ram[0] & ConfigKeyboardInterrupt) != 0);
        _wires?.MouseLine.SetLevel(full && auxiliary && (_state.Ram[0] & ConfigAuxiliaryInterrupt) != 0);
    }
}
