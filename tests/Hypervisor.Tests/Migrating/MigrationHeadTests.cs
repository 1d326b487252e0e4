// What is said of a machine before it comes: which files come along, and how much of the host's disk they may take.
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Migrating;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Migrating;

public sealed class MigrationHeadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-head-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(MigrationHead.MostFileBytes, 0, true)]
    [InlineData(MigrationHead.MostFileBytes - 1, 1, true)]
    [InlineData(MigrationHead.MostFileBytes + 1, 0, false)]
    [InlineData(MigrationHead.MostFileBytes, 1, false)]
    [InlineData(MigrationHead.MostFileBytes + 1, -1, false)]
    [InlineData(long.MaxValue, long.MaxValue, false)]
    public Task Files_beside_the_disk_are_so_long_in_all_and_not_a_byte_longer(long kernel, long initrd, bool isTaken) =>
        CheckAsync(Head(0, (CarriedSpec.Kernel, kernel), (CarriedSpec.Initrd, initrd)), isTaken);

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public Task Files_beside_the_disk_are_so_many_and_not_one_more(int more, bool isTaken)
    {
        var modules = CarriedSpec.MostFiles - 2 + more;
        return CheckAsync(Head(modules, [(CarriedSpec.Kernel, 1), (CarriedSpec.Initrd, 1), .. Enumerable.Range(0, modules).Select(i => (CarriedSpec.Module(i), 1L))]), isTaken);
    }

    [Fact]
    public async Task Of_a_file_that_comes_as_much_is_taken_as_was_said()
    {
        var home = new MachineStore(_folder).HomeOf("web");
        Directory.CreateDirectory(home.Folder);
        using var peer = new MemoryStream("kernelrd and what follows"u8.ToArray());

        await Head(0, (CarriedSpec.Kernel, 6), (CarriedSpec.Initrd, 2)).ReceiveFilesAsync(peer, home, TestContext.Current.CancellationToken);

        Assert.Equal(("kernel", "rd", 8), (File.ReadAllText(home.Kernel), File.ReadAllText(home.Initrd), peer.Position));
        Assert.Equal(2, Directory.EnumerateFiles(home.Folder).Count());
    }

    private static MigrationHead Head(int modules, params (string, long)[] files)
    {
        var definition = new MachineDefinition { Boot = new BootSource { KernelPath = CarriedSpec.Kernel, InitrdPath = CarriedSpec.Initrd, Modules = [.. Enumerable.Range(0, modules).Select(i => new BootModule(CarriedSpec.Module(i)))] }, MemoryBytes = 64 << 20 };
        return new MigrationHead("web", "/srv/web", definition, definition, files, 1 << 20, []);
    }

    // As it comes from anybody.
    private static async Task CheckAsync(MigrationHead head, bool isTaken)
    {
        using var peer = new MemoryStream();
        await head.WriteAsync(peer, TestContext.Current.CancellationToken);
        peer.Position = 0;

        if (isTaken) Assert.Equal(head.Files, (await MigrationHead.ReadAsync(peer, TestContext.Current.CancellationToken)).Files);
        else Assert.StartsWith("what comes over the link is no migration of a machine", (await Assert.ThrowsAsync<MachineException>(() => MigrationHead.ReadAsync(peer, TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
    }
}
