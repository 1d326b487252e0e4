// The bus master of one IDE channel: its registers, and its way through the table of memory regions that software prepared. A guest can make a table
// of anything: what is not RAM ends a transfer with the error bit, and a table has as many entries as fit into 64 KiB.
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Media;
using static Lamina.Devices.Ata.Ide.IdeSpec;

namespace Lamina.Devices.Ata.Ide;

/// <summary>The registers of a bus master. Its channel's lock guards it.</summary>
/// <param name="memory">The guest's memory.</param>
internal sealed class IdeMaster(GuestMemory memory)
{
    private byte _command, _status;
    private uint _table;

    /// <summary>How far the transfer is that is under way.</summary>
    internal TablePosition At;

    internal bool IsActive => (_status & Active) != 0;

    internal bool IsToMemory => (_command & ToMemory) != 0;

    internal byte Read(int register) => register switch
    {
        MasterCommand => _command,
        MasterStatus => _status,
        >= MasterTable and < MasterTable + 4 => (byte)(_table >> (8 * (register - MasterTable))),
        _ => 0,
    };

    /// <summary>Writes a register; what starts or stops it is seen by <see cref="IsActive"/>.</summary>
    internal void Write(int register, byte value)
    {
        switch (register)
        {
            case MasterCommand:
                var starts = (value & Start) != 0;
                if (starts && (_command & Start) == 0) (_status, At) = ((byte)(_status | Active), default);
                else if (!starts) _status &= unchecked((byte)~Active);
                // Its direction stays while it works.
                _command = (byte)(value & Start | (IsActive && (_command & Start) != 0 ? _command & ToMemory : value & ToMemory));
                break;
            case MasterStatus:
                _status = (byte)(_status & (Active | MasterError | Interrupt) & ~(value & (MasterError | Interrupt)) | value & CanDma);
                break;
            case >= MasterTable and < MasterTable + 4:
                var shift = 8 * (register - MasterTable);
                _table = (_table & ~(0xffu << shift) | (uint)value << shift) & ~3u;
                break;
            default:
                break;
        }
    }

    internal void Reset() => (_command, _status, _table, At) = (0, 0, 0, default);

    /// <summary>The device asserts its interrupt.</summary>
    internal void NoteInterrupt() => _status |= Interrupt;

    /// <summary>A transfer has ended: by the table's end, by the device's, or by what no memory is.</summary>
    internal void End(bool failed)
    {
        if (failed) _status |= MasterError;
        if (failed || At.AtEnd) _status &= unchecked((byte)~Active);
    }

    /// <summary>Collects the next regions, at most so many bytes. No lock is needed: what it reads stays while the transfer runs.</summary>
    /// <returns>Null where a region, or the table, is no RAM; else where it is then.</returns>
    internal TablePosition? Collect(TablePosition at, TransferMemory into, int most)
    {
        into.Clear();
        while (into.Length < most && into.Pieces < MostPieces && !at.AtEnd)
        {
            if (at.Entry >= MostEntries || !memory.TryRead(_table + ((ulong)at.Entry * EntryLength), out uint address) || !memory.TryRead(_table + ((ulong)at.Entry * EntryLength) + 4, out uint word)) return null;
            var length = (int)(word & LengthMask) is var given && given == 0 ? 65536 : given;
            var take = Math.Min(length - at.Used, most - into.Length);
            // The guest changed the table meanwhile.
            if (take <= 0 || !into.TryAdd((address & AddressMask) + (ulong)at.Used, take)) return null;
            at.Used += take;
            if (at.Used < length) continue;
            at = new TablePosition { Entry = at.Entry + 1, AtEnd = (word & LastEntry) != 0 };
        }
        return at;
    }

    internal void Inspect(InspectNode node)
    {
        node.SayHex("command", _command);
        node.SayHex("status", _status);
        node.SayHex("table", _table);
        node.Say("entry", (long)At.Entry);
    }

    internal static void Exchange(SavedFields fields, ref IdeMaster master)
    {
        fields.Value(1, ref master._command);
        fields.Value(2, ref master._status);
        fields.Value(3, ref master._table);
        fields.Record(4, ref master.At, TablePosition.Exchange);
        if (!fields.IsLoading) return;
        SavedFields.Require((master._command & ~(Start | ToMemory)) == 0 && (master._status & ~(Active | MasterError | Interrupt | CanDma)) == 0 && (master._table & 3) == 0
            && (!master.IsActive || (master._command & Start) != 0), "bus master registers that cannot be");
    }
}
