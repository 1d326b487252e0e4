// What a server tells of an export when a connection begins.
namespace Lamina.Backends.Nbd.Client;

/// <summary>An export, as one connection has it.</summary>
internal sealed record NbdExport
{
    /// <summary>Its length in bytes.</summary>
    internal required ulong Size { get; init; }

    /// <summary>What can be asked of it.</summary>
    internal required NbdFlags Flags { get; init; }

    /// <summary>Every offset and length is a multiple of it, in bytes; a power of two.</summary>
    internal int MinimumBlock { get; init; } = 1;

    /// <summary>The most bytes of one read or write.</summary>
    internal uint MostPayload { get; init; } = NbdSpec.MostPayload;

    /// <summary>Whether replies to reads come in chunks.</summary>
    internal bool IsStructured { get; init; }

    /// <summary>By which number the server tells what is allocated; null where it does not.</summary>
    internal uint? AllocationId { get; init; }

    /// <summary>Whether another connection leads to the same: its requests may go by either.</summary>
    internal bool IsSame(NbdExport other) => Size == other.Size && Flags == other.Flags && MinimumBlock == other.MinimumBlock && MostPayload == other.MostPayload;
}
