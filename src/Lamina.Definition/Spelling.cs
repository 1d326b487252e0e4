// The word that may have been meant, where one is not known: for the command line and for files.
namespace Lamina.Definition;

/// <summary>Compares words.</summary>
public static class Spelling
{
    private const int FarOff = 3;

    /// <summary>The known word that is nearest, if it is near.</summary>
    public static string? Nearest(string word, IEnumerable<string> known) => known.MinBy(name => Distance(word, name)) is { } nearest && Distance(word, nearest) < FarOff ? nearest : null;

    /// <summary>The least number of characters to insert, delete, replace or swap with a neighbour that makes one word of the other.</summary>
    public static int Distance(string a, string b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        var table = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    table[i, j] = i + j;
                    continue;
                }
                var cost = a[i - 1] == b[j - 1] ? 0 : 1;
                table[i, j] = Math.Min(Math.Min(table[i - 1, j], table[i, j - 1]) + 1, table[i - 1, j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) table[i, j] = Math.Min(table[i, j], table[i - 2, j - 2] + 1);
            }
        }
        return table[a.Length, b.Length];
    }
}
