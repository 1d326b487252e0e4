// Media of boot loaders and tools, made of Debian's packages without root and without a mounted file system: a disk with rEFInd, which boots memtest86+; a CD
// with GRUB for BIOS and for UEFI; a CD with ISOLINUX and its Hardware Detection Tool; GRUB's rescue disks for floppy and USB drives, memtest86+'s CD. Tests that
// need them are skipped, with the reason, where they cannot be had.
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Boot.Support;

/// <summary>The media, by their paths; nobody writes them.</summary>
internal sealed record MediaImage(string Folder)
{
    private static readonly Lazy<Task<(MediaImage? Media, string? Reason)>> Made = new(MakeAsync);

    internal string Refind => In("refind.raw");

    internal string GrubDisc => In("grub.iso");

    internal string IsolinuxDisc => In("isolinux.iso");

    internal string MemtestDisc => In("memtest.iso");

    internal string RescueFloppy => In("rescue-floppy.img");

    internal string RescueUsb => In("rescue-usb.img");

    /// <summary>What GRUB's CD says when it has found its configuration.</summary>
    internal const string Greeting = "the media are found";

    internal static async Task<MediaImage> GetAsync()
    {
        var (media, reason) = await Made.Value;
        Assert.SkipWhen(media is null, $"boot media cannot be had here: {reason}");
        return media!;
    }

    private string In(string name) => Path.Combine(Folder, name);

    private static async Task<(MediaImage? Media, string? Reason)> MakeAsync()
    {
        try
        {
            var folder = Path.Combine(Path.GetDirectoryName(ImageStore.OfUser().Folder)!, "test-images");
            var image = await new ImageStore(folder, [new Recipe()]).FindOrBuildAsync(Recipe.ItsName, new Progress<ImageProgress>(), CancellationToken.None);
            return (new MediaImage(Path.GetDirectoryName(image.KernelPath)!), null);
        }
        catch (ImageException e)
        {
            return (null, e.Message);
        }
    }

    private sealed class Recipe : IImageRecipe
    {
        internal const string ItsName = "media";

        public string Name => ItsName;

        public string Description => "boot media of Debian's packages";

        int IImageRecipe.Recipe => 2;

        public string CommandLine => "";

        public string Kernel => "refind.raw";

        public string? Initrd => null;

        public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
        {
            var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, progress);
            var packages = await apt.FindAsync(
                ["refind", "isolinux", "syslinux-common", "memtest86+", "grub-rescue-pc", .. DiscTools.Packages],
                cancellationToken);
            var root = Directory.CreateDirectory(Path.Combine(scratch, "root")).FullName;
            foreach (var package in packages) await apt.UnpackAsync(await apt.DownloadAsync(package, cancellationToken), root, cancellationToken);

            var tools = new DiscTools(root, scratch, cancellationToken);
            await WithRefindAsync();
            await tools.WriteGrubAsync(Directory.CreateDirectory(Path.Combine(scratch, "grub")).FullName, $"echo {Greeting}\n", ["reboot", "halt", "lspci"], Path.Combine(target, "grub.iso"));
            await WithIsolinuxAsync();
            File.Copy(Path.Combine(root, "usr/lib/memtest86+/memtest86+x64.iso"), Path.Combine(target, "memtest.iso"));
            File.Copy(Path.Combine(root, "usr/lib/grub-rescue/grub-rescue-floppy.img"), Path.Combine(target, "rescue-floppy.img"));
            // As long as a disk of 1.44 MB is.
            await using (var floppy = File.OpenWrite(Path.Combine(target, "rescue-floppy.img"))) floppy.SetLength(1440 << 10);
            File.Copy(Path.Combine(root, "usr/lib/grub-rescue/grub-rescue-usb.img"), Path.Combine(target, "rescue-usb.img"));
            return new ImageContents(packages[0].Version, [.. packages.Select(package => new ImagePackage(package.Name, package.Version, package.Sha256))], []);

            async Task<string> FileAsync(string name, string text)
            {
                var path = Path.Combine(scratch, name);
                await File.WriteAllTextAsync(path, text, cancellationToken);
                return path;
            }

            async Task WithRefindAsync()
            {
                var disk = Path.Combine(target, Kernel);
                await using (var file = File.Create(disk)) file.SetLength(64 << 20);
                var settings = await FileAsync("refind.conf", "timeout 0\ntextonly true\nscanfor manual\nmenuentry \"memtest86+\" {\n  loader /memtest.efi\n  options \"console=ttyS0,115200\"\n}\n");
                await tools.FatAsync(disk, "mformat", "-F", "::");
                await tools.FatAsync(disk, "mmd", "::/EFI", "::/EFI/BOOT");
                foreach (var (from, to) in ((string, string)[])
                    [(Path.Combine(root, "usr/share/refind/refind/refind_x64.efi"), "EFI/BOOT/BOOTX64.EFI"), (settings, "EFI/BOOT/refind.conf"), (Path.Combine(root, "boot/memtest86+x64.efi"), "memtest.efi")])
                    await tools.FatAsync(disk, "mcopy", from, $"::/{to}");
            }

            async Task WithIsolinuxAsync()
            {
                var disc = Directory.CreateDirectory(Path.Combine(scratch, "iso/isolinux")).FullName;
                File.Copy(Path.Combine(root, "usr/lib/ISOLINUX/isolinux.bin"), Path.Combine(disc, "isolinux.bin"));
                foreach (var name in (string[])["ldlinux", "hdt", "libcom32", "libgpl", "libmenu", "libutil"]) File.Copy(Path.Combine(root, $"usr/lib/syslinux/modules/bios/{name}.c32"), Path.Combine(disc, $"{name}.c32"));
                await File.WriteAllTextAsync(Path.Combine(disc, "isolinux.cfg"), "prompt 1\ntimeout 0\nsay isolinux is here\ndefault hdt\nlabel hdt\n  com32 hdt.c32\n  append nomenu\n", cancellationToken);
                await tools.RunAsync("xorriso", ["-as", "mkisofs", "-quiet", "-o", Path.Combine(target, "isolinux.iso"), "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", .. DiscTools.NoEmulation, Path.Combine(scratch, "iso")]);
            }
        }
    }
}
