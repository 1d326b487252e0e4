// A keyboard controller with nothing plugged in. It answers every command at once, tells of absent devices by the
// time-out answer that ends a kernel's probe quickly, and resets the machine on request. It is not a keyboard: a machine
// with one has a fuller controller in its place.
using System.Runtime.CompilerServices;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Units;
using static Lamina.Devices.Chipset.I8042Spec;

namespace Lamina.Devices.Chipset;

/// <summary>The controller's RAM.</summary>
[InlineArray(I8042Spec.RamLength)]
public struct I8042Ram
{
    private byte _first;
}

/// <summary>Everything the controller remembers.</summary>
public struct I8042State
{
    /// <summary>RAM; byte 0 is the configuration.</summary>
    public I8042Ram Ram;

    /// <summary>The output buffer.</summary>
    public byte Output;

    /// <summary>Status bits that belong to the output buffer; zero while it is empty.</summary>
    public byte OutputStatus;

    /// <summary>The last write went to the command port.</summary>
    public bool WasCommand;

    /// <summary>The command whose parameter is awaited on the data port, or 0.</summary>
    public byte Command;

    /// <summary>The output port's bits other than reset.</summary>
    public byte OutputPort;

    internal static void Exchange(SavedFields fields, ref I8042State state)
    {
        fields.Bytes(1, (Span<byte>)state.Ram);
        fields.Value(2, ref state.Output);
        fields.Value(3, ref state.OutputStatus);
        fields.Value(4, ref state.WasCommand);
        fields.Value(5, ref state.Command);
        fields.Value(6, ref state.OutputPort);
    }
}

/// <summary>An 8042 keyboard controller without devices.</summary>
public sealed class I8042 : IResettable, ISavedUnit, IInspected
{
    private readonly Lock _gate = new();
    private readonly IInterruptLine _line;
    private readonly Action _requestReset;
    private I8042State _state;

    /// <summary>Creates it in its reset state.</summary>
    /// <param name="line">The keyboard's interrupt.</param>
    /// <param name="requestReset">Asks for a reset of the machine; called without locks, on a vCPU's thread, and must not wait for it.</param>
    public I8042(IInterruptLine line, Action requestReset)
    {
        (_line, _requestReset) = (line, requestReset);
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

    /// <summary>Claims the two ports.</summary>
    public void MapPorts(Bus ports)
    {
        ports.Map(DataPort, 1, Data);
        ports.Map(CommandPort, 1, Command);
    }

    /// <summary>Reset: both ports off, no interrupts, the system flag as after firmware's self-test.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _state = new I8042State { OutputPort = OutputA20 };
            _state.Ram[0] = ConfigSystem | ConfigKeyboardDisabled | ConfigAuxiliaryDisabled;
            UpdateLine();
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("configuration", _state.Ram[0]);
        node.SayHex("output", _state.Output);
        node.SayHex("output status", _state.OutputStatus);
        node.SayHex("command", _state.Command);
        node.SayHex("output port", _state.OutputPort);
    });

    /// <inheritdoc/>
    public SavedKind Kind => new("8042 without devices", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) I8042State.Exchange(fields, ref _state);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            I8042State.Exchange(fields, ref _state);
            UpdateLine();
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
            _state.OutputStatus = 0;
            UpdateLine();
            return _state.Output;
        }
    }

    private void WriteCommand(byte command)
    {
        bool reset;
        lock (_gate)
        {
            (_state.WasCommand, _state.Command) = (true, 0);
            reset = Execute(command);
            UpdateLine();
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
            UpdateLine();
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
                Answer(ClockStuckLow);
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

    /// <summary>A write to the data port: a command's parameter, or a byte for the keyboard that is not there.</summary>
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
            case WriteKeyboardBuffer or WriteAuxiliaryBuffer:
                // Without an auxiliary side its echo comes as the keyboard's, which is how a kernel learns of its absence.
                Answer(value);
                break;
            case WriteAuxiliary:
                Answer(Resend, AuxiliaryOutput | TimedOut);
                break;
            default:
                Answer(Resend, TimedOut);
                break;
        }
        return false;
    }

    private void Answer(byte value, int status = 0) =>
        (_state.Output, _state.OutputStatus) = (value, (byte)(OutputFull | status));

    private void UpdateLine() =>
        _line.SetLevel((_state.OutputStatus & (OutputFull | AuxiliaryOutput)) == OutputFull && (_state.Ram[0] & ConfigKeyboardInterrupt) != 0);
}
