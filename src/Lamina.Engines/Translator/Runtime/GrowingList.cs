// A list that grows by whole pieces and never copies: what the code buffer knows of its code is long, only grows, and
// would else be held twice in each doubling.
namespace Lamina.Engines.Translator.Runtime;

internal sealed class GrowingList<T>
    where T : struct
{
    private const int Shift = 12, PieceLength = 1 << Shift;

    private readonly List<T[]> _pieces = [];

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>An element, in its place.</summary>
    public ref T this[int index] => ref _pieces[index >> Shift][index & (PieceLength - 1)];

    public void Add(in T item)
    {
        if (Count == _pieces.Count << Shift) _pieces.Add(new T[PieceLength]);
        _pieces[Count >> Shift][Count & (PieceLength - 1)] = item;
        Count++;
    }

    /// <summary>Forgets all; the room is given back.</summary>
    public void Clear()
    {
        _pieces.Clear();
        Count = 0;
    }
}
