// What UEFI boots: a disk with a FAT file system on which systemd-boot, tiny's kernel and its initial RAM disk lie, the latter with the file system of UEFI's
// variables (/uefi), made of Debian's packages without root and without a mounted file system; and OVMF itself. Tests that need them are skipped, with the reason, where they cannot be had.
using Lamina.Images;
using Lamina.Images.Bios;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class UefiDisk
{
    private static readonly Lazy<Task<(string? Firmware, string? Disk, string? Reason)>> Made = new(MakeAsync);

    /// <summary>The firmware alone.</summary>
    internal static async Task<string> GetFirmwareAsync()
    {
        try
        {
            return (await FirmwareStore.OfUser().FindOrBuildAsync(BootSource.Ovmf, new Progress<ImageProgress>(), CancellationToken.None)).KernelPath;
        }
        catch (ImageException e)
        {
            Assert.Skip($"the firmware ovmf cannot be had here: {e.Message}");
            throw;
        }
    }

    /// <summary>The firmware, and the disk's raw image, which nobody writes.</summary>
    internal static async Task<(string Firmware, string Disk)> GetAsync()
    {
        var (firmware, disk, reason) = await Made.Value;
        Assert.SkipWhen(disk is null, $"UEFI firmware and a disk for it cannot be had here: {reason}");
        return (firmware!, disk!);
    }

    private static async Task<(string? Firmware, string? Disk, string? Reason)> MakeAsync()
    {
        try
        {
            var firmware = await FirmwareStore.OfUser().FindOrBuildAsync(BootSource.Ovmf, new Progress<ImageProgress>(), CancellationToken.None);
            var folder = Path.Combine(Path.GetDirectoryName(ImageStore.OfUser().Folder)!, "test-images");
            return (firmware.KernelPath, (await new ImageStore(folder, [new Recipe()]).FindOrBuildAsync(Recipe.ItsName, new Progress<ImageProgress>(), CancellationToken.None)).KernelPath, null);
        }
        catch (ImageException e)
        {
            return (null, null, e.Message);
        }
    }

    private sealed class Recipe : IImageRecipe
    {
        internal const string ItsName = "uefi-disk";

        private const int Size = 128 << 20;

        private readonly Images.Tiny.TinyImage _tiny = new(ItsName);

        public string Name => ItsName;

        public string Description => "a disk with systemd-boot on it";

        int IImageRecipe.Recipe => 2;

        public string CommandLine => "";

        public string Kernel => "disk.raw";

        public string? Initrd => null;

        public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
        {
            var linux = Directory.CreateDirectory(Path.Combine(scratch, "linux")).FullName;
            _ = await _tiny.BuildAsync(scratch, linux, progress, cancellationToken);
            var modules = Directory.EnumerateDirectories(Path.Combine(scratch, "root"), "modules", SearchOption.AllDirectories).SelectMany(Directory.EnumerateDirectories).First();
            await using (var initrd = File.Open(Path.Combine(linux, _tiny.Initrd!), FileMode.Append)) DriveImage.AppendModules(initrd, "uefi", ModuleSet.Collect(modules, ["efivarfs"], []));
            var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, progress);
            var packages = await apt.FindAsync(["systemd-boot-efi", "mtools"], cancellationToken);
            var root = Directory.CreateDirectory(Path.Combine(scratch, "uefi")).FullName;
            foreach (var package in packages) await apt.UnpackAsync(await apt.DownloadAsync(package, cancellationToken), root, cancellationToken);
            var mtools = Path.Combine(root, "usr/bin/mtools");
            var disk = Path.Combine(target, Kernel);
            await using (var file = File.Create(disk)) file.SetLength(Size);
            await File.WriteAllTextAsync(Path.Combine(scratch, "loader.conf"), "timeout 3\ndefault tiny.conf\n", cancellationToken);
            await File.WriteAllTextAsync(Path.Combine(scratch, "tiny.conf"), "title tiny\nlinux /kernel\ninitrd /initrd\noptions console=ttyS0 quiet\n", cancellationToken);
            await RecipeProgram.RunAsync(mtools, scratch, ["-c", "mformat", "-F", "-i", disk, "::"], cancellationToken);
            await RecipeProgram.RunAsync(mtools, scratch, ["-c", "mmd", "-i", disk, "::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries"], cancellationToken);
            foreach (var (from, to) in ((string, string)[])
                [(Path.Combine(root, "usr/lib/systemd/boot/efi/systemd-bootx64.efi"), "EFI/BOOT/BOOTX64.EFI"), (Path.Combine(scratch, "loader.conf"), "loader/loader.conf"),
                 (Path.Combine(scratch, "tiny.conf"), "loader/entries/tiny.conf"), (Path.Combine(linux, _tiny.Kernel), "kernel"), (Path.Combine(linux, _tiny.Initrd!), "initrd")])
                await RecipeProgram.RunAsync(mtools, scratch, ["-c", "mcopy", "-i", disk, from, $"::/{to}"], cancellationToken);
            return new ImageContents(packages[0].Version, [.. packages.Select(package => new ImagePackage(package.Name, package.Version, package.Sha256))], []);
        }
    }
}
