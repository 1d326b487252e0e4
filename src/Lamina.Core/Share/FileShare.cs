// The contract between a file system device and the folder behind it: messages of the FUSE protocol go one way, answers the
// other. The device knows nothing of files; the backend knows nothing of guests.
using Lamina.Core.State;

namespace Lamina.Core.Share;

/// <summary>Figures of a shared folder.</summary>
/// <param name="Requests">Requests that were answered.</param>
/// <param name="Nodes">Files and folders that the other side knows by number.</param>
/// <param name="NodeBytes">The memory that these take.</param>
/// <param name="OpenFiles">What the other side has open.</param>
/// <param name="HeldNodes">Descriptors beside these: of folders, and of what has lost its name.</param>
/// <param name="FoundAgain">How often something was opened again by its name, since no descriptor was kept of it.</param>
/// <param name="Lost">How often something was not found any more.</param>
public readonly record struct FileShareStatistics(long Requests, long Nodes, long NodeBytes, long OpenFiles, long HeldNodes, long FoundAgain, long Lost);

/// <summary>
/// A folder that is shared by the FUSE protocol (Linux, include/uapi/linux/fuse.h). Its saved state is what the other side knows by number
/// and has open; what of it cannot be found any more when it is loaded becomes errors for the other side, and a sentence for the user.
/// </summary>
public interface IFileShare : ISavedUnit, IDisposable
{
    /// <summary>The longest request and the longest reply, in bytes.</summary>
    int LongestMessage { get; }

    /// <summary>Its figures; any thread may ask at any time.</summary>
    FileShareStatistics Statistics { get; }

    /// <summary>
    /// Carries a request out. Several threads may call. Whatever a request says, the answer is a value: a reply, perhaps
    /// with an error number.
    /// </summary>
    /// <param name="request">The whole request, header included; copied from the guest before.</param>
    /// <param name="reply">Where the reply goes; as long as the guest has room for, at most.</param>
    /// <returns>The reply's length; 0 where the request has none.</returns>
    int Answer(ReadOnlySpan<byte> request, Span<byte> reply);

    /// <summary>Forgets all open files and everything that the other side knows by number.</summary>
    void Reset();
}
