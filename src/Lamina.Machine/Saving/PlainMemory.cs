// "memory": the memory of a saved machine as MemoryFile writes it, each page at its place.
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Saving;

/// <summary>A saved machine's memory in one file that is mapped.</summary>
internal sealed class PlainMemory : SavedMemory
{
    private readonly SharedMemory _file;

    private PlainMemory(string path, SharedMemory file) : base(path) => (_file, Length) = (file, file.Length);

    internal override MemoryBacking? Backing => MemoryBacking.PrivateCopy(_file);

    /// <summary>Opens one. Nobody may shorten the file as long as it is mapped.</summary>
    /// <exception cref="IOException">The host refuses it.</exception>
    internal static PlainMemory OpenFile(string path) => new(path, SharedMemory.Open(path));

    public override void Dispose() => _file.Dispose();

    private protected override bool IsZero(int number) => false;

    private protected override void ReadPiece(int number, Span<byte> into) => Read(_file, (ulong)number * Piece, into);

    /// <summary>Reads all that is asked for.</summary>
    /// <exception cref="HostException">There is less.</exception>
    internal static void Read(SharedMemory source, ulong at, Span<byte> into)
    {
        for (var done = 0; done < into.Length;)
        {
            var count = source.Read(at + (ulong)done, into[done..]);
            if (count <= 0) throw new HostException("the memory of a saved machine became shorter");
            done += count;
        }
    }
}
