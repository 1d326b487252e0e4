// Keys that are pressed together, one after another, and let go in the opposite order: "ctrl-alt-del".
namespace Lamina.Core.Input;

/// <summary>Keys that are pressed together.</summary>
/// <param name="Keys">In the order in which they go down; one at least.</param>
public sealed record KeyStroke(params IReadOnlyList<KeyCode> Keys)
{
    /// <summary>The most keys of one stroke: as many as fingers.</summary>
    public const int MostKeys = 10;

    /// <summary>Reads names with '-' between them.</summary>
    /// <returns>The stroke, or a sentence that says what is wrong.</returns>
    public static (KeyStroke? Stroke, string? Problem) Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var names = text.Split('-');
        if (names.Length > MostKeys) return (null, $"\"{text}\" has more than {MostKeys} keys");
        var keys = new List<KeyCode>(names.Length);
        foreach (var name in names)
        {
            if (KeyNames.Find(name) is not { } key) return (null, name.Length == 0 ? $"\"{text}\" is no combination of keys; write it like ctrl-alt-del, with minus for the key -" : $"there is no key \"{name}\"; there are {string.Join(", ", KeyNames.All)}");
            if (keys.Contains(key)) return (null, $"\"{text}\" names a key twice");
            keys.Add(key);
        }
        return (new KeyStroke(keys), null);
    }
}
