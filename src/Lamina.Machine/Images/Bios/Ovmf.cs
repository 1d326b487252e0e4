// OVMF, the UEFI firmware for virtual machines, as Debian packages it: of its builds the one that is chosen for virtual machines without SMM, with 4 MiB for
// code and variables, and the variables that a machine begins with, for its flash chip.
namespace Lamina.Images.Bios;

/// <summary>How the firmware "ovmf" is fetched.</summary>
internal sealed class Ovmf : IImageRecipe
{
    private const string Package = "ovmf", Folder = "usr/share/OVMF", Code = "OVMF_CODE_4M.fd", Variables = "OVMF_VARS_4M.fd";

    /// <inheritdoc/>
    public string Name => BootSource.Ovmf;

    /// <inheritdoc/>
    public string Description => "Debian's OVMF (UEFI)";

    /// <inheritdoc/>
    public int Recipe => 3;

    /// <inheritdoc/>
    public string CommandLine => "";

    /// <inheritdoc/>
    public string Kernel => Code;

    /// <inheritdoc/>
    public string? Initrd => null;

    /// <inheritdoc/>
    public long NeededSpace => 64 << 20;

    /// <inheritdoc/>
    public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, progress);
        var package = (await apt.FindAsync([Package], cancellationToken).ConfigureAwait(false))[0];
        var root = Directory.CreateDirectory(Path.Combine(scratch, "root")).FullName;
        await apt.UnpackAsync(await apt.DownloadAsync(package, cancellationToken).ConfigureAwait(false), root, cancellationToken).ConfigureAwait(false);
        foreach (var name in (string[])[Code, Variables])
        {
            var file = Path.Combine(root, Folder, name);
            if (!Path.Exists(file)) throw new ImageException($"{Package} {package.Version} holds no {Folder}/{name}; name firmware of your own with --firmware FILE");
            File.Move(file, Path.Combine(target, name));
        }
        return new ImageContents(package.Version, [new ImagePackage(package.Name, package.Version, package.Sha256)], []);
    }
}
