// A reader of newc archives for the tests, written from the format's description and not from the writer.
using System.Globalization;
using System.Text;
using Xunit;

namespace Lamina.Tests.Cli.Support;

internal sealed record CpioEntry(string Name, uint Inode, uint Mode, uint Links, uint Modified, uint Major, uint Minor, byte[] Content)
{
    public bool IsDirectory => (Mode & 0xf000) == 0x4000;

    public string Text => Encoding.UTF8.GetString(Content);
}

internal static class Cpio
{
    public static IReadOnlyList<CpioEntry> Read(byte[] archive)
    {
        var entries = new List<CpioEntry>();
        var at = 0;
        while (true)
        {
            Assert.Equal("070701", Encoding.ASCII.GetString(archive, at, 6));
            var field = new uint[13];
            for (var i = 0; i < 13; i++) field[i] = uint.Parse(Encoding.ASCII.GetString(archive, at + 6 + i * 8, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            at += 110;
            var name = Encoding.UTF8.GetString(archive, at, (int)field[11] - 1);
            Assert.Equal(0, archive[at + (int)field[11] - 1]);
            at = (at + (int)field[11] + 3) & ~3;
            var content = archive[at..(at + (int)field[6])];
            at = (at + content.Length + 3) & ~3;
            if (name == "TRAILER!!!")
            {
                Assert.Equal(archive.Length, at);
                return entries;
            }
            entries.Add(new CpioEntry(name, field[0], field[1], field[4], field[5], field[9], field[10], content));
        }
    }
}
