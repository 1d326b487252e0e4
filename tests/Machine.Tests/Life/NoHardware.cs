// Hardware without anything in it that remembers what a machine's life asked of it.
using Lamina.Backends.Disk;
using Lamina.Control;
using Lamina.Core.Inspection;
using Lamina.Core.Units;
using Lamina.Life;
using Lamina.Saving;

namespace Lamina.Tests.Machines.Life;

internal sealed class NoHardware : IHardware
{
    public IReadOnlyList<Core.Engine.IVcpu> Vcpus => [];

    public bool IsWhole { get; set; } = true;

    public IReadOnlyList<Counter> Counters { get; } = [];

    public UnitInspection Inspect(string path) => new UnitTree().Inspect(path);

    public ulong ResizeBalloon(ulong bytes)
    {
        Asked.Add($"balloon {bytes}");
        return bytes / 2;
    }

    public void SetRate(string device, RateLimit limit) => Asked.Add($"rate of {device}");

    /// <summary>What was asked, in order.</summary>
    internal List<string> Asked { get; } = [];

    /// <summary>Whether everything is at rest.</summary>
    internal bool IsStill { get; private set; }

    internal bool ClockRuns { get; private set; }

    /// <summary>What happens as it starts.</summary>
    internal Action Starting { get; set; } = () => { };

    public void Start()
    {
        Asked.Add("start");
        Starting();
    }

    public bool PressPowerButton()
    {
        Asked.Add("power button");
        return true;
    }

    /// <summary>What happens as it is reset.</summary>
    internal Action Resetting { get; set; } = () => { };

    public void Reset()
    {
        Asked.Add("reset");
        Resetting();
    }

    public void Pause() => (IsStill, _) = (true, Add("pause"));

    public void Resume() => (IsStill, _) = (false, Add("resume"));

    public void SetClockRunning(bool running) => (ClockRuns, _) = (running, Add(running ? "clock runs" : "clock stands"));

    /// <summary>What happens as it is saved.</summary>
    internal Action Saving { get; set; } = () => { };

    public IUnwritten? Save(string folder, bool goesOn)
    {
        Asked.Add($"save {folder}");
        Saving();
        return null;
    }

    public void PrepareFork()
    {
    }

    public SavedMachine DescribeState() => throw new InvalidOperationException("there is none");

    public SavedMachine SaveState() => throw new InvalidOperationException("there is none");

    public void Advance(TimeSpan time)
    {
    }

    public MachineForked Fork() => Describe();

    public void ShareMemory(MachineForked with)
    {
    }

    public MachineForked Describe() => throw new MachineException("there is nothing to copy");

    public void Rewind(MachineForked forked)
    {
    }

    public void NoteWorkingSet()
    {
    }

    public ReadOnlyMemory<byte> WorkingSet() => default;

    public IReadOnlyList<DiskLayer> AddLayers(IReadOnlyList<LayeredImage> layers) => [];

    public void Load(SavedStart saved) => Asked.Add("load");

    public void Publish(string device, IReadOnlyList<PublishedPort> ports)
    {
    }

    public void Plug(string device, bool plugged)
    {
    }

    public void ChangeDisc(string device, string path, System.Runtime.InteropServices.SafeHandle? file)
    {
    }

    public void Conclude() => Asked.Add("conclude");

    public void Dispose() => Asked.Add("dispose");

    private bool Add(string what)
    {
        Asked.Add(what);
        return true;
    }
}
