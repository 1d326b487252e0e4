// A disk file's locks end when it is closed, although a copy of its descriptor outlives that, as a process that is being started has for a moment.
using Lamina.Host.Interop;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class DiskFileLockTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Locks_end_when_the_file_is_closed_although_a_copy_of_its_descriptor_is_open()
    {
        var path = _folder["disk"];
        File.WriteAllBytes(path, new byte[512]);
        var copy = -1;
        try
        {
            using var other = DiskFile.Open(path, DiskFileMode.Read);
            using (var file = DiskFile.Open(path, DiskFileMode.Read | DiskFileMode.Write))
            {
                copy = Libc.fcntl(file.Descriptor, Libc.F_DUPFD_CLOEXEC, 0);
                Assert.True(copy >= 0);
                Assert.True(file.TryLockByte(0));
                Assert.True(file.TryLockByte(200));
                Assert.True(other.IsByteLocked(0));
            }

            Assert.False(other.IsByteLocked(0));
            Assert.False(other.IsByteLocked(200));
        }
        finally
        {
            if (copy >= 0) _ = Libc.close(copy);
        }
    }
}
