// SeaBIOS as Debian packages it: the build with all its parts, which goes on where a machine has no PCI, and the firmware of a display
// that the same people write.
namespace Lamina.Images.Bios;

/// <summary>How the firmware "seabios" is fetched.</summary>
internal sealed class SeaBios : IImageRecipe
{
    private const string Package = "seabios", Folder = "usr/share/seabios", File = $"{Folder}/bios-256k.bin";

    /// <inheritdoc/>
    public string Name => BootSource.SeaBios;

    /// <inheritdoc/>
    public string Description => "Debian's SeaBIOS";

    /// <inheritdoc/>
    public int Recipe => 2;

    /// <inheritdoc/>
    public string CommandLine => "";

    /// <inheritdoc/>
    public string Kernel => Path.GetFileName(File);

    /// <inheritdoc/>
    public string? Initrd => null;

    /// <inheritdoc/>
    public long NeededSpace => 8 << 20;

    /// <inheritdoc/>
    public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, progress);
        var package = (await apt.FindAsync([Package], cancellationToken).ConfigureAwait(false))[0];
        var root = Directory.CreateDirectory(Path.Combine(scratch, "root")).FullName;
        await apt.UnpackAsync(await apt.DownloadAsync(package, cancellationToken).ConfigureAwait(false), root, cancellationToken).ConfigureAwait(false);
        var firmware = Path.Combine(root, File);
        if (!Path.Exists(firmware)) throw new ImageException($"{Package} {package.Version} holds no {File}; name firmware of your own with --firmware FILE");
        System.IO.File.Move(firmware, Path.Combine(target, Kernel));
        // Without it a machine starts all the same, and nothing is seen on its screen.
        var display = Path.Combine(root, Folder, DisplayRom.FileName);
        if (Path.Exists(display)) System.IO.File.Move(display, Path.Combine(target, DisplayRom.FileName));
        return new ImageContents(package.Version, [new ImagePackage(package.Name, package.Version, package.Sha256)], []);
    }
}
