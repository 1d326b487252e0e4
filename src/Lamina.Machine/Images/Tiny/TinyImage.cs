// The image "tiny": Debian's cloud kernel as it is, and an initramfs with busybox, the modules a guest needs and a shell.
// Other kernels of Debian's make images of the same kind, which tests boot.
// It says what goes in and where it comes from; apt fetches, TinyInitramfs packs, ImageStore keeps.
using Lamina.Images.Agent;

namespace Lamina.Images.Tiny;

/// <summary>How the image "tiny" is made.</summary>
/// <param name="name">The image's name.</param>
/// <param name="kernelPackage">The package that depends on the newest kernel.</param>
internal sealed class TinyImage(string name = "tiny", string kernelPackage = "linux-image-cloud-amd64") : IImageRecipe
{
    private const string BusyboxPackage = "busybox-static";
    private const string KernelFile = "kernel", InitrdFile = "initrd.cpio";

    /// <inheritdoc/>
    public string Name => name;

    /// <inheritdoc/>
    public string Description => $"Debian's {(kernelPackage.Contains("cloud", StringComparison.Ordinal) ? "cloud kernel" : kernelPackage)} and busybox, in memory";

    /// <inheritdoc/>
    public int Recipe => TinyInitramfs.Recipe;

    /// <inheritdoc/>
    public string CommandLine => $"console=ttyS0 quiet {ImageCommandLine.NoCipherTests}";

    /// <inheritdoc/>
    public string Kernel => KernelFile;

    /// <inheritdoc/>
    public string? Initrd => InitrdFile;

    /// <inheritdoc/>
    public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        var aptFolder = Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName;
        var apt = AptPackages.Open(aptFolder, progress);
        progress.Report(new ImageProgress("Reading the package lists", null));
        var found = await apt.FindAsync([kernelPackage, BusyboxPackage], cancellationToken).ConfigureAwait(false);
        var kernelName = found[0].Depends.FirstOrDefault(package => package.StartsWith("linux-image-", StringComparison.Ordinal))
            ?? throw new ImageException($"{kernelPackage} {found[0].Version} names no kernel package; boot a kernel of your own with --kernel");
        AptPackage[] packages = [(await apt.FindAsync([kernelName], cancellationToken).ConfigureAwait(false))[0], found[1]];

        var root = Directory.CreateDirectory(Path.Combine(scratch, "root")).FullName;
        foreach (var package in packages)
        {
            var archive = await apt.DownloadAsync(package, cancellationToken).ConfigureAwait(false);
            progress.Report(new ImageProgress($"Unpacking {package.Name}", null));
            await apt.UnpackAsync(archive, root, cancellationToken).ConfigureAwait(false);
            File.Delete(archive);
        }

        var agent = await GuestAgent.BuildAsync(apt, Directory.CreateDirectory(Path.Combine(scratch, "agent")).FullName, progress, cancellationToken).ConfigureAwait(false);
        progress.Report(new ImageProgress("Packing the initramfs", null));
        var kernel = Directory.EnumerateFiles(Path.Combine(root, "boot"), "vmlinuz-*").SingleOrDefault()
            ?? throw new ImageException($"{kernelName} {packages[0].Version} holds no kernel image; boot a kernel of your own with --kernel");
        var release = Path.GetFileName(kernel)["vmlinuz-".Length..];
        var busybox = Merged(root, "bin/busybox") ?? throw new ImageException($"{BusyboxPackage} {packages[1].Version} holds no bin/busybox");
        var modules = TinyInitramfs.CollectModules(Merged(root, $"lib/modules/{release}")
            ?? throw new ImageException($"{kernelName} {packages[0].Version} holds no modules for its kernel {release}"));
        var contents = new TinyContents(release, packages[0].Version, File.ReadAllBytes(busybox), await AppletsAsync(busybox, cancellationToken).ConfigureAwait(false), modules, agent);
        using (var stream = new BufferedStream(File.Create(Path.Combine(target, InitrdFile)), 1 << 16))
            TinyInitramfs.Write(stream, contents, File.GetLastWriteTimeUtc(kernel));
        File.Move(kernel, Path.Combine(target, KernelFile));
        return new ImageContents(
            packages[0].Version,
            [.. packages.Select(package => new ImagePackage(package.Name, package.Version, package.Sha256))],
            [.. modules.Modules.Select(module => module.Info.Name)]);
    }

    // A path that newer Debian releases ship below usr/.
    private static string? Merged(string root, string path)
    {
        string[] places = [Path.Combine(root, path), Path.Combine(root, "usr", path)];
        return places.FirstOrDefault(Path.Exists);
    }

    private static async Task<IReadOnlyList<string>> AppletsAsync(string busybox, CancellationToken cancellationToken)
    {
        var result = await HostCommand.At(busybox).RunAsync(["--list-full"], "/", null, cancellationToken).ConfigureAwait(false);
        return result.ExitCode == 0 && result.Output.Count > 0
            ? result.Output
            : throw new ImageException($"busybox cannot tell its applets (exit code {result.ExitCode}); is the cache folder on a file system mounted noexec?");
    }
}
