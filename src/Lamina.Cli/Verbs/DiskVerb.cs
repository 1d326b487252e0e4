// "lamina disk": makes disk images, looks at them, checks, resizes and converts them. Its snapshots are in DiskSnapshotVerb.
using System.CommandLine;
using Lamina.Backends.Disk;
using Lamina.Backends.Nbd;
using Lamina.Cli.Output;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "disk".</summary>
internal static class DiskVerb
{
    /// <summary>Builds the command.</summary>
    public static Command Create() => new Verb("disk", "Makes, checks, resizes, converts and serves disk images.")
    {
        CreateCreate(),
        CreateInfo(),
        CreateCheck(),
        CreateResize(),
        CreateConvert(),
        DiskSnapshotVerb.Create(),
        DiskServeVerb.Create(),
    };

    /// <summary>The word that names an image.</summary>
    internal static Argument<string> PathArgument(string name = "path", string description = "The image.") =>
        new(name) { Description = description, HelpName = name.ToUpperInvariant() };

    private static Command CreateCreate()
    {
        var path = PathArgument(description: "The file to make; there must be none.");
        var size = new Argument<string?>("size") { HelpName = "SIZE", Description = "The disk's size, such as 20G; with --backing, the backing file's by default.", Arity = ArgumentArity.ZeroOrOne };
        var backing = new Option<string?>("--backing") { HelpName = "FILE", Description = "Begin with this image's content; only what differs is kept. A relative name counts from the new image's folder." };
        var lazy = new Option<bool>("--lazy-refcounts") { Description = "Write refcounts when the image is closed only; after a crash they are made anew." };
        var words = new CreationWords();
        var verb = new Verb("create", "Makes an image of an empty disk, or one that begins as another image.");
        verb.Arguments.Add(path);
        verb.Arguments.Add(size);
        verb.AddGroup("Options", [words.Format, backing, words.ClusterSize, words.Compatibility, lazy]);
        verb.SetAction(parsed =>
        {
            DiskTools.Create(words.Read(parsed, parsed.GetRequiredValue(path)) with
            {
                Size = parsed.GetValue(size) is { } text ? ReadSize(text) : null,
                Backing = parsed.GetValue(backing),
                LazyRefcounts = parsed.GetValue(lazy),
            });
            return ExitCode.Success;
        });
        return verb;
    }

    private static Command CreateInfo()
    {
        var path = PathArgument(description: "The image, or an NBD export (nbd://HOST/EXPORT).");
        var tls = TlsOption();
        var verb = new Verb("info", "Shows what an image says of itself.");
        verb.Arguments.Add(path);
        verb.AddGroup("Options", tls);
        verb.SetAction(parsed =>
        {
            var info = DiskTools.Inspect(parsed.GetRequiredValue(path), tlsFolder: parsed.GetValue(tls));
            IEnumerable<(string Name, string Value)> rows =
            [
                ("image", info.Path),
                ("format", FormatName(info.Format)),
                ("disk size", $"{ByteSize.Format(info.Size)} ({info.Size} bytes)"),
                ("file size", $"{ByteSize.Format(info.FileLength)} ({info.FileLength} bytes)"),
                .. info.BackingFile is null ? Array.Empty<(string, string)>() : [("backing file", Printable(info.BackingFile))],
                .. info.Properties,
            ];
            foreach (var (name, value) in rows) parsed.InvocationConfiguration.Output.WriteLine($"{name + ":",-17} {Printable(value)}");
            return ExitCode.Success;
        });
        return verb;
    }

    private static Command CreateCheck()
    {
        var path = PathArgument();
        var repair = new Option<bool>("--repair") { Description = "Make the image right where that is possible: refcounts, leaks, the marks of a crash." };
        var verb = new Verb("check", "Compares a qcow2 image's tables with each other.")
        {
            Sections = () => [new HelpSection("Exit codes", [("0", "the image is in order, or is now"), ("3", "the image is damaged"), ("4", "the image counts clusters that nothing uses: lost space and nothing worse"), ("5", "the image was not closed; its refcounts are made anew at the next start, or by --repair")])],
        };
        verb.Arguments.Add(path);
        verb.AddGroup("Options", repair);
        verb.SetAction(parsed =>
        {
            var (found, repaired) = DiskTools.Check(parsed.GetRequiredValue(path), parsed.GetValue(repair));
            var output = parsed.InvocationConfiguration.Output;
            foreach (var message in found.Messages) output.WriteLine(message);
            output.WriteLine(Describe(found));
            if (repaired is not null) output.WriteLine($"repaired: {Describe(repaired)}");
            var result = repaired ?? found;
            return result switch
            {
                { Errors: not 0 } => ExitCode.DiskDamaged,
                { IsOpen: true } => ExitCode.DiskNotClosed,
                { Leaks: not 0 } => ExitCode.DiskLeaks,
                _ => ExitCode.Success,
            };
        });
        return verb;
    }

    private static Command CreateResize()
    {
        var path = PathArgument();
        var size = new Argument<string>("size") { HelpName = "SIZE", Description = "The new size, such as 30G." };
        var shrink = new Option<bool>("--shrink") { Description = "Allow the disk to become smaller; what lies behind its new end is lost." };
        var backing = BackingOption();
        var format = FormatOption("--format", "The image's format, where it is not to be found out: raw or qcow2.");
        var verb = new Verb("resize", "Makes a disk larger or smaller. The guest's partitions and file systems are its own affair.");
        verb.Arguments.Add(path);
        verb.Arguments.Add(size);
        verb.AddGroup("Options", shrink, backing, format);
        verb.SetAction(parsed =>
        {
            DiskTools.Resize(Source(parsed, parsed.GetRequiredValue(path), backing, format), ReadSize(parsed.GetRequiredValue(size)), parsed.GetValue(shrink));
            return ExitCode.Success;
        });
        return verb;
    }

    private static Command CreateConvert()
    {
        var source = PathArgument("source", "The image to copy, or an NBD export (nbd://HOST/EXPORT).");
        var target = PathArgument("target", "The file to make; there must be none. Or an NBD export that is as long at least, which is written.");
        var backing = BackingOption();
        var sourceFormat = FormatOption("--source-format", "The source's format, where it is not to be found out: raw or qcow2.");
        var compress = new Option<bool>("--compress") { Description = "Compress the copy's clusters (zstd), for images that are kept or sent; qcow2 only." };
        var tls = TlsOption();
        var words = new CreationWords();
        var verb = new Verb("convert", "Copies a disk into a new image of its own: without holes, snapshots and backing files.");
        verb.Arguments.Add(source);
        verb.Arguments.Add(target);
        verb.AddGroup("Options", [words.Format, words.ClusterSize, words.Compatibility, compress, sourceFormat, backing, tls]);
        verb.SetAction(parsed =>
        {
            using var signals = new EndingSignals();
            try
            {
                var (from, to, folder) = (parsed.GetRequiredValue(source), parsed.GetRequiredValue(target), parsed.GetValue(tls));
                if (folder is not null && !NbdUri.Is(from) && !NbdUri.Is(to)) throw new UsageException("--tls is for NBD exports (nbds://HOST/EXPORT); leave it out for files");
                var copied = Source(parsed, from, backing, sourceFormat) with { TlsFolder = FolderFor(from) };
                var creation = words.Read(parsed, to) with { Compressed = parsed.GetValue(compress) };
                if (!NbdUri.Is(to)) DiskTools.Convert(copied, creation, progress: null, signals.Token);
                else if (parsed.GetValue(words.Format) is not (null or "raw") || creation.Compressed) throw new UsageException("an NBD export is written as the disk that it is; leave out --format and --compress");
                else DiskTools.CopyInto(copied, new DiskOptions { Path = to, TlsFolder = FolderFor(to), Log = copied.Log }, progress: null, signals.Token);

                string? FolderFor(string path) => path.StartsWith("nbds", StringComparison.Ordinal) && NbdUri.Is(path) ? folder : null;
            }
            catch (OperationCanceledException)
            {
                throw new EndedBySignalException(signals.ExitCode ?? ExitCode.Interrupted);
            }
            return ExitCode.Success;
        });
        return verb;
    }

    /// <summary>Which certificates an NBD export is reached with.</summary>
    internal static Option<string?> TlsOption() => new("--tls") { HelpName = "FOLDER", Description = "For NBD exports by TLS (nbds://): ca.pem in this folder vouches for the server; cert.pem and key.pem say who this end is, where the server asks." };

    /// <summary>Files that an image may use.</summary>
    internal static Option<string[]> BackingOption() => new("--backing") { HelpName = "FILE", Description = "A file that the image may use as its backing file; repeatable." };

    /// <summary>A format, where it is not to be found out.</summary>
    internal static Option<string?> FormatOption(string name, string description)
    {
        var option = new Option<string?>(name) { HelpName = "FORMAT", Description = description };
        option.CompletionSources.Add("raw", "qcow2");
        return option;
    }

    /// <summary>An image that the words name.</summary>
    internal static DiskOptions Source(ParseResult parsed, string path, Option<string[]> backing, Option<string?> format) => new()
    {
        Path = path,
        Format = ReadFormat(format.Name, parsed.GetValue(format)),
        Backing = parsed.GetValue(backing) ?? [],
        Log = ProgramLog.Of(null).CreateLog(path),
    };

    private static DiskFormat? ReadFormat(string option, string? text) => text switch
    {
        null => null,
        "raw" => DiskFormat.Raw,
        "qcow2" => DiskFormat.Qcow2,
        _ => throw new UsageException($"{option}: there is no format '{text}'; there are raw and qcow2"),
    };

    private static string FormatName(DiskFormat format) => format == DiskFormat.Raw ? "raw" : "qcow2";

    private static ulong ReadSize(string text) =>
        ByteSize.TryParse(text, out var bytes) ? bytes : throw new UsageException($"'{text}' is not a size; write it like 512M or 20G");

    private static string Describe(CheckResult result) => result switch
    {
        { IsClean: true } => $"no errors; {result.DataClusters} clusters hold data, {result.CompressedClusters} of them compressed",
        { IsOpen: true, Errors: 0 } => "not closed, as after a crash, and nothing is lost: its refcounts are made anew when a machine starts on it, or by --repair now",
        _ => $"{result.Errors} errors, {result.Leaks} leaked clusters ({ByteSize.Format(result.LeakedBytes)})",
    };

    /// <summary>A text of an image's without the characters that steer terminals.</summary>
    internal static string Printable(string text) => string.Concat(text.Select(character => char.IsControl(character) ? '?' : character));

    /// <summary>The options with which an image is made.</summary>
    private sealed class CreationWords
    {
        public Option<string?> Format { get; } = FormatOption("--format", "raw or qcow2. Default: qcow2.");

        public Option<string?> ClusterSize { get; } = new("--cluster-size") { HelpName = "SIZE", Description = "A power of two from 512 to 2M; qcow2 only. Default: 64K." };

        public Option<string?> Compatibility { get; } = new("--version") { HelpName = "N", Description = "The version of the qcow2 format: 3, or 2 for programs before 2012. Default: 3." };

        public DiskCreation Read(ParseResult parsed, string path)
        {
            var creation = new DiskCreation { Path = path, Format = ReadFormat(Format.Name, parsed.GetValue(Format)) ?? DiskFormat.Qcow2 };
            if (parsed.GetValue(ClusterSize) is { } size) creation = creation with { ClusterSize = ReadSize(size) };
            return parsed.GetValue(Compatibility) switch
            {
                null or "3" => creation,
                "2" => creation with { Version = 2 },
                var other => throw new UsageException($"--version: there is no version '{other}' of qcow2; there are 2 and 3"),
            };
        }
    }
}
