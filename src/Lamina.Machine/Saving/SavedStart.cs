// Where a machine goes on that is made of a saved one.
namespace Lamina.Saving;

/// <summary>A saved machine that was read.</summary>
/// <param name="Folder">The folder that it lies in.</param>
/// <param name="State">What it says.</param>
/// <param name="TakenUp">Called when every part has taken its state up, before anything runs; or null.</param>
internal sealed record SavedStart(string Folder, SavedMachine State, Action? TakenUp = null);
