// The verbs that put the program where a system keeps such, take it away again, and have machines start with the host.
using System.CommandLine;
using System.Reflection;
using Lamina.Cli.Install;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verbs install, uninstall, enable and disable.</summary>
internal static class InstallVerbs
{
    // Of the program's folder what ./lamina notes there about its build.
    private static readonly string[] BuildNotes = ["kind", "sources", "dotnet-root", "unlinked"];

    private const string Managed = "lamina.dll";

    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> CreateAll() => [Install(), Uninstall(), Enable(), Disable()];

    private static Option<string> Prefix() => new("--prefix") { HelpName = "FOLDER", Description = "Below which folder; /usr/local for root, ~/.local for others." };

    private static Verb Install()
    {
        var prefix = Prefix();
        var root = new Option<string>("--destdir") { HelpName = "FOLDER", Description = "Stands for / while it is installed, as for a package." };
        var verb = new Verb("install", "Installs this program with its manual pages, completions and units of systemd.")
        {
            Sections = () => [new("Examples", [("sudo ./lamina install", ""), ("lamina install --prefix ~/.local", "")])],
        };
        verb.AddGroup("Options", prefix, root);
        verb.SetAction(parsed =>
        {
            var folder = Path.GetFullPath(parsed.GetValue(prefix) ?? Installation.UsualPrefix);
            if (folder.Any(letter => letter is '"' or '\'' or '\\' || char.IsControl(letter))) throw new UsageException($"{prefix.Name}: '{folder}' has quotes, backslashes or control characters, and systemd starts no program there; name another folder");
            var (files, links) = All(folder);
            new Installation(folder, Path.GetFullPath(parsed.GetValue(root) ?? "/")).Write(files, links);
            parsed.InvocationConfiguration.Output.WriteLine($"lamina {Version} is installed below {folder}: bin/lamina, manual pages, completions, units of systemd");
            var isManaged = files.Any(file => Path.GetFileName(file.Path) == Managed);
            if (isManaged) Stderr.Say("this program is no native code: where it runs there has to be the .NET runtime");
            if (parsed.GetValue(root) is null && !(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Contains(Path.Combine(folder, "bin"))) Stderr.Say($"{Path.Combine(folder, "bin")} is not in PATH; add it in your shell's profile");
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Uninstall()
    {
        var prefix = Prefix();
        var verb = new Verb("uninstall", "Removes the installed program; machines and their disks stay.");
        verb.AddGroup("Options", prefix);
        verb.SetAction(parsed =>
        {
            var folder = Path.GetFullPath(parsed.GetValue(prefix) ?? InstalledPrefix() ?? Installation.UsualPrefix);
            var installation = new Installation(folder);
            if (!installation.Exists) throw new UsageException($"lamina is not installed below {folder}; --prefix says where it is");
            parsed.InvocationConfiguration.Output.WriteLine($"{installation.Remove()} files below {folder} are removed; machines stay where they are");
            return ExitCode.Success;
        });
        return verb;
    }

    private static Verb Enable() => Switch("enable", "Has machines start with the host, by systemd.", starts: true);

    private static Verb Disable() => Switch("disable", "Has machines start with the host no more.", starts: false);

    private static Verb Switch(string name, string description, bool starts)
    {
        var names = MachineNames.Many();
        var verb = new Verb(name, description) { Sections = () => [new("Example", [($"lamina {name} web", "")])] };
        verb.Arguments.Add(names);
        verb.SetAction(parsed =>
        {
            var store = MachineStore.OfUser();
            var machines = parsed.GetRequiredValue(names).Distinct().ToArray();
            // What is not there any more may still be switched on.
            if (starts) foreach (var machine in machines) _ = store.Find(machine);
            if (Systemd.Set(machines, starts) is { } besides) Stderr.Say(besides);
            return ExitCode.Success;
        });
        return verb;
    }

    private static string Version => typeof(InstallVerbs).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    // This program's, where it was installed.
    private static string? InstalledPrefix()
    {
        var folder = AppContext.BaseDirectory.TrimEnd('/');
        foreach (var place in (string[])["/bin", "/lib/lamina"])
            if (folder.EndsWith(place, StringComparison.Ordinal) && new Installation(folder[..^place.Length]) is { Exists: true }) return folder[..^place.Length];
        return null;
    }

    // All that belongs to the program. One of native code is one file; another is its folder.
    private static (List<InstalledFile> Files, List<(string Path, string Target)> Links) All(string prefix)
    {
        var (files, links) = (new List<InstalledFile>(), new List<(string, string)>());
        var folder = AppContext.BaseDirectory;
        if (File.Exists(Path.Combine(folder, Managed)))
        {
            foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            {
                var inner = Path.GetRelativePath(folder, path);
                if (!BuildNotes.Contains(inner)) files.Add(new InstalledFile($"lib/lamina/{inner}", () => File.OpenRead(path), inner == "lamina"));
            }
            links.Add(("bin/lamina", "../lib/lamina/lamina"));
        }
        else
        {
            files.Add(new InstalledFile("bin/lamina", () => File.OpenRead(Environment.ProcessPath!), IsProgram: true));
        }
        var root = Commands.Create([], []);
        foreach (var command in root.Subcommands.Where(command => !command.Hidden).Prepend(root))
            files.Add(new InstalledFile($"share/man/man1/{ManualPage.NameOf(command)}.1", ManualPage.Write(command, Version)));
        files.Add(new InstalledFile("share/bash-completion/completions/lamina", CompletionVerb.Script("bash")));
        files.Add(new InstalledFile("share/zsh/site-functions/_lamina", CompletionVerb.Script("zsh")));
        files.Add(new InstalledFile("share/fish/vendor_completions.d/lamina.fish", CompletionVerb.Script("fish")));
        // A folder of one's own is looked into by one's own manager alone, below share.
        var program = Path.Combine(prefix, "bin/lamina");
        if (prefix == Installation.UsualPrefix && !Environment.IsPrivilegedProcess)
        {
            files.Add(new InstalledFile("share/systemd/user/lamina@.service", Systemd.Template(program, ofUser: true)));
        }
        else
        {
            files.Add(new InstalledFile("lib/systemd/system/lamina@.service", Systemd.Template(program, ofUser: false)));
            files.Add(new InstalledFile("lib/systemd/user/lamina@.service", Systemd.Template(program, ofUser: true)));
        }
        return (files, links);
    }
}
