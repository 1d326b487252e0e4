// Work that a guest is kept busy with, as lines of its shell's script: each round compares what it did with what it must come to.
using System.Security.Cryptography;
using Lamina.Backends.Disk;

namespace Lamina.Tests.Boot.Support;

internal static class GuestLoad
{
    /// <summary>Makes "data", and the function disk DEVICE: rounds of writing, flushing and reading it again until "stop" is there. What was wrong is in "bad", how many rounds it was in "rounds".</summary>
    internal const string Disk = """
        cd /tmp
        dd if=/dev/urandom of=data bs=16k count=19 2>/dev/null
        disk() {
          n=0
          until [ -e stop ]; do
            dd if=data of=$1 bs=16k conv=fsync 2>/dev/null && dd if=$1 bs=16k count=19 iflag=direct 2>/dev/null | cmp - data || echo "$1, round $n" >>bad
            n=$((n+1))
          done
          echo "$1 $n" >>rounds
        }
        """;

    /// <summary>
    /// Behind <see cref="Disk"/>: the function share, rounds of writing, reading and comparing in the shared folder of <see cref="CreateShared"/>,
    /// which is mounted at /mnt/rw. In the end its "last" is the same as "data".
    /// </summary>
    internal const string Share = """
        share() {
          n=0
          until [ -e stop ]; do
            cp data /mnt/rw/made$((n%3)) && echo 1 >/proc/sys/vm/drop_caches && cmp data /mnt/rw/made$((n%3)) && (cd /mnt/rw && sha256sum -c given.sum >/dev/null) || echo "share, round $n" >>bad
            n=$((n+1))
          done
          cp data /mnt/rw/last
          echo "share $n" >>rounds
        }
        """;

    /// <summary>A folder for it.</summary>
    internal static void CreateShared(string path)
    {
        Directory.CreateDirectory(path);
        File.WriteAllBytes(Path.Combine(path, "given"), RandomNumberGenerator.GetBytes(100_000));
        File.WriteAllText(Path.Combine(path, "given.sum"), $"{Sum(Path.Combine(path, "given"))}  given\n");
    }

    /// <summary>The SHA-256 of a file of the host's, in hexadecimal digits.</summary>
    internal static string Sum(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>A disk of a MiB for it.</summary>
    internal static DiskDevice Create(string path, DiskFormat format)
    {
        DiskTools.Create(new DiskCreation { Path = path, Format = format, Size = 1 << 20 });
        return new DiskDevice { Path = path, Format = format == DiskFormat.Raw ? ImageFormat.Raw : ImageFormat.Qcow2 };
    }
}
