// Locks that one process has at a time, and how one goes from process to process: by a copy of its open file.
using Lamina.Host;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public sealed class HostLockTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private string Path => _folder["lock"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void One_has_a_lock_until_it_is_disposed_of()
    {
        Assert.False(HostLock.IsTaken(Path));
        using (HostLock.TryTake(Path))
        {
            Assert.True(HostLock.IsTaken(Path));
            Assert.Null(HostLock.TryTake(Path));
        }
        Assert.False(HostLock.IsTaken(Path));
        using var again = HostLock.TryTake(Path);
        Assert.NotNull(again);
    }

    [Fact]
    public void Who_was_given_a_lock_and_does_not_keep_it_takes_it_from_nobody()
    {
        using var former = HostLock.TryTake(Path)!;
        using (HostLock.TakeOver(Path, CopyOf(former)))
            Assert.True(HostLock.IsTaken(Path));
        Assert.True(HostLock.IsTaken(Path));
        former.Dispose();
        Assert.False(HostLock.IsTaken(Path));
    }

    [Fact]
    public void Who_keeps_a_lock_has_it_when_the_former_one_has_left_it_and_gives_it_back()
    {
        using var former = HostLock.TryTake(Path)!;
        using var next = HostLock.TakeOver(Path, CopyOf(former));
        former.Leave();
        next.Keep();
        former.Dispose();
        Assert.True(HostLock.IsTaken(Path));

        // Whatever copy there is yet, as in a process that is being started.
        using var copy = CopyOf(next);
        next.Dispose();
        Assert.False(HostLock.IsTaken(Path));
    }

    [Fact]
    public void What_is_no_lock_of_the_file_is_not_taken_over()
    {
        using var other = HostLock.TryTake(_folder["other"])!;
        using var mine = HostLock.TryTake(Path)!;
        var copy = CopyOf(other);
        Assert.Throws<HostException>(() => HostLock.TakeOver(Path, copy));
        Assert.True(copy.IsClosed);
        Assert.True(HostLock.IsTaken(_folder["other"]));

        // The file of the lock, opened by somebody who does not have it.
        var opened = File.OpenHandle(Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        Assert.Throws<HostException>(() => HostLock.TakeOver(Path, opened));
        Assert.True(HostLock.IsTaken(Path));
    }

    private static SafeFileHandle CopyOf(HostLock held)
    {
        var (here, there) = SocketPair.Make();
        using (here)
        using (there)
        {
            DescriptorChannel.Send(there, "x"u8, held.Handle);
            return Assert.Single(DescriptorChannel.Receive(here.Socket.SafeHandle, 60_000)!.Files);
        }
    }
}
