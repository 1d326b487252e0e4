// A machine's share of the host's processors, put in force: the cap and the weight by the host's means where whoever runs the machine has
// them (IHostCpus), else by the machine itself, which looks at the processor time that its virtual CPUs took and has them stand for a while
// (CpuMeter), and by nice values; the processors that they run on by the threads' affinity in either case.
using System.Globalization;
using Lamina.Control;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Doctor;
using Lamina.Host;
using Lamina.Host.Threads;

namespace Lamina.Life;

/// <summary>A thread that can be made to stand.</summary>
internal interface ISharedThread
{
    /// <summary>Whether it stands.</summary>
    bool Stands { get; }

    /// <summary>Has it stand soon, until <see cref="GoOn"/>. Any number of times.</summary>
    void Suspend();

    /// <summary>Lets it run, as far as it is up to its share.</summary>
    void GoOn();
}

/// <summary>Keeps the virtual CPUs to their share.</summary>
internal sealed class CpuShare : IInspected, ICounted, IDisposable
{
    private readonly IHostCpus? _host;
    private readonly ILog? _log;

    // The processors that the process may run on; null where the host does not tell.
    private readonly ProcessorSet? _allowed;
    private readonly Lock _gate = new();
    private readonly List<(HostThread Host, ISharedThread Thread)> _threads = [];
    private readonly CpuMeter _meter = new();
    private readonly int? _reserve;
    private CpuLimit _limit;

    private int? _throttle;

    // What was changed once is put back.
    private bool _isPinned, _isNice, _niceRefused;

    /// <summary>Puts a share in force, before there are any threads.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="host">The host's means, or null.</param>
    /// <param name="log">Gets what is not as it was asked for.</param>
    /// <param name="read">The text of a file of the host's, or null.</param>
    /// <exception cref="MachineException">It cannot be had.</exception>
    internal CpuShare(MachineDefinition machine, IHostCpus? host, ILog? log, Func<string, string?> read)
    {
        (_limit, _reserve, _host, _log) = (machine.CpuLimit, machine.CpuReserve, host, log);
        _allowed = HostMemory.Line(read("/proc/self/status"), "Cpus_allowed_list:") is { } list ? ProcessorSet.Parse(list) : null;
        Check(_limit);
        Apply(_limit);
    }

    /// <summary>By what the cap is kept, or would be.</summary>
    internal string CapBy => _host?.Means ?? "the machine's own metering";

    /// <summary>By what the weight is.</summary>
    internal string WeightBy => _host?.Means ?? (_niceRefused ? "nothing: the host refuses the nice value" : "nice values");

    /// <summary>Gives the virtual CPUs another share.</summary>
    /// <exception cref="MachineException">It cannot be had; the one before stays in force.</exception>
    internal void Set(CpuLimit limit)
    {
        Check(limit);
        lock (_gate)
        {
            var before = _limit;
            try
            {
                Apply(limit);
                foreach (var (thread, _) in _threads) Apply(thread, limit);
                _limit = limit;
            }
            catch (IOException refused)
            {
                Apply(before);
                throw new MachineException(MachineError.Host, $"the host refuses this share of its processors: {refused.Message}", refused);
            }
        }
    }

    /// <summary>Has each virtual CPU take no more than so many percent of a processor for a while, whatever its share is; null ends it.</summary>
    internal void Throttle(int? percent)
    {
        lock (_gate)
        {
            _throttle = percent;
            Meter(_limit);
        }
    }

    /// <summary>Takes a virtual CPU's thread in: the calling one, which has not run yet.</summary>
    internal void Enter(ISharedThread thread)
    {
        var host = new HostThread();
        lock (_gate)
        {
            try
            {
                _host?.Enter();
                Apply(host, _limit);
            }
            catch (IOException refused)
            {
                _log.Warn(LogEvent.CpuShare, $"a virtual CPU has not its share of the host's processors: {refused.Message}");
            }
            _threads.Add((host, thread));
            _meter.Add(host, thread);
        }
    }

    /// <summary>The calling thread, which was taken in, ends: what it took is kept.</summary>
    internal void Leave(ISharedThread thread)
    {
        lock (_gate) _ = _threads.Find(other => other.Thread == thread).Host?.CpuNanoseconds;
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        if (_limit.Cap is { } cap)
        {
            node.Say("cap", string.Create(CultureInfo.InvariantCulture, $"{cap}%"));
            node.Say("cap is kept by", CapBy);
        }
        if (_throttle is { } throttle) node.Say("throttled to", string.Create(CultureInfo.InvariantCulture, $"{throttle}%"));
        node.Say("weight", _limit.Weight);
        if (_limit.Weight != CpuLimit.UsualWeight) node.Say("weight is kept by", WeightBy);
        if (_limit.Pin is { } pin) node.Say("processors", pin.ToString());
    });

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        long used = 0;
        lock (_gate)
            foreach (var (thread, _) in _threads) used += thread.CpuNanoseconds;
        counters.Total("cpu_used_ns", used, "processor time that the virtual CPUs' threads took", CounterUnit.Nanoseconds);
        if (_host is not null) return;
        counters.Total("cpu_cap_stops", _meter.Stops, "how often the virtual CPUs had used up their cap");
        counters.Total("cpu_cap_stood_ns", _meter.Stood, "how long they stood for it", CounterUnit.Nanoseconds);
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    private void Apply(CpuLimit limit)
    {
        _host?.Set(limit, _reserve);
        Meter(limit);
    }

    // What the host does not keep.
    private void Meter(CpuLimit limit)
    {
        var cap = _host is null ? limit.Cap : null;
        if (_throttle is { } throttle) cap = Math.Min(cap ?? int.MaxValue, throttle * _threads.Count);
        _meter.Cap = cap;
    }

    private void Apply(HostThread thread, CpuLimit limit)
    {
        if ((_isPinned |= limit.Pin is not null) && (limit.Pin ?? _allowed) is { } processors) thread.RunOn(processors.Numbers);
        if (_host is not null || !(_isNice |= limit.Weight != CpuLimit.UsualWeight)) return;
        var refused = !thread.TrySetNice(NiceOf(limit.Weight)) && limit.Weight != CpuLimit.UsualWeight;
        if (refused && !_niceRefused) _log.Warn(LogEvent.CpuShare, $"the weight {limit.Weight} is not in force: this user may not give a thread a nice value of {NiceOf(limit.Weight)}; weights below {CpuLimit.UsualWeight} are possible, and control groups know all");
        _niceRefused = refused;
    }

    // What is not permitted to this process the kernel would leave out without a word.
    private void Check(CpuLimit limit)
    {
        if (limit.Pin is not { } pin || _allowed is not { } there) return;
        if (pin.Numbers.Where(number => !there.Numbers.Contains(number)).ToList() is { Count: > 0 } missing)
            throw new MachineException(MachineError.Host, $"cpu-pin: the host's processor {missing[0]} is not there, or not for this process; it may run on {there}");
    }

    // Each step of nice is worth a quarter more or less. Linux kernel/sched/core.c, sched_prio_to_weight.
    internal static int NiceOf(int weight) =>
        Math.Clamp((int)Math.Round(-Math.Log((double)weight / CpuLimit.UsualWeight) / Math.Log(1.25)), HostThread.LeastNice, HostThread.MostNice);
}
