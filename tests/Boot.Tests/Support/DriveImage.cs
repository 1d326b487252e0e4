// Debian's kernel for any PC, with tiny's initial RAM disk and the drivers of a PC's drives and network cards in it, which nobody loads before a test does: /drives has
// them, numbered in the order in which they can be. And CDs of Debian's packages. Tests that need them are skipped, with the reason, where they cannot
// be had.
using System.Globalization;
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class DriveImage
{
    private const string Generic = "generic-drives", Discs = "discs", Network = "ipxe";

    /// <summary>What loads all drivers that are there.</summary>
    internal const string LoadDrivers = "for m in /drives/*.ko; do insmod $m || break; done";

    internal static Task<Image> GetAsync()
    {
        AllTests.SkipUnlessAsked("it fetches a kernel of 70 MB");
        return BuildAsync(Generic, new GenericRecipe());
    }

    /// <summary>A CD with GRUB, which begins with its menu.</summary>
    internal static async Task<string> GrubDiscAsync() => (await BuildAsync(Discs, DiscsOfDrives())).KernelPath;

    /// <summary>A CD with memtest86+.</summary>
    internal static async Task<string> MemtestDiscAsync() => (await BuildAsync(Discs, DiscsOfDrives())).InitrdPath!;

    /// <summary>A CD with iPXE, which boots from the network.</summary>
    internal static async Task<string> IpxeDiscAsync() => (await BuildAsync(Network, new DiscsRecipe(Network, "CD of iPXE", ("ipxe", "usr/lib/ipxe/ipxe.iso")))).KernelPath;

    /// <summary>Puts modules into a folder of an initial RAM disk, numbered in the order in which they can be loaded.</summary>
    internal static void AppendModules(FileStream initrd, string folder, ModuleSet modules)
    {
        // Each archive begins at a multiple of 4 bytes; the kernel unpacks one behind the other.
        while (initrd.Position % 4 != 0) initrd.WriteByte(0);
        var cpio = new CpioWriter(initrd, DateTimeOffset.UnixEpoch);
        cpio.AddDirectory(folder);
        foreach (var (index, module) in modules.Modules.Index())
            cpio.AddFile(string.Create(CultureInfo.InvariantCulture, $"{folder}/{index:d2}-{module.Info.Name}.ko"), module.Content.Span);
        cpio.Finish();
    }

    private static async Task<Image> BuildAsync(string name, IImageRecipe recipe)
    {
        try
        {
            var folder = Path.Combine(Path.GetDirectoryName(ImageStore.OfUser().Folder)!, "test-images");
            return await new ImageStore(folder, [recipe]).FindOrBuildAsync(name, new Progress<ImageProgress>(), TestContext.Current.CancellationToken);
        }
        catch (ImageException e)
        {
            Assert.Skip($"{name} cannot be had here: {e.Message}");
            throw;
        }
    }

    private sealed class GenericRecipe : IImageRecipe
    {
        private static readonly string[] Drivers = ["crc32c_generic", "ata_piix", "ahci", "ata_generic", "sd_mod", "sr_mod", "isofs", "ext4", "e1000", "e1000e"];

        private readonly Images.Tiny.TinyImage _tiny = new(Generic, "linux-image-amd64");

        public string Name => Generic;

        public string Description => "Debian's kernel with drivers of drives and network cards";

        public int Recipe => 3;

        public string CommandLine => _tiny.CommandLine;

        public string Kernel => _tiny.Kernel;

        public string? Initrd => _tiny.Initrd;

        public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
        {
            var contents = await _tiny.BuildAsync(scratch, target, progress, cancellationToken);
            var modules = Directory.EnumerateDirectories(Path.Combine(scratch, "root"), "modules", SearchOption.AllDirectories).SelectMany(Directory.EnumerateDirectories).First();
            await using var initrd = File.Open(Path.Combine(target, Initrd!), FileMode.Append);
            AppendModules(initrd, "drives", ModuleSet.Collect(modules, Drivers, []));
            return contents;
        }
    }

    private static DiscsRecipe DiscsOfDrives() => new(Discs, "CDs of Debian's packages", ("grub-rescue-pc", "usr/lib/grub-rescue/grub-rescue-cdrom.iso"), ("memtest86+", "usr/lib/memtest86+/memtest86+x64.iso"));

    // One or two packages, and the disc in each.
    private sealed class DiscsRecipe(string name, string description, params (string Package, string File)[] discs) : IImageRecipe
    {
        public string Name => name;

        public string Description => description;

        public int Recipe => 3;

        public string CommandLine => "";

        public string Kernel => "first.iso";

        public string? Initrd => discs.Length > 1 ? "second.iso" : null;

        public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
        {
            var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, progress);
            var packages = await apt.FindAsync([.. discs.Select(disc => disc.Package)], cancellationToken);
            var root = Directory.CreateDirectory(Path.Combine(scratch, "root")).FullName;
            foreach (var package in packages) await apt.UnpackAsync(await apt.DownloadAsync(package, cancellationToken), root, cancellationToken);
            File.Copy(Path.Combine(root, discs[0].File), Path.Combine(target, Kernel));
            if (Initrd is { } second) File.Copy(Path.Combine(root, discs[1].File), Path.Combine(target, second));
            return new ImageContents(packages[0].Version, [.. packages.Select(package => new ImagePackage(package.Name, package.Version, package.Sha256))], []);
        }
    }
}
