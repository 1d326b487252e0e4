// "lamina apply": has a machine be what a file says. Where there is none of that name it is made, else it is changed, at once as far as it can be
// while it runs; a second time there is nothing to do.
using System.CommandLine;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "apply".</summary>
internal static class ApplyVerb
{
    private const string Input = "-";
    private const int MostBytes = 1 << 20;

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var file = new Argument<string>("file") { HelpName = "FILE", Description = "A machine's definition (docs/definition.md); - for the standard input." };
        var name = new Option<string?>("--name") { HelpName = "NAME", Description = "The machine's name. Default: the one that the file says." };
        name.CompletionSources.Add(_ => MachineStore.OfUser().Names);
        var verb = new Verb("apply", "Makes a machine of a definition, or changes the one that there is to what it says.")
        {
            Sections = () => [new("Examples", [("lamina apply web.json", "{ \"name\": \"web\", \"image\": \"debian\", \"memory\": \"2G\", \"devices\": [ { \"kind\": \"network\" } ] }"), ("lamina apply --name web-2 web.json", "")])],
        };
        verb.Arguments.Add(file);
        var json = SetVerb.JsonOption();
        verb.AddGroup("Options", name, json);
        var options = new RunOptions();
        options.AddSettings(verb);
        verb.SetAction(parsed => MachineNames.Run((store, cancellation) => ApplyAsync(parsed, options, new Definition(parsed.GetRequiredValue(file)), (parsed.GetValue(name), parsed.GetValue(json)), store, cancellation)));
        return verb;
    }

    private static async Task<int> ApplyAsync(ParseResult parsed, RunOptions options, Definition file, (string? Name, bool IsJson) given, MachineStore store, CancellationToken cancellation)
    {
        var said = file.Read(new MachineDefinition());
        var name = given.Name ?? said.Name ?? throw new UsageException($"{file.Path} does not say which machine it is; write \"name\": \"web\", or give it a --name");
        var output = parsed.InvocationConfiguration.Output;
        if (said is { Image: { } ofImage, Boot.Firmware: { } firmware }) throw new UsageException($"{file.Path}: there is either an \"image\" to boot or \"firmware\"; leave out {ofImage} or {firmware}");
        if (said is { Image: { } image, Boot.KernelPath: { } kernel }) throw new UsageException($"{file.Path}: there is either an \"image\" to boot or a \"kernel\"; leave out {image} or {kernel}");
        file.Guard(() => Machine.Check(said));
        if (File.Exists(store.HomeOf(name).Definition))
        {
            if (RunOptions.AreGiven(parsed, options.DiskSize, options.HostName, options.User, options.SshKeys, options.UserData).FirstOrDefault() is { } setting) throw new UsageException($"{setting} is for a machine that is made, and {name} is there already");
            var changed = await MachineChanges.ChangeAsync(store, name, before => Over(before, said, file, name), cancellation).ConfigureAwait(false);
            if (changed.IsNothing && !given.IsJson) output.WriteLine($"{name}: nothing to do");
            else SetVerb.Tell(output, name, changed, given.IsJson);
            return ExitCode.Success;
        }
        if (said is { Image: null, Boot.KernelPath: null, FirmwareToBoot: null }) throw new UsageException($"{file.Path} does not say what the machine boots; write \"image\": \"debian\", \"kernel\": \"bzImage\" or \"firmware\": \"seabios\"");
        if (said.Image is null)
        {
            RunSource.RefuseDiskWords(parsed, options, said.FirmwareToBoot is null ? "a kernel of your own" : "a machine that boots from its own disks");
            FirmwareFetch.Ensure(said);
            store.Create(name, said with { Name = null }, null);
        }
        else
        {
            var made = NewMachine.OfImage(parsed, options, name, said.Image);
            store.Create(name, file.Read(MachineStore.Of(made.Image!)) with { Name = null }, made.Image, made.Prepare);
        }
        if (given.IsJson) SetVerb.Tell(output, name, new MachineChanged([], []), isJson: true, wasMade: true);
        else output.WriteLine($"{name}: made");
        return ExitCode.Success;
    }

    // What its image said at its making stays where the file says nothing: version, command line, memory.
    private static MachineDefinition Over(MachineDefinition before, MachineDefinition said, Definition file, string name)
    {
        if (said.Image is { } other && other != before.Image) throw new UsageException($"the machine {name} was made of {before.Image ?? "no image"}, and not of {other}, as {file.Path} has it; give it another name, or remove that machine with 'lamina rm {name}'");
        return file.Read(before.Image is null ? new MachineDefinition() : new MachineDefinition
        {
            Image = before.Image,
            ImageVersion = before.ImageVersion,
            Made = before.Made,
            MemoryBytes = before.MemoryBytes,
            Boot = new BootSource { CommandLine = before.Boot.CommandLine },
        }) with
        { Name = null };
    }

    // A file, read once; paths in it count from where it lies.
    private sealed class Definition
    {
        private readonly byte[] _text;
        private readonly string _folder;

        internal Definition(string path)
        {
            Path = path == Input ? "the definition" : path;
            _folder = path == Input ? Environment.CurrentDirectory : System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path)) ?? "/";
            try
            {
                using var stream = path == Input ? Console.OpenStandardInput() : NamedFile.OpenStream(path);
                using var text = new MemoryStream();
                var piece = new byte[4096];
                while (stream.Read(piece) is > 0 and var count)
                {
                    text.Write(piece, 0, count);
                    if (text.Length > MostBytes) throw new UsageException($"{Path} has more than {MostBytes >> 20} MiB, and a definition has not; name another file");
                }
                _text = text.ToArray();
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw new UsageException($"{path} cannot be read: {HostFiles.Reason(failure, path)}; name a file with a machine's definition");
            }
        }

        internal string Path { get; }

        internal MachineDefinition Read(MachineDefinition start)
        {
            MachineDefinition? read = null;
            Guard(() => read = DefinitionJson.Read(_text, start).MapPaths(path => System.IO.Path.GetFullPath(path, _folder)));
            return read!;
        }

        internal void Guard(Action act)
        {
            try
            {
                act();
            }
            catch (MachineException wrong)
            {
                throw new MachineException(wrong.Error, $"{Path}, {wrong.Message}", wrong);
            }
        }
    }
}
