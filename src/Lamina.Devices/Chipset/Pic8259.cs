// One 8259A of the pair: requests, priorities, commands. It has no lock and drives nothing; the pair does both.
using Lamina.Core.Interrupts;
using static Lamina.Devices.Chipset.Pic8259Spec;

namespace Lamina.Devices.Chipset;

/// <summary>One 8259A (Intel data sheet 231468).</summary>
/// <param name="master">Whether its input 2 is the slave.</param>
internal sealed class Pic8259(bool master)
{
    internal Pic8259State State;

    /// <summary>The input that would be acknowledged now, or -1.</summary>
    internal int Winner
    {
        get
        {
            if (!State.Initialised || State.ExpectedIcw != 0) return -1;
            var pending = State.Requests & ~State.Mask;
            if (pending == 0) return -1;
            // In special mask mode a masked level in service holds nobody up; in special fully nested mode the slave's
            // input does not hold up the slave.
            var blocking = (int)State.InService;
            if (State.SpecialMask) blocking &= ~State.Mask;
            if (State.SpecialNested && master) blocking &= ~(1 << CascadeInput);
            for (var i = 0; i < 8; i++)
            {
                var level = (State.HighestPriority + i) & 7;
                if ((blocking >> level & 1) != 0) return -1;
                if ((pending >> level & 1) != 0) return level;
            }
            return -1;
        }
    }

    /// <summary>Drives an input: a rising edge, or the level itself, is a request.</summary>
    internal void SetLine(int input, bool asserted)
    {
        var bit = (byte)(1 << input);
        var rose = asserted && (State.Lines & bit) == 0;
        State.Lines = (byte)(asserted ? State.Lines | bit : State.Lines & ~bit);
        var level = (State.LevelTriggered & bit) != 0;
        if (rose || (level && asserted)) State.Requests |= bit;
        else if (level) State.Requests &= (byte)~bit;
    }

    /// <summary>The slave's output. It is a request for as long as the slave has one, whatever it takes back or adds meanwhile.</summary>
    internal void SetCascade(bool requested)
    {
        const byte bit = 1 << CascadeInput;
        State.Requests = (byte)(requested ? State.Requests | bit : State.Requests & ~bit);
    }

    /// <summary>The acknowledge cycle for an input that won.</summary>
    internal void Acknowledge(int level)
    {
        var bit = (byte)(1 << level);
        if ((State.LevelTriggered & bit) == 0) State.Requests &= (byte)~bit;
        if (!State.AutoEoi) State.InService |= bit;
        else if (State.RotateOnAutoEoi) Rotate(level);
    }

    /// <summary>Changes which inputs are level triggered.</summary>
    internal void SetLevelTriggered(byte inputs)
    {
        State.LevelTriggered = inputs;
        State.Requests = (byte)((State.Requests & ~inputs) | (State.Lines & inputs));
    }

    internal byte Read(int port)
    {
        if (State.Poll)
        {
            State.Poll = false;
            var level = Winner;
            if (level < 0) return 0;
            Acknowledge(level);
            return (byte)(0x80 | level);
        }
        if (port == 1) return State.Mask;
        return State.ReadInService ? State.InService : State.Requests;
    }

    internal void Write(int port, byte value)
    {
        if (port == 0)
        {
            if ((value & Icw1) != 0) BeginInitialisation(value);
            else if ((value & Ocw3) != 0) WriteOcw3(value);
            else WriteOcw2(value);
            return;
        }
        switch (State.ExpectedIcw)
        {
            case 2:
                State.VectorBase = (byte)(value & 0xf8);
                State.ExpectedIcw = 3;
                break;
            case 3:
                // The cascade is wired to input 2 of the master whatever this says.
                if (State.NeedsIcw4) State.ExpectedIcw = 4;
                else EndInitialisation();
                break;
            case 4:
                State.AutoEoi = (value & Icw4AutoEoi) != 0;
                State.SpecialNested = (value & Icw4SpecialNested) != 0;
                EndInitialisation();
                break;
            default:
                State.Mask = value;
                break;
        }
    }

    /// <summary>ICW1 clears everything but the wires: data sheet, "Initialization command words".</summary>
    private void BeginInitialisation(byte value)
    {
        State = new Pic8259State
        {
            Lines = State.Lines,
            LevelTriggered = State.LevelTriggered,
            Requests = (byte)(State.Lines & State.LevelTriggered),
            NeedsIcw4 = (value & Icw1NeedsIcw4) != 0,
            ExpectedIcw = 2,
        };
    }

    private void EndInitialisation() => (State.ExpectedIcw, State.Initialised) = (0, true);

    private void WriteOcw2(byte value)
    {
        var level = value & 7;
        switch (value >> 5)
        {
            case Eoi:
                EndHighest(rotate: false);
                break;
            case RotateOnEoi:
                EndHighest(rotate: true);
                break;
            case SpecificEoi:
                State.InService &= (byte)~(1 << level);
                break;
            case RotateOnSpecificEoi:
                State.InService &= (byte)~(1 << level);
                Rotate(level);
                break;
            case SetPriority:
                Rotate(level);
                break;
            case RotateInAutoEoiSet:
                State.RotateOnAutoEoi = true;
                break;
            case RotateInAutoEoiClear:
                State.RotateOnAutoEoi = false;
                break;
        }
    }

    private void WriteOcw3(byte value)
    {
        if ((value & Ocw3Poll) != 0) State.Poll = true;
        if ((value & Ocw3ReadSelect) != 0) State.ReadInService = (value & Ocw3ReadService) != 0;
        if ((value & Ocw3MaskSelect) != 0) State.SpecialMask = (value & Ocw3SpecialMask) != 0;
    }

    /// <summary>A non-specific end of interrupt; in special mask mode it passes over masked levels.</summary>
    private void EndHighest(bool rotate)
    {
        var candidates = State.SpecialMask ? State.InService & ~State.Mask : State.InService;
        for (var i = 0; i < 8; i++)
        {
            var level = (State.HighestPriority + i) & 7;
            if ((candidates >> level & 1) == 0) continue;
            State.InService &= (byte)~(1 << level);
            if (rotate) Rotate(level);
            return;
        }
    }

    /// <summary>Makes a level the one with the lowest priority.</summary>
    private void Rotate(int level) => State.HighestPriority = (byte)((level + 1) & 7);
}
