// GDB itself, where it is installed: it accepts the target description, and its commands do what they say.
using System.Globalization;
using Lamina.Tests.Machines.Life;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Debugging;

public sealed class RealGdbTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task GDB_reads_registers_and_memory_steps_and_stops_at_breakpoints()
    {
        Gdb.SkipWithout();
        await using var machine = Create(Spec(_folder) with { GdbPort = 0 }, Forever);
        var run = machine.RunAsync(Token);

        var output = await Gdb.RunAsync([
            $"target remote 127.0.0.1:{machine.GdbPort!.Value.ToString(CultureInfo.InvariantCulture)}",
            "printf \"entry %lx\\n\", $rip", "printf \"cr0 %lx\\n\", $cr0", "printf \"cs %x\\n\", $cs", "info registers eflags",
            "x/2xb 0x1000000", "set *(int*)0x300000 = 0x12345678", "x/1xw 0x300000", "set $rax = 77", "p $rax", "p $xmm0.uint128", "p $st0", "p $fs_base",
            "stepi", "printf \"stepped %lx\\n\", $rip", "break *0x1000210", "continue", "printf \"stopped %lx\\n\", $rip",
            "awatch *(char*)0x1000218", "continue", "printf \"watched %lx\\n\", $rip", "info threads", "monitor help", "kill"]);

        Assert.Contains("entry 1000200", output, StringComparison.Ordinal);
        Assert.Contains("cr0 80000011", output, StringComparison.Ordinal);
        Assert.Contains("cs 10", output, StringComparison.Ordinal);
        Assert.Contains("0x90\t0x90", output, StringComparison.Ordinal);
        Assert.Contains("0x12345678", output, StringComparison.Ordinal);
        Assert.Contains("= 77", output, StringComparison.Ordinal);
        Assert.Contains("stepped 1000201", output, StringComparison.Ordinal);
        Assert.Contains("stopped 1000210", output, StringComparison.Ordinal);
        Assert.Contains("Hardware access (read/write) watchpoint 2", output, StringComparison.Ordinal);
        Assert.Contains("watched 1000218", output, StringComparison.Ordinal);
        Assert.Contains("vCPU 0", output, StringComparison.Ordinal);
        Assert.Contains("start the guest again", output, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", output.Replace("warning: No executable", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("rror", output, StringComparison.Ordinal);
        Assert.Equal(MachineEnd.Stopped, (await run).End);
    }
}
