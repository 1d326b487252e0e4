// Machines that start with the host, by systemd: a template whose instances are named by machines, lamina@NAME.service, and what switches
// one on or off. The template of the system's manager is for root's machines, the one of a user's manager for that user's.
using System.ComponentModel;
using System.Diagnostics;

namespace Lamina.Cli.Install;

/// <summary>The service manager.</summary>
internal static class Systemd
{
    private const string Program = "systemctl", LingerFolder = "/var/lib/systemd/linger";

    /// <summary>The template's text, systemd.unit(5), systemd.service(5).</summary>
    /// <param name="program">The program's path; systemd takes none with quotes or backslashes.</param>
    /// <param name="ofUser">For a user's manager.</param>
    public static string Template(string program, bool ofUser)
    {
        // A percent sign begins a specifier.
        var path = program.Replace("%", "%%", StringComparison.Ordinal);
        return $"""
            [Unit]
            Description=Lamina's machine %i
            Documentation=man:lamina-start(1) man:lamina-enable(1)
            {(ofUser ? "" : "Wants=network-online.target\nAfter=network-online.target\n")}
            [Service]
            # "start" returns when the machine runs; its process is what is left then.
            Type=forking
            {(ofUser ? "EnvironmentFile=-%E/lamina/environment" : "User=root\nEnvironmentFile=-/etc/default/lamina")}
            ExecStart="{path}" start %i
            ExecStop="{path}" stop %i
            KillMode=mixed
            TimeoutStopSec=10min

            [Install]
            WantedBy={(ofUser ? "default.target" : "multi-user.target")}

            """;
    }

    /// <summary>Has machines start with the host, or not any more.</summary>
    /// <param name="machines">Their names.</param>
    /// <param name="starts">Whether they are to start.</param>
    /// <returns>What the user should know besides; null: nothing.</returns>
    /// <exception cref="IOException">There is no systemd, or it refuses.</exception>
    public static string? Set(IReadOnlyList<string> machines, bool starts)
    {
        var ofUser = !Environment.IsPrivilegedProcess;
        string[] manager = ofUser ? ["--user"] : [];
        if (starts && Run([.. manager, "cat", Unit("")]) is { } unknown)
            throw new IOException($"systemd does not know {Unit("")}, by which machines start ({unknown}); install the program first: 'lamina install'");
        if (Run([.. manager, starts ? "enable" : "disable", .. machines.Select(Unit)]) is { } refused) throw new IOException($"systemd refuses: {refused}");
        if (!starts || !ofUser || File.Exists(Path.Combine(LingerFolder, Environment.UserName))) return null;
        return "your machines start when you log in; 'loginctl enable-linger' has them start with the host";
    }

    private static string Unit(string machine) => $"lamina@{machine}.service";

    // What it complains of; null: nothing.
    private static string? Run(IEnumerable<string> words)
    {
        var start = new ProcessStartInfo(Program) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var word in words) start.ArgumentList.Add(word);
        try
        {
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync();
            var errors = process.StandardError.ReadToEnd();
            _ = output.GetAwaiter().GetResult();
            process.WaitForExit();
            if (process.ExitCode == 0) return null;
            return errors.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is [var first, ..] ? first.TrimEnd('.') : $"{Program} ended with {process.ExitCode}";
        }
        catch (Win32Exception)
        {
            throw new IOException("there is no systemctl here, so nothing starts machines with the host; have what starts your host's programs run 'lamina start NAME'");
        }
    }
}
