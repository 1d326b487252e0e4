// A CD and DVD drive by ATAPI: an ATA device that takes packets. Its medium is an image of the host's that is only read, and that can be taken out
// and changed while the guest runs; the guest finds out by what the drive answers next.
using System.Buffers.Binary;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Media;
using static Lamina.Devices.Ata.AtaSpec;
using static Lamina.Devices.Ata.Packet.PacketSpec;

namespace Lamina.Devices.Ata.Packet;

/// <summary>A CD drive.</summary>
public sealed class CdDrive : AtaDrive
{
    private readonly string _serial;

    // Guards the medium: who reads from it counts, and it is given back when nobody does any more.
    private readonly Lock _gate = new();
    private IBlockBackend? _disc;
    private readonly WorkInHand _readers = new();
    private DriveState _state;

    /// <summary>Makes a drive with a disc in it, or without.</summary>
    /// <param name="disc">The disc, which stays its creator's to dispose, as all that come after it; null for none.</param>
    /// <param name="serial">Names the drive to the guest; at most 20 bytes of ASCII.</param>
    /// <param name="options">How it treats what is in it.</param>
    public CdDrive(IBlockBackend? disc, string serial, DriveOptions options) : base(options)
    {
        (_disc, _serial) = (disc, serial);
        _state = new DriveState { Mode = UltraMode << ModeClassShift | MostUltraMode };
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("ATAPI CD drive", 1);

    internal override ulong Signature => PacketSignature;

    internal override byte StatusAfterReset => 0;

    /// <summary>Presses its button, which opens no tray that the guest keeps shut, but tells the guest.</summary>
    /// <returns>Whether the guest keeps it shut.</returns>
    public bool AskToEject()
    {
        lock (_gate)
        {
            if (_state is { Locked: true, TrayOpen: false } && _disc is not null) _state.Event = EjectAsked;
            return _state is { Locked: true, TrayOpen: false } && _disc is not null;
        }
    }

    /// <summary>
    /// Puts another disc in, or takes the one out that is there; the tray is closed then. Whether the guest locked the tray is its caller's to ask.
    /// Any thread; returns when nobody reads from the former disc any more.
    /// </summary>
    /// <returns>The former disc.</returns>
    public IBlockBackend? Change(IBlockBackend? disc)
    {
        IBlockBackend? before;
        lock (_gate)
        {
            before = _disc;
            _disc = disc;
            _state.TrayOpen = false;
            _state.Event = disc is null ? MediumGone : NewMedium;
            _state.Attention = disc is not null;
        }
        _readers.Await();
        return before;
    }

    /// <inheritdoc/>
    public override void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        if (_disc is { } disc) node.Say("bytes", disc.Length);
        node.Say("medium", _disc is not null);
        node.Say("tray open", _state.TrayOpen);
        node.Say("tray locked by the guest", _state.Locked);
        node.Say("sense", $"{_state.Key:x}/{_state.Code:x2}/{_state.Qualifier:x2}");
        Medium.Inspect(node);
    });

    /// <inheritdoc/>
    public override void Save(SavedFields fields)
    {
        lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        lock (_gate)
        {
            Exchange(fields);
            SavedFields.Require(_state.Event <= MediumGone && _state.Key < 16 && IsMode(_state.Mode), "a state of the drive that no command makes");
        }
    }

    internal override void Reset(bool isPower)
    {
        lock (_gate)
        {
            // 8.9: DEVICE RESET leaves what the host chose of the tray; a machine that starts anew has a drive that is shut.
            _state = isPower ? new DriveState { Mode = _state.Mode } : _state with { Key = 0, Code = 0, Qualifier = 0 };
        }
        if (isPower) Medium.Reset();
    }

    internal override AtaAction Begin(ref AtaTaskFile file, AtaOpcode command)
    {
        (file.Status, file.Error) = (Ready | SeekComplete, 0);
        switch (command)
        {
            case AtaOpcode.Packet when (byte)file.Features is 0 or PacketByDma or (PacketByDma | 4):
                return AtaAction.Of(AtaWork.Packet) with { IsPacket = true, IsDma = (file.Features & PacketByDma) != 0 };
            case AtaOpcode.IdentifyPacketDevice:
                return AtaAction.Say(Identity());
            case AtaOpcode.IdentifyDevice or AtaOpcode.ReadSectors:
                // 9.1: a packet device refuses these and shows what it is.
                file.Count = SignatureCount;
                file.SetAddress(PacketSignature, wide: true);
                break;
            case AtaOpcode.SetFeatures when (byte)file.Features == SetTransferMode && IsMode((byte)file.Count):
                _state.Mode = (byte)file.Count;
                return AtaAction.Of(AtaWork.None);
            case AtaOpcode.SetFeatures when (byte)file.Features is EnableDefaults or DisableDefaults:
            case AtaOpcode.IdleImmediate or AtaOpcode.Idle or AtaOpcode.StandbyImmediate or AtaOpcode.Standby or AtaOpcode.Sleep:
                return AtaAction.Of(AtaWork.None);
            case AtaOpcode.CheckPowerMode:
                file.Count = 0xff;
                return AtaAction.Of(AtaWork.None);
            default:
                break;
        }
        (file.Status, file.Error) = (Ready | Error, Abort);
        return AtaAction.Of(AtaWork.None);
    }

    internal override AtaAction BeginPacket(ref AtaTaskFile file, ReadOnlySpan<byte> packet)
    {
        lock (_gate)
        {
            var opcode = (PacketOpcode)packet[0];
            // MMC-3, 4.1.6.2: who only asks what is the matter is answered all the same.
            if (_state.Attention && opcode is not (PacketOpcode.Inquiry or PacketOpcode.RequestSense or PacketOpcode.GetConfiguration or PacketOpcode.GetEventStatus))
            {
                _state.Attention = false;
                return Check(ref file, Sense.MediumChanged);
            }
            if (opcode != PacketOpcode.RequestSense) (_state.Key, _state.Code, _state.Qualifier) = (0, 0, 0);
            return Do(ref file, opcode, packet);
        }
    }

    internal override void CarryOut(in AtaAction action, BlockBuffer data, int length)
    {
        if (action.Work != AtaWork.Read) return;
        IBlockBackend? disc;
        lock (_gate)
        {
            disc = _disc;
            _readers.Begin();
        }
        try
        {
            var offset = action.Offset + (ulong)action.Done;
            if (disc is null || offset > disc.Length || (ulong)length > disc.Length - offset) throw new IOException("the disc was taken out while it was read");
            Medium.Read(disc, offset, data, length);
        }
        finally
        {
            _readers.End();
        }
    }

    internal override void End(ref AtaTaskFile file, in AtaAction action, string? failure)
    {
        if (!action.IsPacket)
        {
            (file.Status, file.Error) = (Ready | SeekComplete, 0);
            return;
        }
        if (failure is null)
        {
            _ = Good(ref file);
            return;
        }
        Medium.Fail(failure);
        lock (_gate) _ = Check(ref file, _disc is null ? Sense.NoMedium : Sense.ReadFailed);
    }

    // How many sectors the disc has that the guest finds; null where it finds none.
    private uint? Sectors => _state.TrayOpen || _disc is null ? null : (uint)Math.Min(_disc.Length / DiscSector, uint.MaxValue);

    private static AtaAction Good(ref AtaTaskFile file)
    {
        (file.Status, file.Error, file.Count) = (Ready | SeekComplete, 0, ReasonToHost | ReasonCommand);
        return AtaAction.Of(AtaWork.None);
    }

    private AtaAction Check(ref AtaTaskFile file, Sense sense)
    {
        (_state.Key, _state.Code, _state.Qualifier) = (sense.Key, sense.Code, sense.Qualifier);
        (file.Status, file.Error, file.Count) = (Ready | SeekComplete | Error, (byte)(sense.Key << 4 | (sense.Key == 5 ? Abort : 0)), ReasonToHost | ReasonCommand);
        return AtaAction.Of(AtaWork.None);
    }

    private AtaAction Do(ref AtaTaskFile file, PacketOpcode opcode, ReadOnlySpan<byte> packet)
    {
        switch (opcode)
        {
            case PacketOpcode.Inquiry:
                return (packet[1] & 3) != 0 || packet[2] != 0 ? Check(ref file, Sense.WrongField) : Say(ref file, DiscTables.Inquiry(), packet[4]);
            case PacketOpcode.RequestSense:
                return TellSense(ref file, packet[4]);
            case PacketOpcode.ModeSense6:
                return ModeSense(ref file, packet, isLong: false, packet[4]);
            case PacketOpcode.ModeSense10:
                return ModeSense(ref file, packet, isLong: true, U16(packet, 7));
            case PacketOpcode.StartStopUnit:
                return StartStop(ref file, packet[4]);
            case PacketOpcode.PreventAllow:
                _state.Locked = (packet[4] & 1) != 0;
                return Good(ref file);
            case PacketOpcode.GetConfiguration:
                return (packet[1] & 3) == 3 ? Check(ref file, Sense.WrongField) : Say(ref file, DiscTables.Configuration(Sectors, U16(packet, 2), packet[1] & 3), U16(packet, 7));
            case PacketOpcode.GetEventStatus:
                return TellEvent(ref file, packet);
            case PacketOpcode.MechanismStatus:
                return Say(ref file, DiscTables.Mechanism(_state.TrayOpen), U16(packet, 8));
            case PacketOpcode.SetCdSpeed or PacketOpcode.SynchronizeCache:
                return Good(ref file);
            case PacketOpcode.ReadFormatCapacities:
                return Say(ref file, DiscTables.FormatCapacities(Sectors), U16(packet, 7));
            default:
                break;
        }
        if (!NeedsDisc(opcode)) return Check(ref file, Sense.UnknownCommand);
        return Sectors is { } sectors ? DoWithDisc(ref file, opcode, packet, sectors) : Check(ref file, _state.TrayOpen ? Sense.NoMediumTrayOpen : Sense.NoMedium);
    }

    private static bool NeedsDisc(PacketOpcode opcode) => opcode is PacketOpcode.TestUnitReady or PacketOpcode.ReadCapacity or PacketOpcode.Read10 or PacketOpcode.Read12 or PacketOpcode.ReadCd or PacketOpcode.ReadCdMsf
        or PacketOpcode.Seek or PacketOpcode.Verify10 or PacketOpcode.ReadToc or PacketOpcode.ReadSubChannel or PacketOpcode.ReadDiscInformation or PacketOpcode.ReadTrackInformation;

    private AtaAction DoWithDisc(ref AtaTaskFile file, PacketOpcode opcode, ReadOnlySpan<byte> packet, uint sectors)
    {
        switch (opcode)
        {
            case PacketOpcode.ReadCapacity:
                return Say(ref file, DiscTables.Capacity(sectors), 8);
            case PacketOpcode.Read10:
                return Read(ref file, U32(packet, 2), U16(packet, 7), sectors);
            case PacketOpcode.Read12:
                return Read(ref file, U32(packet, 2), U32(packet, 6), sectors);
            case PacketOpcode.ReadCd:
                return ReadCd(ref file, U32(packet, 2), (uint)packet[6] << 16 | U16(packet, 7), packet, sectors);
            case PacketOpcode.ReadCdMsf:
                var (first, end) = (SectorOf(packet[3..]), SectorOf(packet[6..]));
                return first is not { } from || end is not { } to || to < from ? Check(ref file, Sense.WrongField) : ReadCd(ref file, from, to - from, packet, sectors);
            case PacketOpcode.Seek:
                return U32(packet, 2) < sectors ? Good(ref file) : Check(ref file, Sense.OutOfRange);
            case PacketOpcode.Verify10:
                return U32(packet, 2) < sectors && U16(packet, 7) <= sectors - U32(packet, 2) ? Good(ref file) : Check(ref file, Sense.OutOfRange);
            case PacketOpcode.ReadToc:
                // SFF-8020i, 10.8.20, has the form in the last byte's high bits.
                var format = (packet[2] & 15) != 0 ? packet[2] & 15 : packet[9] >> 6;
                return DiscTables.Contents(sectors, format, packet[6], (packet[1] & 2) != 0) is { } contents ? Say(ref file, contents, U16(packet, 7)) : Check(ref file, Sense.WrongField);
            case PacketOpcode.ReadSubChannel:
                return (packet[2] & 0x40) != 0 && packet[3] is < 1 or > 3 ? Check(ref file, Sense.WrongField) : Say(ref file, DiscTables.SubChannel((packet[2] & 0x40) != 0, packet[3]), U16(packet, 7));
            case PacketOpcode.ReadDiscInformation:
                return (packet[1] & 7) != 0 ? Check(ref file, Sense.WrongField) : Say(ref file, DiscTables.DiscInformation(), U16(packet, 7));
            case PacketOpcode.ReadTrackInformation:
                // By address, by track, or by session: there is one of each.
                var (by, which) = (packet[1] & 3, U32(packet, 2));
                return by == 0 && which < sectors || by is 1 or 2 && which == 1 ? Say(ref file, DiscTables.TrackInformation(sectors), U16(packet, 7)) : Check(ref file, Sense.WrongField);
            case PacketOpcode.TestUnitReady:
            default:
                return Good(ref file);
        }
    }

    // As much of an answer as the host has room for.
    private static AtaAction Say(ref AtaTaskFile file, byte[] answer, int room)
    {
        var length = Math.Min(answer.Length, room);
        return length == 0 ? Good(ref file) : AtaAction.Say(answer[..length]) with { IsPacket = true };
    }

    private AtaAction Read(ref AtaTaskFile file, uint sector, uint count, uint sectors)
    {
        if (sector > sectors || count > sectors - sector || count > AtaAction.MostLength / DiscSector) return Check(ref file, Sense.OutOfRange);
        if (count == 0) return Good(ref file);
        return new AtaAction { Work = AtaWork.Read, IsPacket = true, Offset = (ulong)sector * DiscSector, Unit = DiscSector, Length = (int)count * DiscSector, Block = DiscSector, Answer = [] };
    }

    // MMC-3, 6.15: the user data of a sector, or nothing of it; what else lies on a CD an image has not.
    private AtaAction ReadCd(ref AtaTaskFile file, uint sector, uint count, ReadOnlySpan<byte> packet, uint sectors)
    {
        if ((packet[1] >> 2 & 7) is not (0 or 2 or 4)) return Check(ref file, Sense.WrongMode);
        if (packet[10] != 0) return Check(ref file, Sense.WrongField);
        return packet[9] switch
        {
            0 => Good(ref file),
            0x10 => Read(ref file, sector, count, sectors),
            _ => Check(ref file, Sense.WrongMode),
        };
    }

    private AtaAction TellSense(ref AtaTaskFile file, int room)
    {
        var sense = new Sense(_state.Key, _state.Code, _state.Qualifier);
        if (sense == Sense.None && _state.Attention) (sense, _state.Attention) = (Sense.MediumChanged, false);
        (_state.Key, _state.Code, _state.Qualifier) = (0, 0, 0);
        return Say(ref file, DiscTables.SenseData(sense), room);
    }

    private AtaAction ModeSense(ref AtaTaskFile file, ReadOnlySpan<byte> packet, bool isLong, int room)
    {
        var control = packet[2] >> 6;
        if (control == 3) return Check(ref file, Sense.NotSaved);
        return DiscTables.ModePages((byte)(packet[2] & 0x3f), isLong, _state.Locked, _state.TrayOpen, Sectors is not null, changeable: control == 1) is { } pages ? Say(ref file, pages, room) : Check(ref file, Sense.WrongField);
    }

    // SPC-2 and MMC-3, 6.42: the tray opens and shuts; what is in it stays in it.
    private AtaAction StartStop(ref AtaTaskFile file, byte what)
    {
        if ((what & 2) == 0) return Good(ref file);
        var open = (what & 1) == 0;
        if (open && _state.Locked) return Check(ref file, Sense.RemovalPrevented);
        if (open != _state.TrayOpen && _disc is not null) (_state.Event, _state.Attention) = open ? (MediumGone, false) : (NewMedium, true);
        _state.TrayOpen = open;
        return Good(ref file);
    }

    private AtaAction TellEvent(ref AtaTaskFile file, ReadOnlySpan<byte> packet)
    {
        // Who does not ask, but wants to be told, waits for ever: that is not for ATAPI.
        if ((packet[1] & 1) == 0) return Check(ref file, Sense.WrongField);
        var room = U16(packet, 7);
        if ((packet[4] & 1 << MediaClass) == 0) return Say(ref file, [0, 2, 0x80, 1 << MediaClass], room);
        var happened = _state.Event;
        if (room > 4) _state.Event = NoEvent;
        return Say(ref file, DiscTables.Event(happened, (byte)((_state.TrayOpen ? TrayOpen : 0) | (Sectors is not null ? MediumThere : 0))), room);
    }

    private static uint? SectorOf(ReadOnlySpan<byte> time)
    {
        var frames = (((time[0] * 60) + time[1]) * FramesOfSecond) + time[2] - FirstFrame;
        return frames < 0 || time[1] >= 60 || time[2] >= FramesOfSecond ? null : (uint)frames;
    }

    private static ushort U16(ReadOnlySpan<byte> packet, int at) => BinaryPrimitives.ReadUInt16BigEndian(packet[at..]);

    private static uint U32(ReadOnlySpan<byte> packet, int at) => BinaryPrimitives.ReadUInt32BigEndian(packet[at..]);

    // ATA/ATAPI-6, 8.16, table 25.
    private byte[] Identity()
    {
        Span<ushort> words = stackalloc ushort[256];
        words.Clear();
        // ATAPI, a CD drive, whose medium can be taken out; it is ready for a packet at once, of 12 bytes.
        words[0] = 0x85c0;
        PutText(words[10..20], _serial);
        PutText(words[23..27], "1.0");
        PutText(words[27..47], "LAMINA CD-ROM");
        words[49] = 0x0f00;
        words[50] = 0x4000;
        words[51] = 0x0200;
        words[53] = 6;
        words[63] = (ushort)((1 << (MostMultiwordMode + 1)) - 1 | Chosen(_state.Mode, MultiwordMode));
        words[64] = 3;
        words[65..69].Fill(120);
        if (Place == AtaPlace.Serial) words[76] = 0x0006;
        words[80] = 0x00f0;
        // PACKET, DEVICE RESET.
        (words[82], words[83], words[84]) = (0x0210, 0x4000, 0x4000);
        (words[85], words[86], words[87]) = (0x0210, 0, 0x4000);
        words[88] = (ushort)((1 << (MostUltraMode + 1)) - 1 | Chosen(_state.Mode, UltraMode));
        words[93] = Place switch { AtaPlace.Zero => 0x600b, AtaPlace.One => 0x6b00, _ => 0 };
        return Close(words);
    }

    private void Exchange(SavedFields fields)
    {
        var length = _disc?.Length;
        fields.Value(1, ref length);
        if (length != _disc?.Length) throw new StateException($"was saved with {Words(length)} in it, and has {Words(_disc?.Length)} now; give it what it had");
        fields.Record(2, ref _state, DriveState.Exchange);
        Medium.Exchange(fields, 3);
    }

    private static string Words(ulong? length) => length is { } bytes ? $"a disc of {bytes} bytes" : "no disc";

    private struct DriveState
    {
        internal bool TrayOpen, Locked, Attention;
        internal byte Event, Key, Code, Qualifier, Mode;

        internal static void Exchange(SavedFields fields, ref DriveState state)
        {
            fields.Value(1, ref state.TrayOpen);
            fields.Value(2, ref state.Locked);
            fields.Value(3, ref state.Attention);
            fields.Value(4, ref state.Event);
            fields.Value(5, ref state.Key);
            fields.Value(6, ref state.Code);
            fields.Value(7, ref state.Qualifier);
            fields.Value(8, ref state.Mode);
        }
    }
}
