// The SMBus host controller of the PIIX4 (data sheet 290562, 7.3.2): registers by which software talks to chips on the board. There are
// none: each transaction ends with the error that nobody answered, at once. Kernels' drivers look for it and complain where it is not.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset.I440fx;

/// <summary>A host controller with nobody on its bus.</summary>
public sealed class SmBusHost : IBusDevice, IResettable, ISavedUnit, IInspected
{
    // Status (an error bit that is cleared by writing 1: nobody answered), control (bit 6 starts, reads as 0), and from command to data
    // registers that are kept. Behind them the other direction's, which are kept as well.
    private const int Status = 0, Control = 2, Registers = 16;
    private const byte NoAnswer = 1 << 2, Start = 1 << 6;

    private readonly Lock _gate = new();
    private readonly byte[] _registers = new byte[Registers];

    /// <inheritdoc/>
    public SavedKind Kind => new("PIIX4 SMBus host controller", 1);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++) data[i] = (int)offset + i < Registers ? _registers[(int)offset + i] : (byte)0;
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length && (int)offset + i < Registers; i++) WriteByte((int)offset + i, data[i]);
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate) Array.Clear(_registers);
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.SayHex("status", _registers[Status]));

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) fields.Bytes(1, _registers);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            fields.Bytes(1, _registers);
            SavedFields.Require((_registers[Status] & ~NoAnswer) == 0 && (_registers[Control] & Start) == 0, $"a status of 0x{_registers[Status]:x}");
        }
    }

    private void WriteByte(int register, byte value)
    {
        switch (register)
        {
            case Status:
                _registers[Status] &= (byte)~value;
                break;
            case Control:
                _registers[Control] = (byte)(value & ~Start);
                if ((value & Start) != 0) _registers[Status] |= NoAnswer;
                break;
            default:
                _registers[register] = value;
                break;
        }
    }
}
