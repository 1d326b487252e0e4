// A mouse with three buttons; where its driver knocks for it (three sample rates in a row), with a wheel, and with two buttons more. What
// it does while the guest has not read its last packet is added up and told in the next one.
using Lamina.Core.Input;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using static Lamina.Devices.Chipset.Ps2.Ps2Spec;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>A mouse behind the controller.</summary>
internal sealed class Ps2Mouse : IPs2Device
{
    private const int MostTold = 255, MostWheel = 7, MostKept = 1 << 16;

    private Ps2Bytes _answers, _packet;
    private byte _command, _last, _kind, _rate, _resolution, _told;
    private uint _knocks;
    private bool _enabled, _remote, _wraps, _scales;
    private int _right, _down, _wheel;
    private PointerButtons _buttons;

    internal Ps2Mouse() => Reset();

    public bool HasByte => _answers.Count + _packet.Count > 0;

    private bool HasNews => _right != 0 || _down != 0 || _wheel != 0 || (byte)_buttons != _told;

    public byte TakeByte()
    {
        _last = _answers.Count > 0 ? _answers.Take() : _packet.Take();
        Stream();
        return _last;
    }

    public void Reset()
    {
        _answers.Clear();
        (_kind, _knocks, _wraps, _last) = (PlainMouse, 0, false, 0);
        SetDefaults();
        (_buttons, _told) = (PointerButtons.None, 0);
    }

    /// <summary>It moves, its buttons change, its wheel turns.</summary>
    internal void Move(int right, int down, int wheel, PointerButtons buttons)
    {
        if (!_enabled && !_remote) return;
        _right = Math.Clamp(_right + Math.Clamp(right, -MostKept, MostKept), -MostKept, MostKept);
        _down = Math.Clamp(_down + Math.Clamp(down, -MostKept, MostKept), -MostKept, MostKept);
        _wheel = Math.Clamp(_wheel + Math.Clamp(wheel, -MostKept, MostKept), -MostKept, MostKept);
        _buttons = buttons & (PointerButtons)0x1f;
        Stream();
    }

    public void Receive(byte value)
    {
        var command = _command;
        _command = 0;
        if (_wraps && value is not (ResetWrap or Ps2Spec.Reset))
        {
            _answers.AddAnswer(value);
            return;
        }
        switch (command)
        {
            case SampleRate:
                Knock(value);
                _rate = value;
                _answers.AddAnswer(Acknowledge);
                return;
            case Resolution:
                _resolution = (byte)(value & 3);
                _answers.AddAnswer(Acknowledge);
                return;
        }
        // Any command ends a packet that the guest has not read.
        _packet.Clear();
        switch (value)
        {
            case SampleRate or Resolution:
                _command = value;
                _answers.AddAnswer(Acknowledge);
                break;
            case Scaling1 or Scaling2:
                _scales = value == Scaling2;
                _answers.AddAnswer(Acknowledge);
                break;
            case StatusRequest:
                _answers.AddAnswer(Acknowledge, (byte)((_remote ? StatusRemote : 0) | (_enabled ? StatusEnabled : 0) | (_scales ? StatusScaling2 : 0) | StatusButtons()), _resolution, _rate);
                break;
            case StreamMode or RemoteMode:
                _remote = value == RemoteMode;
                Forget();
                _answers.AddAnswer(Acknowledge);
                break;
            case ReadData:
                _answers.AddAnswer(Acknowledge);
                Pack(ref _answers);
                break;
            case Wrap or ResetWrap:
                _wraps = value == Wrap;
                _answers.AddAnswer(Acknowledge);
                break;
            case Identify:
                _answers.AddAnswer(Acknowledge, _kind);
                break;
            case Enable or Disable:
                _enabled = value == Enable;
                Forget();
                _answers.AddAnswer(Acknowledge);
                break;
            case Defaults:
                SetDefaults();
                _answers.AddAnswer(Acknowledge);
                break;
            case Again:
                _answers.AddAnswer(_last);
                break;
            case Ps2Spec.Reset:
                Reset();
                _answers.AddAnswer(Acknowledge, TestPassed, PlainMouse);
                break;
            default:
                _answers.AddAnswer(Ps2Spec.Resend);
                break;
        }
    }

    public SavedKind Kind => new("PS/2 mouse", 1);

    public void Save(SavedFields fields) => Exchange(fields);

    public void Load(SavedFields fields) => Exchange(fields);

    private void Exchange(SavedFields fields)
    {
        fields.Record(1, ref _answers, Ps2Bytes.Exchange);
        fields.Record(2, ref _packet, Ps2Bytes.Exchange);
        fields.Value(3, ref _command);
        fields.Value(4, ref _last);
        fields.Value(5, ref _kind);
        fields.Value(6, ref _rate);
        fields.Value(7, ref _resolution);
        fields.Value(8, ref _told);
        fields.Value(9, ref _knocks);
        fields.Value(10, ref _enabled);
        fields.Value(11, ref _remote);
        fields.Value(12, ref _wraps);
        fields.Value(13, ref _scales);
        fields.Value(14, ref _right);
        fields.Value(15, ref _down);
        fields.Value(16, ref _wheel);
        var buttons = (byte)_buttons;
        fields.Value(17, ref buttons);
        _buttons = (PointerButtons)(buttons & 0x1f);
        SavedFields.Require(_kind is PlainMouse or WheelMouse or FiveButtonMouse, "there is no such kind of mouse");
        SavedFields.Require(_right is >= -MostKept and <= MostKept && _down is >= -MostKept and <= MostKept && _wheel is >= -MostKept and <= MostKept, "a mouse has moved further than it can");
    }

    public void Inspect(InspectNode node)
    {
        node.Say("enabled", _enabled);
        node.Say("remote", _remote);
        node.Say("kind", (long)_kind);
        node.Say("rate", (long)_rate);
        node.Say("resolution", (long)_resolution);
        node.Say("buttons", _buttons);
        node.Say("bytes waiting", (long)(_answers.Count + _packet.Count));
    }

    // A driver that knows wheels asks for 200, 100 and 80 samples a second, one that knows five buttons behind it for 200, 200 and 80.
    private void Knock(byte rate)
    {
        const uint wheel = 200 << 16 | 100 << 8 | 80, five = 200 << 16 | 200 << 8 | 80, three = 0xff_ffff;
        _knocks = (_knocks << 8 | rate) & three;
        if (_knocks == wheel && _kind == PlainMouse) _kind = WheelMouse;
        else if (_knocks == five && _kind != PlainMouse) _kind = FiveButtonMouse;
    }

    private void SetDefaults()
    {
        (_command, _rate, _resolution, _enabled, _remote, _scales) = (0, DefaultRate, DefaultResolution, false, false, false);
        Forget();
    }

    private void Forget()
    {
        _packet.Clear();
        (_right, _down, _wheel) = (0, 0, 0);
        _told = (byte)_buttons;
    }

    private int StatusButtons() => ((_buttons & PointerButtons.Left) != 0 ? 4 : 0) | ((_buttons & PointerButtons.Middle) != 0 ? 2 : 0) | ((_buttons & PointerButtons.Right) != 0 ? 1 : 0);

    private void Stream()
    {
        if (_enabled && !_remote && _packet.Count == 0 && HasNews) Pack(ref _packet);
    }

    // What has no room in one packet stays for the next.
    private void Pack(ref Ps2Bytes queue)
    {
        var (right, up) = (Math.Clamp(_right, -MostTold, MostTold), Math.Clamp(-_down, -MostTold, MostTold));
        (_right, _down) = (_right - right, _down + up);
        var first = (byte)(AlwaysOne | ((byte)_buttons & 7) | (right < 0 ? RightIsNegative : 0) | (up < 0 ? UpIsNegative : 0));
        _told = (byte)_buttons;
        if (_kind == PlainMouse)
        {
            _wheel = 0;
            queue.Add([first, (byte)right, (byte)up]);
            return;
        }
        var wheel = Math.Clamp(_wheel, -MostWheel, MostWheel);
        _wheel -= wheel;
        var fourth = _kind == WheelMouse ? (byte)wheel
            : (byte)((wheel & 0xf) | ((_buttons & PointerButtons.Back) != 0 ? FourthButton : 0) | ((_buttons & PointerButtons.Forward) != 0 ? FifthButton : 0));
        queue.Add([first, (byte)right, (byte)up, fourth]);
    }
}
