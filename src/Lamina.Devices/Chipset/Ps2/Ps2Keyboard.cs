// A keyboard with 101 or 102 keys and scan code sets 1 and 2 (set 3, which no system for PCs asks for, it does not have, as many do not).
// It does not repeat by itself a key that is held: whoever presses it does, as hosts' own keyboards do.
using Lamina.Core.Input;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using static Lamina.Devices.Chipset.Ps2.Ps2Spec;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>A keyboard behind the controller.</summary>
internal sealed class Ps2Keyboard : IPs2Device
{
    private const int LongestKey = 8, MostKeysDown = Ps2Bytes.Most / LongestRelease;

    // What was pressed has to be let go one day: so much room is kept for that, a key.
    private const int LongestRelease = 6;

    private readonly List<KeyCode> _down = [];
    private Ps2Bytes _answers, _codes;
    private byte _command, _last, _set, _lights;
    private bool _scans;

    internal Ps2Keyboard() => Reset();

    /// <summary>What the guest lights.</summary>
    internal KeyboardLights Lights => (KeyboardLights)_lights;

    /// <summary>The guest wants keys, and has read all.</summary>
    internal bool IsReady => _scans && !HasByte;

    public bool HasByte => _answers.Count + _codes.Count > 0;

    public byte TakeByte() => _last = _answers.Count > 0 ? _answers.Take() : _codes.Take();

    public void Reset()
    {
        _answers.Clear();
        (_lights, _last) = (0, 0);
        _down.Clear();
        SetDefaults(scans: true);
    }

    /// <summary>A key goes down or up.</summary>
    internal void Set(KeyCode key, bool pressed)
    {
        if (!_scans || key.Code is 0 or > KeyCode.Last) return;
        Span<byte> bytes = stackalloc byte[LongestKey];
        var length = ScanCodes.Write(key, pressed, _set, Modifiers(), bytes);
        if (pressed)
        {
            var down = _down.Contains(key) ? _down.Count : _down.Count + 1;
            if (_codes.Room - length < LongestRelease * down) return;
            if (down > _down.Count) _down.Add(key);
        }
        else if (!_down.Remove(key)) return;
        _codes.Add(bytes[..length]);
    }

    public void Receive(byte value)
    {
        var command = _command;
        _command = 0;
        switch (command)
        {
            case SetLights:
                _lights = (byte)(value & 7);
                _answers.AddAnswer(Acknowledge);
                return;
            case ScanCodeSet when value == 0:
                _answers.AddAnswer(Acknowledge, _set);
                return;
            case ScanCodeSet:
                if (value is 1 or 2)
                {
                    _set = value;
                    _codes.Clear();
                }
                _answers.AddAnswer(Acknowledge);
                return;
            case Typematic or FirstOfSet3WithKey:
                _answers.AddAnswer(Acknowledge);
                return;
        }
        switch (value)
        {
            case SetLights or ScanCodeSet or Typematic:
                _command = value;
                _answers.AddAnswer(Acknowledge);
                break;
            case EchoCommand:
                _answers.AddAnswer(Echo);
                break;
            case Identify:
                _answers.AddAnswer(Acknowledge, KeyboardId1, KeyboardId2);
                break;
            case Enable:
                _codes.Clear();
                _scans = true;
                _answers.AddAnswer(Acknowledge);
                break;
            case Disable or Defaults:
                SetDefaults(scans: value == Defaults);
                _answers.AddAnswer(Acknowledge);
                break;
            case >= FirstOfSet3WithKey and <= LastOfSet3:
                _command = FirstOfSet3WithKey;
                _answers.AddAnswer(Acknowledge);
                break;
            case >= FirstOfSet3 and < FirstOfSet3WithKey:
                _answers.AddAnswer(Acknowledge);
                break;
            case Again:
                _answers.AddAnswer(_last);
                break;
            case Ps2Spec.Reset:
                Reset();
                _answers.AddAnswer(Acknowledge, TestPassed);
                break;
            default:
                _answers.AddAnswer(Ps2Spec.Resend);
                break;
        }
    }

    public SavedKind Kind => new("PS/2 keyboard", 1);

    public void Save(SavedFields fields) => Exchange(fields);

    public void Load(SavedFields fields) => Exchange(fields);

    private void Exchange(SavedFields fields)
    {
        fields.Record(1, ref _answers, Ps2Bytes.Exchange);
        fields.Record(2, ref _codes, Ps2Bytes.Exchange);
        fields.Value(3, ref _command);
        fields.Value(4, ref _last);
        fields.Value(5, ref _set);
        fields.Value(6, ref _lights);
        fields.Value(7, ref _scans);
        SavedFields.Require(_set is 1 or 2, "a keyboard has no such scan code set");
        // Whoever pressed the keys is not there when the machine goes on; it goes on with them down, and lets them go.
        var down = _down.SelectMany(key => (byte[])[key.Code, key.Extended ? (byte)1 : (byte)0]).ToArray();
        fields.Bytes(8, ref down, 2 * MostKeysDown);
        if (!fields.IsLoading) return;
        SavedFields.Require(down.Length % 2 == 0, "a key that is down is half a key");
        _down.Clear();
        for (var i = 0; i < down.Length; i += 2) _down.Add(new KeyCode(down[i], down[i + 1] != 0));
    }

    public void Inspect(InspectNode node)
    {
        node.Say("scans", _scans);
        node.Say("scan code set", (long)_set);
        node.Say("lights", Lights);
        node.Say("keys down", (long)_down.Count);
        node.Say("bytes waiting", (long)(_answers.Count + _codes.Count));
    }

    private void SetDefaults(bool scans)
    {
        _codes.Clear();
        (_set, _command, _scans) = (2, 0, scans);
    }

    private KeyModifiers Modifiers()
    {
        var modifiers = KeyModifiers.None;
        foreach (var key in _down)
            modifiers |= key.Code switch
            {
                0x2a or 0x36 => KeyModifiers.Shift,
                0x1d => KeyModifiers.Ctrl,
                0x38 => KeyModifiers.Alt,
                _ => KeyModifiers.None,
            };
        return modifiers;
    }
}
