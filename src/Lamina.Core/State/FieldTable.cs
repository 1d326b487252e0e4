// Fields on their way in: the encoding that SavedFields describes, taken apart once and then asked by number. The bytes may be
// anything: nothing is allocated by what they say but by what they are.
namespace Lamina.Core.State;

/// <summary>The fields of one record.</summary>
internal sealed class FieldTable
{
    private readonly Dictionary<int, ulong> _integers = [];
    private readonly Dictionary<int, List<ReadOnlyMemory<byte>>> _bytes = [];
    private readonly HashSet<int> _asked = [];

    /// <exception cref="StateException">The bytes are no fields.</exception>
    internal FieldTable(ReadOnlyMemory<byte> bytes)
    {
        var at = 0;
        while (at < bytes.Length)
        {
            var key = Take(bytes.Span, ref at);
            if (key >> 1 is 0 or > int.MaxValue) throw new StateException("has a field of an impossible number");
            var number = (int)(key >> 1);
            var value = Take(bytes.Span, ref at);
            if ((key & 1) == 0)
            {
                if (!_integers.TryAdd(number, value)) throw new StateException($"has field {number} twice");
                continue;
            }
            if (value > (ulong)(bytes.Length - at)) throw new StateException($"is cut off in field {number}");
            if (!_bytes.TryGetValue(number, out var all)) _bytes[number] = all = [];
            all.Add(bytes.Slice(at, (int)value));
            at += (int)value;
        }
    }

    internal ulong? TryInteger(int number)
    {
        _asked.Add(number);
        return _integers.TryGetValue(number, out var value) ? value : null;
    }

    internal ulong Integer(int number) => TryInteger(number) ?? throw new StateException($"has no field {number}");

    internal IReadOnlyList<ReadOnlyMemory<byte>> All(int number)
    {
        _asked.Add(number);
        return _bytes.TryGetValue(number, out var all) ? all : [];
    }

    internal ReadOnlyMemory<byte> Bytes(int number) => All(number) switch
    {
        [var one] => one,
        [] => throw new StateException($"has no field {number}"),
        _ => throw new StateException($"has field {number} twice"),
    };

    /// <summary>Refuses fields that nobody asked for, and those of another kind than was asked for.</summary>
    internal void End()
    {
        foreach (var number in _integers.Keys.Concat(_bytes.Keys))
            if (!_asked.Contains(number)) throw new StateException($"has a field {number} that this version does not know");
    }

    private static ulong Take(ReadOnlySpan<byte> bytes, ref int at)
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            if (at == bytes.Length) throw new StateException("is cut off");
            var part = bytes[at++];
            if (shift == 63 && part > 1) break;
            value |= (ulong)(part & 0x7f) << shift;
            if (part < 0x80) return value;
        }
        throw new StateException("has a number of more than 64 bits");
    }
}
