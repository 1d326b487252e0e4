// The image "debian": a whole Debian 12 on a disk, with systemd, apt and an ssh server. mmdebstrap installs it, mke2fs makes a
// file system of it, both programs of the host; nothing is mounted, and no privilege is needed where the host has user
// namespaces or fakechroot. Kernel and initial RAM disk are kept beside the disk, since the machine boots them directly.
using System.Globalization;
using Lamina.Backends.Disk;
using Lamina.Images.Agent;

namespace Lamina.Images.Debian;

/// <summary>How the image "debian" is made.</summary>
internal sealed class DebianImage : IImageRecipe
{
    private const string Codename = "bookworm", Label = "debian", KernelPackage = "linux-image-cloud-amd64";
    private const string KernelFile = "kernel", InitrdFile = "initrd", DiskFile = "disk.qcow2";
    private const string RootArchive = "root.tar", GuestFiles = "guest.tar", RawDisk = "disk.raw", PackageList = "packages";
    private const string DiskSize = "16G";
    private const string What = "the image debian";

    // What makes a Debian that people can work with of the packages that every Debian has; the rest is an "apt install" away.
    private static readonly string[] Packages =
    [
        "apt", "systemd-sysv", "dbus", "libpam-systemd", "systemd-resolved", "udev", "kmod", KernelPackage, "initramfs-tools", "zstd", "e2fsprogs",
        "openssh-server", "ca-certificates", "iproute2", "iputils-ping", "netbase", "procps", "sudo", "less", "nano", "vim-tiny",
    ];

    // Every machine makes ssh keys of its own, and takes its kernel from beside its disk, not from packages upgraded in the guest.
    private const string Finish = """
        rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/apt/apt.conf.d/99mmdebstrap
        chroot "$1" systemctl disable e2scrub_reap.service
        chroot "$1" dpkg-query -W -f '${Package} ${Status} ${Version}\n' 'linux-image-*' | while read -r name _ _ state _; do
          [ "$state" != installed ] || chroot "$1" apt-mark hold "$name"
        done
        chroot "$1" dpkg-query -W -f '${Package} ${Version}\n' >"$1"/packages
        """;

    // Everything in one shell, so that fakeroot, where it is used, knows the owners to its end. fakeroot does not know what kind of file
    // one with capabilities is; without them ping gets what its package gives it where there are none.
    private const string MakeDisk = """
        set -eu
        mke2fs=$1 label=$2 size=$3
        shift 3
        mkdir root
        tar -x -f root.tar -C root --numeric-owner --preserve-permissions "$@"
        [ $# -gt 0 ] || chmod u+s root/usr/bin/ping
        mv root/packages packages
        cp root/boot/vmlinuz-* kernel
        cp root/boot/initrd.img-* initrd
        chmod 0644 kernel initrd packages
        mkdir root/dev
        rm -f root/etc/resolv.conf
        ln -s ../run/systemd/resolve/stub-resolv.conf root/etc/resolv.conf
        : >root/etc/machine-id
        rm -f disk.raw
        "$mke2fs" -q -t ext4 -L "$label" -d root -J size=64 -E root_owner=0:0 disk.raw "$size"
        """;

    /// <inheritdoc/>
    public string Name => "debian";

    /// <inheritdoc/>
    public string Description => "Debian 12 with systemd, apt and an ssh server, on a disk";

    /// <inheritdoc/>
    public int Recipe => 5;

    /// <inheritdoc/>
    public string CommandLine => $"console=ttyS0 root=/dev/vda ro quiet systemd.show_status=yes {ImageCommandLine.NoCipherTests}";

    /// <inheritdoc/>
    public string Kernel => KernelFile;

    /// <inheritdoc/>
    public string? Initrd => InitrdFile;

    /// <inheritdoc/>
    public string? Disk => DiskFile;

    /// <inheritdoc/>
    public ulong Memory => 1ul << 30;

    /// <inheritdoc/>
    public long NeededSpace => 2L << 30;

    /// <inheritdoc/>
    public async Task<ImageContents> BuildAsync(string scratch, string target, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        var isRoot = Environment.IsPrivilegedProcess;
        List<NeededProgram> needed = [new("mmdebstrap", "mmdebstrap"), new("mke2fs", "e2fsprogs"), new("gpg", "gpg")];
        if (!isRoot) needed.AddRange([new("fakeroot", "fakeroot"), new("fakechroot", "fakechroot")]);
        var programs = await HostPrograms.FindAsync(needed, What, progress, cancellationToken).ConfigureAwait(false);
        var sources = await DebianSources.OfHostAsync(Codename, cancellationToken).ConfigureAwait(false);
        var tools = Directory.CreateDirectory(Path.Combine(scratch, "agent")).FullName;
        var agent = await GuestAgent.BuildAsync(AptPackages.Open(tools, progress), tools, progress, cancellationToken).ConfigureAwait(false);
        using (var archive = File.Create(Path.Combine(scratch, GuestFiles))) DebianRoot.Write(archive, agent, Label, sources.GuestOptions);

        await InstallAsync(programs[0], sources, scratch, progress, cancellationToken).ConfigureAwait(false);
        progress.Report(new ImageProgress("Making the file system", null));
        string[] shell = ["-c", MakeDisk, "sh", programs[1].File, Label, DiskSize];
        var made = await (isRoot ? HostCommand.At("/bin/sh").RunAsync([.. shell, "--xattrs", "--xattrs-include=*"], scratch, null, cancellationToken)
            : programs[3].RunAsync(["--", "/bin/sh", .. shell], scratch, null, cancellationToken)).ConfigureAwait(false);
        if (made.ExitCode != 0) throw AptPackages.Failure("the file system could not be made", made);

        progress.Report(new ImageProgress("Making the disk", null));
        DiskTools.Convert(new DiskOptions { Path = Path.Combine(scratch, RawDisk), Format = DiskFormat.Raw }, new DiskCreation { Path = Path.Combine(target, DiskFile) }, progress: null, cancellationToken);
        foreach (var file in (string[])[KernelFile, InitrdFile]) File.Move(Path.Combine(scratch, file), Path.Combine(target, file));
        ImagePackage[] packages = [.. File.ReadLines(Path.Combine(scratch, PackageList)).Select(line => line.Split(' ')).Where(words => words.Length == 2).Select(words => new ImagePackage(words[0], words[1], null))];
        var kernel = packages.FirstOrDefault(package => package.Name == KernelPackage) ?? throw new ImageException($"{What} was installed without {KernelPackage}; look at the host's package sources");
        return new ImageContents(kernel.Version, packages, []);
    }

    private static async Task InstallAsync(HostCommand mmdebstrap, DebianSources sources, string scratch, IProgress<ImageProgress> progress, CancellationToken cancellationToken)
    {
        const string prefix = "I: ";
        progress.Report(new ImageProgress("Installing Debian", null));
        string[] arguments =
        [
            "--variant=required", "--format=tar", "--skip=output/dev", $"--include={string.Join(',', Packages)}",
            .. sources.Options.Select(option => $"--aptopt={option}"),
            $"--essential-hook=tar-in {GuestFiles} /", $"--customize-hook={Finish}",
            Codename, RootArchive, .. sources.Lines,
        ];
        // Where it works itself is part of the scratch folder, so that nothing is left of a build that is killed. In a user namespace
        // it is another user, who cannot reach that folder.
        string[] folder = Environment.IsPrivilegedProcess ? [$"TMPDIR={scratch}"] : [];
        var result = await HostCommand.At("/usr/bin/env").RunAsync([.. folder, mmdebstrap.File, .. arguments], scratch, null, cancellationToken, Watch).ConfigureAwait(false);
        if (result.ExitCode != 0) throw AptPackages.Failure("Debian could not be installed", result);

        void Watch(string line)
        {
            if (line.StartsWith(prefix, StringComparison.Ordinal) && line.EndsWith("...", StringComparison.Ordinal) && !line.Contains('/', StringComparison.Ordinal))
                progress.Report(new ImageProgress($"{char.ToUpper(line[prefix.Length], CultureInfo.InvariantCulture)}{line[(prefix.Length + 1)..^3]}", null));
        }
    }

}
