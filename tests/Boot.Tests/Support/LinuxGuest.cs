// A Linux guest with a shell on its serial port, driven as a person drives it: wait for the prompt, type a command, read
// what it prints and its exit code. Every wait is bounded; a wait that fails shows the console's last lines.
using System.Globalization;
using Lamina.Backends.Disk;
using Lamina.Hypervisor.Migrating;
using Lamina.Migration;
using Xunit;

namespace Lamina.Tests.Boot.Support;

/// <summary>What a command printed, and its exit code.</summary>
internal readonly record struct ShellAnswer(string Output, int ExitCode);

internal sealed class LinuxGuest : IAsyncDisposable
{
    private const string Prompt = "~ # ", BashPrompt = ":~# ";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private LinuxGuest(Machine machine, Task<MachineResult> run) => (Machine, Run) = (machine, run);

    internal Machine Machine { get; }

    /// <summary>The run; completes with the machine's end.</summary>
    internal Task<MachineResult> Run { get; }

    /// <summary>How many commands have been typed.</summary>
    internal int Commands { get; set; }

    /// <summary>Boots the image tiny up to its prompt.</summary>
    internal static Task<LinuxGuest> BootAsync(GuestConfiguration configuration, params DiskDevice[] disks) =>
        BootAsync(configuration, spec => spec.With(disks));

    /// <summary>Boots the image tiny in a machine that differs from the usual.</summary>
    internal static async Task<LinuxGuest> BootAsync(GuestConfiguration configuration, Func<MachineDefinition, MachineDefinition> change, MachineHooks? hooks = null)
    {
        var image = await TinyImage.GetAsync();
        return await BootAsync(change(new MachineDefinition
        {
            Type = configuration.Machine,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = configuration.MemoryBytes,
            Cpus = configuration.Cpus,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
            Devices = [new ConsoleDevice { To = new ConsoleTarget.Memory() }],
        }), hooks);
    }

    /// <summary>Boots any Linux whose shell is tiny's, or bash, up to the prompt.</summary>
    internal static async Task<LinuxGuest> BootAsync(MachineDefinition spec, MachineHooks? hooks = null, bool bash = false)
    {
        var machine = Machine.Create(spec, hooks);
        var guest = new LinuxGuest(machine, machine.RunAsync());
        try
        {
            if (bash)
            {
                await guest.WaitAsync(BashPrompt);
                await guest.TypeAsync("PS1=\"~ \"'# '");
            }
            await guest.WaitForPromptAsync();
            return guest;
        }
        catch
        {
            await guest.DisposeAsync();
            throw;
        }
    }

    /// <summary>Goes on with a machine that was saved, from the same point of the same shell.</summary>
    /// <param name="folder">The saved machine.</param>
    /// <param name="commands">How many commands had been typed (<see cref="Commands"/>).</param>
    /// <param name="hooks">What the machine is connected with.</param>
    internal static LinuxGuest Restore(string folder, int commands, MachineHooks? hooks = null)
    {
        var machine = Machine.Restore(folder, hooks);
        return new LinuxGuest(machine, machine.RunAsync()) { Commands = commands };
    }

    /// <summary>Takes in a machine that comes over a socket, with disks of its own beside those that it had.</summary>
    /// <param name="path">The socket, which is made.</param>
    /// <param name="place">What its disks' names end in here.</param>
    internal static async Task<LinuxGuest> ReceiveAsync(string path, string place)
    {
        using var listener = MigrationLink.Listen(new MigrationPlace.Unix(path));
        using var peer = await MigrationLink.AcceptAsync(listener, null);
        var arrival = await MachineArrival.BeginAsync(peer);
        var machine = arrival.Build(new MachineHooks(), definition => definition with { Devices = [.. definition.Devices.Select(device => device is DiskDevice disk ? disk with { Path = Moved(disk.Path, place) } : device)] });
        return new LinuxGuest(machine, await arrival.TakeAsync());
    }

    // An empty disk of the same length.
    private static string Moved(string path, string place)
    {
        var here = $"{path.Split('@')[0]}@{place}";
        DiskTools.Create(new DiskCreation { Path = here, Size = DiskTools.Inspect(path).Size });
        return here;
    }

    /// <summary>Sends its machine to where another one is taken in.</summary>
    /// <param name="path">The socket.</param>
    internal async Task<MigrationOutcome> MigrateAsync(string path)
    {
        using var link = await MigrationLink.ConnectAsync(new MigrationPlace.Unix(path), null);
        return await Machine.MigrateAsync(link);
    }

    internal Task WaitForPromptAsync() => WaitAsync(Prompt);

    /// <summary>Types a command, which must exit with 0, and returns what it printed.</summary>
    internal async Task<string> DoAsync(string command)
    {
        var answer = await AskAsync(command);
        Assert.True(answer.ExitCode == 0, $"\"{command}\" exited with {answer.ExitCode} and printed: {answer.Output}");
        return answer.Output;
    }

    /// <summary>Types a command and returns what it printed and its exit code.</summary>
    internal async Task<ShellAnswer> AskAsync(string command)
    {
        // The shell echoes what is typed: the marks come out whole only when they are printed.
        var number = (++Commands).ToString(CultureInfo.InvariantCulture);
        await TypeAsync($"echo '<beg'{number}'>'; {command}; echo '<end'{number}:$?'>'");
        await WaitAsync($"<beg{number}>\r\n");
        var output = await WaitAsync($"<end{number}:");
        var code = await WaitAsync(">");
        return new ShellAnswer(output[..^$"<end{number}:".Length].Replace("\r\n", "\n", StringComparison.Ordinal), int.Parse(code[..^1], CultureInfo.InvariantCulture));
    }

    /// <summary>Types a line.</summary>
    internal async Task TypeAsync(string line)
    {
        using var patience = new CancellationTokenSource(Patience);
        await Machine.Serial.WriteLineAsync(line, patience.Token);
    }

    /// <summary>Returns when the guest has done so many more requests of its disks.</summary>
    internal async Task AdvanceAsync(long requests)
    {
        long Done() => Machine.Count("disk_requests");
        var until = Done() + requests;
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        using var patience = new CancellationTokenSource(Patience);
        while (Done() < until && !Run.IsCompleted) await poll.WaitForNextTickAsync(patience.Token);
        if (Run.IsCompleted) Assert.Fail($"the machine ended: {await Run}");
    }

    /// <summary>Waits for the machine's end.</summary>
    internal async Task<MachineResult> EndAsync()
    {
        try
        {
            return await Run.WaitAsync(Patience);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"the machine did not end; its console's last lines:\n{Tail}", e);
        }
    }

    public async ValueTask DisposeAsync() => await Machine.DisposeAsync();

    private string Tail => Machine.Serial.Text is { Length: > 12000 } text ? text[^12000..] : Machine.Serial.Text;

    /// <summary>Waits until the console shows a text behind what was read before; returns what it showed.</summary>
    internal async Task<string> WaitAsync(string text)
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            return await Machine.Serial.ReadUntilAsync(text, patience.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or MachineException)
        {
            var end = Run.IsCompletedSuccessfully ? $" (the machine ended: {Run.Result})" : "";
            throw new TimeoutException($"the console never showed \"{text}\"{end}; its last lines:\n{Tail}", e);
        }
    }
}
