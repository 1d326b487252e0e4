// What doctor says where a filter of system calls refuses what the kernel's settings allow, as in a container.
using System.Diagnostics;
using Lamina.Host.Locks;
using Xunit;

namespace Lamina.Tests.Hypervisor.Locking;

public sealed class ContainerTests
{
    [Fact]
    public async Task What_a_filter_of_system_calls_refuses_is_not_told_to_be_there()
    {
        Assert.SkipWhen(NamespaceProbe.WhyNot() is not null, "this host gives this user no namespaces without a filter either");
        using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [ContainerProbe.Word]) { RedirectStandardOutput = true })!;
        var said = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(0, process.ExitCode);
        Assert.Contains("user-namespaces Limited refused, though no setting of the kernel's says so, as it is in a container (the host makes no process in namespaces: Operation not permitted)", said, StringComparison.Ordinal);
        Assert.Contains("landlock Missing", said, StringComparison.Ordinal);
        Assert.Contains("io_uring Limited", said, StringComparison.Ordinal);
        Assert.Contains("translator Good", said, StringComparison.Ordinal);
    }
}
