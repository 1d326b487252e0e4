// What the command lines of our own images have in common.
namespace Lamina.Images;

/// <summary>Options of Linux (Documentation/admin-guide/kernel-parameters.txt).</summary>
internal static class ImageCommandLine
{
    /// <summary>The kernel does not try each of its ciphers at each boot: that was a sixth of the time to tiny's shell on the translator.</summary>
    public const string NoCipherTests = "cryptomgr.notests";
}
