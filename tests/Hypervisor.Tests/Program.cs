// The tests, or a locked process that one of them looks at.
using Lamina.Tests.Hypervisor.Locking;
using Xunit.Runner.InProc.SystemConsole;

return args is [LockProbe.Word, var report, var groups, var parts, var attempt, var thread, var argument] ? LockProbe.Run(report, groups, parts, attempt, thread, argument) : await ConsoleRunner.Run(args);
