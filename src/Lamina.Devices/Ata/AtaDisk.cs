// A hard disk with an ATA interface (ATA/ATAPI-6): addresses of 28 and 48 bits, and cylinders, heads and sectors for old software. What the guest
// asks for is checked against the disk's size before anything is touched.
using System.Numerics;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Devices.Media;
using static Lamina.Devices.Ata.AtaSpec;

namespace Lamina.Devices.Ata;

/// <summary>What a hard disk is to be.</summary>
public sealed record AtaDiskOptions
{
    /// <summary>The longest serial number in bytes.</summary>
    public const int LongestSerial = 20;

    /// <summary>Names the disk to the guest; at most 20 bytes of ASCII.</summary>
    public string Serial { get; init; } = "";

    /// <summary>The logical block size that the guest is told, in bytes: 512 or 4096; null for the disk's own.</summary>
    public int? BlockSize { get; init; }

    /// <summary>How it treats its medium.</summary>
    public DriveOptions Medium { get; init; } = new();
}

/// <summary>A hard disk.</summary>
public sealed class AtaDisk : AtaDrive
{
    private readonly IBlockBackend _disk;
    private readonly AtaDiskOptions _options;
    private readonly int _unit;
    private readonly ulong _sectors;
    private Settings _settings;

    /// <summary>Makes a drive of a disk, which stays its creator's to dispose.</summary>
    /// <exception cref="ArgumentException">The block size is none or does not divide the disk, or the serial number is too long.</exception>
    public AtaDisk(IBlockBackend disk, AtaDiskOptions options) : base(options.Medium)
    {
        (_disk, _options, _unit) = (disk, options, options.BlockSize ?? disk.Limits.LogicalBlockSize);
        if (options.Serial.Length > AtaDiskOptions.LongestSerial) throw new ArgumentException($"a serial number has at most {AtaDiskOptions.LongestSerial} bytes", nameof(options));
        if (_unit is not (512 or 4096) || disk.Length % (ulong)_unit != 0) throw new ArgumentException($"blocks of {_unit} bytes are not possible on a disk of {disk.Length} bytes", nameof(options));
        _sectors = Math.Min(disk.Length / (ulong)_unit, Addressable48);
        _settings = AtPowerOn();
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("ATA disk", 1);

    internal override ulong Signature => DiskSignature;

    internal override byte StatusAfterReset => Ready | SeekComplete;

    /// <summary>How many commands of Serial ATA's queue it takes at once.</summary>
    internal const int QueueDepth = 32;

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        node.Say("bytes", _sectors * (ulong)_unit);
        node.Say("sector bytes", (long)_unit);
        node.Say("read only", _disk.IsReadOnly);
        node.Say("serial", _options.Serial);
        node.Say("write cache", _settings.WriteCache);
        node.Say("sectors of a multiple block", (long)_settings.Multiple);
        node.SayHex("transfer mode", _settings.Mode);
        Medium.Inspect(node);
    }

    /// <inheritdoc/>
    public override void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        Exchange(fields);
        SavedFields.Require(_settings.Multiple is >= 0 and <= MostMultiple && _settings.Heads is > 0 and <= 16 && _settings.TrackSectors is > 0 and <= 255 && IsMode(_settings.Mode), "a setting that no command makes");
    }

    internal override void Reset(bool isPower)
    {
        if (isPower)
        {
            _settings = AtPowerOn();
            Medium.Reset();
        }
        else if (_settings.RevertsAtReset)
        {
            _settings = AtPowerOn() with { Heads = _settings.Heads, TrackSectors = _settings.TrackSectors };
        }
    }

    internal override AtaAction Begin(ref AtaTaskFile file, AtaOpcode command)
    {
        (file.Status, file.Error) = (Ready | SeekComplete, 0);
        switch (command)
        {
            case AtaOpcode.ReadSectors or AtaOpcode.ReadSectorsOnce:
                return Move(ref file, AtaWork.Read);
            case AtaOpcode.ReadSectorsExt:
                return Move(ref file, AtaWork.Read, wide: true);
            case AtaOpcode.ReadMultiple:
                return Move(ref file, AtaWork.Read, multiple: true);
            case AtaOpcode.ReadMultipleExt:
                return Move(ref file, AtaWork.Read, wide: true, multiple: true);
            case AtaOpcode.ReadDma or AtaOpcode.ReadDmaOnce:
                return Move(ref file, AtaWork.Read, dma: true);
            case AtaOpcode.ReadDmaExt:
                return Move(ref file, AtaWork.Read, wide: true, dma: true);
            case AtaOpcode.WriteSectors or AtaOpcode.WriteSectorsOnce:
                return Move(ref file, AtaWork.Write);
            case AtaOpcode.WriteSectorsExt:
                return Move(ref file, AtaWork.Write, wide: true);
            case AtaOpcode.WriteMultiple:
                return Move(ref file, AtaWork.Write, multiple: true);
            case AtaOpcode.WriteMultipleExt:
                return Move(ref file, AtaWork.Write, wide: true, multiple: true);
            case AtaOpcode.WriteMultipleDurableExt:
                return Move(ref file, AtaWork.Write, wide: true, multiple: true, durable: true);
            case AtaOpcode.WriteDma or AtaOpcode.WriteDmaOnce:
                return Move(ref file, AtaWork.Write, dma: true);
            case AtaOpcode.WriteDmaExt:
                return Move(ref file, AtaWork.Write, wide: true, dma: true);
            case AtaOpcode.WriteDmaDurableExt:
                return Move(ref file, AtaWork.Write, wide: true, dma: true, durable: true);
            case AtaOpcode.ReadVerify or AtaOpcode.ReadVerifyOnce:
                return Verify(ref file, wide: false);
            case AtaOpcode.ReadVerifyExt:
                return Verify(ref file, wide: true);
            case AtaOpcode.FlushCache or AtaOpcode.FlushCacheExt:
                return AtaAction.Of(AtaWork.Flush) with { IsWide = command == AtaOpcode.FlushCacheExt };
            case AtaOpcode.IdentifyDevice:
                return AtaAction.Say(Identity());
            case AtaOpcode.DataSetManagement when IsTrimmed && file.Features == AtaSpec.Trim && file.Count is > 0 and <= MostRangeBlocks:
                return new AtaAction { Work = AtaWork.Trim, IsDma = true, IsWide = true, Unit = SectorSize, Length = file.Count * SectorSize, Block = SectorSize, Answer = [] };
            case AtaOpcode.SetFeatures:
                return SetFeatures(ref file);
            case AtaOpcode.SetMultiple:
                return SetMultiple(ref file);
            case AtaOpcode.InitializeParameters:
                return InitializeParameters(ref file);
            case AtaOpcode.ReadNativeMax:
                file.SetAddress(Math.Min(_sectors, Addressable28) - 1, wide: false);
                break;
            case AtaOpcode.ReadNativeMaxExt:
                file.SetAddress(_sectors - 1, wide: true);
                break;
            case AtaOpcode.CheckPowerMode:
                // 8.6: active, or idle.
                file.Count = 0xff;
                break;
            case AtaOpcode.StandbyImmediate or AtaOpcode.Standby:
                // 6.11: what is in its cache is on the medium before it comes to rest.
                return AtaAction.Of(AtaWork.Flush);
            case AtaOpcode.IdleImmediate or AtaOpcode.Idle or AtaOpcode.Sleep:
            case >= AtaOpcode.Recalibrate and < AtaOpcode.Recalibrate + 16:
            case >= AtaOpcode.Seek and < AtaOpcode.Seek + 16:
                break;
            case AtaOpcode.IdentifyPacketDevice or AtaOpcode.Packet or AtaOpcode.DeviceReset:
            default:
                return Refuse(ref file, Abort);
        }
        return AtaAction.Of(AtaWork.None);
    }

    /// <summary>Takes a command of Serial ATA's queue (Serial ATA 2.6, 13.6): its count is among the features.</summary>
    internal AtaAction BeginQueued(ref AtaTaskFile file, bool isWrite)
    {
        (file.Status, file.Error) = (Ready | SeekComplete, 0);
        var count = file.Count;
        file.Count = file.Features;
        var action = Move(ref file, isWrite ? AtaWork.Write : AtaWork.Read, wide: true, dma: true, durable: isWrite && (file.Device & 0x80) != 0);
        file.Count = count;
        return action;
    }

    internal override void CarryOut(in AtaAction action, BlockBuffer data, int length)
    {
        // A state that was loaded may say anything.
        var begin = action.Offset + (ulong)action.Done;
        if (action.Work is AtaWork.Read or AtaWork.Write && (begin > _disk.Length || (ulong)length > _disk.Length - begin)) throw new IOException($"{length} bytes at {begin} are beyond the disk's end");
        switch (action.Work)
        {
            case AtaWork.Read:
                Medium.Read(_disk, begin, data, length);
                break;
            case AtaWork.Write:
                Medium.Write(_disk, begin, data, length, action.IsDurable || !_settings.WriteCache);
                break;
            case AtaWork.Flush:
                Medium.Flush(_disk);
                break;
            case AtaWork.Trim:
                Span<byte> ranges = stackalloc byte[MostRangeBlocks * SectorSize];
                data.CopyTo(ranges);
                Trim(ranges[..Math.Min(length, ranges.Length)]);
                break;
            default:
                break;
        }
    }

    internal override void End(ref AtaTaskFile file, in AtaAction action, string? failure)
    {
        (file.Status, file.Error) = (Ready | SeekComplete, 0);
        if (failure is null) return;
        Medium.Fail(failure);
        _ = Refuse(ref file, action.Work == AtaWork.Read ? Uncorrectable : Abort);
        if (action.Unit != 0) file.SetAddress((action.Offset + (ulong)action.Done) / (ulong)action.Unit, action.IsWide);
    }

    private bool IsTrimmed => Medium.Options.Discard && !_disk.IsReadOnly;

    private static AtaAction Refuse(ref AtaTaskFile file, byte error)
    {
        (file.Status, file.Error) = (Ready | SeekComplete | Error, error);
        return AtaAction.Of(AtaWork.None);
    }

    private AtaAction Move(ref AtaTaskFile file, AtaWork work, bool wide = false, bool dma = false, bool multiple = false, bool durable = false)
    {
        if (work == AtaWork.Write && _disk.IsReadOnly || multiple && _settings.Multiple == 0) return Refuse(ref file, Abort);
        var count = CountOf(file, wide);
        if (SectorOf(file, wide) is not { } sector || sector >= _sectors || (ulong)count > _sectors - sector) return Refuse(ref file, IdNotFound);
        return new AtaAction
        {
            Work = work,
            IsDma = dma,
            IsWide = wide,
            IsDurable = durable,
            Offset = sector * (ulong)_unit,
            Unit = _unit,
            Length = count * _unit,
            Block = (multiple ? _settings.Multiple : 1) * _unit,
            Answer = [],
        };
    }

    private AtaAction Verify(ref AtaTaskFile file, bool wide)
    {
        if (SectorOf(file, wide) is not { } sector || sector >= _sectors || (ulong)CountOf(file, wide) > _sectors - sector) return Refuse(ref file, IdNotFound);
        return AtaAction.Of(AtaWork.None);
    }

    // A count of 0 is the most.
    private static int CountOf(in AtaTaskFile file, bool wide) => wide ? file.Count == 0 ? 65536 : file.Count : (byte)file.Count == 0 ? 256 : (byte)file.Count;

    private ulong? SectorOf(in AtaTaskFile file, bool wide)
    {
        if (wide) return file.Address;
        if ((file.Device & ByAddress) != 0) return file.Address28;
        // 6.2.2: sectors of a track count from 1.
        var (track, head, cylinder) = ((byte)file.Address, file.Device & AddressBits, (ulong)file.ByteCount);
        if (track == 0 || track > _settings.TrackSectors || head >= _settings.Heads) return null;
        return (((cylinder * (ulong)_settings.Heads) + (ulong)head) * (ulong)_settings.TrackSectors) + track - 1;
    }

    // ACS-2, 7.10.3.2. Ranges that lie outside the disk are passed over.
    private void Trim(ReadOnlySpan<byte> block)
    {
        for (var at = 0; at + RangeLength <= block.Length; at += RangeLength)
        {
            var range = BitConverter.ToUInt64(block[at..]);
            var (sector, count) = (range & (Addressable48 - 1), range >> 48);
            if (count != 0 && sector < _sectors && count <= _sectors - sector) _disk.Discard(sector * (ulong)_unit, count * (ulong)_unit);
        }
    }

    private AtaAction SetFeatures(ref AtaTaskFile file)
    {
        switch ((byte)file.Features)
        {
            case EnableWriteCache:
                _settings.WriteCache = !Medium.Options.WriteThrough;
                break;
            case DisableWriteCache:
                _settings.WriteCache = false;
                return AtaAction.Of(AtaWork.Flush);
            case SetTransferMode when IsMode((byte)file.Count):
                _settings.Mode = (byte)file.Count;
                break;
            case EnableLookAhead:
                _settings.LookAhead = true;
                break;
            case DisableLookAhead:
                _settings.LookAhead = false;
                break;
            case DisableDefaults:
                _settings.RevertsAtReset = false;
                break;
            case EnableDefaults:
                _settings.RevertsAtReset = true;
                break;
            default:
                return Refuse(ref file, Abort);
        }
        return AtaAction.Of(AtaWork.None);
    }

    private AtaAction SetMultiple(ref AtaTaskFile file)
    {
        var count = (byte)file.Count;
        if (count > MostMultiple || (count != 0 && !BitOperations.IsPow2(count))) return Refuse(ref file, Abort);
        _settings.Multiple = count;
        return AtaAction.Of(AtaWork.None);
    }

    // 8.16 of ATA-5: how old software counts cylinders.
    private AtaAction InitializeParameters(ref AtaTaskFile file)
    {
        if ((byte)file.Count == 0) return Refuse(ref file, Abort);
        (_settings.TrackSectors, _settings.Heads) = ((byte)file.Count, (file.Device & AddressBits) + 1);
        return AtaAction.Of(AtaWork.None);
    }

    private Settings AtPowerOn() => new() { WriteCache = !Medium.Options.WriteThrough, LookAhead = true, RevertsAtReset = true, Heads = Heads, TrackSectors = TrackSectors, Mode = UltraMode << ModeClassShift | MostUltraMode };

    // 8.15, table 20.
    private byte[] Identity()
    {
        Span<ushort> words = stackalloc ushort[256];
        words.Clear();
        var isSerial = Place == AtaPlace.Serial;
        var usual = (ushort)Math.Clamp(_sectors / (Heads * TrackSectors), 1, MostCylinders);
        var current = (ushort)Math.Min(_sectors / (ulong)(_settings.Heads * _settings.TrackSectors), ushort.MaxValue);
        words[0] = 0x0040;
        (words[1], words[3], words[6]) = (usual, Heads, TrackSectors);
        PutText(words[10..20], _options.Serial);
        PutText(words[23..27], "1.0");
        PutText(words[27..47], "LAMINA HARD DISK");
        words[47] = 0x8000 | MostMultiple;
        // DMA, addresses of blocks, flow control and its end.
        words[49] = 0x0f00;
        words[50] = 0x4000;
        words[51] = 0x0200;
        words[53] = 7;
        (words[54], words[55], words[56]) = (current, (ushort)_settings.Heads, (ushort)_settings.TrackSectors);
        PutNumber(words[57..], (uint)(current * _settings.Heads * _settings.TrackSectors), 2);
        words[59] = (ushort)(_settings.Multiple == 0 ? 0 : 0x100 | _settings.Multiple);
        PutNumber(words[60..], Math.Min(_sectors, Addressable28), 2);
        words[63] = (ushort)((1 << (MostMultiwordMode + 1)) - 1 | Chosen(_settings.Mode, MultiwordMode));
        words[64] = 3;
        words[65..69].Fill(120);
        if (isSerial)
        {
            // Serial ATA 2.6, 13.2.1: queue, 1.5 and 3 Gbit/s; nothing of what may be switched.
            words[75] = QueueDepth - 1;
            words[76] = 0x0106;
        }
        words[80] = 0x00f0;
        // Power management, write cache, look-ahead; 48 bits, FLUSH CACHE and its 48-bit form; WRITE DMA FUA.
        (words[82], words[83], words[84]) = (0x0068, 0x7400, 0x4040);
        words[85] = (ushort)(0x0008 | (_settings.WriteCache ? 0x20 : 0) | (_settings.LookAhead ? 0x40 : 0));
        (words[86], words[87]) = (0x3400, 0x4040);
        words[88] = (ushort)((1 << (MostUltraMode + 1)) - 1 | Chosen(_settings.Mode, UltraMode));
        words[93] = Place switch { AtaPlace.Zero => 0x600b, AtaPlace.One => 0x6b00, _ => 0 };
        PutNumber(words[100..], _sectors, 4);
        var physical = Math.Max(_disk.Limits.PhysicalBlockSize, _unit) / _unit;
        words[106] = (ushort)(0x4000 | (physical > 1 ? 0x2000 | BitOperations.Log2((uint)physical) : 0) | (_unit > SectorSize ? 0x1000 : 0));
        if (_unit > SectorSize) PutNumber(words[117..], (ulong)_unit / 2, 2);
        if (IsTrimmed) (words[105], words[169]) = (MostRangeBlocks, 1);
        // It does not turn.
        words[217] = 1;
        return Close(words);
    }

    private static void PutNumber(Span<ushort> words, ulong value, int count)
    {
        for (var i = 0; i < count; i++) words[i] = (ushort)(value >> (16 * i));
    }

    private void Exchange(SavedFields fields)
    {
        var (sectors, unit) = (_sectors, _unit);
        fields.Value(1, ref sectors);
        fields.Value(2, ref unit);
        if (sectors != _sectors || unit != _unit)
            throw new StateException($"was saved with a disk of {sectors} sectors of {unit} bytes, and this one has {_sectors} of {_unit}; give it the disk that it had");
        fields.Record(3, ref _settings, Settings.Exchange);
        Medium.Exchange(fields, 4);
    }

    private struct Settings
    {
        internal bool WriteCache, LookAhead, RevertsAtReset;
        internal int Multiple, Heads, TrackSectors;
        internal byte Mode;

        internal static void Exchange(SavedFields fields, ref Settings settings)
        {
            fields.Value(1, ref settings.WriteCache);
            fields.Value(2, ref settings.LookAhead);
            fields.Value(3, ref settings.RevertsAtReset);
            fields.Value(4, ref settings.Multiple);
            fields.Value(5, ref settings.Heads);
            fields.Value(6, ref settings.TrackSectors);
            fields.Value(7, ref settings.Mode);
        }
    }
}
