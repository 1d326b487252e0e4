// The grammar of a device in words, as the command line has it: VALUE[,KEY[=VALUE]…], where VALUE is the kind's main property
// (a disk's path, a network's link as KIND[=VALUE]). A comma inside a value is written twice.
using System.Text;

namespace Lamina.Definition;

/// <summary>Splits and joins words.</summary>
public static class Words
{
    /// <summary>Splits at commas; two together are one that belongs to the word.</summary>
    public static IReadOnlyList<string> Split(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var words = new List<string>();
        var word = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != ',') word.Append(text[i]);
            else if (i + 1 < text.Length && text[i + 1] == ',') word.Append(text[i++]);
            else
            {
                words.Add(word.ToString());
                word.Clear();
            }
        }
        words.Add(word.ToString());
        return words;
    }

    /// <summary>The opposite of <see cref="Split"/>.</summary>
    public static string Join(IEnumerable<string> words) => string.Join(',', words.Select(word => word.Replace(",", ",,", StringComparison.Ordinal)));

    /// <summary>KEY or KEY=VALUE.</summary>
    public static (string Key, string? Value) Pair(string word)
    {
        var equals = word.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? (word, null) : (word[..equals], word[(equals + 1)..]);
    }

    /// <summary>Reads a text.</summary>
    /// <param name="shape">What there is to say.</param>
    /// <param name="main">The property whose value stands first.</param>
    /// <param name="empty">What is where nothing is said.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="MachineException">It says what cannot be.</exception>
    public static T Read<T>(Shape<T> shape, string main, T empty, string text)
    {
        var words = Split(text);
        var it = shape.With(empty, main, words[0]);
        foreach (var word in words.Skip(1))
        {
            var (key, value) = Pair(word);
            it = shape.With(it, key, value);
        }
        return it;
    }

    /// <summary>Writes what <see cref="Read"/> reads.</summary>
    public static string Write<T>(Shape<T> shape, string main, T it)
    {
        var written = shape.Write(it).ToList();
        var first = written.First(property => property.Name == main).Values[0];
        var brief = written.FirstOrDefault(property => property.IsShort);
        var rest = written.Where(property => property.Name != main && property != brief)
            .SelectMany(property => property.Values.Select(value => value is null ? property.Name : $"{property.Name}={value}"));
        return Join([brief is null ? first! : $"{first}={brief.Values[0]}", .. rest]);
    }
}
