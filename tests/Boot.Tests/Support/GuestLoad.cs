// Work that a guest is kept busy with, as lines of its shell's script: each round compares what it did with what it must come to.
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

    /// <summary>A disk of a MiB for it.</summary>
    internal static DiskDevice Create(string path, DiskFormat format)
    {
        DiskTools.Create(new DiskCreation { Path = path, Format = format, Size = 1 << 20 });
        return new DiskDevice { Path = path, Format = format == DiskFormat.Raw ? ImageFormat.Raw : ImageFormat.Qcow2 };
    }
}
