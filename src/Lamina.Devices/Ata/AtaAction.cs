// What a command comes to once it is understood: data in one direction, from the medium or prepared; work without data; or nothing more. The
// drive says so; whatever carries its registers moves the data at its own pace, and tells the drive when all is done.
using Lamina.Core.State;

namespace Lamina.Devices.Ata;

/// <summary>What is to be done.</summary>
internal enum AtaWork
{
    /// <summary>Nothing: the command has ended, and the task file says how.</summary>
    None = 0,

    /// <summary>Data to the host that lie ready.</summary>
    Answer = 1,

    /// <summary>Data to the host from the medium.</summary>
    Read = 2,

    /// <summary>Data from the host to the medium.</summary>
    Write = 3,

    /// <summary>What was written is to be durable.</summary>
    Flush = 4,

    /// <summary>Ranges from the host that it does not need any more.</summary>
    Trim = 5,

    /// <summary>A command packet from the host, by which the drive knows more.</summary>
    Packet = 6,
}

/// <summary>A command under way.</summary>
internal struct AtaAction
{
    /// <summary>What is to be done.</summary>
    internal AtaWork Work;

    /// <summary>Whether its data go by DMA.</summary>
    internal bool IsDma;

    /// <summary>Whether it is of a packet, and so ends as those do.</summary>
    internal bool IsPacket;

    /// <summary>Whether its address has 48 bits.</summary>
    internal bool IsWide;

    /// <summary>Whether what it writes is durable when it ends.</summary>
    internal bool IsDurable;

    /// <summary>Where its data begin on the medium, in bytes.</summary>
    internal ulong Offset;

    /// <summary>The medium's sectors, in bytes.</summary>
    internal int Unit;

    /// <summary>How many bytes it moves.</summary>
    internal int Length;

    /// <summary>How many of them have been moved.</summary>
    internal int Done;

    /// <summary>How many bytes the host takes or gives at a time where it moves them itself.</summary>
    internal int Block;

    /// <summary>The bytes of an answer.</summary>
    internal byte[] Answer;

    /// <summary>What moves data: bytes 512 × 65536 at most.</summary>
    internal const int MostLength = 65536 * 4096;

    // The longest answer that any command has.
    internal const int MostAnswer = 4096;

    internal readonly bool IsToHost => Work is AtaWork.Answer or AtaWork.Read;

    internal readonly bool IsFromHost => Work is AtaWork.Write or AtaWork.Trim;

    internal readonly int Left => Length - Done;

    internal static AtaAction Of(AtaWork work) => new() { Work = work, Answer = [] };

    /// <summary>An answer, of which the host takes as much as it has room for.</summary>
    internal static AtaAction Say(byte[] answer) => new() { Work = AtaWork.Answer, Answer = answer, Length = answer.Length, Block = answer.Length };

    internal static void Exchange(SavedFields fields, ref AtaAction action)
    {
        action.Answer ??= [];
        fields.Choice(1, ref action.Work);
        fields.Value(2, ref action.IsDma);
        fields.Value(3, ref action.IsPacket);
        fields.Value(4, ref action.IsWide);
        fields.Value(5, ref action.IsDurable);
        fields.Value(6, ref action.Offset);
        fields.Value(7, ref action.Unit);
        fields.Value(8, ref action.Length);
        fields.Value(9, ref action.Done);
        fields.Value(10, ref action.Block);
        fields.Bytes(11, ref action.Answer, MostAnswer);
        if (!fields.IsLoading) return;
        SavedFields.Require(action.Length is >= 0 and <= MostLength && action.Done >= 0 && action.Done <= action.Length && action.Block >= 0 && action.Block <= 65536, $"{action.Done} of {action.Length} bytes in blocks of {action.Block}");
        SavedFields.Require(action.Work != AtaWork.Answer || action.Length <= action.Answer.Length, $"an answer of {action.Length} bytes");
        var moves = action.Work is AtaWork.Read or AtaWork.Write or AtaWork.Trim;
        SavedFields.Require(!moves || action is { Unit: 512 or 2048 or 4096, Block: > 0 } && action.Length % action.Unit == 0, $"sectors of {action.Unit} bytes");
    }
}
