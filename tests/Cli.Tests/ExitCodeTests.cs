using Lamina.Cli;
using Lamina.Cli.Verbs;
using Lamina.Host;
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Cli;

/// <summary>The table of docs/exit-codes.md.</summary>
public sealed class ExitCodeTests
{
    [Theory]
    [InlineData(MachineEnd.PoweredOff, null, null, 0)]
    [InlineData(MachineEnd.Reset, null, null, 0)]
    [InlineData(MachineEnd.GuestPanic, null, null, 10)]
    [InlineData(MachineEnd.TripleFault, null, null, 11)]
    [InlineData(MachineEnd.Failed, null, null, 70)]
    [InlineData(MachineEnd.TimedOut, null, null, 124)]
    [InlineData(MachineEnd.Stopped, null, null, 130)]
    [InlineData(MachineEnd.Stopped, null, 129, 129)]
    [InlineData(MachineEnd.Stopped, null, 143, 143)]
    [InlineData(MachineEnd.PoweredOff, null, 143, 0)]
    [InlineData(MachineEnd.DebugExit, 1, null, 1)]
    [InlineData(MachineEnd.DebugExit, 33, null, 33)]
    [InlineData(MachineEnd.DebugExit, 0x1ff, null, 255)]
    public void Each_end_of_a_machine_has_its_exit_code(MachineEnd end, int? debugExit, int? signal, int code) =>
        Assert.Equal(code, RunVerb.Conclude(new MachineResult(end, debugExit), signal));

    public static TheoryData<Exception, int> Causes => new()
    {
        { new UsageException("x"), 2 },
        { new MachineException("x"), 2 },
        { new MachineException(MachineError.Host, "x"), 1 },
        { new MachineException(MachineError.Busy, "x"), 1 },
        { new MachineException(MachineError.File, "x"), 2 },
        { new MachineException(MachineError.State, "x"), 2 },
        { new ImageException("x"), 1 },
        { new HostException("x"), 1 },
        { new UnauthorizedAccessException("x"), 1 },
        { new OutOfMemoryException(), 1 },
        { new EndedBySignalException(143), 143 },
        { new OperationCanceledException(), 130 },
        { new InvalidOperationException("x"), 70 },
        { new NullReferenceException(), 70 },
    };

    [Theory]
    [MemberData(nameof(Causes))]
    public void Each_failure_has_its_exit_code(Exception cause, int code) => Assert.Equal(code, Failures.CodeOf(cause));
}
