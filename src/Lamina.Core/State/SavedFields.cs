// The fields of a saved state, named once for both directions: the same list of calls writes them out or reads them in, so that the
// two cannot drift apart. Each field has a number, which stays for good, and a value; what a part keeps in memory is another matter
// and may change from one version of the program to the next.
//
// On the way out a field is its key (number << 1 | kind) and a value: kind 0 an integer, kind 1 a length and that many bytes. Integers
// are LEB128 (7 bits a byte, the lowest first); signed ones are zigzag (0, -1, 1, -2 are 0, 1, 2, 3) before that. A record is bytes
// that hold fields; a list is the same field again for each of its elements. What is null is left out.
// On the way in a state is refused whole where a field is missing, comes twice, is larger than its type, or is one that nobody asks
// for: a state that says more than its reader understands is not understood.
using System.Numerics;
using System.Text;

namespace Lamina.Core.State;

/// <summary>Writes the fields of one record, or reads them.</summary>
public sealed class SavedFields
{
    /// <summary>Writes or reads the fields of a record.</summary>
    public delegate void Exchange<T>(SavedFields fields, ref T value);

    private readonly FieldBuffer? _output;
    private readonly FieldTable? _input;

    private SavedFields(FieldBuffer? output, FieldTable? input, int version) => (_output, _input, Version) = (output, input, version);

    /// <summary>Whether the fields are read; otherwise they are written.</summary>
    public bool IsLoading => _input is not null;

    /// <summary>The version of the fields: on the way in that of whoever wrote them.</summary>
    public int Version { get; }

    /// <summary>Writes fields out.</summary>
    /// <param name="version">The version that they have.</param>
    /// <param name="write">Names each of them.</param>
    /// <returns>The record's bytes.</returns>
    public static byte[] Write(int version, Action<SavedFields> write)
    {
        var output = new FieldBuffer();
        write(new SavedFields(output, null, version));
        return output.ToArray();
    }

    /// <summary>Reads fields in.</summary>
    /// <param name="bytes">What <see cref="Write"/> gave, or anything.</param>
    /// <param name="version">The version that they have.</param>
    /// <param name="read">Names each of them.</param>
    /// <exception cref="StateException">They are not what is asked for.</exception>
    public static void Read(ReadOnlyMemory<byte> bytes, int version, Action<SavedFields> read)
    {
        var input = new FieldTable(bytes);
        read(new SavedFields(null, input, version));
        input.End();
    }

    /// <summary>An integer of any size.</summary>
    /// <param name="number">The field's number, from 1.</param>
    /// <param name="value">What is written, or where what is read goes.</param>
    /// <param name="since">The first version that has the field; from an older state it is not read, and the value stays.</param>
    public void Value<T>(int number, ref T value, int since = 1) where T : unmanaged, IBinaryInteger<T>
    {
        if (Version < since) return;
        if (_input is not null) value = Narrow<T>(number, _input.Integer(number));
        else _output!.Integer(number, Widen(value));
    }

    /// <summary>An integer, or null.</summary>
    public void Value<T>(int number, ref T? value, int since = 1) where T : unmanaged, IBinaryInteger<T>
    {
        if (Version < since) return;
        if (_input is not null) value = _input.TryInteger(number) is { } there ? Narrow<T>(number, there) : null;
        else if (value is { } given) _output!.Integer(number, Widen(given));
    }

    /// <summary>Yes or no.</summary>
    public void Value(int number, ref bool value, int since = 1)
    {
        var bit = value ? (byte)1 : (byte)0;
        Value(number, ref bit, since);
        if (_input is not null && bit > 1) throw Wrong(number, "is neither yes nor no");
        value = bit != 0;
    }

    /// <summary>One of an enumeration's values, by its number, which stays for good.</summary>
    public void Choice<T>(int number, ref T value, int since = 1) where T : struct, Enum
    {
        var integer = Convert.ToInt64(value, null);
        Value(number, ref integer, since);
        if (_input is null) return;
        value = (T)Enum.ToObject(typeof(T), integer);
        if (!Enum.IsDefined(value)) throw Wrong(number, $"has no meaning ({integer})");
    }

    /// <summary>Bytes.</summary>
    /// <param name="number">The field's number.</param>
    /// <param name="value">What is written, or where what is read goes.</param>
    /// <param name="most">More are refused.</param>
    /// <param name="since">As for <see cref="Value{T}(int, ref T, int)"/>.</param>
    public void Bytes(int number, ref byte[] value, int most, int since = 1)
    {
        if (Version < since) return;
        if (_input is null)
        {
            _output!.Bytes(number, value);
            return;
        }
        var bytes = _input.Bytes(number);
        if (bytes.Length > most) throw Wrong(number, $"has {bytes.Length} bytes, and {most} are the most");
        value = bytes.ToArray();
    }

    /// <summary>Bytes whose number the reader knows.</summary>
    public void Bytes(int number, Span<byte> place, int since = 1)
    {
        if (Version < since) return;
        if (_input is null)
        {
            _output!.Bytes(number, place);
            return;
        }
        var bytes = _input.Bytes(number);
        if (bytes.Length != place.Length) throw Wrong(number, $"has {bytes.Length} bytes and not {place.Length}");
        bytes.Span.CopyTo(place);
    }

    /// <summary>Text on one line. What is read may stand in a sentence for a terminal, so that control characters are refused.</summary>
    public void Text(int number, ref string value, int most = 4096, int since = 1)
    {
        var bytes = _input is null ? Encoding.UTF8.GetBytes(value) : [];
        Bytes(number, ref bytes, most, since);
        if (_input is null || Version < since) return;
        value = Encoding.UTF8.GetString(bytes);
        if (value.Any(char.IsControl)) throw Wrong(number, "is no text: it has control characters");
    }

    /// <summary>A record of fields that have numbers of their own.</summary>
    public void Record<T>(int number, ref T value, Exchange<T> exchange, int since = 1)
    {
        if (Version < since) return;
        if (_input is not null) value = ReadRecord(number, _input.Bytes(number), value, exchange);
        else _output!.Bytes(number, Written(value, exchange));
    }

    /// <summary>Records whose number the reader knows: one for each element that it has.</summary>
    public void Records<T>(int number, T[] values, Exchange<T> exchange, int since = 1)
    {
        if (Version < since) return;
        if (_input is null)
        {
            foreach (var value in values) _output!.Bytes(number, Written(value, exchange));
            return;
        }
        var given = _input.All(number);
        if (given.Count != values.Length) throw Wrong(number, $"is there {given.Count} times and not {values.Length}");
        for (var i = 0; i < values.Length; i++) values[i] = ReadRecord(number, given[i], values[i], exchange);
    }

    /// <summary>A list of records, as many as there are.</summary>
    public void List<T>(int number, ref IReadOnlyList<T> values, int most, Exchange<T> exchange, int since = 1) where T : new()
    {
        if (Version < since) return;
        if (_input is null)
        {
            foreach (var value in values) _output!.Bytes(number, Written(value, exchange));
            return;
        }
        var given = _input.All(number);
        if (given.Count > most) throw Wrong(number, $"is there {given.Count} times, and {most} are the most");
        values = [.. given.Select(bytes => ReadRecord(number, bytes, new T(), exchange))];
    }

    /// <summary>The state of a part of this part, which has a kind and versions of its own.</summary>
    /// <exception cref="StateException">It is another kind's, or newer than what reads it.</exception>
    public void Unit(int number, ISavedUnit unit)
    {
        var kind = unit.Kind;
        if (_input is null)
        {
            _output!.Bytes(number, Write(1, fields =>
            {
                var (name, version, content) = (kind.Name, kind.Version, Write(kind.Version, unit.Save));
                fields.Text(1, ref name);
                fields.Value(2, ref version);
                fields.Bytes(3, ref content, content.Length);
            }));
            return;
        }
        Read(_input.Bytes(number), 1, fields =>
        {
            var (name, version, content) = ("", 0, Array.Empty<byte>());
            fields.Text(1, ref name, SavedKind.LongestName);
            fields.Value(2, ref version);
            fields.Bytes(3, ref content, int.MaxValue);
            kind.Check(name, version);
            Read(content, version, unit.Load);
        });
    }

    /// <summary>Integers whose number the reader knows.</summary>
    public void Values<T>(int number, T[] values, int since = 1) where T : unmanaged, IBinaryInteger<T> =>
        Records(number, values, static (SavedFields fields, ref T value) => fields.Value(1, ref value), since);

    /// <summary>Refuses a state that is well formed and impossible all the same.</summary>
    /// <param name="possible">Whether it is possible.</param>
    /// <param name="what">What it is that cannot be ("a count of 0").</param>
    public static void Require(bool possible, string what)
    {
        if (!possible) throw new StateException($"cannot be in this state: {what}");
    }

    private byte[] Written<T>(T value, Exchange<T> exchange) => Write(Version, fields => exchange(fields, ref value));

    private T ReadRecord<T>(int number, ReadOnlyMemory<byte> bytes, T value, Exchange<T> exchange)
    {
        try
        {
            Read(bytes, Version, fields => exchange(fields, ref value));
            return value;
        }
        catch (StateException inner)
        {
            throw new StateException($"field {number}: {inner.Message}", inner);
        }
    }

    private static ulong Widen<T>(T value) where T : unmanaged, IBinaryInteger<T>
    {
        if (!T.IsNegative(T.Zero - T.One)) return ulong.CreateTruncating(value);
        var signed = long.CreateTruncating(value);
        return (ulong)(signed << 1 ^ signed >> 63);
    }

    private static T Narrow<T>(int number, ulong value) where T : unmanaged, IBinaryInteger<T>
    {
        try
        {
            return T.IsNegative(T.Zero - T.One) ? T.CreateChecked((long)(value >> 1) ^ -(long)(value & 1)) : T.CreateChecked(value);
        }
        catch (OverflowException)
        {
            throw Wrong(number, "is too large a number");
        }
    }

    private static StateException Wrong(int number, string what) => new($"field {number} {what}");
}
