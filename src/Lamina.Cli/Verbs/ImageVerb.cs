// "lamina image": the built-in images, which are fetched and built on this host and kept in the user's cache.
using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Cli.Values;
using Lamina.Images;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "image".</summary>
internal static class ImageVerb
{
    /// <summary>The image that is meant where none is named.</summary>
    public const string DefaultImage = "tiny";

    /// <summary>Builds the command.</summary>
    public static Command Create() => new Verb("image", "Lists, builds and removes the built-in guest images.")
    {
        CreateList(),
        CreateBuild(),
        CreateRemove(),
    };

    /// <summary>The word that names an image; completes and accepts only the names there are.</summary>
    public static Argument<string?> NameArgument(string description)
    {
        var argument = new Argument<string?>("image") { Description = description, HelpName = "IMAGE", Arity = ArgumentArity.ZeroOrOne };
        argument.CompletionSources.Add(_ => ImageStore.Names);
        argument.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !ImageStore.Names.Contains(result.Tokens[0].Value))
                result.AddError($"there is no image '{result.Tokens[0].Value}'; there is {string.Join(", ", ImageStore.Names)}");
        });
        return argument;
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
            parsed.InvocationConfiguration.Output.WriteLine($"{image.Name} {image.Version}, {ByteSize.Format((ulong)image.Size)}, in {image.Folder}");
            return ExitCode.Success;
        });
        return verb;
    }

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
