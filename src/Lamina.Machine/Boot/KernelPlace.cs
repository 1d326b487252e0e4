// Where an unpacked kernel comes to lie, and at which linear addresses it runs: somewhere else at each start, as its own unpacker would choose
// (arch/x86/boot/compressed/kaslr.c), unless it cannot, or its command line has it not.
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Boot;

/// <summary>A kernel that is placed anew whenever its plan is carried out.</summary>
/// <param name="image">The kernel.</param>
/// <param name="own">The memory that is kept for it: where it lies if it is not to be moved.</param>
/// <param name="alignment">What its address is a multiple of.</param>
/// <param name="moves">How far it may be moved.</param>
internal sealed class KernelPlace(KernelImage image, MemoryRange own, ulong alignment, KernelMoves moves)
{
    // KERNEL_IMAGE_SIZE of kernels that can be moved: what their first mapping has room for.
    private const ulong MappedLength = 1ul << 30;

    private ulong _distance;
    private IReadOnlyList<LoadPiece> _pieces = [];
    private KernelRelocations? _relocations;

    /// <summary>Where it lies since it was loaded last.</summary>
    internal ulong Physical { get; private set; } = own.Start;

    /// <summary>Whether it is somewhere else at each start.</summary>
    internal bool IsMoved => moves != KernelMoves.None;

    /// <summary>The address of its first instruction.</summary>
    internal ulong Entry => Physical + image.Entry;

    /// <summary>What of the memory was written.</summary>
    internal MemoryRange Written => new(Physical, image.LoadedLength);

    /// <summary>Chooses a place.</summary>
    /// <param name="plan">What else lies in memory.</param>
    /// <returns>What is to be loaded there.</returns>
    /// <exception cref="MachineException">The file is no longer what it was.</exception>
    internal IReadOnlyList<LoadPiece> Place(BootPlan plan)
    {
        Physical = moves.HasFlag(KernelMoves.Physical) ? Choose(plan.PlacesFor(own, alignment)) : own.Start;
        var places = own.Start + own.Length < MappedLength ? (MappedLength - own.Start - own.Length) / alignment + 1 : 1;
        _distance = moves.HasFlag(KernelMoves.Linear) ? Random(places) * alignment : 0;
        _pieces = [.. image.PiecesAt(Physical).OrderBy(piece => piece.Address)];
        _relocations?.Dispose();
        _relocations = _distance == 0 ? null : image.ReadRelocations();
        return _relocations is null ? _pieces : [.. _pieces.Select(piece => piece with { Loaded = MovePart })];
    }

    /// <summary>Gives what lies in no piece, or in two, the addresses of its place when all pieces are there.</summary>
    /// <param name="memory">The machine's.</param>
    internal void Finish(GuestMemory memory)
    {
        if (_relocations is null) return;
        _relocations.MoveRest(LoadedIn(memory), _pieces.Select(PartOf), _distance);
        _relocations.Dispose();
        _relocations = null;
    }

    private void MovePart(GuestMemory memory, LoadPiece piece) => _relocations!.MoveIn(LoadedIn(memory), PartOf(piece), _distance);

    private (ulong Start, ulong End) PartOf(LoadPiece piece) => (piece.Address - Physical, piece.Address + piece.Length - Physical);

    private Span<byte> LoadedIn(GuestMemory memory) => memory.TrySlice(Physical, (int)image.LoadedLength, out var loaded) ? loaded : throw new InvalidOperationException("a kernel was placed outside RAM");

    private static ulong Choose(IReadOnlyList<ulong> places) => places[(int)Random((ulong)places.Count)];

    // So few are chosen from 64 random bits that none is likelier than another in any way that can be told.
    private static ulong Random(ulong count) => BitConverter.ToUInt64(HostRandom.Bytes(sizeof(ulong))) % count;
}

/// <summary>How a kernel is moved from where it was linked for.</summary>
[Flags]
internal enum KernelMoves
{
    /// <summary>It is not.</summary>
    None = 0,

    /// <summary>It runs at other linear addresses.</summary>
    Linear = 1,

    /// <summary>It lies at another physical address.</summary>
    Physical = 2,
}
