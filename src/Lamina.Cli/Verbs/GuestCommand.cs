// A command in a guest, at this program's own streams: its input, output and errors, the terminal where one is wanted, signals passed on,
// and its exit code. The verbs that run something in a guest share it.
using System.Runtime.InteropServices;
using Lamina.Cli.Output;
using Lamina.Host.Io;
using Lamina.Host.Terminals;
using Lamina.Hypervisor.Agent;

namespace Lamina.Cli.Verbs;

/// <summary>Runs commands in guests.</summary>
internal static class GuestCommand
{
    /// <summary>The exit code where what takes the output is gone: 128 + SIGPIPE, as shells report it.</summary>
    private const int OutputGone = 141;

    // Who sends so many wants an end, whatever the guest's command makes of them.
    private const int Enough = 3;

    // Signals that are passed on, with the numbers that they have in every Linux guest. signal(7).
    private static readonly (PosixSignal Signal, int Number)[] PassedOn = [(PosixSignal.SIGHUP, 1), (PosixSignal.SIGINT, 2), (PosixSignal.SIGQUIT, 3), (PosixSignal.SIGTERM, 15)];

    /// <summary>Refuses a terminal that there is not, before anything is asked of a guest.</summary>
    /// <exception cref="UsageException">The standard input is none.</exception>
    public static void CheckTerminal(bool wantsTerminal)
    {
        if (wantsTerminal && !HostIo.IsTerminal(HostIo.Input)) throw new UsageException("--terminal needs a terminal to type at, and the standard input is none; leave it out");
    }

    /// <summary>Runs a command to its end.</summary>
    /// <param name="connection">Leads to the agent; the command's from now on.</param>
    /// <param name="command">What is to run.</param>
    /// <param name="hasInput">Whether it reads this program's input.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Its exit code.</returns>
    /// <exception cref="AgentException">The guest hung up, or says what no agent says.</exception>
    public static async Task<int> RunAsync(AgentConnection connection, AgentCommand command, bool hasInput, CancellationToken cancellationToken = default)
    {
        await using var owned = connection.ConfigureAwait(false);
        using var terminal = command.Terminal is null ? null : Terminal.TryOpen(HostIo.Input);
        if (terminal is not null) command = command with { Terminal = SizeOf(terminal), Environment = [$"TERM={Environment.GetEnvironmentVariable("TERM") ?? "vt100"}", .. command.Environment] };
        try
        {
            await using var process = await AgentProcess.StartAsync(connection, command, cancellationToken).ConfigureAwait(false);
            return await CarryAsync(process, terminal, hasInput, cancellationToken).ConfigureAwait(false);
        }
        catch (AgentException refused) when (refused.ExitCode is { } code)
        {
            Stderr.Say(refused.Message);
            return code;
        }
        catch (OutputGoneException)
        {
            return OutputGone;
        }
    }

    private static async Task<int> CarryAsync(AgentProcess process, Terminal? terminal, bool hasInput, CancellationToken cancellationToken)
    {
        using var given = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var count = 0;
        var ending = 0;
        var signals = PassedOn.Select(passed => PosixSignalRegistration.Create(passed.Signal, context =>
        {
            context.Cancel = true;
            ending = 128 + passed.Number;
            if (Interlocked.Increment(ref count) >= Enough) given.Cancel();
            else _ = Forget(process.SignalAsync(passed.Number, CancellationToken.None));
        })).ToArray();
        if (terminal is not null)
        {
            terminal.Resized += () => _ = Forget(process.ResizeAsync(SizeOf(terminal).Rows, SizeOf(terminal).Columns, CancellationToken.None));
            terminal.EnterRaw();
        }
        try
        {
            await using var input = new DescriptorStream(HostIo.Input);
            await using var output = new DescriptorStream(HostIo.Output);
            await using var errors = new DescriptorStream(HostIo.Error);
            return (await process.CarryAsync(hasInput ? input : null, output, errors, given.Token).ConfigureAwait(false)).ExitCode;
        }
        catch (OperationCanceledException) when (count >= Enough)
        {
            return ending;
        }
        finally
        {
            foreach (var signal in signals) signal.Dispose();
        }
    }

    private static (ushort Rows, ushort Columns) SizeOf(Terminal terminal) => (terminal.Size.Rows, terminal.Size.Columns);

    // A command that has ended takes no signal any more.
    private static async Task Forget(Task sending)
    {
        try
        {
            await sending.ConfigureAwait(false);
        }
        catch (Exception over) when (over is IOException or OperationCanceledException or ObjectDisposedException)
        {
        }
    }
}
