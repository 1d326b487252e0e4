// Disks that wait for space on the host: when the machine stands still, when they try again, and what is said of it.
using Lamina.Core.Logging;
using Lamina.Life;
using Xunit;

namespace Lamina.Tests.Machines.Life;

public sealed class FullDisksTests : IDisposable
{
    private readonly List<bool> _waits = [];
    private readonly List<string> _said = [];
    private readonly ManualTime _time = new();
    private readonly FullDisks _disks;
    private int _retries;

    public FullDisksTests() => _disks = new FullDisks(_waits.Add, Log.To(line => _said.Add(line.Message)).CreateLog("full disks"), _time);

    public void Dispose() => _disks.Dispose();

    [Fact]
    public void The_machine_stands_still_until_no_disk_waits_any_more()
    {
        Full("a.raw");
        Full("b.raw");
        Assert.Empty(_waits);

        _time.Fire();
        _time.Fire();
        Space("a.raw");
        _time.Fire();
        Space("b.raw");
        _time.Fire();

        Assert.Equal([true, true, true, false], _waits);
        Assert.Equal(2 + 2 + 1, _retries);
        Assert.Equal(3, _said.Count);
        Assert.Contains("no space for the disk a.raw; the machine stands still", _said[0], StringComparison.Ordinal);
        Assert.Contains("b.raw", _said[1], StringComparison.Ordinal);
        Assert.Contains("the machine goes on", _said[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Space_that_comes_before_anybody_looked_is_no_news()
    {
        Full("a.raw");
        Space("a.raw");
        _time.Fire();

        Assert.Empty(_waits);
        Assert.Empty(_said);
    }

    [Fact]
    public void A_machine_that_ends_while_it_waits_says_so_and_nothing_of_space()
    {
        Full("a.raw");
        _time.Fire();
        _said.Clear();

        _disks.Dispose();
        // As the disk's requests are given up.
        Space("a.raw");
        _time.Fire();
        _disks.Dispose();

        Assert.Equal(["the machine ends while the disk a.raw waits for space on the host; what the guest wrote last is not on it"], _said);
        Assert.Equal([true], _waits);
    }

    [Fact]
    public void A_guest_that_fills_the_disk_again_and_again_is_told_of_a_few_times()
    {
        for (var i = 0; i < 50; i++)
        {
            Full("a.raw");
            _time.Fire();
            Space("a.raw");
            _time.Fire();
        }

        Assert.Equal(20, _said.Count);
        Assert.EndsWith("no more is said of this", _said[^1], StringComparison.Ordinal);
        Assert.Equal(100, _waits.Count);
    }

    [Fact]
    public async Task A_paused_machine_that_waits_for_the_host_goes_on_by_itself_unless_somebody_decided_otherwise()
    {
        var life = new MachineLife(noReboot: false, log: null);
        life.Own(new NoHardware());
        IHardwareEvents events = life;
        await life.DoAsync(new MachineAction.Start(), TestContext.Current.CancellationToken);

        Assert.Equal(MachineState.Paused, await AfterAsync(true));
        Assert.Equal(MachineState.Paused, await AfterAsync(true));
        Assert.Equal(MachineState.Running, await AfterAsync(false));
        await life.DoAsync(new MachineAction.Pause(), TestContext.Current.CancellationToken);
        Assert.Equal(MachineState.Paused, await AfterAsync(false));
        Assert.Equal(MachineState.Paused, await AfterAsync(true));
        Assert.Equal(MachineState.Paused, await AfterAsync(false));
        await life.DoAsync(new MachineAction.Resume(), TestContext.Current.CancellationToken);
        Assert.Equal(MachineState.Running, await AfterAsync(false));
        await life.DisposeAsync();

        async Task<MachineState> AfterAsync(bool waits)
        {
            events.WaitForHost(waits);
            await life.DebugAsync(_ => new DebugRun(new HashSet<int>(), Clock: true));
            return life.State;
        }
    }

    private void Full(string path) => _disks.Change(path, waits: true, () => _retries++);

    private void Space(string path) => _disks.Change(path, waits: false, () => _retries++);
}
