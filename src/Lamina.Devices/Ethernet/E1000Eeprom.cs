// The memory that a controller takes its address and its settings from, as a driver reads it: word by word through EERD, or bit by bit
// through EECD as a Microwire part of 64 words (82540EM: 5.3, 5.4, and the data sheet of a 93C46). It is not written to.
using Lamina.Core.State;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

/// <summary>64 words.</summary>
internal sealed class E1000Eeprom
{
    private const int Words = 64, ChecksumAt = Words - 1, AddressBits = 6, CommandBits = 1 + 2 + AddressBits, WordBits = 16;
    private const ushort Sum = 0xbaba;
    private const uint StartAndRead = 0b110;

    private readonly ushort[] _words = new ushort[Words];
    private readonly bool _isExpress;

    // Since it was selected: how many bits came, what they are, how many went back.
    private byte _bits;
    private ushort _given, _command;
    private bool _out;

    internal E1000Eeprom(E1000Model model, ReadOnlySpan<byte> mac)
    {
        _isExpress = model.IsExpress;
        for (var i = 0; i < 3; i++) _words[i] = (ushort)(mac[2 * i] | mac[2 * i + 1] << 8);
        // 5.6: settings of LEDs by default; identification; no flow control asked for by hardware, no wake-up, no management.
        const ushort initialization = 0x4408;
        (_words[0x0a], _words[0x0b], _words[0x0c], _words[0x0d], _words[0x0e]) = (initialization, model.Identity.Subsystem.Device, model.Identity.Subsystem.Vendor, model.Identity.Device, model.Identity.Vendor);
        ushort sum = 0;
        foreach (var word in _words) sum += word;
        _words[ChecksumAt] = (ushort)(Sum - sum);
    }

    /// <summary>What EERD reads as after a word was asked for through it.</summary>
    internal uint ReadWord(uint eerd)
    {
        const uint start = 1;
        if ((eerd & start) == 0) return eerd;
        // The address and the bit that says that it is done lie elsewhere where there may be more words.
        var (shift, done) = _isExpress ? (2, 2u) : (8, 0x10u);
        var address = (eerd & 0xffff) >> shift;
        return (eerd & 0xffff & ~start) | done | (uint)(address < Words ? _words[address] : ushort.MaxValue) << 16;
    }

    /// <summary>What EECD reads as.</summary>
    internal uint Read(uint eecd) => (eecd & ~(EecdOut | EecdGrant)) | (_out ? EecdOut : 0) | ((eecd & EecdRequest) != 0 ? EecdGrant : 0) | EecdPresent | (_isExpress ? EecdAutoRead : 0);

    /// <summary>EECD was written: its pins may have moved.</summary>
    internal void Move(uint before, uint now)
    {
        if ((now & EecdSelect) == 0)
        {
            (_bits, _given, _command, _out) = (0, 0, 0, true);
            return;
        }
        if ((now & ~before & EecdClock) == 0) return;
        if (_bits < CommandBits)
        {
            // Zeros before the start bit are nothing.
            var bit = (now & EecdIn) != 0 ? 1 : 0;
            if (_bits == 0 && bit == 0) return;
            (_command, _bits) = ((ushort)(_command << 1 | bit), (byte)(_bits + 1));
            // A zero goes before the word.
            if (_bits == CommandBits) _out = _command >> AddressBits != StartAndRead;
            return;
        }
        if (_command >> AddressBits != StartAndRead) return;
        // It goes on with the next word for as long as it is clocked.
        var address = ((_command & (Words - 1)) + _given / WordBits) % Words;
        _out = (_words[address] >> (WordBits - 1 - _given % WordBits) & 1) != 0;
        _given++;
    }

    internal void Exchange(SavedFields fields)
    {
        fields.Value(1, ref _bits);
        fields.Value(2, ref _given);
        fields.Value(3, ref _command);
        fields.Value(4, ref _out);
        SavedFields.Require(_bits <= CommandBits, "more bits of a command than it has");
    }
}
