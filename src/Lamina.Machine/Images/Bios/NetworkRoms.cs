// The firmware of network cards, by which a machine boots from the network: iPXE as Debian packages it for virtual machines.
namespace Lamina.Images.Bios;

/// <summary>How the firmware of network cards is fetched.</summary>
internal sealed class NetworkRoms : IImageRecipe
{
    private const string Package = "ipxe-qemu", Folder = "usr/lib/ipxe/qemu";

    /// <inheritdoc/>
    public string Name => FirmwareStore.NetworkRoms;

    /// <inheritdoc/>
    public string Description => "Debian's iPXE for network cards";

    /// <inheritdoc/>
    public int Recipe => 1;

    /// <inheritdoc/>
    public string CommandLine => "";

    /// <inheritdoc/>
    public string Kernel => FileOf(NetworkModel.Virtio);

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
        foreach (var model in Enum.GetValues<NetworkModel>())
        {
            var rom = Path.Combine(root, Folder, FileOf(model));
            if (!Path.Exists(rom)) throw new ImageException($"{Package} {package.Version} holds no {Folder}/{FileOf(model)}, by which machines boot from the network");
            File.Move(rom, Path.Combine(target, FileOf(model)));
        }
        return new ImageContents(package.Version, [new ImagePackage(package.Name, package.Version, package.Sha256)], []);
    }

    /// <summary>What a card's file is called in Debian's package, and here.</summary>
    internal static string FileOf(NetworkModel model) => model switch { NetworkModel.E1000 => "pxe-e1000.rom", NetworkModel.E1000e => "pxe-e1000e.rom", _ => "pxe-virtio.rom" };
}
