// Writes a cpio archive in the "newc" format, the one the Linux kernel unpacks as an initramfs.
// It streams: nothing is kept, so entries come in the order in which the kernel is to create them, folders first.
// It does not read archives and does not compress. Format: cpio(5), "New ASCII Format"; Linux Documentation,
// driver-api/early-userspace/buffer-format.
using System.Globalization;
using System.Text;

namespace Lamina.Images;

/// <summary>Writes entries of a newc cpio archive to a stream. Everything belongs to user and group 0.</summary>
/// <param name="output">Where the bytes go; it is neither flushed nor closed.</param>
/// <param name="modified">The modification time of every entry, so that equal content gives equal archives.</param>
internal sealed class CpioWriter(Stream output, DateTimeOffset modified)
{
    private const string Magic = "070701";
    private const string Trailer = "TRAILER!!!";
    private const int HeaderLength = 110;

    // File types, the high bits of st_mode: inode(7).
    private const uint TypeDirectory = 0x4000, TypeCharacterDevice = 0x2000, TypeRegular = 0x8000, TypeLink = 0xa000;

    private readonly uint _modified = (uint)Math.Clamp(modified.ToUnixTimeSeconds(), 0, uint.MaxValue);
    private uint _inode;
    private bool _finished;

    /// <summary>Adds a folder.</summary>
    public void AddDirectory(string path, int permissions = 0b111_101_101) =>
        Add(path, TypeDirectory | (uint)permissions, [], links: 2);

    /// <summary>Adds a file.</summary>
    public void AddFile(string path, ReadOnlySpan<byte> content, int permissions = 0b110_100_100) =>
        Add(path, TypeRegular | (uint)permissions, content);

    /// <summary>Adds a symbolic link.</summary>
    public void AddLink(string path, string target) => Add(path, TypeLink | 0b111_111_111, Encoding.UTF8.GetBytes(target));

    /// <summary>Adds a character device node.</summary>
    public void AddCharacterDevice(string path, uint major, uint minor, int permissions = 0b110_000_000) =>
        Add(path, TypeCharacterDevice | (uint)permissions, [], major: major, minor: minor);

    /// <summary>Ends the archive; nothing can be added afterwards.</summary>
    public void Finish()
    {
        Write(Trailer, 0, [], 1, 0, 0);
        _finished = true;
    }

    private void Add(string path, uint mode, ReadOnlySpan<byte> content, uint links = 1, uint major = 0, uint minor = 0)
    {
        if (path.Length == 0 || path[0] == '/' || path == Trailer || path.Split('/').Any(part => part is "" or "." or ".."))
            throw new ArgumentException($"'{path}' is not a clean relative path", nameof(path));
        Write(path, mode, content, links, major, minor);
    }

    private void Write(string path, uint mode, ReadOnlySpan<byte> content, uint links, uint major, uint minor)
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        var name = Encoding.UTF8.GetBytes(path);
        var isTrailer = mode == 0;
        uint[] fields =
        [
            isTrailer ? 0 : ++_inode, mode, 0, 0, links, isTrailer ? 0 : _modified, (uint)content.Length,
            0, 0, major, minor, (uint)name.Length + 1, 0,
        ];
        var header = new StringBuilder(Magic, HeaderLength);
        foreach (var field in fields) header.Append(field.ToString("x8", CultureInfo.InvariantCulture));
        output.Write(Encoding.ASCII.GetBytes(header.ToString()));
        output.Write(name);
        output.WriteByte(0);
        Pad(HeaderLength + name.Length + 1);
        output.Write(content);
        Pad(content.Length);
    }

    private void Pad(int written)
    {
        ReadOnlySpan<byte> zeros = [0, 0, 0];
        output.Write(zeros[..(-written & 3)]);
    }
}
