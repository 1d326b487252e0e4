// "lamina console": this terminal at a machine's console, for as long as one likes. The machine goes on when it is left, and several may
// look at once.
using System.CommandLine;
using System.IO.Pipelines;
using Lamina.Backends.Char;
using Lamina.Cli.Output;
using Lamina.Host.Io;
using Lamina.Host.Terminals;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "console".</summary>
internal static class ConsoleVerb
{
    private const string Help = "\r\nCtrl-A D  leave the console; the machine goes on\r\nCtrl-A X  pull the machine's plug\r\nCtrl-A H  this help\r\nCtrl-A Ctrl-A  send Ctrl-A to the guest\r\n";
    private const long UsualHistory = 8 * 1024;
    private const int PollMilliseconds = 100;

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var name = MachineNames.One();
        var device = new Option<string?>("--device") { HelpName = "NAME", Description = "Which console; the first serial port by default." };
        var history = new Option<string?>("--history") { HelpName = "SIZE", Description = "How much of what the guest printed before is shown first; 8K by default, 1M at most, 0: nothing." };
        var verb = new Verb("console", "Looks at a machine's console and types at it.")
        {
            Sections = () =>
            [
                new("In the terminal", [("Ctrl-A D", "leave the console; the machine goes on"), ("Ctrl-A X", "pull the machine's plug"), ("Ctrl-A H", "help"), ("Ctrl-A Ctrl-A", "send Ctrl-A to the guest")]),
                new("Examples", [("lamina console web", ""), ("echo poweroff | lamina console web", "")]),
            ],
        };
        verb.Arguments.Add(name);
        verb.AddGroup("Options", device, history);
        verb.SetAction(parsed =>
        {
            var size = parsed.GetValue(history) is "0" ? 0 : (long)(RunOptions.ReadSize(history.Name, parsed.GetValue(history), "64K") ?? UsualHistory);
            return MachineNames.Run((store, cancellation) => AttachAsync(store.Find(parsed.GetRequiredValue(name)), parsed.GetValue(device), size, cancellation));
        });
        return verb;
    }

    /// <summary>Attaches this terminal until it is left or the machine ends.</summary>
    public static async Task<int> AttachAsync(MachineHome home, string? device, long history, CancellationToken cancellation)
    {
        await using var client = await MachineControl.ConnectAsync(home, cancellation).ConfigureAwait(false);
        var (output, input) = await client.AttachAsync(device, history, cancellation).ConfigureAwait(false);
        using var terminal = Terminal.TryOpen(HostIo.Input);
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        terminal?.EnterRaw();
        var reader = new Thread(() => Type(input, terminal is not null, left, () => _ = PullAsync(home))) { IsBackground = true, Name = "console-input" };
        reader.Start();
        try
        {
            await ShowAsync(output, left.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            terminal?.LeaveRaw();
            Stderr.Say($"left the console; {home.Name} goes on");
            return ExitCode.Success;
        }
        terminal?.LeaveRaw();
        var machine = await MachineControl.WaitAsync(home, cancellation).ConfigureAwait(false);
        Stderr.Say($"{home.Name} has ended: {MachineControl.Describe(machine)}");
        return machine.LastEnd is { } last && !machine.WasKilled ? RunVerb.CodeOf(last.Result) : ExitCode.Host;
    }

    private static async Task ShowAsync(PipeReader output, CancellationToken cancellation)
    {
        using var screen = Console.OpenStandardOutput();
        while (true)
        {
            var read = await output.ReadAsync(cancellation).ConfigureAwait(false);
            foreach (var piece in read.Buffer) screen.Write(piece.Span);
            screen.Flush();
            output.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return;
        }
    }

    // What is piped in ends, and the console is looked at further; only keys leave it.
    private static void Type(Stream machine, bool hasKeys, CancellationTokenSource left, Action pull)
    {
        var filter = hasKeys ? new EscapeFilter() : null;
        var buffer = new byte[4096];
        while (!left.IsCancellationRequested)
        {
            var (ready, _) = HostIo.Wait((HostIo.Input, HostPoll.Readable), (-1, HostPoll.None), PollMilliseconds);
            if (ready == HostPoll.None) continue;
            var count = HostIo.Read(HostIo.Input, buffer);
            if (count <= 0) return;
            var request = EscapeRequest.None;
            if (filter is not null) request = filter.Filter(buffer.AsSpan(0, count), out count);
            try
            {
                machine.Write(buffer, 0, count);
            }
            catch (Exception gone) when (gone is IOException or ObjectDisposedException)
            {
                return;
            }
            switch (request)
            {
                case EscapeRequest.Leave:
                    left.Cancel();
                    return;
                case EscapeRequest.Quit:
                    pull();
                    break;
                case EscapeRequest.Help:
                    _ = HostIo.Write(HostIo.Output, System.Text.Encoding.ASCII.GetBytes(Help));
                    break;
            }
        }
    }

    private static async Task PullAsync(MachineHome home)
    {
        try
        {
            await MachineControl.KillAsync(home).ConfigureAwait(false);
        }
        catch (MachineException failure)
        {
            Stderr.Say(failure.Message);
        }
    }
}
