// Where a Debian image's packages come from: the host's own package sources, as they are configured. What the host says of
// proxies and of dates goes with them, into the build and into the guest.
namespace Lamina.Images.Debian;

/// <summary>Package sources and settings of apt's.</summary>
/// <param name="Lines">Lines of a sources.list; none where the host has no sources of Debian's.</param>
/// <param name="Options">Settings in the syntax of apt.conf.</param>
internal sealed record DebianSources(IReadOnlyList<string> Lines, IReadOnlyList<string> Options)
{
    private static readonly string[] Components = ["main", "contrib", "non-free", "non-free-firmware"];
    private static readonly string[] Pockets = ["", "-updates", "-security"];

    // What a guest cannot reach as the host does.
    private static readonly string[] Loopback = ["localhost", "127.", "[::1]"];

    /// <summary>The settings that hold for the guest as well: all but proxies on the host's own loopback address.</summary>
    public IEnumerable<string> GuestOptions => Options.Where(option => !Loopback.Any(name => option.Contains(name, StringComparison.Ordinal)));

    /// <summary>Reads the host's configuration.</summary>
    /// <param name="codename">The release that is to be built.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async Task<DebianSources> OfHostAsync(string codename, CancellationToken cancellationToken)
    {
        if (HostCommand.Find("apt-get") is not { } get || HostCommand.Find("apt-config") is not { } config) return new DebianSources([], []);
        var targets = await get.RunAsync(["indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"], "/", null, cancellationToken).ConfigureAwait(false);
        var options = await config.RunAsync(["dump", "--no-empty", "--format", "%F \"%v\";%n", "Acquire"], "/", null, cancellationToken).ConfigureAwait(false);
        return new DebianSources(ParseTargets(targets.Output, HostCodename(), codename), ParseOptions(options.Output));
    }

    /// <summary>The lines of a sources.list that the host's index targets amount to, for another release than the host's where it is another.</summary>
    /// <param name="targets">ORIGIN|REPO_URI|RELEASE|COMPONENT, a line each.</param>
    /// <param name="release">The host's release.</param>
    /// <param name="wanted">The release that is wanted.</param>
    internal static IReadOnlyList<string> ParseTargets(IEnumerable<string> targets, string release, string wanted)
    {
        var known =
            from target in targets
            let fields = target.Split('|')
            where fields.Length == 4 && IsDebian(fields[0], fields[1]) && Components.Contains(fields[3]) && fields[2].StartsWith(release, StringComparison.Ordinal)
                && (fields[1].StartsWith("http://", StringComparison.Ordinal) || fields[1].StartsWith("https://", StringComparison.Ordinal))
            let pocket = fields[2][release.Length..]
            where Pockets.Contains(pocket)
            group fields[3] by (Uri: fields[1], Pocket: pocket) into components
            select (components.Key.Pocket, Line: $"deb {components.Key.Uri} {wanted}{components.Key.Pocket} {string.Join(' ', components.Distinct())}");
        var lines = known.ToArray();
        return lines.Any(line => line.Pocket.Length == 0) ? [.. lines.Select(line => line.Line)] : [];
    }

    // Where the host's package lists were never fetched nobody has said yet whose they are: apt leaves the word as it was.
    private static bool IsDebian(string origin, string uri) =>
        origin == "Debian" || (origin is "" or "$(ORIGIN)" && uri.TrimEnd('/').Split('/')[^1] is "debian" or "debian-security");

    /// <summary>The settings that say how things are fetched: proxies, and how dates are checked.</summary>
    internal static IReadOnlyList<string> ParseOptions(IEnumerable<string> dump) =>
        [.. dump.Where(line => (line.StartsWith("Acquire::Check-", StringComparison.Ordinal) || (line.StartsWith("Acquire::http", StringComparison.Ordinal) && line.Contains("::Proxy", StringComparison.Ordinal)))
            && line.EndsWith("\";", StringComparison.Ordinal))];

    // os-release(5)
    private static string HostCodename()
    {
        const string key = "VERSION_CODENAME=";
        return File.Exists("/etc/os-release")
            ? File.ReadLines("/etc/os-release").FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal))?[key.Length..].Trim('"') ?? ""
            : "";
    }
}
