// The RFB protocol, version 3.8, with those of its extensions that are spoken here. Names are those of rfbproto.rst (rfbproto/rfbproto), of
// which the sections are named.
namespace Lamina.Backends.Display;

/// <summary>Numbers and limits of RFB.</summary>
internal static class RfbSpec
{
    internal static ReadOnlySpan<byte> Version => "RFB 003.008\n"u8;

    internal const int VersionLength = 12, FormatLength = 16, ChallengeLength = 16;

    // Security types, and what SecurityResult says.
    internal const byte NoSecurity = 1, PasswordSecurity = 2, VeNCrypt = 19;
    internal const uint Accepted = 0, Refused = 1;

    // VeNCrypt 0.2: its subtypes by which the server has a certificate; what acknowledges a version, and a subtype.
    internal const uint X509None = 260, X509Password = 261;
    internal const byte VersionAccepted = 0, VersionRefused = 1, SubtypeRefused = 0, SubtypeAccepted = 1;

    // Client to server.
    internal const byte SetPixelFormat = 0, SetEncodings = 2, UpdateRequest = 3, KeyEvent = 4, PointerEvent = 5, ClientCutText = 6,
        EnableContinuousUpdates = 150, ClientFence = 248, SetDesktopSize = 251, QemuMessage = 255, QemuExtendedKey = 0;

    // Server to client.
    internal const byte Update = 0, EndOfContinuousUpdates = 150, ServerFence = 248;

    // Encodings, and pseudo-encodings by which either side says what it can.
    internal const int Raw = 0, CopyRect = 1, Tight = 7, Zrle = 16;
    internal const int LowestQuality = -32, DesktopSize = -223, ExtendedKeys = -258, LedState = -261, DesktopName = -307, ExtendedDesktopSize = -308, Fence = -312, ContinuousUpdates = -313;

    internal const uint FenceRequest = 1u << 31, FenceKnown = 7;
    internal const int LongestFence = 64, ScreenLength = 16, ResizeByClient = 1, ResizeProhibited = 1;

    // What a client may send that is of no use here; more, and it is no client.
    internal const int LongestCutText = 1 << 20, MostEncodings = 1024;

    // ZRLE and Tight.
    internal const int ZrleTile = 64, MostPaletteColours = 16, TightMostWidth = 2048, TightMostPixels = 1 << 16, TightLeastJpegPixels = 1 << 10, TightLeastPacked = 12;

    /// <summary>Side of a tile of what is compared, in pixels.</summary>
    internal const int Tile = 16;
}
