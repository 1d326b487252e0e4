// The tests' entry. Signals and exits cannot be tried on the process that runs the tests, so it also starts itself as a
// program at a terminal (Host/TerminalProgram.cs).
using Lamina.Tests.Backends.Host;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;

namespace Lamina.Tests.Backends;

internal static class Program
{
    public static int Main(string[] args)
    {
        if (args is [TerminalProgram.Argument, var mode]) return TerminalProgram.Run(mode);
        return args.Contains("--server")
            ? TestPlatformTestFramework.RunAsync(args, global::Backends.Tests.SelfRegisteredExtensions.AddSelfRegisteredExtensions).GetAwaiter().GetResult()
            : ConsoleRunner.Run(args).GetAwaiter().GetResult();
    }
}
