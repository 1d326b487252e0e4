// A process that waits to be a copy has time: it goes on once before, from where the machine was when it began to wait, as far as a copy's guest has to
// be told that it is one, and is put back. Then what a copy does first has been done: the guest's code is translated, the program's own is in
// memory, and it is known which memory the guest writes first. Nothing of it reaches anybody: the cables of its cards are pulled, its consoles
// lead nowhere, and a machine with disks or shared folders has no rehearsal.
using Lamina.Control;
using Lamina.Hypervisor.Agent;

namespace Lamina.Hypervisor.Serving;

/// <summary>Rehearses a copy's beginning.</summary>
internal static class Rehearsal
{
    // A guest that has no agent, or is busy, is left at that.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>Whether a machine can have one: what its guest does reaches nobody else.</summary>
    internal static bool IsFor(MachineDefinition definition) => definition.GdbPort is null && definition.Display is null && definition.Devices.All(device => device switch
    {
        NetworkDevice card => card.Link is NetworkLink.User,
        DiskDevice or CdromDevice or FloppyDevice or ShareDevice => false,
        ChannelDevice channel => channel.Path.Length == 0,
        _ => true,
    });

    /// <summary>The machine as it rehearses.</summary>
    internal static MachineDefinition Isolated(MachineDefinition definition) => definition with
    {
        Devices = [.. definition.Devices.Select(device => device is NetworkDevice card ? card with { Plugged = false } : device)],
    };

    /// <summary>The same machine with its cables as another definition has them.</summary>
    internal static MachineDefinition Plugged(MachineDefinition definition, MachineDefinition like) => definition with
    {
        Devices = [.. definition.Devices.Select(device => device is NetworkDevice card ? card with { Plugged = like.DevicesOf<NetworkDevice>().FirstOrDefault(known => known.Name == card.Name)?.Plugged ?? true } : device)],
    };

    /// <summary>Runs it from where it is, and leaves it paused.</summary>
    /// <param name="machine">The machine; it runs, and its network cards are pulled.</param>
    /// <param name="path">The socket of its socket device.</param>
    /// <exception cref="MachineException">It has ended.</exception>
    internal static async Task RunAsync(Machine machine, string path)
    {
        using var patience = new CancellationTokenSource(Patience);
        await GuestIdentity.TryGiveAsync(async cancellation =>
        {
            var stream = await AgentSocket.TryConnectAsync(path, Patience, () => machine.State == MachineState.Ended, cancellation).ConfigureAwait(false) ?? throw new MachineException(MachineError.State, "the guest has no agent");
            return await AgentConnection.OpenAsync(stream, cancellation).ConfigureAwait(false);
        }, "rehearsal", [], () => machine.NoteWorkingSetAsync().GetAwaiter().GetResult(), patience.Token).ConfigureAwait(false);
        await machine.PauseAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Plugs the cables in that were pulled for it.</summary>
    /// <param name="machine">The machine, which is paused.</param>
    /// <param name="definition">What it is.</param>
    internal static async Task PlugAsync(Machine machine, MachineDefinition definition)
    {
        foreach (var card in definition.DevicesOf<NetworkDevice>().Where(card => card.Plugged)) await machine.DoAsync(new MachineAction.Plug(card.Name, true)).ConfigureAwait(false);
    }
}
