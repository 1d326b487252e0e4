// Debian's tools that make media, unpacked and not installed; and CDs with GRUB for BIOS and for UEFI by them, as grub-mkrescue makes them, without what that
// asks of the host.
namespace Lamina.Tests.Boot.Support;

/// <summary>The tools.</summary>
/// <param name="Root">Where the packages are unpacked.</param>
/// <param name="Scratch">A folder for what is needed on the way.</param>
/// <param name="Cancellation">Ends them.</param>
internal sealed record DiscTools(string Root, string Scratch, CancellationToken Cancellation)
{
    /// <summary>The packages that they are in.</summary>
    internal static readonly string[] Packages = ["grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "libdevmapper1.02.1", "mtools", "xorriso", "libisoburn1", "libburn4", "libisofs6", "libjte2"];

    /// <summary>What xorriso is told of a boot loader that reads the CD by itself.</summary>
    internal static readonly string[] NoEmulation = ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"];

    /// <summary>Runs one.</summary>
    internal Task RunAsync(string program, params string[] arguments) =>
        RecipeProgram.RunAsync("env", Scratch, [$"LD_LIBRARY_PATH={Root}/lib/x86_64-linux-gnu:{Root}/usr/lib/x86_64-linux-gnu", Path.Combine(Root, "usr/bin", program), .. arguments], Cancellation);

    /// <summary>Does something with a FAT file system.</summary>
    internal Task FatAsync(string disk, params string[] arguments) => RunAsync("mtools", ["-c", arguments[0], "-i", disk, .. arguments[1..]]);

    /// <summary>Makes a CD that GRUB boots.</summary>
    /// <param name="folder">What is on it; GRUB's files come to that.</param>
    /// <param name="settings">What GRUB does.</param>
    /// <param name="modules">What it needs for that beyond reading the CD.</param>
    /// <param name="disc">The image.</param>
    internal async Task WriteGrubAsync(string folder, string settings, string[] modules, string disc)
    {
        string[] all = ["iso9660", "fat", "part_msdos", "normal", "echo", "ls", "configfile", "search", .. modules];
        var boot = Directory.CreateDirectory(Path.Combine(folder, "boot/grub")).FullName;
        var early = Path.Combine(Scratch, "early.cfg");
        await File.WriteAllTextAsync(early, "search --set=root --file /boot/grub/grub.cfg\nset prefix=($root)/boot/grub\n", Cancellation);
        await File.WriteAllTextAsync(Path.Combine(boot, "grub.cfg"), settings, Cancellation);
        await RunAsync("grub-mkimage", ["-d", Path.Combine(Root, "usr/lib/grub/i386-pc"), "-O", "i386-pc-eltorito", "-p", "/boot/grub", "-o", Path.Combine(boot, "eltorito.img"), "biosdisk", .. all]);
        var program = Path.Combine(Scratch, "bootx64.efi");
        await RunAsync("grub-mkimage", ["-d", Path.Combine(Root, "usr/lib/grub/x86_64-efi"), "-O", "x86_64-efi", "-p", "/boot/grub", "-c", early, "-o", program, .. all]);
        var volume = Path.Combine(folder, "efi.img");
        await using (var file = File.Create(volume)) file.SetLength(4 << 20);
        await FatAsync(volume, "mformat", "::");
        await FatAsync(volume, "mmd", "::/EFI", "::/EFI/BOOT");
        await FatAsync(volume, "mcopy", program, "::/EFI/BOOT/BOOTX64.EFI");
        await RunAsync("xorriso", ["-as", "mkisofs", "-quiet", "-o", disc, "-b", "boot/grub/eltorito.img", .. NoEmulation, "-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", folder]);
    }
}
