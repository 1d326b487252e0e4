// A machine's share of processor time on hosts that are described: who is asked to keep it, what is put back where the host refuses, what
// is told. Threads here are the tests' own.
using Lamina.Control;
using Lamina.Core.Inspection;
using Lamina.Host;
using Lamina.Life;
using Xunit;

namespace Lamina.Tests.Machines.Life;

public sealed class CpuShareTests
{
    private sealed class Groups : IHostCpus
    {
        public List<string> Asked { get; } = [];

        public bool Refuses { get; set; }

        public string Means => "groups";

        public void Enter() => Asked.Add("enter");

        public void Set(CpuLimit limit, int? reserve)
        {
            if (Refuses && limit.Weight == 7) throw new HostException("no");
            Asked.Add($"{limit.Cap} {limit.Weight} {reserve}");
        }
    }

    private sealed class Standing : ISharedThread
    {
        public bool Stands => _suspended;

        public void Suspend() => _suspended = true;

        public void GoOn() => _suspended = false;

        private volatile bool _suspended;
    }

    [Fact]
    public void Where_the_host_has_means_it_is_told_of_each_share_and_nothing_is_metered()
    {
        var groups = new Groups();
        using var share = new CpuShare(new MachineDefinition { CpuLimit = new CpuLimit { Cap = 25 }, CpuReserve = 10 }, groups, null, _ => null);

        share.Enter(new Standing());
        share.Set(new CpuLimit { Weight = 300 });

        Assert.Equal(["25 100 10", "enter", " 300 10"], groups.Asked);
        Assert.Equal("groups", Look(share)["weight is kept by"]);
        Assert.DoesNotContain(Count(share), counter => counter.Name == "cpu_cap_stops");
    }

    [Fact]
    public void What_the_host_refuses_is_told_and_the_share_before_stays()
    {
        var groups = new Groups { Refuses = true };
        using var share = new CpuShare(new MachineDefinition { CpuLimit = new CpuLimit { Cap = 25 } }, groups, null, _ => null);

        Assert.Equal("the host refuses this share of its processors: no", Assert.Throws<MachineException>(() => share.Set(new CpuLimit { Weight = 7 })).Message);

        Assert.Equal(["25 100 ", "25 100 "], groups.Asked);
        Assert.Equal("25%", Look(share)["cap"]);
    }

    [Fact]
    public void Processors_that_are_not_there_are_refused_before_anything_changes()
    {
        using var share = new CpuShare(new MachineDefinition(), null, null, Host);

        Assert.Equal("cpu-pin: the host's processor 5 is not there, or not for this process; it may run on 0-3", Assert.Throws<MachineException>(() => share.Set(new CpuLimit { Pin = new ProcessorSet([3, 5]) })).Message);
        Assert.Throws<MachineException>(() => new CpuShare(new MachineDefinition { CpuLimit = new CpuLimit { Pin = new ProcessorSet([4]) } }, null, null, Host));
        share.Set(new CpuLimit { Pin = new ProcessorSet([0]) });

        Assert.Equal("0", Look(share)["processors"]);
    }

    [Fact]
    public void Without_means_of_the_hosts_the_machine_meters_a_thread_that_is_busy_and_it_stands()
    {
        using var share = new CpuShare(new MachineDefinition { CpuLimit = new CpuLimit { Cap = 1 } }, null, null, Host);
        var thread = new Standing();
        var busy = new Thread(() =>
        {
            share.Enter(thread);
            while (!thread.Stands) Thread.SpinWait(100);
            share.Set(new CpuLimit());
            share.Leave(thread);
        });

        busy.Start();
        busy.Join();

        Assert.False(thread.Stands);
        Assert.True(Count(share).Single(counter => counter.Name == "cpu_used_ns").Value > 0);
        Assert.Equal(1, Count(share).Single(counter => counter.Name == "cpu_cap_stops").Value);
    }

    private static string? Host(string path) => path == "/proc/self/status" ? "Name:\tx\nCpus_allowed_list:\t0-3\n" : null;

    private static InspectNode Look(CpuShare share)
    {
        var node = new InspectNode("");
        share.Inspect(node);
        return node;
    }

    private static IReadOnlyList<Counter> Count(CpuShare share)
    {
        var list = new CounterList();
        share.Count(list);
        return list.All;
    }
}
