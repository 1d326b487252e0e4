// What the buffers of one network's TCP connections keep in memory, both directions of all of them together: data that waits for the
// guest's acknowledgement or for the host to take it, and data that came early. A buffer grows within what is left of it, and windows
// are told from what is left; a little that each direction may have always is on top, so that every connection goes on however little
// there is. It counts bytes and knows nothing of connections. Used with the network's lock held.
namespace Lamina.Backends.Net.User.Transport;

/// <summary>Bytes that many buffers share.</summary>
/// <param name="shared">How many there are.</param>
internal sealed class BufferBudget(long shared)
{
    /// <summary>How many bytes there are for a card.</summary>
    internal const int Shared = 64 << 20;

    /// <summary>What each direction may have besides, and the most that one may have.</summary>
    internal const int Least = 4 << 10, Most = 1 << 20;

    // A buffer may have this part of what is left: those that are in use come to equal shares, and something is left for one that begins.
    private const int Part = 8;

    /// <summary>Bytes that are taken.</summary>
    internal long Taken { get; private set; }

    /// <summary>How many bytes one direction of a connection may keep now.</summary>
    internal int Limit => (int)Math.Clamp((shared - Taken) / Part, Least, Most);

    /// <summary>Whether so much is taken that nobody should keep room for what may come.</summary>
    internal bool IsShort => Taken > shared / 2;

    /// <summary>Takes bytes; false, with none taken, where there are not so many.</summary>
    internal bool TryTake(int bytes)
    {
        if (bytes > shared - Taken) return false;
        Taken += bytes;
        return true;
    }

    /// <summary>Gives bytes back.</summary>
    internal void GiveBack(int bytes) => Taken -= bytes;
}
