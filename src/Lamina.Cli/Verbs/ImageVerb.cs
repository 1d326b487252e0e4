// "lamina image": images of guests, which are built on this host or imported, and kept in the user's cache.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Images;
using Lamina.Images.Imported;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "image".</summary>
internal static class ImageVerb
{
    /// <summary>The image that is meant where none is named.</summary>
    public const string DefaultImage = "tiny";

    /// <summary>Builds the command.</summary>
    public static Command Create() => new Verb("image", "Lists, builds, imports and removes guest images.")
    {
        CreateList(),
        CreateInfo(),
        CreateBuild(),
        CreateImport(),
        CreateRemove(),
    };

    /// <summary>The word that names an image; completes and accepts only the names there are.</summary>
    public static Argument<string?> NameArgument(string description)
    {
        var argument = new Argument<string?>("image") { Description = description, HelpName = "IMAGE", Arity = ArgumentArity.ZeroOrOne };
        argument.CompletionSources.Add(_ => ImageStore.OfUser().Names);
        argument.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && ImageStore.OfUser().Names is var names && !names.Contains(result.Tokens[0].Value))
                result.AddError(Unknown(result.Tokens[0].Value, names));
        });
        return argument;
    }

    // What was meant may be a file, or an image of containers.
    private static string Unknown(string name, IReadOnlyList<string> names)
    {
        var there = $"there is no image '{name}'; there is {string.Join(", ", names)}";
        if (name.StartsWith('.') || name.StartsWith('/') || File.Exists(name)) return $"{there}; to run the file, say 'lamina image import {name}' first, or give it to a machine as a disk: --disk {name}";
        if (name.Contains('/', StringComparison.Ordinal) || name.Contains(':', StringComparison.Ordinal)) return $"{there}; images of containers cannot be run, images of clouds can: 'lamina image import FILE'";
        return Spelling.Nearest(name, names) is { } nearest ? $"{there}; did you mean '{nearest}'?" : $"{there}; 'lamina image import FILE --name {name}' makes one of a cloud image";
    }

    private static Command CreateList()
    {
        var verb = new Verb("list", "Shows the images there are and which of them are built.");
        verb.SetAction(parsed =>
        {
            string[][] rows = [["NAME", "VERSION", "SIZE", "PATH"], .. ImageStore.OfUser().List().Select(Row)];
            int[] widths = [.. Enumerable.Range(0, 3).Select(column => rows.Max(row => row[column].Length))];
            foreach (var row in rows)
                parsed.InvocationConfiguration.Output.WriteLine($"{row[0].PadRight(widths[0])}  {row[1].PadRight(widths[1])}  {row[2].PadLeft(widths[2])}  {row[3]}");
            return ExitCode.Success;
        });
        return verb;

        static string[] Row(ImageListing listing) => listing.Built is { } image
            ? [image.Name, image.Version, ByteSize.Format((ulong)image.Size), image.Folder]
            : [listing.Name, "-", "-", $"not built yet: {listing.Description}"];
    }

    private static Command CreateBuild()
    {
        var name = NameArgument($"Which image ({DefaultImage}).");
        var verb = new Verb("build", "Fetches the newest packages of an image and builds it anew.");
        verb.Arguments.Add(name);
        verb.SetAction(parsed =>
        {
            var image = ImageBuild.Run((store, progress, cancellation) => store.BuildAsync(parsed.GetValue(name) ?? DefaultImage, progress, cancellation));
            parsed.InvocationConfiguration.Output.WriteLine(Describe(image));
            return ExitCode.Success;
        });
        return verb;
    }

    private static Command CreateInfo()
    {
        var name = NameArgument($"Which image ({DefaultImage}).");
        var verb = new Verb("info", "Shows what a built image is made of.");
        verb.Arguments.Add(name);
        verb.SetAction(parsed =>
        {
            var image = parsed.GetValue(name) ?? DefaultImage;
            var built = ImageStore.OfUser().Find(image) ?? throw new ImageException($"{image} is not built; 'lamina image build {image}' does it");
            var manifest = ImageManifest.FromJson(File.ReadAllBytes(Path.Combine(built.Folder, ImageManifest.FileName)));
            IEnumerable<(string Name, string Value)> rows =
            [
                ("image", manifest.Name),
                ("version", manifest.Version),
                ("built", $"{manifest.Built:yyyy-MM-dd HH:mm} UTC"),
                ("folder", built.Folder),
                ("command line", manifest.CommandLine),
                ("memory", $"{ByteSize.Format(built.Memory)} where --memory says nothing else"),
                .. manifest.Files.Select(file => ("file", $"{file.Name}, {ByteSize.Format((ulong)file.Size)}")),
                .. manifest.Packages.Select(package => ("package", $"{package.Name} {package.Version}")),
            ];
            foreach (var (left, right) in rows) parsed.InvocationConfiguration.Output.WriteLine($"{left + ":",-13} {right}");
            return ExitCode.Success;
        });
        return verb;
    }

    private static Command CreateImport()
    {
        var file = new Argument<string>("file") { HelpName = "FILE", Description = "A disk image, raw or qcow2, as clouds use them." };
        var name = new Option<string?>("--name") { HelpName = "NAME", Description = "What to call it. Default: the file's name, up to its first dot." };
        var kernel = new Option<string?>("--kernel") { HelpName = "FILE", Description = "A kernel to boot it with. Default: the newest in its ext4 /boot." };
        var initrd = new Option<string?>("--initrd") { HelpName = "FILE", Description = "An initial RAM disk for that kernel." };
        var commandLine = new Option<string?>("--cmdline") { HelpName = "TEXT", Description = "The kernel's command line. Default: the console on ttyS0 and the root where it was found." };
        var verb = new Verb("import", "Takes over a disk image that was made elsewhere.");
        verb.Arguments.Add(file);
        verb.AddGroup("Options", name, kernel, initrd, commandLine);
        verb.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(file);
            foreach (var needed in (string?[])[path, parsed.GetValue(kernel), parsed.GetValue(initrd)])
                if (needed is not null && !File.Exists(needed)) throw new UsageException($"there is no file {needed}");
            var chosen = parsed.GetValue(name) ?? Path.GetFileName(path).Split('.')[0].ToLowerInvariant().Replace('_', '-');
            if (!MachineStore.IsHostName(chosen)) throw new UsageException($"'{chosen}' cannot be an image's name; give it a --name of lower-case letters, digits and hyphens");
            if (parsed.GetValue(initrd) is not null && parsed.GetValue(kernel) is null) throw new UsageException("--initrd is for a kernel of your own; name it with --kernel");
            var import = new ImageImport(path) { Kernel = parsed.GetValue(kernel), Initrd = parsed.GetValue(initrd), CommandLine = parsed.GetValue(commandLine) };
            var image = ImageBuild.Run((store, progress, cancellation) => store.ImportAsync(chosen, import, progress, cancellation));
            parsed.InvocationConfiguration.Output.WriteLine(Describe(image));
            return ExitCode.Success;
        });
        return verb;
    }

    private static string Describe(Image image) => $"{image.Name} {image.Version}, {ByteSize.Format((ulong)image.Size)}, in {image.Folder}";

    private static Command CreateRemove()
    {
        var name = NameArgument($"Which image ({DefaultImage}).");
        var verb = new Verb("rm", "Removes an image from the cache.");
        verb.Arguments.Add(name);
        verb.SetAction(parsed =>
        {
            var image = parsed.GetValue(name) ?? DefaultImage;
            using var signals = new EndingSignals();
            var removed = ImageStore.OfUser().RemoveAsync(image, signals.Token).GetAwaiter().GetResult();
            foreach (var folder in removed) parsed.InvocationConfiguration.Output.WriteLine($"removed {folder}");
            if (removed.Count == 0) Stderr.Say($"{image} is not built, so there was nothing to remove");
            return ExitCode.Success;
        });
        return verb;
    }
}
