// The tests, or a process that one of them looks at: a locked one, one that is in a container as far as its calls go, or one that takes snapshots.
using Lamina.Tests.Hypervisor.Locking;
using Lamina.Tests.Hypervisor.Snapshots;
using Xunit.Runner.InProc.SystemConsole;

if (args is [SnapshotLife.Word, var folder]) return await SnapshotLife.RunAsync(folder);
if (args is [ContainerProbe.Word]) return ContainerProbe.Run();
return args is [LockProbe.Word, var report, var groups, var parts, var attempt, var thread, var argument] ? LockProbe.Run(report, groups, parts, attempt, thread, argument) : await ConsoleRunner.Run(args);
