// A kernel of the user's on a folder of the host's as its root. Where the kernel has its drivers for that as modules, which lie in the folder or
// on this host, a small initial RAM disk is made that loads them, mounts the folder and goes on there. It is kept for the next run.
using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Lamina.Host;

namespace Lamina.Images.Root;

/// <summary>What a kernel needs to have a folder as its root.</summary>
/// <param name="InitrdPath">The initial RAM disk; null where it needs none.</param>
/// <param name="Note">What could not be found out, as a sentence; null where nothing is open.</param>
public sealed record RootBoot(string? InitrdPath, string? Note);

/// <summary>Makes initial RAM disks that mount a folder.</summary>
public static class RootInitrd
{
    /// <summary>The tag by which the guest mounts its root, which our script knows as well.</summary>
    public const string Tag = "root";

    // The way to the folder. Linux, drivers/virtio, fs/fuse.
    private static readonly string[] RequiredModules = ["virtio_mmio", "virtiofs"];

    // What a root without programs that load modules could not have otherwise.
    private static readonly string[] OptionalModules = ["virtio_pci", "virtio_rng", "virtio_console", "virtio_net", "virtio_blk", "virtio_balloon", "vmw_vsock_virtio_transport", "pvpanic_mmio", "button", "evdev"];

    private static readonly string[] Folders = ["bin", "dev", "modules", "new", "proc"];

    // Linux, Documentation/arch/x86/boot.rst: "header", "kernel_version".
    private const int MagicAt = 0x202, VersionAt = 0x20e, VersionBase = 0x200, HeadLength = 0x10000;

    /// <summary>Finds out what a kernel needs.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="root">The folder.</param>
    /// <param name="folder">Where initial RAM disks are kept.</param>
    /// <param name="busybox">Gives the initial RAM disk of an image with a static busybox; asked only where one is made.</param>
    /// <exception cref="ImageException">A module is missing, or the disk cannot be made.</exception>
    public static RootBoot Prepare(string kernel, string root, string folder, Func<string> busybox)
    {
        ArgumentNullException.ThrowIfNull(busybox);
        if (ReleaseOf(kernel) is not { } release) return new RootBoot(null, $"{kernel} does not say which Linux it is, so no modules were looked for: it needs virtiofs and virtio over MMIO built in");
        string[] places = [root, "/", Path.GetDirectoryName(Path.GetFullPath(kernel)) ?? "/"];
        var modules = places.SelectMany(place => (string[])[Path.Combine(place, "lib/modules", release), Path.Combine(place, "usr/lib/modules", release)]).FirstOrDefault(Directory.Exists);
        if (modules is null) return new RootBoot(null, $"there are no modules of Linux {release} in {root} or on this host (lib/modules/{release}): it needs virtiofs and virtio over MMIO built in");
        var set = Collect(modules, release);
        if (set.Modules.Count == 0) return new RootBoot(null, null);
        var tools = Find(File.ReadAllBytes(busybox()), "bin/busybox") ?? throw new ImageException("the image tiny holds no busybox; build it anew with 'lamina image build tiny'");
        var content = Write(set, tools);
        var path = Path.Combine(folder, $"{release}-{Convert.ToHexStringLower(SHA256.HashData(content))[..16]}.cpio");
        try
        {
            if (File.Exists(path)) return new RootBoot(path, null);
            Directory.CreateDirectory(folder);
            HostFiles.Replace(path, content);
            return new RootBoot(path, null);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw ImageException.FromFileSystem(folder, failure);
        }
    }

    /// <summary>A kernel's release, as uname -r says it; null where it does not say it.</summary>
    internal static string? ReleaseOf(string kernel)
    {
        using var file = File.OpenRead(kernel);
        var head = new byte[HeadLength];
        var length = file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        if (length > VersionAt + 1 && head.AsSpan(MagicAt).StartsWith("HdrS"u8))
            return VersionBase + BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(VersionAt)) is var at && at > VersionBase && at < length ? Word(head.AsSpan(at, length - at)) : null;
        // An uncompressed kernel says it in the sentence that it begins its log with.
        var whole = File.ReadAllBytes(kernel);
        var sentence = whole.AsSpan().IndexOf("Linux version "u8);
        return sentence < 0 ? null : Word(whole.AsSpan(sentence + "Linux version ".Length));
    }

    // It names a folder, and comes from a file.
    private static string? Word(ReadOnlySpan<byte> text)
    {
        var end = text.IndexOfAny(" \0\n"u8);
        var word = Encoding.ASCII.GetString(text[..Math.Min(end < 0 ? text.Length : end, 128)]);
        return word.Length > 0 && char.IsAsciiDigit(word[0]) && word.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' or '_' or '+' or '~') ? word : null;
    }

    private static ModuleSet Collect(string modules, string release)
    {
        try
        {
            return ModuleSet.Collect(modules, RequiredModules, OptionalModules);
        }
        catch (ImageException missing)
        {
            throw new ImageException($"Linux {release} cannot have a folder as its root with the modules in {modules}: {missing.Message}", missing);
        }
    }

    private static byte[] Write(ModuleSet set, ReadOnlySpan<byte> busybox)
    {
        using var output = new MemoryStream();
        // The same content makes the same disk, which is found again by it.
        var cpio = new CpioWriter(output, DateTimeOffset.UnixEpoch);
        foreach (var folder in Folders) cpio.AddDirectory(folder);
        cpio.AddCharacterDevice("dev/console", 5, 1);
        cpio.AddCharacterDevice("dev/null", 1, 3, 0b110_110_110);
        cpio.AddFile("bin/busybox", busybox, 0b111_101_101);
        cpio.AddFile("init", EmbeddedFile.Read("Root.init"), 0b111_101_101);
        var order = new StringBuilder();
        foreach (var (index, module) in set.Modules.Index())
        {
            var name = Path.GetFileName(module.Path);
            cpio.AddFile($"modules/{name}", module.Content.Span);
            order.Append(CultureInfo.InvariantCulture, $"{index} {name}\n");
        }
        cpio.AddFile("modules/order", Encoding.ASCII.GetBytes(order.ToString()));
        cpio.Finish();
        return output.ToArray();
    }

    // A file of a newc archive. cpio(5), "New ASCII Format".
    private static byte[]? Find(ReadOnlySpan<byte> archive, string name)
    {
        const int header = 110, sizeAt = 54, nameSizeAt = 94;
        for (var at = 0; at + header <= archive.Length && archive[at..].StartsWith("070701"u8);)
        {
            if (!TryField(archive[(at + sizeAt)..], out var size) || !TryField(archive[(at + nameSizeAt)..], out var nameSize)) return null;
            var content = (at + header + (long)nameSize + 3) & ~3L;
            var next = (content + size + 3) & ~3L;
            if (nameSize == 0 || next > archive.Length) return null;
            if (Encoding.UTF8.GetString(archive.Slice(at + header, (int)nameSize - 1)) == name) return archive.Slice((int)content, (int)size).ToArray();
            at = (int)next;
        }
        return null;

        static bool TryField(ReadOnlySpan<byte> text, out uint value) => uint.TryParse(text[..8], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
