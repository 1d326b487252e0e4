// Fetches packages through the host's apt, as any user: everything apt writes goes into a private folder, and apt checks
// what it fetched against the signed package lists of the host's own configuration. Nothing is installed on the host.
using System.Globalization;

namespace Lamina.Images;

/// <summary>A package as the host's package lists describe it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">Its version.</param>
/// <param name="Depends">The names of the packages it depends on; the first of each group of alternatives.</param>
/// <param name="Size">The size of its archive in bytes.</param>
/// <param name="Sha256">The hash of its archive, which apt checks.</param>
internal sealed record AptPackage(string Name, string Version, IReadOnlyList<string> Depends, long Size, string Sha256);

/// <summary>The host's package manager.</summary>
internal sealed class AptPackages
{
    private readonly HostCommand _get, _cache, _unpack;
    private readonly string _folder;
    private readonly IProgress<ImageProgress> _progress;
    private bool _privateLists;

    private AptPackages(HostCommand get, HostCommand cache, HostCommand unpack, string folder, IProgress<ImageProgress> progress) =>
        (_get, _cache, _unpack, _folder, _progress) = (get, cache, unpack, folder, progress);

    /// <summary>Finds the package manager.</summary>
    /// <param name="folder">A private, existing folder for everything that apt writes.</param>
    /// <param name="progress">Is told what goes on.</param>
    /// <exception cref="ImageException">The host has no apt.</exception>
    public static AptPackages Open(string folder, IProgress<ImageProgress> progress)
    {
        foreach (var part in (string[])["lists/partial", "cache/archives/partial"]) Directory.CreateDirectory(Path.Combine(folder, part));
        return new AptPackages(Find("apt-get"), Find("apt-cache"), Find("dpkg-deb"), folder, progress);

        static HostCommand Find(string name) => HostCommand.Find(name) ?? throw new ImageException(
            $"the image is fetched with {name}, which is not in this host's PATH; install apt, or boot a kernel of your own with --kernel");
    }

    /// <summary>Looks packages up, in fresh lists of our own where the host's know none of that name.</summary>
    /// <exception cref="ImageException">A package is not in the lists, or they cannot be fetched.</exception>
    public async Task<IReadOnlyList<AptPackage>> FindAsync(IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        if (await TryFindAsync(names, cancellationToken).ConfigureAwait(false) is { } known) return known;
        if (!_privateLists)
        {
            await RefreshAsync(cancellationToken).ConfigureAwait(false);
            if (await TryFindAsync(names, cancellationToken).ConfigureAwait(false) is { } fresh) return fresh;
        }
        throw new ImageException($"this host's package sources have no {string.Join(" or ", names)}, which Debian has; add a Debian source, or boot a kernel of your own with --kernel");
    }

    /// <summary>Fetches one package's archive and gives its path. Lists that are out of date are fetched anew, once.</summary>
    /// <exception cref="ImageException">It cannot be fetched; the sentence carries apt's reason.</exception>
    public async Task<string> DownloadAsync(AptPackage package, CancellationToken cancellationToken)
    {
        var result = await TryDownloadAsync(package, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0 && !_privateLists)
        {
            await RefreshAsync(cancellationToken).ConfigureAwait(false);
            result = await TryDownloadAsync(package, cancellationToken).ConfigureAwait(false);
        }
        if (result.ExitCode != 0) throw Failure($"{package.Name} could not be fetched", result);
        return Directory.EnumerateFiles(_folder, $"{package.Name}_*.deb").SingleOrDefault()
            ?? throw new ImageException($"apt-get says that it fetched {package.Name}, but left no archive of it in {_folder}");
    }

    /// <summary>Unpacks a package's files into a folder.</summary>
    /// <exception cref="ImageException">The archive cannot be unpacked.</exception>
    public async Task UnpackAsync(string archive, string target, CancellationToken cancellationToken)
    {
        var result = await _unpack.RunAsync(["-x", archive, target], _folder, null, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0) throw Failure($"{Path.GetFileName(archive)} could not be unpacked", result);
    }

    /// <summary>The packages in the output of "apt-cache show".</summary>
    internal static IEnumerable<AptPackage> ParseShow(IEnumerable<string> lines)
    {
        Dictionary<string, string> fields = [];
        foreach (var line in lines.Append(""))
        {
            if (line.Length == 0)
            {
                if (fields.TryGetValue("Package", out var name) && fields.TryGetValue("Version", out var version))
                    yield return new AptPackage(name, version, DependsOf(fields.GetValueOrDefault("Depends", "")),
                        long.TryParse(fields.GetValueOrDefault("Size"), NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : 0,
                        fields.GetValueOrDefault("SHA256", ""));
                fields = [];
            }
            else if (line[0] != ' ' && line.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon)
            {
                fields[line[..colon]] = line[(colon + 1)..].Trim();
            }
        }
    }

    /// <summary>The fraction in a line of apt's status channel ("dlstatus:1:42.5:Retrieving …"); null in any other line.</summary>
    internal static double? ParseStatus(string line)
    {
        var parts = line.Split(':', 4);
        return parts.Length == 4 && parts[0] == "dlstatus"
            && double.TryParse(parts[2], NumberStyles.Float, CultureInfo.InvariantCulture, out var percent)
            ? Math.Clamp(percent / 100, 0, 1)
            : null;
    }

    /// <summary>The most telling line of apt's messages, without its prefix.</summary>
    internal static string ReasonOf(IReadOnlyList<string> errors)
    {
        var told = errors.Select(line => line.Trim()).Where(line => line.StartsWith("E: ", StringComparison.Ordinal) || line.StartsWith("W: ", StringComparison.Ordinal)
            || line.StartsWith("dpkg-deb: error: ", StringComparison.Ordinal)).ToArray();
        var line = told.FirstOrDefault(line => line.Contains("Failed to fetch", StringComparison.Ordinal))
            ?? told.FirstOrDefault(line => line[0] != 'W') ?? told.FirstOrDefault() ?? errors.FirstOrDefault(line => line.Trim().Length > 0) ?? "no reason given";
        line = line.Trim();
        if (line.Length > 3 && line[1] == ':') line = line[3..];
        return string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).TrimEnd('.');
    }

    private static string[] DependsOf(string field) =>
        [.. field.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(group => group.Split('|')[0].Trim().Split(' ', '(', ':')[0])];

    private async Task<IReadOnlyList<AptPackage>?> TryFindAsync(IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        var result = await _cache.RunAsync([.. Options(), "show", "--no-all-versions", .. names], _folder, null, cancellationToken).ConfigureAwait(false);
        var found = ParseShow(result.Output).ToArray();
        var ordered = names.Select(name => found.FirstOrDefault(package => package.Name == name)).OfType<AptPackage>().ToArray();
        return ordered.Length == names.Count ? ordered : null;
    }

    private Task<CommandResult> TryDownloadAsync(AptPackage package, CancellationToken cancellationToken)
    {
        var step = $"Fetching {package.Name} ({package.Size / 1e6:0.0} MB)";
        _progress.Report(new ImageProgress(step, 0));
        return _get.RunAsync([.. Options(), "-qq", "-o", "APT::Status-Fd=1", "download", $"{package.Name}={package.Version}"], _folder, Watch(step), cancellationToken);
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        const string step = "Fetching the package lists";
        _privateLists = true;
        _progress.Report(new ImageProgress(step, 0));
        // Error-Mode: apt would otherwise call it a success when a list cannot be fetched.
        var result = await _get.RunAsync([.. Options(), "-qq", "-o", "APT::Status-Fd=1", "-o", "APT::Update::Error-Mode=any", "update"],
            _folder, Watch(step), cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0) throw Failure("the package lists could not be fetched", result);
    }

    private Action<string> Watch(string step) => line =>
    {
        if (ParseStatus(line) is { } fraction) _progress.Report(new ImageProgress(step, fraction));
    };

    private IEnumerable<string> Options()
    {
        // The sandbox user of a root's apt could not write to the private folder.
        string[] options = ["-o", "APT::Sandbox::User=root", "-o", $"Dir::Cache={_folder}/cache", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30"];
        return _privateLists ? [.. options, "-o", $"Dir::State::lists={_folder}/lists"] : options;
    }

    // A full disk is the same to whoever keeps the folder, whether apt met it or we.
    internal static IOException Failure(string what, CommandResult result) =>
        result.Errors.Any(line => line.Contains("No space left", StringComparison.Ordinal) || line.Contains("enough free space", StringComparison.Ordinal))
            ? new IOException(ReasonOf(result.Errors), ImageException.NoSpace)
            : new ImageException($"{what}: {ReasonOf(result.Errors)}");
}
