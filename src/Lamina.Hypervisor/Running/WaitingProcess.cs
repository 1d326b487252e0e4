// What a process does that waits to be a copy of a machine: builds a machine as that one is, in a folder of its own, locks itself, and waits at the channel
// that it has as its standard input for what it goes on from; or for the other end to be gone, with which it ends. When the order comes it is a
// machine's process like any other. A machine with a disk is built when its disk is there, which is with the order.
using System.Globalization;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Serving;
using Lamina.Hypervisor.Stored;
using Lamina.Saving;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Hypervisor.Running;

/// <summary>The inside of a process that waits to be a copy.</summary>
public static class WaitingProcess
{
    // Whoever starts it has welcomed it before; and nobody forks for so long who wants it to wait.
    private const int WelcomeMilliseconds = 60_000, IdleMilliseconds = 10 * 60_000;

    /// <summary>Waits, and is the copy.</summary>
    /// <param name="store">The store.</param>
    /// <param name="folder">The name of its folder in it.</param>
    /// <param name="lockedBy">As for <see cref="MachineProcess"/>.</param>
    /// <param name="limitedBy">Likewise.</param>
    /// <param name="number">Likewise.</param>
    /// <param name="ready">Where it is said that it waits, or why it cannot; closed then.</param>
    /// <param name="cancellationToken">Pulls the plug.</param>
    /// <returns>The machine's end; null where it never was one.</returns>
    public static async Task<MachineResult?> RunAsync(MachineStore store, string folder, string lockedBy, string limitedBy, string number, Stream ready, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(ready);
        HostProcess.Detach();
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var process)) process = Environment.ProcessId;
        using var channel = new DescriptorChannel(HostProcess.TakeStandardInput());
        var home = new MachineHome(Path.Combine(store.Folder, folder));
        try
        {
            using var held = HostLock.TryTake(home.Lock) ?? throw new MachineException(MachineError.Busy, $"{home.Folder} is in use by another process");
            return await RunAsync(home, channel, new ProcessPlace(LockReport.Parse(lockedBy), LimitGroups.Parse(limitedBy), process) { Held = held }, ready, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is MachineException or IOException or UnauthorizedAccessException)
        {
            var refusal = failure is MachineException or HostException ? failure : new MachineException(MachineError.Host, $"the copy cannot be started: {failure.Message.TrimEnd('.')}; its folder must be writable and have space", failure);
            var line = ControlLines.Refusal(null, refusal);
            if (ready.CanWrite) await MachineProcess.SayAsync(ready, line).ConfigureAwait(false);
            TrySay(channel, line);
            return null;
        }
        finally
        {
            await ready.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task<MachineResult?> RunAsync(MachineHome home, DescriptorChannel channel, ProcessPlace place, Stream ready, CancellationToken cancellationToken)
    {
        using var log = new MachineLogFile(home.Log);
        place = place with { Groups = MachineProcess.Enter(place.Groups, log) };
        using var welcome = channel.Receive(WelcomeMilliseconds) ?? throw new MachineException(MachineError.Host, "the machine that is to be copied is gone");
        var first = ForkLines.FolderIn(welcome.Bytes);
        using var description = MachineForked.Receive(welcome.Files);
        var hasDisk = File.Exists(home.Disk);
        var copy = new Copy(home, place, log, first, description) { Kept = ForkLines.KeptIn(welcome.Bytes) };
        try
        {
            if (!hasDisk) copy.Build();
            await MachineProcess.SayAsync(ready, ControlLines.Answer(null, null)).ConfigureAwait(false);
            await ready.DisposeAsync().ConfigureAwait(false);
            HostProcess.LeaveStandardStreams(home.Log);
            await copy.RehearseAsync(cancellationToken).ConfigureAwait(false);
            channel.Send(ForkLines.Waits(home.Name));
            using var order = channel.Receive(IdleMilliseconds);
            if (order is null) return null;
            return await copy.RunAsync(order, channel, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await copy.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static void TrySay(DescriptorChannel channel, byte[] line)
    {
        try
        {
            channel.Send(line);
        }
        catch (IOException)
        {
            // Nobody is there to be told.
        }
    }

    // The machine of this process, from its building to its end.
    private sealed class Copy(MachineHome home, ProcessPlace place, MachineLogFile log, string first, MachineForked description) : IAsyncDisposable
    {
        private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;
        private ProcessMachine? _own;
        private LockReport? _locked;
        private MachineDefinition? _moved;
        private Task<MachineResult>? _run;

        /// <summary>The definition that the first machine was started by.</summary>
        internal required MachineDefinition Kept { get; init; }

        internal void Build()
        {
            _moved = Moved(description.Definition);
            var definition = description.HasMemory ? Rehearsal.Isolated(_moved) : CopiedCards.Pulled(_moved);
            _own = new ProcessMachine(home, definition, place, log, (complete, hooks) => Machine.Wait(description, hooks, _ => complete), takenUp: null);
            log.Write($"process {place.Number}: {_own.Machine.EngineDescription}");
            _locked = _own.Lock(_own.Definition, place);
        }

        internal async Task RehearseAsync(CancellationToken cancellationToken)
        {
            if (_own is null || !description.HasMemory) return;
            var machine = _own.Machine;
            _own.IsMuted = true;
            machine.TakeUp(description);
            _run = machine.RunAsync(cancellationToken);
            if (await Task.WhenAny(_run, _own.TakenUp).ConfigureAwait(false) == _run) throw new MachineException(MachineError.Host, (await _run.ConfigureAwait(false)).Message ?? "the guest ended");
            await Rehearsal.RunAsync(machine, _own.Definition.DevicesOf<VsockDevice>().Single().Path).ConfigureAwait(false);
            await machine.RewindAsync(description, goesOn: false).ConfigureAwait(false);
            description.Dispose();
            // What that left behind is gone before the order comes.
            GC.Collect();
            _own.IsMuted = false;
        }

        internal async Task<MachineResult> RunAsync(ChannelMessage order, DescriptorChannel channel, CancellationToken cancellationToken)
        {
            var name = ForkLines.NameIn(order.Bytes);
            using var from = MachineForked.Receive(order.Files);
            if (_own is null) Build();
            var machine = _own!.Machine;
            if (_run is null)
            {
                machine.TakeUp(from);
                _run = machine.RunAsync(cancellationToken);
                if (await Task.WhenAny(_run, _own.TakenUp).ConfigureAwait(false) == _run)
                    throw new MachineException(MachineError.Host, $"the copy {name} cannot go on where the first machine is: {(await _run.ConfigureAwait(false)).Message}");
            }
            else
            {
                await Rehearsal.PlugAsync(machine, _moved!).ConfigureAwait(false);
                await machine.RewindAsync(from, goesOn: true).ConfigureAwait(false);
            }
            // The memory has what is its own by now.
            from.Dispose();
            description.Dispose();
            using var terminated = _own.ListenToSignals();
            // Cables may have been put in and pulled since the first machine was started.
            var whole = Rehearsal.Plugged(Moved(Kept).Complete(), _moved!) with { Name = name };
            using var served = _own.Serve(name, CopiedCards.Pulled(whole), place, _started);
            served.Locked = _locked!;
            served.Definition = CopiedCards.Pulled(Rehearsal.Plugged(served.Definition, _moved!));
            await using var server = new ControlServer(home.Socket, served).ConfigureAwait(false);
            new RunRecord(place.Number, _started).Write(home.Run);
            TrySay(channel, ControlLines.Answer(null, null));
            log.Write($"goes on as a copy of the machine in {first}");
            _ = IdentifyAsync(served, whole, CopiedCards.Between(description.Definition, _moved!), channel, log);
            return await _own.ConcludeAsync(_run, _started).ConfigureAwait(false);
        }

        private MachineDefinition Moved(MachineDefinition definition) => new SuspendRecord(_started, first, new Dictionary<string, DiskStamp>()) { IsFork = true }.Moved(definition, home);

        // What is said is when its agent answers, and when it is another machine.
        private static async Task IdentifyAsync(ServedMachine served, MachineDefinition whole, IReadOnlyList<CardAddress> cards, DescriptorChannel channel, MachineLogFile log)
        {
            var isGiven = await GuestIdentity.TryGiveAsync(cancellation => AgentRelay.ReachAsync(served, cancellation), whole.Name!, cards, () => TrySay(channel, ControlLines.Answer(null, null)), CancellationToken.None).ConfigureAwait(false);
            var isPulled = cards.Count > 0 && !(isGiven && await TryPlugAsync(served, whole).ConfigureAwait(false));
            if (isPulled) log.Write("its network cards have no cable, since the guest has no agent that gave it addresses of its own");
            TrySay(channel, ForkLines.Done(isPulled));
            channel.Dispose();
        }

        private static async Task<bool> TryPlugAsync(ServedMachine served, MachineDefinition whole)
        {
            try
            {
                await served.Changes.SetAsync(whole, CancellationToken.None).ConfigureAwait(false);
                return true;
            }
            catch (Exception none) when (none is MachineException or ObjectDisposedException)
            {
                // It has ended.
                return false;
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (_own is not null) await _own.DisposeAsync().ConfigureAwait(false);
        }
    }
}
