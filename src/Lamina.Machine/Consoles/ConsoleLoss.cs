// What is said at the end of a machine of a console's output that its reader did not take.
using Lamina.Core.Logging;

namespace Lamina.Consoles;

/// <summary>Says how much was dropped.</summary>
internal static class ConsoleLoss
{
    /// <summary>Says it, where anything was.</summary>
    internal static void Tell(string console, long bytes, ILog log)
    {
        if (bytes > 0) log.Warn(LogEvent.OutputLost, $"{bytes} bytes of output of the guest's {console} were dropped, which their reader did not take");
    }
}
