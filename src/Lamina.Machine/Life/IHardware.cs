// What a machine's life asks of its hardware, whatever the machine type; and what hardware tells the life.
using System.Runtime.InteropServices;
using Lamina.Backends.Disk;
using Lamina.Control;
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Units;
using Lamina.Saving;

namespace Lamina.Life;

/// <summary>The wired hardware of one machine. Called by the life alone, one call at a time.</summary>
internal interface IHardware : IDisposable
{
    /// <summary>The vCPUs; they exist as long as the hardware.</summary>
    IReadOnlyList<IVcpu> Vcpus { get; }

    /// <summary>Whether all of its memory is here.</summary>
    bool IsWhole { get; }

    /// <summary>Connects the machine's outside: input of consoles begins to flow. Called once, before any vCPU runs.</summary>
    /// <exception cref="IOException">The host refuses something.</exception>
    void Start();

    /// <summary>Puts memory, devices and vCPUs to where the boot files start. No vCPU is running.</summary>
    /// <exception cref="MachineException">A boot file can no longer be read.</exception>
    void Reset();

    /// <summary>Stops or goes on with the guest's clocks. No vCPU is running.</summary>
    void SetClockRunning(bool running);

    /// <summary>Presses the power button; says whether the guest listens to it.</summary>
    bool PressPowerButton();

    /// <summary>
    /// Brings everything beside the vCPUs to rest, which do not run: when this returns nothing touches guest memory, an interrupt
    /// line or a disk. What has begun is finished before.
    /// </summary>
    void Pause();

    /// <summary>Lets it go on. Without a pause before it does nothing.</summary>
    void Resume();

    /// <summary>Writes the whole machine down, which stands still.</summary>
    /// <param name="folder">A folder that is not there yet.</param>
    /// <param name="goesOn">Whether it goes on afterwards, so that as much as can be is written later.</param>
    /// <returns>What is yet to be written; null where all is.</returns>
    /// <exception cref="MachineException">It cannot be; nothing is left of it, and the machine is as it was.</exception>
    IUnwritten? Save(string folder, bool goesOn);

    /// <summary>Has what <see cref="Fork"/> makes take a moment only. vCPUs may run.</summary>
    /// <exception cref="MachineException">It cannot be forked, or the host has no memory for it.</exception>
    /// <exception cref="IOException">The host refuses.</exception>
    void PrepareFork();

    /// <summary>Makes what another machine goes on from, of this one, which stands still.</summary>
    /// <exception cref="MachineException">It cannot be.</exception>
    /// <exception cref="IOException">The host refuses.</exception>
    MachineForked Fork();

    /// <summary>Has the machine, which stands still for longer, share its memory with what goes on from it.</summary>
    void ShareMemory(MachineForked with);

    /// <summary>What another machine must be that is to go on from this one, whatever this one does meanwhile.</summary>
    MachineForked Describe();

    /// <summary>The same as a saved machine, without its parts.</summary>
    SavedMachine DescribeState();

    /// <summary>All but its memory's content and its disks, of the machine that stands still.</summary>
    /// <exception cref="MachineException">It cannot be.</exception>
    SavedMachine SaveState();

    /// <summary>Has time have passed for the guest, whose clocks stand still.</summary>
    void Advance(TimeSpan time);

    /// <summary>Makes images for what is written to disks from some moment on, while the machine stands still.</summary>
    /// <exception cref="MachineException">There is no such disk, or it can have no layers.</exception>
    /// <exception cref="IOException">One cannot be made; nothing is left of them.</exception>
    IReadOnlyList<DiskLayer> AddLayers(IReadOnlyList<LayeredImage> layers);

    /// <summary>Puts memory, devices and vCPUs to where a saved machine stood. Called once, on a fresh machine that stands still.</summary>
    /// <exception cref="MachineException">It is another machine's, or damaged.</exception>
    void Load(SavedStart saved);

    /// <summary>Puts a machine that has run, and stands still, to where another one stood.</summary>
    /// <param name="forked">That one; its owner's.</param>
    /// <exception cref="MachineException">It is another machine's, or damaged.</exception>
    /// <exception cref="IOException">The host refuses.</exception>
    void Rewind(MachineForked forked);

    /// <summary>Takes note of the memory that the guest has written since it went on: it is what it will write first the next time.</summary>
    void NoteWorkingSet();

    /// <summary>The memory that the guest has touched, for <see cref="MachineHooks.WorkingSet"/>.</summary>
    ReadOnlyMemory<byte> WorkingSet();

    /// <summary>What its parts count. Any thread, while it works.</summary>
    IReadOnlyList<Counter> Counters { get; }

    /// <summary>Begins a look at its parts, while it works.</summary>
    /// <param name="path">Which part, with all below it; empty for all.</param>
    UnitInspection Inspect(string path);

    /// <summary>Asks the guest to do without some of its memory.</summary>
    /// <returns>How much it does without now, in bytes.</returns>
    /// <exception cref="MachineException">There is no balloon, or the guest has less memory.</exception>
    ulong ResizeBalloon(ulong bytes);

    /// <summary>Leads these ports of the host's to the guest by a network card, and no others.</summary>
    /// <exception cref="MachineException">There is no such card, or its network has no ports.</exception>
    /// <exception cref="IOException">A port cannot be had; all is as it was before.</exception>
    void Publish(string device, IReadOnlyList<PublishedPort> ports);

    /// <summary>Puts a network card's cable in or pulls it.</summary>
    /// <exception cref="MachineException">There is no such card.</exception>
    void Plug(string device, bool plugged);

    /// <summary>Puts another disc into a CD drive, or takes the one out that is there.</summary>
    /// <param name="device">The drive.</param>
    /// <param name="path">The disc; "" for none.</param>
    /// <param name="file">The same, open; null where it is opened by its name.</param>
    /// <exception cref="MachineException">There is no such drive, the guest keeps its tray shut, or it is no disc.</exception>
    /// <exception cref="IOException">It cannot be used.</exception>
    void ChangeDisc(string device, string path, SafeHandle? file);

    /// <summary>Limits what a disk or a network card moves from now on.</summary>
    /// <exception cref="MachineException">There is no such device, or it has no limits.</exception>
    void SetRate(string device, RateLimit limit);

    /// <summary>Keeps what is to outlast the machine. Called when the vCPUs will not run again, before the counters are read for the last time.</summary>
    void Conclude();
}

/// <summary>What devices tell the machine. Any thread, with no lock held; returns at once.</summary>
internal interface IHardwareEvents
{
    /// <summary>The guest powered off.</summary>
    void PowerOff();

    /// <summary>The guest asked for a reset.</summary>
    void Reset();

    /// <summary>The guest reported a panic.</summary>
    void Panic(string message);

    /// <summary>The machine cannot go on for want of something of the host's, and is paused meanwhile; or it can again.</summary>
    void WaitForHost(bool waits);

    /// <summary>The host has no space for what is written to a disk (true), or has some again. May be called with locks held.</summary>
    void DiskFull(string path, bool full);

    /// <summary>A part of the machine cannot go on, and the machine ends.</summary>
    /// <param name="message">A sentence that says why.</param>
    void Fail(string message);

    /// <summary>The guest ended the machine with an exit code for the debug exit port.</summary>
    void DebugExit(int code);
}
