// A guest in a process that does nothing else, driven by the lines of its standard input: each asks for one thing and is answered by one
// line. GuestProcess is the other end.
using System.Globalization;
using System.Text.Json;

namespace Lamina.Tests.Boot.Support;

internal static class GuestHost
{
    /// <summary>The word that makes the tests' program this one.</summary>
    internal const string Word = "guest";

    /// <summary>The guest's shell where it is not tiny's.</summary>
    internal const string Bash = "bash";

    /// <summary>The first word of an answer: what was asked for is done, or not, and the second word tells why.</summary>
    internal const string Done = "done", Failed = "failed";

    /// <summary>Does what it is asked for until there is no more to ask.</summary>
    internal static async Task<int> ServeAsync(TextReader questions, TextWriter answers)
    {
        LinuxGuest? guest = null;
        while (await questions.ReadLineAsync() is { } line)
        {
            string[] answer;
            try
            {
                var words = JsonSerializer.Deserialize<string[]>(line)!;
                guest ??= words switch
                {
                    ["boot", var file, var shell] => await LinuxGuest.BootAsync(DefinitionJson.Read(await File.ReadAllBytesAsync(file)), bash: shell == Bash),
                    ["receive", var socket, var place] => await LinuxGuest.ReceiveAsync(socket, place),
                    ["restore", var folder, var commands] => LinuxGuest.Restore(folder, int.Parse(commands, CultureInfo.InvariantCulture)),
                    _ => throw new InvalidOperationException($"there is no guest yet: {line}"),
                };
                answer = [Done, await DoAsync(guest, words)];
            }
            catch (Exception e)
            {
                answer = [Failed, e.ToString()];
            }
            await answers.WriteLineAsync(JsonSerializer.Serialize(answer));
            await answers.FlushAsync();
        }
        if (guest is not null) await guest.DisposeAsync();
        return 0;
    }

    private static async Task<string> DoAsync(LinuxGuest guest, string[] words)
    {
        switch (words)
        {
            case ["boot" or "restore" or "receive", ..]:
                return guest.Machine.EngineDescription;
            case ["do", var command]:
                return await guest.DoAsync(command);
            case ["type", var line]:
                await guest.TypeAsync(line);
                return "";
            case ["advance", var requests]:
                await guest.AdvanceAsync(long.Parse(requests, CultureInfo.InvariantCulture));
                return "";
            case ["save", var folder]:
                await guest.Machine.PauseAsync();
                await guest.Machine.SaveAsync(folder);
                return guest.Commands.ToString(CultureInfo.InvariantCulture);
            case ["migrate", var socket]:
                var outcome = await guest.MigrateAsync(socket);
                return string.Create(CultureInfo.InvariantCulture, $"{guest.Commands} {outcome.StoodStill.TotalMilliseconds} {outcome.IsConfirmed}");
            case ["commands", var count]:
                guest.Commands = int.Parse(count, CultureInfo.InvariantCulture);
                return "";
            case ["end"]:
                return (await guest.EndAsync()).End.ToString();
            default:
                throw new InvalidOperationException($"nobody can do this: {string.Join(' ', words)}");
        }
    }
}
