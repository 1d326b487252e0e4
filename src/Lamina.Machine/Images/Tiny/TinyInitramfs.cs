// The initramfs of the image "tiny": its folders, device nodes, scripts, applets and modules. Not compressed: the kernel
// copies it faster than any guest unpacks it.
using System.Text;

namespace Lamina.Images.Tiny;

/// <summary>What goes into the initramfs beside our own scripts.</summary>
/// <param name="Release">The kernel's release, as uname -r says it.</param>
/// <param name="KernelVersion">The version of the kernel's package.</param>
/// <param name="Busybox">The static busybox.</param>
/// <param name="Applets">The paths of its applets, relative to the root.</param>
/// <param name="Modules">The kernel's modules.</param>
/// <param name="Agent">The agent, by which the host runs programs in the guest.</param>
internal sealed record TinyContents(string Release, string KernelVersion, ReadOnlyMemory<byte> Busybox, IReadOnlyList<string> Applets, ModuleSet Modules, ReadOnlyMemory<byte> Agent);

/// <summary>Writes the initramfs.</summary>
internal static class TinyInitramfs
{
    /// <summary>The number of this recipe: one more whenever what an image contains changes, so that images built before are built again.</summary>
    public const int Recipe = 6;

    // What a guest of ours cannot do without: the virtio bus over MMIO, entropy, the console.
    private static readonly string[] RequiredModules = ["virtio_mmio", "virtio_rng", "virtio_console"];

    // What serves devices that a guest may be given, and the file systems they carry; kernels differ in what they have.
    private static readonly string[] OptionalModules =
    [
        "virtio_pci", "virtio_blk", "virtio_net", "virtio_balloon", "vmw_vsock_virtio_transport", "virtiofs", "9pnet_virtio", "9p",
        "pvpanic_mmio", "pvpanic_pci", "button", "evdev", "overlay", "ext4", "isofs", "vfat", "nls_cp437", "nls_ascii", "loop",
    ];

    private static readonly string[] Folders = ["bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "lib", "lib/modules", "mnt", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin", "var"];

    /// <summary>Chooses the modules out of an unpacked lib/modules/RELEASE.</summary>
    public static ModuleSet CollectModules(string folder) => ModuleSet.Collect(folder, RequiredModules, OptionalModules);

    /// <summary>Writes the archive.</summary>
    public static void Write(Stream output, TinyContents contents, DateTimeOffset modified)
    {
        var cpio = new CpioWriter(output, modified);
        foreach (var folder in Folders) cpio.AddDirectory(folder, folder == "tmp" ? 0b1_111_111_111 : folder == "root" ? 0b111_000_000 : 0b111_101_101);
        // /init starts with the console open, before devtmpfs is mounted. Linux Documentation, admin-guide/devices.txt.
        cpio.AddCharacterDevice("dev/console", 5, 1);
        cpio.AddCharacterDevice("dev/null", 1, 3, 0b110_110_110);
        cpio.AddCharacterDevice("dev/ttyS0", 4, 64);
        AddEtc(cpio, contents);
        cpio.AddFile("bin/busybox", contents.Busybox.Span, 0b111_101_101);
        cpio.AddFile("init", Script("init"), 0b111_101_101);
        cpio.AddFile("sbin/lamina-agent", contents.Agent.Span, 0b111_101_101);
        cpio.AddFile("sbin/linuxrc", Script("linuxrc"), 0b111_101_101);
        AddApplets(cpio, contents.Applets);
        AddModules(cpio, contents);
        cpio.Finish();
    }

    /// <summary>One of the scripts that go into the guest.</summary>
    internal static byte[] Script(string name) => EmbeddedFile.Read($"Tiny.{name}");

    private static void AddEtc(CpioWriter cpio, TinyContents contents)
    {
        AddText("etc/hostname", "tiny\n");
        AddText("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 tiny\n");
        AddText("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
        AddText("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
        AddText("etc/fstab", """
            proc /proc proc defaults 0 0
            sys /sys sysfs defaults 0 0
            devpts /dev/pts devpts mode=0620,gid=5 0 0
            shm /dev/shm tmpfs mode=1777 0 0
            tmp /tmp tmpfs mode=1777 0 0
            run /run tmpfs mode=0755 0 0

            """);
        AddText("etc/motd", $"\nLamina's tiny guest: Debian's kernel {contents.KernelVersion} and busybox, all in memory.\n\"poweroff\" or Ctrl-D ends it.\n\n");
        cpio.AddFile("etc/profile", Script("profile"));
        // What busybox's acpid runs when the power button is pressed.
        cpio.AddFile("etc/acpi/PWRF/00000080", "#!/bin/sh\nexec poweroff\n"u8.ToArray(), 0b111_101_101);
        cpio.AddFile("etc/dhcp.script", Script("dhcp"), 0b111_101_101);

        void AddText(string path, string text) => cpio.AddFile(path, Encoding.UTF8.GetBytes(text));
    }

    private static void AddApplets(CpioWriter cpio, IReadOnlyList<string> applets)
    {
        HashSet<string> taken = ["bin/busybox", "sbin/linuxrc", "sbin/lamina-agent", "linuxrc"];
        foreach (var applet in applets)
        {
            // Only plain names in the folders above: the list comes from a program.
            var parts = applet.Split('/');
            if (parts.Length < 2 || parts[^1] is "" or "." or ".." || !Folders.Contains(string.Join('/', parts[..^1])) || !taken.Add(applet)) continue;
            // Not where the kernel looks for it by itself, see /init.
            cpio.AddLink(applet == "sbin/modprobe" ? "usr/sbin/modprobe" : applet, "/bin/busybox");
        }
    }

    private static void AddModules(CpioWriter cpio, TinyContents contents)
    {
        var root = $"lib/modules/{contents.Release}";
        cpio.AddDirectory(root);
        HashSet<string> made = [""];
        foreach (var module in contents.Modules.Modules)
        {
            AddParents(Path.GetDirectoryName(module.Path) ?? "");
            cpio.AddFile($"{root}/{module.Path}", module.Content.Span);
        }
        cpio.AddFile($"{root}/modules.dep", Encoding.UTF8.GetBytes(contents.Modules.DependencyTable()));
        cpio.AddFile($"{root}/modules.alias", Encoding.UTF8.GetBytes(contents.Modules.AliasTable()));

        void AddParents(string folder)
        {
            if (!made.Add(folder)) return;
            AddParents(Path.GetDirectoryName(folder) ?? "");
            cpio.AddDirectory($"{root}/{folder}");
        }
    }
}
