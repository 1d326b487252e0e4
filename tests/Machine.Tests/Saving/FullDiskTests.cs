// A machine that is saved to a disk which becomes full on the way, at each place where it can: it goes on, says why, and leaves nothing there.
using Lamina.Host;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

public sealed class FullDiskTests : IDisposable
{
    private const long Page = 4096, Enough = 64 << 20;

    private readonly KernelFolder _folder = new();
    private readonly SmallDisk _disk = SmallDisk.Create();

    public void Dispose()
    {
        _disk.Dispose();
        _folder.Dispose();
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Place => Path.Combine(_disk.Path, "machine");

    [Fact]
    public async Task A_machine_that_finds_the_disk_full_goes_on_and_leaves_nothing_there()
    {
        await using var machine = await StartAsync();
        // While the guest stands it touches no further page: each save takes the same room.
        await machine.PauseAsync(Token);
        _disk.Resize(Enough);
        await machine.SaveAsync(Place, Token);
        var whole = _disk.Used;
        var memory = Room("memory");
        Assert.True(memory > 4 * Page && whole - memory >= Page, $"{memory} bytes of memory, {whole} in all");
        Directory.Delete(Place, recursive: true);

        // No room at all (a page is the least that a tmpfs has), room for some of the memory, for all of it, for all but the last page.
        foreach (var room in (long[])[Page, memory / 2 / Page * Page, memory - Page, memory, whole - Page])
        {
            _disk.Resize(room);
            await RefusedAsync(machine);
        }
        // No further file, then no second and no third one: the folder, the memory, the state.
        for (var files = 1; files < 4; files++)
        {
            _disk.Resize(Enough, files);
            await RefusedAsync(machine);
        }

        _disk.Resize(whole);
        await machine.SaveAsync(Place, Token);
        await machine.ResumeAsync(Token);
        await AnswersAsync(machine);
        await machine.StopAsync(Token);
        await using var again = Machine.Restore(Place);
        var run = again.RunAsync(Token);
        await AnswersAsync(again);
        await again.StopAsync(Token);
        Assert.Equal(MachineEnd.Stopped, (await run).End);
    }

    [Fact]
    public async Task A_guest_that_runs_meanwhile_runs_on()
    {
        await using var machine = await StartAsync();
        _disk.Resize(2 * Page);

        await RefusedAsync(machine);

        Assert.Equal((MachineState.Running, Holds.None), (machine.State, machine.Holds));
        await AnswersAsync(machine);
        _disk.Resize(Enough);
        await machine.SaveAsync(Place, Token);
        await AnswersAsync(machine);
    }

    [Fact]
    public void A_file_that_is_replaced_stays_as_it_was_where_there_is_no_room_for_the_new_one()
    {
        _disk.Resize(4 * Page);
        var path = Path.Combine(_disk.Path, "file");
        HostFiles.Replace(path, "first"u8);

        Assert.Throws<IOException>(() => HostFiles.Replace(path, new byte[4 * Page]));

        Assert.Equal(["file"], Directory.GetFileSystemEntries(_disk.Path).Select(Path.GetFileName));
        Assert.Equal("first", File.ReadAllText(path));
        HostFiles.Replace(path, "second"u8);
        Assert.Equal("second", File.ReadAllText(path));
    }

    private async Task RefusedAsync(Machine machine)
    {
        var (state, holds) = (machine.State, machine.Holds);
        var refused = await Assert.ThrowsAsync<MachineException>(() => machine.SaveAsync(Place, Token));

        Assert.Equal((MachineError.File, $"the machine cannot be saved to {Place}: No space left on device"), (refused.Error, refused.Message));
        Assert.Empty(Directory.GetFileSystemEntries(_disk.Path));
        Assert.Equal(0, _disk.Used);
        Assert.Equal((state, holds), (machine.State, machine.Holds));
    }

    private long Room(string file)
    {
        var before = _disk.Used;
        File.Delete(Path.Combine(Place, file));
        return before - _disk.Used;
    }

    private async Task<Machine> StartAsync()
    {
        File.WriteAllBytes(_folder.Kernel, EchoGuest.Image);
        var machine = Machine.Create(new MachineDefinition { Boot = new BootSource { KernelPath = _folder.Kernel }, Engine = EngineChoice.Translator, MemoryBytes = 32 << 20 });
        _ = machine.RunAsync(Token);
        Assert.Equal("# ", await machine.Serial.ReadUntilAsync("# ", Token));
        return machine;
    }

    private static async Task AnswersAsync(Machine machine)
    {
        await machine.Serial.WriteLineAsync("still here", Token);
        Assert.EndsWith("Lamina\n# ", (await machine.Serial.ReadUntilAsync("# ", Token)).Replace("\r", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }
}
