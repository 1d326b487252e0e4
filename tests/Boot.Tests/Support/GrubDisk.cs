// A disk with GRUB as its boot loader, tiny's kernel and initial RAM disk, and memtest86+: what an installer leaves on a disk, made of
// Debian's packages without root and without a mounted file system. Tests that need it are skipped, with the reason, where it cannot be
// had.
using System.Buffers.Binary;
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class GrubDisk
{
    private static readonly Lazy<Task<(string? Path, string? Reason)>> Made = new(MakeAsync);

    /// <summary>The disk's raw image, which nobody writes.</summary>
    internal static async Task<string> GetAsync()
    {
        var (path, reason) = await Made.Value;
        Assert.SkipWhen(path is null, $"a disk with GRUB cannot be had here: {reason}");
        return path!;
    }

    private static async Task<(string? Path, string? Reason)> MakeAsync()
    {
        try
        {
            var tiny = await TinyImage.GetAsync();
            var folder = Path.Combine(Path.GetDirectoryName(ImageStore.OfUser().Folder)!, "test-images");
            return ((await new ImageStore(folder, [new GrubRecipe(tiny)]).FindOrBuildAsync(GrubRecipe.ItsName, new Progress<ImageProgress>(), CancellationToken.None)).KernelPath, null);
        }
        catch (ImageException e)
        {
            return (null, e.Message);
        }
    }

    private sealed class GrubRecipe(Image tiny) : IImageRecipe
    {
        internal const string ItsName = "grub-disk";

        private const int Sector = 512, FirstSector = 2048, FileSystemSize = 96 << 20;

        // boot.S: where the loader's sector and the partitions are said.
        private const int LoaderSector = 0x5c, Partitions = 446, PartitionsLength = 64;

        private const string Menu = """
            set timeout=5
            set default=0
            menuentry "tiny" {
              linux /boot/kernel console=ttyS0 quiet
              initrd /boot/initrd
            }
            menuentry "memtest" {
              linux /boot/memtest console=ttyS0,115200
            }
            """;

        public string Name => ItsName;

        public string Description => "a disk with GRUB on it";

        public int Recipe => 2;

        public string CommandLine => "";

        public string Kernel => "disk.raw";

        public string? Initrd => null;

        public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
        {
            var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, progress);
            var packages = await apt.FindAsync(["grub-pc-bin", "grub-common", "libdevmapper1.02.1", "memtest86+"], cancellationToken);
            var root = Directory.CreateDirectory(Path.Combine(scratch, "root")).FullName;
            foreach (var package in packages) await apt.UnpackAsync(await apt.DownloadAsync(package, cancellationToken), root, cancellationToken);
            var modules = Path.Combine(root, "usr/lib/grub/i386-pc");
            var core = Path.Combine(scratch, "core.img");
            await RunAsync("env", scratch, [$"LD_LIBRARY_PATH={root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu", $"{root}/usr/bin/grub-mkimage", "-d", modules, "-O", "i386-pc",
                "-p", "(hd0,msdos1)/boot/grub", "-o", core, "biosdisk", "part_msdos", "ext2", "normal", "linux", "echo", "ls", "reboot", "halt", "configfile"], cancellationToken);

            var files = Directory.CreateDirectory(Path.Combine(scratch, "files/boot/grub")).FullName;
            var boot = Path.GetDirectoryName(files)!;
            await File.WriteAllTextAsync(Path.Combine(files, "grub.cfg"), Menu, cancellationToken);
            File.Copy(tiny.KernelPath, Path.Combine(boot, "kernel"));
            File.Copy(tiny.InitrdPath!, Path.Combine(boot, "initrd"));
            File.Copy(Path.Combine(root, "boot/memtest86+x64.bin"), Path.Combine(boot, "memtest"));
            var system = Path.Combine(scratch, "file-system");
            await RunAsync("mke2fs", scratch, ["-q", "-t", "ext2", "-d", Path.GetDirectoryName(boot)!, system, $"{FileSystemSize >> 10}"], cancellationToken);
            Put(await File.ReadAllBytesAsync(Path.Combine(modules, "boot.img"), cancellationToken), await File.ReadAllBytesAsync(core, cancellationToken), system, Path.Combine(target, Kernel));
            return new ImageContents(packages[0].Version, [.. packages.Select(package => new ImagePackage(package.Name, package.Version, package.Sha256))], []);
        }

        // As grub-bios-setup does: the loader lies in the sectors between the partition table and the first partition.
        private static void Put(byte[] first, byte[] core, string system, string path)
        {
            if (core.Length > (FirstSector - 1) * Sector) throw new ImageException("GRUB does not fit before the first partition");
            BinaryPrimitives.WriteUInt64LittleEndian(first.AsSpan(LoaderSector), 1);
            var partition = first.AsSpan(Partitions, PartitionsLength);
            partition.Clear();
            (partition[0], partition[4]) = (0x80, 0x83);
            BinaryPrimitives.WriteUInt32LittleEndian(partition[8..], FirstSector);
            BinaryPrimitives.WriteUInt32LittleEndian(partition[12..], FileSystemSize / Sector);
            using var disk = File.Create(path);
            disk.Write(first);
            disk.Write(core);
            disk.Position = FirstSector * Sector;
            using (var content = File.OpenRead(system)) content.CopyTo(disk);
            disk.SetLength((FirstSector * Sector) + (long)FileSystemSize);
        }

        private static async Task RunAsync(string name, string folder, string[] arguments, CancellationToken cancellationToken)
        {
            var program = HostCommand.Find(name, "/usr/sbin", "/sbin") ?? throw new ImageException($"{name} is not installed on this host");
            var result = await program.RunAsync(arguments, folder, null, cancellationToken);
            if (result.ExitCode != 0) throw new ImageException($"{name} failed: {string.Join("; ", result.Errors)}");
        }
    }
}
