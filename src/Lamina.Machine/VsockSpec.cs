// Sockets between a machine's guest and programs of the host (vsock): values only, and the words in which people give them.
using System.Globalization;
using Lamina.Devices.Virtio.Vsock;

namespace Lamina;

/// <summary>A socket device.</summary>
/// <param name="Cid">The guest's address, from 3.</param>
/// <param name="Path">The Unix socket where programs of the host connect to the guest; the guest connects to PATH_PORT.</param>
public sealed record VsockSpec(uint Cid, string Path)
{
    private const string PathWord = "path=";

    /// <summary>Reads <c>CID,path=SOCKET</c>.</summary>
    /// <exception cref="MachineException">The text is no socket device.</exception>
    public static VsockSpec Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var comma = text.IndexOf(',', StringComparison.Ordinal);
        if (comma < 0 || !text.AsSpan(comma + 1).StartsWith(PathWord, StringComparison.Ordinal) || comma + 1 + PathWord.Length == text.Length
            || !uint.TryParse(text.AsSpan(0, comma), NumberStyles.None, CultureInfo.InvariantCulture, out var cid))
            throw new MachineException($"\"{text}\" is no socket device; write it like 3,path=/tmp/guest.vsock");
        return new VsockSpec(cid, text[(comma + 1 + PathWord.Length)..]);
    }

    /// <summary>Refuses what no socket device can be.</summary>
    /// <exception cref="MachineException">The address is another's.</exception>
    internal void Check()
    {
        if (Cid is < VirtioVsock.LowestCid or > VirtioVsock.HighestCid)
            throw new MachineException($"a guest's address (CID) is {VirtioVsock.LowestCid} to {VirtioVsock.HighestCid}, not {Cid}");
    }
}
