// What the guest of the image "debian" has beside its packages: files of ours and links, as a tar archive that mmdebstrap
// unpacks into the root before it installs the kernel. No file is one that a package has.
using System.Formats.Tar;
using System.Text;

namespace Lamina.Images.Debian;

/// <summary>Writes the archive.</summary>
internal static class DebianRoot
{
    private const UnixFileMode Plain = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode Executable = Plain | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
    private const string Units = "etc/systemd/system";

    /// <summary>Writes the archive.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="agent">The agent, by which the host runs programs in the guest.</param>
    /// <param name="label">The label of the root file system.</param>
    /// <param name="aptOptions">Settings of apt's, in the syntax of apt.conf.</param>
    public static void Write(Stream output, ReadOnlyMemory<byte> agent, string label, IEnumerable<string> aptOptions)
    {
        using var tar = new TarWriter(output, TarEntryFormat.Ustar, leaveOpen: true);
        AddText("etc/fstab", $"LABEL={label} / ext4 errors=remount-ro,x-systemd.growfs 0 1\n");
        AddText("etc/hostname", "debian\n");
        AddText("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 debian\n");
        AddText("etc/default/locale", "LANG=C.UTF-8\n");
        AddText("etc/apt/apt.conf.d/90host", string.Concat(aptOptions.Select(option => option + "\n")));

        // A machine at rest is to rest: the kernel would look twice a second whether memory wants compacting.
        AddText("etc/sysctl.d/60-lamina.conf", "vm.compaction_proactiveness = 0\n");

        // The initial RAM disk has what reaches the root and no more: it is unpacked at every start.
        AddText("etc/initramfs-tools/conf.d/lamina", "MODULES=list\nFSTYPE=ext4\n");
        AddText("usr/share/initramfs-tools/modules.d/lamina", "virtio_mmio\nvirtio_pci\nvirtio_blk\next4\n");

        AddFile("usr/lib/lamina/agent", agent.ToArray(), Executable);
        Add("lamina-agent.service", $"{Units}/lamina-agent.service");
        AddLink($"{Units}/sysinit.target.wants/lamina-agent.service", "../lamina-agent.service");

        Add("identity", "usr/lib/lamina/identity", Executable);
        Add("lamina-identity.service", $"{Units}/lamina-identity.service");
        AddLink($"{Units}/sysinit.target.wants/lamina-identity.service", "../lamina-identity.service");

        Add("seed", "usr/lib/lamina/seed", Executable);
        Add("lamina-seed.service", $"{Units}/lamina-seed.service");
        Add("lamina-script.service", $"{Units}/lamina-script.service");
        Add("autologin.conf", $"{Units}/serial-getty@ttyS0.service.d/autologin.conf");
        Add("cards.network", "etc/systemd/network/80-cards.network");
        AddLink($"{Units}/multi-user.target.wants/lamina-seed.service", "../lamina-seed.service");
        AddLink($"{Units}/multi-user.target.wants/systemd-networkd.service", "/lib/systemd/system/systemd-networkd.service");

        void Add(string name, string path, UnixFileMode mode = Plain) => AddFile(path, EmbeddedFile.Read($"Debian.{name}"), mode);

        void AddText(string path, string text) => AddFile(path, Encoding.UTF8.GetBytes(text), Plain);

        void AddFile(string path, byte[] content, UnixFileMode mode) =>
            tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path) { Mode = mode, DataStream = new MemoryStream(content) });

        void AddLink(string path, string target) => tar.WriteEntry(new UstarTarEntry(TarEntryType.SymbolicLink, path) { LinkName = target });
    }
}
