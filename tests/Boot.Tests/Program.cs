// The tests, or a guest that one of them wants in a process of its own.
using Lamina.Tests.Boot.Support;
using Xunit;
using Xunit.Runner.InProc.SystemConsole;

// Guests are run one after another: each of them wants a core of its own, and times are part of what is tested.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

return args is [GuestHost.Word] ? await GuestHost.ServeAsync(Console.In, Console.Out) : await ConsoleRunner.Run(args);
