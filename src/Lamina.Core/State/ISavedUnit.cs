// What a part of a machine has to do so that a machine can be written down and made again elsewhere: a list of its fields, once, by
// which it is both written and read (SavedFields). The tree of units (UnitTree) asks every part; one that remembers something and is
// none of these cannot be part of a machine that is saved, and the tree says so by its name.
namespace Lamina.Core.State;

/// <summary>What kind of thing a part is, in a saved state: another kind's state is refused.</summary>
/// <param name="Name">Its name, which stays for good ("8254").</param>
/// <param name="Version">The version of its fields, from 1. A reader takes older ones, and refuses newer ones.</param>
public readonly record struct SavedKind(string Name, int Version)
{
    /// <summary>The most bytes that a name has in a state, of a kind or of a part.</summary>
    public const int LongestName = 256;

    /// <summary>Refuses a state that a part of this kind cannot take up.</summary>
    /// <param name="name">Whose state it is.</param>
    /// <param name="version">The version of its fields.</param>
    /// <exception cref="StateException">It is another kind's, or newer.</exception>
    public void Check(string name, int version)
    {
        if (name != Name) throw new StateException($"is a {Name}, and the state is of a {name}");
        if (version < 1 || version > Version) throw new StateException($"is saved in version {version}, and this program knows up to {Version}; use the program that saved it, or a newer one");
    }
}

/// <summary>A part whose state can be saved and loaded.</summary>
public interface ISavedUnit
{
    /// <summary>What it is.</summary>
    SavedKind Kind { get; }

    /// <summary>Writes its state out. The part is paused and no vCPU runs; it goes on afterwards as if nothing had been.</summary>
    /// <exception cref="StateException">It is in a state that cannot be saved; the message says why, and what would have to change.</exception>
    void Save(SavedFields fields);

    /// <summary>
    /// Takes a state up. The part is a fresh one, made from the same definition, and paused; the clock and the parts that it was made
    /// from have their state already, those that were made from it have not. After a failure it is only good for being given up.
    /// </summary>
    /// <exception cref="StateException">The state is damaged, or of a part that was made otherwise.</exception>
    void Load(SavedFields fields);
}

/// <summary>A part that machines of older programs had not: a state without it is taken up as well, and the part stays as it was made.</summary>
public interface ILaterUnit : ISavedUnit
{
}

/// <summary>A saved state cannot be written, or cannot be used. The message is a sentence's second half, for the part's name to stand before it.</summary>
public sealed class StateException(string message, Exception? inner = null) : Exception(message, inner);
