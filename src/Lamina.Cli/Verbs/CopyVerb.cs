// "lamina cp": files between this host and the guest of a machine that runs, both ways, by the guest's agent.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Host.Io;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "cp".</summary>
internal static class CopyVerb
{
    private const string Standard = "-";

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var from = Place("from", "FROM", "What to copy: a path of this host's, NAME:PATH in a guest, or - for an archive (tar) from the standard input.");
        var to = Place("to", "TO", "Where to: a path of this host's, NAME:PATH in a guest, or - for an archive to the standard output. A folder that there is gets it inside.");
        var wait = CommandOptions.WaitOption();
        var verb = new Verb("cp", "Copies files and folders to the guest of a running machine, or from it.")
        {
            Sections = () => [new("Examples", [("lamina cp site web:/srv", ""), ("lamina cp web:/var/log/syslog .", ""), ("tar -c site | lamina cp - web:/srv", ""), ("lamina cp web:/etc - | tar -t", "")])],
        };
        verb.Arguments.Add(from);
        verb.Arguments.Add(to);
        verb.AddGroup("Options", wait);
        verb.SetAction(parsed => Copy(parsed.GetRequiredValue(from), parsed.GetRequiredValue(to), CommandOptions.ReadWait(parsed, wait)));
        return verb;
    }

    /// <summary>Reads HOST:GUEST or GUEST:HOST; the guest's path begins with a slash.</summary>
    /// <exception cref="UsageException">It is none.</exception>
    public static (string First, string Second) ReadPair(string option, string text, bool guestIsFirst)
    {
        // A path of the host's may have colons of its own.
        var at = guestIsFirst ? text.IndexOf(':', StringComparison.Ordinal) : text.LastIndexOf(":/", StringComparison.Ordinal);
        return at > 0 && at < text.Length - 1 && (!guestIsFirst || text[0] == '/')
            ? (text[..at], text[(at + 1)..])
            : throw new UsageException($"{option}: '{text}' does not say what to copy where to; write it like {(guestIsFirst ? "/srv/result:result" : "sources:/srv")}");
    }

    private static Argument<string> Place(string name, string helpName, string description)
    {
        var place = new Argument<string>(name) { HelpName = helpName, Description = description };
        place.CompletionSources.Add(_ => MachineStore.OfUser().Names.Select(machine => $"{machine}:"));
        return place;
    }

    private static int Copy(string from, string to, TimeSpan? wait)
    {
        var (source, target) = (GuestPlace(from), GuestPlace(to));
        if ((source is null) == (target is null))
            throw new UsageException(source is null ? "one of both is to be in a guest; write it like web:/srv" : "one of both is to be on this host; copy to it first, and from it then");
        using var signals = new EndingSignals();
        var files = new GuestFiles(cancellation => MachineControl.ReachAgentAsync(MachineStore.OfUser().Find((source ?? target)!.Value.Machine), wait, cancellation));
        try
        {
            CopyAsync(files, from, to, source?.Path, target?.Path, signals.Token).GetAwaiter().GetResult();
            return ExitCode.Success;
        }
        catch (OperationCanceledException) when (signals.ExitCode is { } code)
        {
            return code;
        }
    }

    private static async Task CopyAsync(GuestFiles files, string from, string to, string? source, string? target, CancellationToken cancellation)
    {
        if (target is not null && from == Standard)
        {
            await using var archive = new DescriptorStream(HostIo.Input);
            await files.UnpackInAsync(archive, target, cancellation).ConfigureAwait(false);
        }
        else if (target is not null)
        {
            Tell(await files.CopyInAsync(from, target, cancellation).ConfigureAwait(false), "this host's");
        }
        else if (to == Standard)
        {
            await using var archive = new DescriptorStream(HostIo.Output);
            await files.PackOutAsync(source!, archive, cancellation).ConfigureAwait(false);
        }
        else
        {
            Tell(await files.CopyOutAsync(source!, to, cancellation).ConfigureAwait(false), "the guest's");
        }
    }

    /// <summary>Says how much was left out.</summary>
    public static void Tell(int leftOut, string whose)
    {
        if (leftOut > 0) Stderr.Say($"{leftOut} devices, pipes or sockets of {whose} were left out");
    }

    // As with scp: what has a slash before its first colon is a path of this host's.
    private static (string Machine, string Path)? GuestPlace(string text)
    {
        var at = text.IndexOf(':', StringComparison.Ordinal);
        if (at <= 0 || text.AsSpan(0, at).Contains('/') || Path.Exists(text)) return null;
        return at < text.Length - 1 ? (text[..at], text[(at + 1)..]) : throw new UsageException($"'{text}' says no path in the guest; write it like {text}/srv");
    }
}
