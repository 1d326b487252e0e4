// The seed disk, read back by a reader of FAT12 that follows the format's description and not the writer.
using System.Buffers.Binary;
using System.Text;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Stored;

public sealed class SeedTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-seed-").FullName;

    private static Seed Alice => new() { HostName = "web-1", User = "alice", Keys = ["ssh-ed25519 AAAA alice", "ecdsa-sha2-nistp256 BBBB"], UserData = "#!/bin/sh\nid\n"u8.ToArray() };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_disk_is_the_one_that_cloud_init_looks_for()
    {
        var (label, files) = ReadFat(Alice.ToDisk());

        Assert.Equal("cidata", label);
        Assert.Equal(["meta-data", "user-data"], files.Keys);
        Assert.Matches("^instance-id: lamina-[0-9a-f]{16}\nlocal-hostname: web-1\nlamina-user: alice\npublic-keys:\n  - \"ssh-ed25519 AAAA alice\"\n  - \"ecdsa-sha2-nistp256 BBBB\"\n$", Encoding.UTF8.GetString(files["meta-data"]));
        Assert.Equal("#!/bin/sh\nid\n", Encoding.UTF8.GetString(files["user-data"]));
    }

    [Fact]
    public void The_same_settings_are_the_same_instance_and_others_are_another()
    {
        Assert.Equal(Alice.ToDisk(), Alice.ToDisk());
        string[] instances = [.. ((Seed[])[Alice, Alice with { HostName = "web-2" }, Alice with { User = "bob" }, Alice with { Keys = [] }, Alice with { UserData = default }]).Select(Instance)];
        Assert.Equal(instances.Length, instances.Distinct().Count());

        static string Instance(Seed seed) => Encoding.UTF8.GetString(ReadFat(seed.ToDisk()).Files["meta-data"]).Split('\n')[0];
    }

    [Fact]
    public void User_data_of_any_length_arrives_whole()
    {
        foreach (var length in (int[])[1, 511, 512, 513, 100_000, 1 << 20])
        {
            var data = new byte[length];
            new Random(length).NextBytes(data);
            Assert.Equal(data, ReadFat((Alice with { UserData = data }).ToDisk()).Files["user-data"]);
        }
    }

    [Fact]
    public void A_private_key_stands_for_the_public_one_beside_it()
    {
        var key = Write("key", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
        Assert.Contains($"there is no {key}.pub beside it", Assert.Throws<MachineException>(() => Seed.ReadKeys(key)).Message, StringComparison.Ordinal);

        Write("key.pub", "# mine\nssh-ed25519 AAAA me@\"home\\\n\n");

        Assert.Equal(["ssh-ed25519 AAAA me@home"], Seed.ReadKeys(key));
    }

    [Theory]
    [InlineData("", "holds no ssh key")]
    [InlineData("root:x:0:0", "not a file of public ssh keys")]
    [InlineData("ssh-ed25519", "not a file of public ssh keys")]
    [InlineData("command=\"id\" ssh-ed25519 AAAA", "not a file of public ssh keys")]
    public void What_is_no_public_key_is_refused(string content, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => Seed.ReadKeys(Write("key", content))).Message, StringComparison.Ordinal);

    [Fact]
    public void User_data_that_is_missing_or_too_large_is_refused()
    {
        var large = Write("large", new string('x', (1 << 20) + 1));

        Assert.Contains("larger than 1 MiB", Assert.Throws<MachineException>(() => Seed.ReadUserData(large)).Message, StringComparison.Ordinal);
        Assert.Contains("cannot be read", Assert.Throws<MachineException>(() => Seed.ReadUserData(large + ".not")).Message, StringComparison.Ordinal);
    }

    private string Write(string name, string content)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, content);
        return path;
    }

    // fatgen103: boot sector; FAT type by the count of clusters; long names, last part first.
    private static (string Label, Dictionary<string, byte[]> Files) ReadFat(byte[] disk)
    {
        Assert.Equal(0xaa55, Word(510));
        int sector = Word(11), perCluster = disk[13], fatAt = Word(14) * sector, rootAt = fatAt + disk[16] * Word(22) * sector, entries = Word(17), dataAt = rootAt + entries * 32;
        Assert.Equal(disk.Length, Word(19) * sector);
        Assert.InRange((disk.Length - dataAt) / (sector * perCluster), 1, 4084);
        Assert.Equal(disk.AsSpan(fatAt, Word(22) * sector), disk.AsSpan(fatAt + Word(22) * sector, Word(22) * sector));
        var (label, longName, files) = ("", "", new Dictionary<string, byte[]>());
        for (var at = rootAt; at < rootAt + entries * 32 && disk[at] != 0; at += 32)
        {
            if (disk[at + 11] == 0x0f)
            {
                var part = string.Concat(((int[])[1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]).Select(place => (char)Word(at + place)));
                longName = part.Split('\0', '\uffff')[0] + longName;
            }
            else if (disk[at + 11] == 0x08)
            {
                label = Encoding.ASCII.GetString(disk, at, 11).TrimEnd();
            }
            else
            {
                var content = new List<byte>();
                for (int cluster = Word(at + 26); cluster is >= 2 and < 0xff8; cluster = Next(cluster)) content.AddRange(disk.AsSpan(dataAt + (cluster - 2) * sector * perCluster, sector * perCluster));
                files.Add(longName, [.. content.Take((int)BinaryPrimitives.ReadUInt32LittleEndian(disk.AsSpan(at + 28)))]);
                longName = "";
            }
        }
        return (label, files);

        int Word(int at) => BinaryPrimitives.ReadUInt16LittleEndian(disk.AsSpan(at));

        int Next(int cluster) => (cluster & 1) == 0 ? Word(fatAt + cluster * 3 / 2) & 0xfff : Word(fatAt + cluster * 3 / 2) >> 4;
    }
}
