// What the two machines of a migration say to each other (docs/migration.md): frames of a kind and a length, both ways over one stream of bytes.
namespace Lamina.Migration;

/// <summary>Kinds of frames: from the machine that goes, then from the one that comes.</summary>
internal enum MigrationFrame : byte
{
    /// <summary>What the machine is: a saved machine without parts (<see cref="Saving.SavedMachine"/>). The first one.</summary>
    Description = (byte)'D',

    /// <summary>An address of RAM, eight bytes, and whole pages from there on.</summary>
    Pages = (byte)'P',

    /// <summary>An address of RAM and a length, eight bytes each: pages that are zero.</summary>
    ZeroPages = (byte)'Z',

    /// <summary>A disk's number, four bytes, an offset, eight, and the bytes from there on.</summary>
    Blocks = (byte)'B',

    /// <summary>A disk's number, an offset and a length: bytes that are zero.</summary>
    ZeroBlocks = (byte)'N',

    /// <summary>The end of a round, which is answered when all of it is in its place.</summary>
    Round = (byte)'R',

    /// <summary>Addresses of RAM and lengths, eight bytes each, in order: pages that come when the machine runs there, or are asked for. The guest stands still.</summary>
    Missing = (byte)'M',

    /// <summary>A piece of the state.</summary>
    State = (byte)'S',

    /// <summary>The end of the state: the machine stands still, and this is all.</summary>
    Whole = (byte)'E',

    /// <summary>The machine is the other one's from here on. One byte: whether it is paused.</summary>
    Given = (byte)'G',

    /// <summary>It does not go after all.</summary>
    Cancelled = (byte)'C',

    /// <summary>The machine is built, and waits. One byte, 1 where pages may be missing (<see cref="Missing"/>), or 0 and a sentence in UTF-8 that says why they may not; nothing from programs that do not know of that.</summary>
    Ready = (byte)'y',

    /// <summary>A round is in its place.</summary>
    Taken = (byte)'r',

    /// <summary>All of it is in its place, and every part has taken its state up.</summary>
    Loaded = (byte)'l',

    /// <summary>The machine runs.</summary>
    Runs = (byte)'u',

    /// <summary>An address of RAM, eight bytes: a missing page that somebody waits for. Each once.</summary>
    Wish = (byte)'w',

    /// <summary>All that was missing is there, or is not wanted any more.</summary>
    There = (byte)'a',

    /// <summary>It cannot be, with a sentence in UTF-8.</summary>
    Refused = (byte)'x',
}

/// <summary>Bounds of frames.</summary>
internal static class MigrationSpec
{
    /// <summary>The kind, three bytes of zero, and the length of what follows, little endian.</summary>
    internal const int HeaderLength = 8;

    /// <summary>Pages that go together.</summary>
    internal const int PagesTogether = 64;

    /// <summary>The most bytes of one frame behind its header.</summary>
    internal const int LongestFrame = (1 << 20) + 64;

    /// <summary>A piece of the state in bytes.</summary>
    internal const int StatePiece = 1 << 20;

    /// <summary>The most bytes of a state.</summary>
    internal const int LongestState = 1 << 28;

    /// <summary>The bytes that say of one range that it is missing, and how many ranges one frame names.</summary>
    internal const int MissingLength = 2 * sizeof(ulong), MissingTogether = (1 << 20) / MissingLength;

    /// <summary>The most bytes of a refusal's sentence.</summary>
    internal const int LongestSentence = 4096;
}
