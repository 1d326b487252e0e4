// The other end of the terminal's guard in ./lamina: a process that restores the terminal if this one dies without
// saying that it left it in order.
using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Cli;

/// <summary>The terminal's guard.</summary>
internal static class TerminalGuard
{
    /// <summary>Tells the guard, if there is one, that the terminal is in order.</summary>
    public static void Dismiss()
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable("LAMINA_TERMINAL_GUARD"), NumberStyles.None, CultureInfo.InvariantCulture, out var descriptor)) return;
        try
        {
            using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
            RandomAccess.Write(handle, "."u8, 0);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            // The variable came from somewhere else, or the guard is gone: there is nobody to tell.
        }
    }
}
