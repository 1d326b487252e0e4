// Programs of the host that the making of images needs beyond apt itself. Root gets what is missing installed, through the
// host's apt; anybody else is told what to install.
namespace Lamina.Images;

/// <summary>A program of the host and the package that has it.</summary>
internal readonly record struct NeededProgram(string Name, string Package);

/// <summary>Finds programs, or has them installed.</summary>
internal static class HostPrograms
{
    /// <summary>Finds programs; installs those that are missing where root asks.</summary>
    /// <param name="needed">The programs.</param>
    /// <param name="forWhat">What they are needed for, to begin a sentence with.</param>
    /// <param name="progress">Is told what goes on.</param>
    /// <param name="cancellationToken">Ends the installation.</param>
    /// <returns>The programs, in the order in which they were asked for.</returns>
    /// <exception cref="ImageException">One is missing and cannot be installed; the sentence says how to do it.</exception>
    public static async Task<IReadOnlyList<HostCommand>> FindAsync(IReadOnlyList<NeededProgram> needed, string forWhat, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        string[] missing = [.. needed.Where(program => Find(program) is null).Select(program => program.Package).Distinct()];
        if (missing.Length > 0) await InstallAsync(missing, forWhat, progress, cancellationToken).ConfigureAwait(false);
        return [.. needed.Select(program => Find(program) ?? throw new ImageException($"{forWhat} needs {program.Name}, which the package {program.Package} was to have; install it"))];
    }

    // Programs of administrators' are not in everybody's PATH.
    private static HostCommand? Find(NeededProgram program) => HostCommand.Find(program.Name, "/usr/sbin", "/sbin");

    private static async Task InstallAsync(string[] packages, string forWhat, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        var names = string.Join(' ', packages);
        if (!Environment.IsPrivilegedProcess || HostCommand.Find("apt-get") is not { } apt)
            throw new ImageException($"{forWhat} needs programs that this host lacks; install them: apt-get install {names}");
        progress.Report(new ImageProgress($"Installing {names} on this host", null));
        string[] install = ["-qq", "--no-install-recommends", "-y", "install", .. packages];
        var result = await apt.RunAsync(install, "/", null, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            // Lists that are missing or out of date are the usual reason.
            await apt.RunAsync(["-qq", "update"], "/", null, cancellationToken).ConfigureAwait(false);
            result = await apt.RunAsync(install, "/", null, cancellationToken).ConfigureAwait(false);
        }
        if (result.ExitCode != 0) throw new ImageException($"{names} could not be installed on this host: {AptPackages.ReasonOf(result.Errors)}");
    }
}
