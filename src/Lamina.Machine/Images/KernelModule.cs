// What a Linux kernel module says about itself: the strings of its ELF section .modinfo. A kernel package as it is
// shipped carries no modules.dep (depmod makes that on the installed system), so the modules themselves are asked.
// Formats: ELF-64 Object File Format; include/linux/module.h (MODULE_INFO).
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Images;

/// <summary>A kernel module's own description.</summary>
/// <param name="Name">The name, with underscores.</param>
/// <param name="Depends">The names of the modules it needs, with underscores.</param>
/// <param name="Aliases">The device patterns it serves, as modules.alias lists them.</param>
internal sealed record KernelModule(string Name, IReadOnlyList<string> Depends, IReadOnlyList<string> Aliases)
{
    private const int HeaderLength = 64, SectionLength = 64;

    /// <summary>Module names are equal whether they are written with hyphens or underscores.</summary>
    public static string Normalize(string name) => name.Replace('-', '_');

    /// <summary>Reads a module's description; null where the bytes are not a 64-bit little-endian ELF file with one.</summary>
    /// <param name="file">The uncompressed .ko file.</param>
    /// <param name="fallbackName">The name where the module does not state one.</param>
    public static KernelModule? TryParse(ReadOnlySpan<byte> file, string fallbackName)
    {
        if (!TryFindSection(file, ".modinfo"u8, out var section)) return null;
        string? name = null;
        List<string> depends = [], aliases = [];
        foreach (var range in section.Split((byte)0))
        {
            var entry = Encoding.UTF8.GetString(section[range]);
            var equals = entry.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0) continue;
            var value = entry[(equals + 1)..];
            switch (entry[..equals])
            {
                case "name": name = Normalize(value); break;
                case "depends": depends.AddRange(value.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Normalize)); break;
                case "alias": aliases.Add(value); break;
            }
        }
        return new KernelModule(name ?? Normalize(fallbackName), depends, aliases);
    }

    private static bool TryFindSection(ReadOnlySpan<byte> file, ReadOnlySpan<byte> wanted, out ReadOnlySpan<byte> section)
    {
        section = default;
        // e_ident: magic, ELFCLASS64, ELFDATA2LSB.
        if (file.Length < HeaderLength || !file.StartsWith("\u007fELF\u0002\u0001"u8)) return false;
        var table = BinaryPrimitives.ReadUInt64LittleEndian(file[0x28..]);
        int size = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3a..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3c..]);
        int names = BinaryPrimitives.ReadUInt16LittleEndian(file[0x3e..]);
        if (size < SectionLength || names >= count || !TrySlice(file, table, (ulong)size * (ulong)count, out var headers)) return false;
        if (!TryContent(file, headers.Slice(names * size, size), out var strings)) return false;
        for (var i = 0; i < count; i++)
        {
            var header = headers.Slice(i * size, size);
            var nameAt = BinaryPrimitives.ReadUInt32LittleEndian(header);
            if (nameAt >= (uint)strings.Length) continue;
            var name = strings[(int)nameAt..];
            if (name.StartsWith(wanted) && name.Length > wanted.Length && name[wanted.Length] == 0) return TryContent(file, header, out section);
        }
        return false;
    }

    private static bool TryContent(ReadOnlySpan<byte> file, ReadOnlySpan<byte> header, out ReadOnlySpan<byte> content) =>
        TrySlice(file, BinaryPrimitives.ReadUInt64LittleEndian(header[0x18..]), BinaryPrimitives.ReadUInt64LittleEndian(header[0x20..]), out content);

    private static bool TrySlice(ReadOnlySpan<byte> file, ulong offset, ulong length, out ReadOnlySpan<byte> slice)
    {
        slice = default;
        if (offset > (ulong)file.Length || length > (ulong)file.Length - offset) return false;
        slice = file.Slice((int)offset, (int)length);
        return true;
    }
}
