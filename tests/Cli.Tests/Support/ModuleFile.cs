using System.Buffers.Binary;
using System.Text;

namespace Lamina.Tests.Cli.Support;

/// <summary>Makes the least ELF file that says of itself what a kernel module says.</summary>
internal static class ModuleFile
{
    private const int Header = 64, Section = 64;

    public static byte[] Create(string name, string depends = "", params string[] aliases)
    {
        var strings = Encoding.ASCII.GetBytes("\0.text\0.modinfo\0.shstrtab\0");
        var info = Encoding.ASCII.GetBytes($"license=GPL\0depends={depends}\0{string.Concat(aliases.Select(alias => $"alias={alias}\0"))}name={name}\0vermagic=6.1\0");
        var file = new byte[Header + 3 * Section + strings.Length + info.Length];
        "\u007fELF\u0002\u0001\u0001"u8.CopyTo(file);
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(0x28), Header);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x3a), Section);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x3c), 3);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x3e), 2);
        var contents = Header + 3 * Section;
        WriteSection(1, 7, contents + strings.Length, info.Length);
        WriteSection(2, 16, contents, strings.Length);
        strings.CopyTo(file, contents);
        info.CopyTo(file, contents + strings.Length);
        return file;

        void WriteSection(int index, uint nameAt, int offset, int length)
        {
            var header = file.AsSpan(Header + index * Section);
            BinaryPrimitives.WriteUInt32LittleEndian(header, nameAt);
            BinaryPrimitives.WriteUInt64LittleEndian(header[0x18..], (ulong)offset);
            BinaryPrimitives.WriteUInt64LittleEndian(header[0x20..], (ulong)length);
        }
    }
}
