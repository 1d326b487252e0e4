// What a drive says of the disc in it and of itself, as answers to packets: a disc is one session with one track of data.
using System.Buffers.Binary;
using System.Text;
using static Lamina.Devices.Ata.Packet.PacketSpec;

namespace Lamina.Devices.Ata.Packet;

internal static class DiscTables
{
    /// <summary>SPC-2, 7.3.2: a CD drive whose medium can be taken out.</summary>
    internal static byte[] Inquiry()
    {
        var answer = new byte[36];
        // SFF-8020i, 10.8.1: the interface's version in the high half of byte 3, the form of this answer in the low one.
        (answer[0], answer[1], answer[3], answer[4]) = (5, 0x80, 0x21, (byte)(answer.Length - 5));
        Encoding.ASCII.GetBytes("LAMINA  CD-ROM          1.0 ").CopyTo(answer, 8);
        return answer;
    }

    /// <summary>SPC-2, 7.23.2: fixed format.</summary>
    internal static byte[] SenseData(Sense sense)
    {
        var answer = new byte[18];
        (answer[0], answer[2], answer[7], answer[12], answer[13]) = (0x70, sense.Key, 10, sense.Code, sense.Qualifier);
        return answer;
    }

    /// <summary>MMC-3, 6.16.</summary>
    internal static byte[] Capacity(uint sectors)
    {
        var answer = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(answer, sectors - 1);
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(4), DiscSector);
        return answer;
    }

    /// <summary>MMC-3, 6.18: a formatted medium, or none.</summary>
    internal static byte[] FormatCapacities(uint? sectors)
    {
        var answer = new byte[12];
        answer[3] = 8;
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(4), sectors ?? 0);
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(8), (sectors is null ? 3u : 2u) << 24 | DiscSector);
        return answer;
    }

    /// <summary>MMC-3, 6.27; null for forms that a disc of this kind has not.</summary>
    internal static byte[]? Contents(uint sectors, int format, byte start, bool inTime) => format switch
    {
        0 when start is <= 1 or LeadOut => Tracks(sectors, start, inTime),
        1 => [0, 10, 1, 1, 0, DataTrack, 1, 0, .. Place(0, inTime)],
        2 => FullContents(sectors),
        _ => null,
    };

    /// <summary>MMC-3, 6.22: one finished session.</summary>
    internal static byte[] DiscInformation()
    {
        var answer = new byte[34];
        // Complete, last session complete; first track, sessions, first and last track of the last session.
        (answer[1], answer[2], answer[3], answer[4], answer[5], answer[6]) = (32, 0x0e, 1, 1, 1, 1);
        // It is used as it is, and has no number of its own.
        answer[7] = 0x20;
        answer.AsSpan(16, 8).Fill(0xff);
        return answer;
    }

    /// <summary>MMC-3, 6.28: track 1.</summary>
    internal static byte[] TrackInformation(uint sectors)
    {
        var answer = new byte[36];
        // Track, session; data; data of mode 1.
        (answer[1], answer[2], answer[3], answer[5], answer[6]) = (34, 1, 1, 4, 1);
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(24), sectors);
        return answer;
    }

    /// <summary>MMC-3, 6.6: features, from a number on; all of them, the current ones, or one.</summary>
    internal static byte[] Configuration(uint? sectors, int first, int which)
    {
        var profile = sectors switch { null => (ushort)0, > MostCdSectors => DvdRom, _ => CdRom };
        var answer = new List<byte>(new byte[8]);
        Add(0x0000, 0x03, [DvdRom >> 8, DvdRom & 0xff, profile == DvdRom ? (byte)1 : (byte)0, 0, CdRom >> 8, CdRom & 0xff, profile == CdRom ? (byte)1 : (byte)0, 0]);
        // Core: ATAPI. Morphing: events are polled. Removable medium: a tray that is locked and ejected.
        Add(0x0001, 0x0b, [0, 0, 0, 2, 1, 0, 0, 0]);
        Add(0x0002, 0x07, [2, 0, 0, 0]);
        Add(0x0003, 0x03, [0x29, 0, 0, 0]);
        // Random reading, by sectors of 2048 bytes; of CDs; of DVDs.
        Add(0x0010, sectors is null ? (byte)0 : (byte)1, [0, 0, DiscSector >> 8, 0, 0, 1, 0, 0]);
        Add(0x001e, profile == CdRom ? (byte)9 : (byte)8, [0, 0, 0, 0]);
        Add(0x001f, profile == DvdRom ? (byte)1 : (byte)0, []);
        var bytes = answer.ToArray();
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)bytes.Length - 4);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(6), profile);
        return bytes;

        void Add(int feature, byte flags, byte[] data)
        {
            if (which == 2 ? feature != first : feature < first || (which == 1 && (flags & 1) == 0)) return;
            answer.AddRange([(byte)(feature >> 8), (byte)feature, flags, (byte)data.Length, .. data]);
        }
    }

    /// <summary>MMC-3, 6.8: what became of the medium since it was asked last.</summary>
    internal static byte[] Event(byte happened, byte state) => [0, 6, MediaClass, 1 << MediaClass, happened, state, 0, 0];

    /// <summary>MMC-3, 6.13.</summary>
    internal static byte[] Mechanism(bool trayOpen) => [0, (byte)(trayOpen ? 0x10 : 0), 0, 0, 0, 1, 0, 0];

    /// <summary>MMC-3, 6.26: no sound plays.</summary>
    internal static byte[] SubChannel(bool wantsData, int format) => !wantsData ? [0, 0x15, 0, 0] : format == 1 ? [0, 0x15, 0, 12, 1, DataTrack, 1, 1, .. Place(0, false), .. Place(0, false)] : [0, 0x15, 0, 20, (byte)format, .. new byte[19]];

    /// <summary>MMC-3, 6.11 and 5.5: mode pages behind a header; null where there is no such page.</summary>
    internal static byte[]? ModePages(byte page, bool isLong, bool locked, bool trayOpen, bool hasMedium, bool changeable)
    {
        byte[] error = [ErrorPage, 6, 0, changeable ? (byte)0 : (byte)5, 0, 0, 0, 0];
        var capabilities = new byte[22];
        (capabilities[0], capabilities[1]) = (CapabilitiesPage, 20);
        if (!changeable)
        {
            // Reads CD-R, CD-RW and DVD; several sessions and both forms of mode 2; a tray that can be locked and ejected; 706 kB/s each.
            (capabilities[2], capabilities[4], capabilities[6]) = (0x0b, 0x70, (byte)(0x29 | (locked ? 2 : 0)));
            BinaryPrimitives.WriteUInt16BigEndian(capabilities.AsSpan(8), 706);
            BinaryPrimitives.WriteUInt16BigEndian(capabilities.AsSpan(12), 512);
            BinaryPrimitives.WriteUInt16BigEndian(capabilities.AsSpan(14), 706);
        }
        byte[]? pages = page switch { ErrorPage => error, CapabilitiesPage => capabilities, AllPages => [.. error, .. capabilities], _ => null };
        if (pages is null) return null;
        // SFF-8020i, 10.8.2: 120 mm data; door closed and no disc; door open.
        var medium = (byte)(trayOpen ? 0x71 : hasMedium ? 0x01 : 0x70);
        if (!isLong) return [(byte)(3 + pages.Length), medium, 0, 0, .. pages];
        var length = 6 + pages.Length;
        return [(byte)(length >> 8), (byte)length, medium, 0, 0, 0, 0, 0, .. pages];
    }

    private static byte[] Tracks(uint sectors, byte start, bool inTime)
    {
        byte[] first = start <= 1 ? [0, DataTrack, 1, 0, .. Place(0, inTime)] : [];
        byte[] all = [1, 1, .. first, 0, DataTrack, LeadOut, 0, .. Place(sectors, inTime)];
        return [0, (byte)all.Length, .. all];
    }

    // 6.27.2.5: first and last track's numbers, where the disc ends, and the track, as its own table says.
    private static byte[] FullContents(uint sectors)
    {
        var end = Place(sectors, inTime: true)[1..];
        var begin = Place(0, inTime: true)[1..];
        byte[] all =
        [
            1, 1,
            1, DataTrack, 0, 0xa0, 0, 0, 0, 0, 1, 0, 0,
            1, DataTrack, 0, 0xa1, 0, 0, 0, 0, 1, 0, 0,
            1, DataTrack, 0, 0xa2, 0, 0, 0, 0, .. end,
            1, DataTrack, 0, 1, 0, 0, 0, 0, .. begin,
        ];
        return [0, (byte)all.Length, .. all];
    }

    private static byte[] Place(uint sector, bool inTime)
    {
        var place = new byte[4];
        if (!inTime)
        {
            BinaryPrimitives.WriteUInt32BigEndian(place, sector);
            return place;
        }
        var frames = sector + FirstFrame;
        (place[1], place[2], place[3]) = ((byte)Math.Min(frames / (60 * FramesOfSecond), 255), (byte)(frames / FramesOfSecond % 60), (byte)(frames % FramesOfSecond));
        return place;
    }
}
