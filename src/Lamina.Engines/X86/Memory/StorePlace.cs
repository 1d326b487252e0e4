// Another CPU may change the page tables between the moment when an instruction may store and the one when it has what it stores.
namespace Lamina.Engines.X86.Memory;

/// <summary>Where a store goes that was found to be allowed and is made later.</summary>
/// <param name="Linear">Linear address of its first byte.</param>
/// <param name="FirstPage">Guest-physical address of the page that the first byte lies in.</param>
/// <param name="SecondPage">Of the page behind, where the store crosses into it.</param>
public readonly record struct StorePlace(ulong Linear, ulong FirstPage, ulong SecondPage);
