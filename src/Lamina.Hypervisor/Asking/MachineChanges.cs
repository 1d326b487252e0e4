// Changes what a machine is: checks it, has a machine that runs take what it can, and keeps the whole for the next start. Where the running
// machine refuses, or the definition cannot be written, all is as it was.
using System.Text.Json;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Asking;

/// <summary>What became of a change.</summary>
/// <param name="InForce">What the running machine took at once, in words.</param>
/// <param name="AtNextStart">What takes effect at its next start.</param>
/// <param name="IsRunning">Whether it runs.</param>
/// <param name="IsOnTerminal">Whether it runs on a terminal, where nothing can be changed.</param>
public sealed record MachineChanged(IReadOnlyList<string> InForce, IReadOnlyList<string> AtNextStart, bool IsRunning = false, bool IsOnTerminal = false)
{
    /// <summary>Whether there was nothing to change.</summary>
    public bool IsNothing => InForce.Count == 0 && AtNextStart.Count == 0;
}

/// <summary>Changes machines of a store.</summary>
public static class MachineChanges
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Changes a machine.</summary>
    /// <param name="store">Its store.</param>
    /// <param name="name">Its name.</param>
    /// <param name="change">Gives what it is to be; paths from the root on.</param>
    /// <param name="cancellationToken">Ends the wait for a machine that runs.</param>
    /// <exception cref="MachineException">It cannot be; the machine and its definition are as they were.</exception>
    /// <exception cref="IOException">Likewise.</exception>
    public static async Task<MachineChanged> ChangeAsync(MachineStore store, string name, Func<MachineDefinition, MachineDefinition> change, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(change);
        using var edit = store.Edit(name);
        var after = edit.Kept(change(edit.Before));
        var difference = DefinitionDifference.Between(edit.Before, after);
        var isRunning = MachineStore.IsHeld(edit.Home);
        // A machine that runs may be other than its definition by what it could not take before.
        if (difference.IsNone && !isRunning) return new MachineChanged([], []);
        Machine.Check(after);
        var isOnTerminal = isRunning && !File.Exists(edit.Home.Socket);
        var taken = isRunning && !isOnTerminal ? await AskAsync(edit.Home, after, cancellationToken).ConfigureAwait(false) : null;
        if (taken is not { } answer)
        {
            if (!difference.IsNone) edit.Write(after);
            return new MachineChanged([], difference.Words, isOnTerminal, isOnTerminal);
        }
        try
        {
            if (!difference.IsNone) edit.Write(after);
        }
        catch (IOException)
        {
            _ = await AskAsync(edit.Home, edit.Before, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        // What waits for the next start since an earlier change is not told again.
        return new MachineChanged(answer.InForce, [.. answer.Later.Intersect(difference.Words)], IsRunning: true);
    }

    /// <summary>What of a machine's definition a machine that runs has not taken, and takes at its next start, in words.</summary>
    /// <param name="client">Its process; nothing else is asked meanwhile.</param>
    /// <param name="definition">Its definition, as it is kept.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>None where its definition cannot be used as it is, or where it was started by a Lamina that does not tell.</returns>
    /// <exception cref="MachineException">It has ended.</exception>
    public static async Task<IReadOnlyList<string>> WaitingAsync(MachineClient client, MachineDefinition definition, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(client);
        try
        {
            return Words(await client.AskAsync("waiting", request =>
            {
                request.WritePropertyName("definition");
                DefinitionJson.Write(request, definition);
            }, cancellationToken).ConfigureAwait(false));
        }
        catch (MachineException refused) when (refused.Error == MachineError.Definition)
        {
            return [];
        }
    }

    /// <summary>Has a machine that runs take what it can of its definition, as it is kept.</summary>
    /// <param name="home">It.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether it did.</returns>
    internal static async Task<bool> TryTakeAsync(MachineHome home, CancellationToken cancellationToken)
    {
        try
        {
            return MachineFile.Read(home) is { } definition && await AskAsync(home, definition, cancellationToken).ConfigureAwait(false) is not null;
        }
        catch (Exception refused) when (refused is MachineException or IOException)
        {
            return false;
        }
    }

    // Null where it has ended just now.
    private static async Task<(IReadOnlyList<string> InForce, IReadOnlyList<string> Later)?> AskAsync(MachineHome home, MachineDefinition wanted, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            var client = await MachineControl.TryConnectAsync(home, patience.Token).ConfigureAwait(false);
            if (client is null) return null;
            await using (client.ConfigureAwait(false))
            {
                foreach (var disc in wanted.DevicesOf<CdromDevice>().Select(cdrom => cdrom.Path).Where(path => path.Length > 0).Distinct()) await HandInAsync(home, disc, patience.Token).ConfigureAwait(false);
                var answer = await client.AskAsync("set", request =>
                {
                    request.WritePropertyName("definition");
                    DefinitionJson.Write(request, wanted);
                }, patience.Token).ConfigureAwait(false);
                return (Words(answer, ControlSpec.InForce), Words(answer, ControlSpec.AtNextStart));
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MachineException(MachineError.Busy, $"the process of the machine {home.Name} has not answered for {Patience.TotalSeconds:0} s, and nothing was changed; 'lamina kill {home.Name}' ends it");
        }
    }

    // What is not there is said by the machine, where it is to be used.
    private static async Task HandInAsync(MachineHome home, string path, CancellationToken cancellationToken)
    {
        if (NamedFile.KindOf(path) is not (NamedKind.File or NamedKind.BlockDevice)) return;
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        if (await MachineControl.TryConnectAsync(home, cancellationToken).ConfigureAwait(false) is not { } client) return;
        await using (client.ConfigureAwait(false)) await client.HandInAsync(path, file, cancellationToken).ConfigureAwait(false);
    }

    private static IReadOnlyList<string> Words(JsonElement answer, string name) => answer.TryGetProperty(name, out var list) ? Words(list) : [];

    private static IReadOnlyList<string> Words(JsonElement list) =>
        list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)] : [];
}
