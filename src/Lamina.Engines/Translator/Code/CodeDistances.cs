// Where generated code has displacements of 32 bits to other code (jumps, calls, addresses of landings): what there is to
// change when code is put somewhere else.
namespace Lamina.Engines.Translator.Code;

/// <summary>Offsets of displacements from the code buffer's start, in the order in which they were set.</summary>
internal sealed unsafe class CodeDistances(byte* origin, ulong mostBytes) : IDisposable
{
    private readonly GrowingList<int> _fields = new(mostBytes);

    /// <summary>How many there are.</summary>
    public int Count => _fields.Count;

    /// <summary>Bytes that they take.</summary>
    public long Bytes => _fields.Bytes;

    /// <summary>One of them.</summary>
    public int this[int index] => _fields[index];

    /// <summary>Records one by its place in the writable view.</summary>
    public void Add(byte* field) => _fields.Add((int)(field - origin));

    /// <summary>Forgets all.</summary>
    public void Clear() => _fields.Clear();

    public void Dispose() => _fields.Dispose();
}
