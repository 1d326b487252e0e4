// What a build of an image tells whoever watches it.
namespace Lamina.Images;

/// <summary>A step of a build.</summary>
/// <param name="Step">What is being done, for people; the same text as long as the step lasts.</param>
/// <param name="Fraction">How much of the step is done, from 0 to 1; null where that is not known.</param>
public readonly record struct ImageProgress(string Step, double? Fraction);
