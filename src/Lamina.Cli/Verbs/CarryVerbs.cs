// The verbs that carry machines from one place to another: export and import. One file, or a pipe between two hosts.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs that carry machines.</summary>
internal static class CarryVerbs
{
    private const string Pipe = "-";

    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> Create() => [Export(), Import()];

    private static Verb Export()
    {
        var name = MachineNames.One("Which machine; it must not run.");
        var file = new Argument<string>("file") { HelpName = "FILE", Description = "The file to make; - for the standard output." };
        var verb = new Verb("export", "Writes a machine as one file, with its disks and all that it boots.")
        {
            Sections = () => [new("Examples", [("lamina export web web.tar.gz", ""), ("lamina export web - | ssh other lamina import -", "")])],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(file);
        verb.SetAction(parsed => MachineNames.Run((store, cancellation) =>
        {
            var (machine, path) = (parsed.GetRequiredValue(name), parsed.GetRequiredValue(file));
            IReadOnlyList<string> notes;
            if (path == Pipe)
            {
                if (!Console.IsOutputRedirected) throw new UsageException("an archive on a terminal is of no use; name a file, or lead the output elsewhere");
                using var output = Console.OpenStandardOutput();
                using var scratch = ExportScratch.Make(Path.GetTempPath());
                try
                {
                    notes = MachineExport.Write(store, machine, output, scratch, cancellation);
                }
                catch (IOException failure) when (failure.GetType() == typeof(IOException))
                {
                    throw new IOException($"the archive cannot be written ({HostFiles.Reason(failure, "")}); lead it elsewhere", failure);
                }
            }
            else
            {
                notes = Write(store, machine, Path.GetFullPath(path), cancellation);
                parsed.InvocationConfiguration.Output.WriteLine(path);
            }
            foreach (var note in notes) Stderr.Say(note);
            return Task.FromResult(ExitCode.Success);
        }));
        return verb;
    }

    // Whole or not at all.
    private static IReadOnlyList<string> Write(MachineStore store, string machine, string path, CancellationToken cancellation)
    {
        if (Path.Exists(path)) throw new UsageException($"{path} exists already; remove it, or choose another name");
        var folder = Path.GetDirectoryName(path) ?? "/";
        if (!Directory.Exists(folder)) throw new UsageException($"the folder {folder} does not exist; make it, or choose another name");
        _ = store.Find(machine);
        try
        {
            using var scratch = ExportScratch.Make(folder);
            IReadOnlyList<string> notes;
            using (var output = HostFiles.CreatePrivate(scratch.Unfinished, FileMode.Create))
            {
                notes = MachineExport.Write(store, machine, output, scratch, cancellation);
                output.Flush(flushToDisk: true);
            }
            File.Move(scratch.Unfinished, path);
            return notes;
        }
        catch (Exception failure) when (failure is UnauthorizedAccessException or IOException { HResult: > 0 })
        {
            throw new IOException($"{path} cannot be written ({HostFiles.Reason(failure, path)}); choose another place", failure);
        }
    }

    private static Verb Import()
    {
        var file = new Argument<string>("file") { HelpName = "FILE", Description = "What 'lamina export' wrote; - for the standard input." };
        var name = new Argument<string?>("name") { HelpName = "NAME", Description = "The machine's name. Default: the one that it had.", Arity = ArgumentArity.ZeroOrOne };
        var verb = new Verb("import", "Makes a machine of what \"lamina export\" wrote.")
        {
            Sections = () => [new("Examples", [("lamina import web.tar.gz", ""), ("lamina import web.tar.gz web-2", "")])],
        };
        verb.Arguments.Add(file);
        verb.Arguments.Add(name);
        verb.SetAction(parsed => MachineNames.Run((store, cancellation) =>
        {
            var path = parsed.GetRequiredValue(file);
            if (parsed.GetValue(name) is { } wanted) MachineStore.CheckName(wanted);
            using var input = path == Pipe ? Console.OpenStandardInput() : Open(path);
            parsed.InvocationConfiguration.Output.WriteLine(MachineImport.Read(store, input, parsed.GetValue(name), cancellation));
            return Task.FromResult(ExitCode.Success);
        }));
        return verb;
    }

    private static FileStream Open(string path)
    {
        try
        {
            return NamedFile.OpenStream(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{path} cannot be read: {HostFiles.Reason(failure, path)}; name what 'lamina export' wrote");
        }
    }
}
