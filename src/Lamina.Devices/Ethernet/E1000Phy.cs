// The PHY behind MDIC: what it says of the cable, and what it agrees upon with the other end, which takes everything. Registers are those of
// IEEE 802.3, 22.2.4, and from 16 on Marvell's (M88E1011; the 82574 has one of its family inside). Agreement takes no time.
using Lamina.Core.State;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

/// <summary>A copper PHY.</summary>
internal sealed class E1000Phy
{
    private const int Registers = 32, Address = 1;
    private const int Control = 0, Status = 1, Identifier1 = 2, Identifier2 = 3, Advertisement = 4, PartnerAbility = 5, Expansion = 6, GigabitControl = 9, GigabitStatus = 10, ExtendedStatus = 15,
        SpecificControl = 16, SpecificStatus = 17, InterruptStatus = 19, ErrorCounter = 21, PageSelect = 22;

    // Register 0: reset, agreement (and to be made anew), off, full duplex.
    private const ushort Reset = 1 << 15, Agrees = 1 << 12, Off = 1 << 11, AgreeAnew = 1 << 9, ControlAtReset = Agrees | 1 << 8 | 1 << 6;

    private readonly uint _identifier;
    private readonly ushort[] _values = new ushort[Registers];

    internal E1000Phy(uint identifier)
    {
        _identifier = identifier;
        Clear();
    }

    /// <summary>Whether the cable's other end can be heard.</summary>
    internal bool HasPower => (_values[Control] & Off) == 0;

    /// <summary>The speed (0 is 10 Mbit/s, 1 is 100, 2 is 1000) and whether both ways go at once, as agreed.</summary>
    internal (uint Speed, bool FullDuplex) Mode
    {
        get
        {
            if ((_values[Control] & Agrees) == 0) return ((_values[Control] & 1 << 6) != 0 ? 2u : (_values[Control] & 1 << 13) != 0 ? 1u : 0, (_values[Control] & 1 << 8) != 0);
            if ((_values[GigabitControl] & 0x300) != 0) return (2, (_values[GigabitControl] & 0x200) != 0);
            return (_values[Advertisement] & 0x180) != 0 ? (1u, (_values[Advertisement] & 0x100) != 0) : (0u, (_values[Advertisement] & 0x40) != 0);
        }
    }

    /// <summary>As after a reset.</summary>
    internal void Clear()
    {
        Array.Clear(_values);
        // It offers all that there is, and pauses.
        (_values[Control], _values[Advertisement], _values[GigabitControl], _values[SpecificControl]) = (ControlAtReset, 0x0de1, 0x0e00, 0x0360);
    }

    /// <summary>Carries out what MDIC asks for.</summary>
    /// <param name="mdic">MDIC as it was written.</param>
    /// <param name="isLinkUp">Whether there is a link.</param>
    /// <param name="agreed">Whether it has agreed with the other end anew, which its controller is to be told.</param>
    /// <returns>MDIC as it is read then.</returns>
    internal uint Do(uint mdic, bool isLinkUp, out bool agreed)
    {
        agreed = false;
        var (register, phy) = ((int)(mdic >> 16 & 31), mdic >> 21 & 31);
        var operation = mdic & MdicOperation;
        mdic &= ~(MdicReady | MdicError);
        if (phy != Address || operation is not (MdicRead or MdicWrite)) return mdic | MdicReady | MdicError;
        if (operation == MdicRead) return mdic & 0xffff_0000 | MdicReady | Read(register, isLinkUp);
        agreed = Write(register, (ushort)mdic);
        return mdic | MdicReady;
    }

    internal void Exchange(SavedFields fields) => fields.Values(1, _values);

    private ushort Read(int register, bool isLinkUp)
    {
        // Other pages have tuning, of which nothing is here.
        if (register != PageSelect && register < 29 && register > 15 && (_values[PageSelect] & 0xff) != 0) return 0;
        var (speed, duplex) = Mode;
        var agrees = isLinkUp && (_values[Control] & Agrees) != 0;
        return register switch
        {
            Status => (ushort)(0x7949 | (isLinkUp ? 4 : 0) | (agrees ? 0x20 : 0)),
            Identifier1 => (ushort)(_identifier >> 16),
            Identifier2 => (ushort)_identifier,
            // The other end acknowledges, pauses, and can do everything.
            PartnerAbility => (ushort)(agrees ? 0x45e1 : 0),
            Expansion => (ushort)(agrees ? 1 : 0),
            GigabitStatus => (ushort)(agrees && speed == 2 ? 0x3c00 : 0),
            ExtendedStatus => 0x3000,
            SpecificStatus => (ushort)(isLinkUp ? (int)speed << 14 | (duplex ? 1 << 13 : 0) | 1 << 11 | 1 << 10 : 0),
            InterruptStatus or ErrorCounter => 0,
            _ => _values[register],
        };
    }

    private bool Write(int register, ushort value)
    {
        switch (register)
        {
            case Control when (value & Reset) != 0:
                // Software's reset keeps what was advertised (802.3, 22.2.4.1.1, leaves that to the PHY).
                _values[Control] = (ushort)(value & ~(Reset | AgreeAnew | Off));
                return true;
            case Control:
                var wasOff = !HasPower;
                _values[Control] = (ushort)(value & ~AgreeAnew);
                return HasPower && (wasOff || (value & AgreeAnew) != 0);
            case Status or Identifier1 or Identifier2 or PartnerAbility or Expansion or GigabitStatus or ExtendedStatus or SpecificStatus or InterruptStatus or ErrorCounter:
                return false;
            default:
                _values[register] = value;
                return false;
        }
    }
}
