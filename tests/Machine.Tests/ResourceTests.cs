// What machines take from the process they give back: descriptors, threads, address space. Run alone, since it counts.
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines;

[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}

[Collection(Alone.Name)]
public sealed class ResourceTests : IDisposable
{
    private readonly KernelFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Machines_that_have_lived_leave_nothing_behind()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        await LiveAsync();
        var before = Count();

        for (var i = 0; i < 5; i++) await LiveAsync();

        // Sealed files and mappings are a machine's own; the process's thread pool and libraries come and go.
        Assert.Equal(before, Count());
    }

    private async Task LiveAsync()
    {
        await using var machine = Machine.Create(new MachineDefinition
        {
            Boot = new BootSource { KernelPath = _folder.Kernel },
            MemoryBytes = 32 << 20,
            Devices = [new ConsoleDevice { To = new ConsoleTarget.Unix(_folder.In("console")) }],
            GdbPort = 0,
        });
        var run = machine.RunAsync(Token);
        await machine.PauseAsync();
        await machine.StopAsync();
        await run;
    }

    private static (int MemoryFiles, int Sockets, int Mappings) Count()
    {
        var links = Directory.GetFiles("/proc/self/fd").Select(path => new FileInfo(path).LinkTarget ?? "").ToArray();
        return (links.Count(link => link.Contains("memfd:lamina", StringComparison.Ordinal)),
            links.Count(link => link.StartsWith("socket:", StringComparison.Ordinal)),
            File.ReadLines("/proc/self/maps").Count(line => line.Contains("memfd:lamina", StringComparison.Ordinal)));
    }
}
