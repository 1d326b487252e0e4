// The words that values of enumerations have in the contract: PoweredOff is "powered-off".
using System.Text;

namespace Lamina.Hypervisor.Contract;

/// <summary>Words for values.</summary>
internal static class ControlNames
{
    /// <summary>The word for a value that is one of its enumeration's.</summary>
    internal static string Of<T>(T value) where T : struct, Enum
    {
        var word = new StringBuilder();
        foreach (var letter in value.ToString())
        {
            if (char.IsAsciiLetterUpper(letter) && word.Length > 0) word.Append('-');
            word.Append(char.ToLowerInvariant(letter));
        }
        return word.ToString();
    }

    /// <summary>The value for a word; null where there is none.</summary>
    internal static T? Find<T>(string? word) where T : struct, Enum
    {
        foreach (var value in Enum.GetValues<T>())
            if (Of(value) == word) return value;
        return null;
    }
}
