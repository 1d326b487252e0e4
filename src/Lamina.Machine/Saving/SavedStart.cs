// Where a machine goes on that is made of a saved one.
namespace Lamina.Saving;

/// <summary>A saved machine that was read.</summary>
/// <param name="Folder">The folder that it lies in.</param>
/// <param name="State">What it says.</param>
internal sealed record SavedStart(string Folder, SavedMachine State);
