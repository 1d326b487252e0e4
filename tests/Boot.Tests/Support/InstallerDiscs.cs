// CDs with Debian's installer, made of the package that has it for networks: one that asks nothing and speaks at the serial port, one that has a picture and a
// mouse. Tests that need them are skipped, with the reason, where they cannot be had.
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Boot.Support;

/// <summary>The CDs, by their paths; nobody writes them.</summary>
internal sealed record InstallerDiscs(string Text, string Graphical)
{
    /// <summary>What root's password is in a system that the first one installs.</summary>
    internal const string Password = "lamina";

    private static readonly Lazy<Task<(InstallerDiscs? Discs, string? Reason)>> Made = new(MakeAsync);

    internal static async Task<InstallerDiscs> GetAsync()
    {
        var (discs, reason) = await Made.Value;
        Assert.SkipWhen(discs is null, $"Debian's installer cannot be had here: {reason}");
        return discs!;
    }

    private static async Task<(InstallerDiscs? Discs, string? Reason)> MakeAsync()
    {
        try
        {
            var folder = Path.Combine(Path.GetDirectoryName(ImageStore.OfUser().Folder)!, "test-images");
            var image = await new ImageStore(folder, [new Recipe()]).FindOrBuildAsync(Recipe.ItsName, new Progress<ImageProgress>(), CancellationToken.None);
            return (new InstallerDiscs(image.KernelPath, Path.Combine(Path.GetDirectoryName(image.KernelPath)!, Recipe.GraphicalName)), null);
        }
        catch (ImageException e)
        {
            return (null, e.Message);
        }
    }

    private sealed class Recipe : IImageRecipe
    {
        internal const string ItsName = "installer", GraphicalName = "graphical.iso";

        private const string Package = "debian-installer-12-netboot-amd64";

        // What it would ask, and what is answered.
        private static string Answers(Uri source) => $"""
            d-i debian-installer/locale string en_US.UTF-8
            d-i keyboard-configuration/xkb-keymap select us
            d-i netcfg/choose_interface select auto
            d-i netcfg/get_hostname string installed
            d-i netcfg/get_domain string
            d-i netcfg/hostname string installed
            d-i mirror/country string manual
            d-i mirror/http/hostname string {source.Authority}
            d-i mirror/http/directory string {source.AbsolutePath.TrimEnd('/')}
            d-i mirror/http/proxy string
            d-i apt-setup/services-select multiselect
            d-i passwd/root-password password {Password}
            d-i passwd/root-password-again password {Password}
            d-i passwd/make-user boolean false
            d-i clock-setup/utc boolean true
            d-i clock-setup/ntp boolean false
            d-i time/zone string UTC
            d-i partman-auto/method string regular
            d-i partman-auto/choose_recipe select atomic
            d-i partman-partitioning/confirm_write_new_label boolean true
            d-i partman/choose_partition select finish
            d-i partman/confirm boolean true
            d-i partman/confirm_nooverwrite boolean true
            d-i base-installer/install-recommends boolean false
            d-i apt-setup/cdrom/set-first boolean false
            tasksel tasksel/first multiselect
            d-i pkgsel/include string openssh-server
            d-i pkgsel/upgrade select none
            popularity-contest popularity-contest/participate boolean false
            d-i grub-installer/only_debian boolean true
            d-i grub-installer/bootdev string default
            d-i grub-installer/force-efi-extra-removable boolean true
            d-i debian-installer/add-kernel-opts string console=tty0 console=ttyS0,115200
            d-i finish-install/reboot_in_progress note
            d-i debian-installer/exit/poweroff boolean true

            """;

        public string Name => ItsName;

        public string Description => "CDs with Debian's installer";

        int IImageRecipe.Recipe => 1;

        public string CommandLine => "";

        public string Kernel => "text.iso";

        public string? Initrd => null;

        public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
        {
            var apt = AptPackages.Open(Directory.CreateDirectory(Path.Combine(scratch, "apt")).FullName, progress);
            var packages = await apt.FindAsync([Package, .. DiscTools.Packages], cancellationToken);
            var root = Directory.CreateDirectory(Path.Combine(scratch, "root")).FullName;
            foreach (var package in packages) await apt.UnpackAsync(await apt.DownloadAsync(package, cancellationToken), root, cancellationToken);
            var tools = new DiscTools(root, scratch, cancellationToken);
            var seed = Directory.CreateDirectory(Path.Combine(scratch, "seed")).FullName;
            await File.WriteAllTextAsync(Path.Combine(seed, "preseed.cfg"), Answers(await SourceAsync(cancellationToken)), cancellationToken);
            await RecipeProgram.RunAsync("sh", seed, ["-c", "echo preseed.cfg | cpio --quiet -o -H newc >../preseed.cpio"], cancellationToken);

            await WriteAsync("text", "auto=true priority=critical console=tty0 console=ttyS0,115200 DEBIAN_FRONTEND=text", " /preseed.cpio", Kernel);
            await WriteAsync("gtk", "vga=788 quiet", "", GraphicalName);
            return new ImageContents(packages[0].Version, [.. packages.Select(package => new ImagePackage(package.Name, package.Version, package.Sha256))], []);

            async Task WriteAsync(string front, string words, string more, string disc)
            {
                var folder = Directory.CreateDirectory(Path.Combine(scratch, front)).FullName;
                var from = Path.Combine(root, $"usr/lib/debian-installer/images/12/amd64/{front}/debian-installer/amd64");
                foreach (var file in (string[])["linux", "initrd.gz"]) File.Move(Path.Combine(from, file), Path.Combine(folder, file));
                if (more.Length > 0) File.Copy(Path.Combine(scratch, "preseed.cpio"), Path.Combine(folder, "preseed.cpio"));
                await tools.WriteGrubAsync(folder, $"linux /linux {words}\ninitrd /initrd.gz{more}\nboot\n", ["linux", "boot"], Path.Combine(target, disc));
            }
        }

        // Where the host has Debian's packages from.
        private static async Task<Uri> SourceAsync(CancellationToken cancellationToken)
        {
            var apt = HostCommand.Find("apt-get") ?? throw new ImageException("apt-get is not installed on this host");
            var result = await apt.RunAsync(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"], "/", null, cancellationToken);
            return result.Output.Select(line => new Uri(line)).FirstOrDefault(source => source.Scheme == Uri.UriSchemeHttp && source.AbsolutePath.TrimEnd('/').EndsWith("/debian", StringComparison.Ordinal))
                ?? throw new ImageException("this host has no source of Debian's packages by HTTP");
        }
    }
}
