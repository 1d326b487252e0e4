// A disk of a size of the test's choice, which can be full: a tmpfs in a mount namespace of its own, reached from here by the process that
// holds it. Nothing of the host's is mounted or filled.
using System.Diagnostics;
using Xunit;

namespace Lamina.Tests.Machines.Saving;

internal sealed class SmallDisk : IDisposable
{
    // What is without a limit cannot be given one later. The shell carries out a line at a time and answers with the line's exit code.
    private const string Script = "mount -t tmpfs -o nr_inodes=100 none /mnt && echo 0 && while read -r line; do sh -c \"$line\" >&2; echo $?; done";

    private readonly Process _shell;

    private SmallDisk(Process shell) => _shell = shell;

    /// <summary>Makes one; the test is skipped where the host lets nobody have a mount namespace.</summary>
    internal static SmallDisk Create()
    {
        var start = new ProcessStartInfo("unshare", ["--mount", "--map-root-user", "sh", "-c", Script]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        var shell = Process.Start(start)!;
        if (shell.StandardOutput.ReadLine() == "0") return new SmallDisk(shell);
        var why = shell.StandardError.ReadToEnd().Trim();
        shell.Dispose();
        Assert.Skip($"this host makes no mount namespace, in which a disk could be full: {why}");
        throw new InvalidOperationException(why);
    }

    /// <summary>The disk's root.</summary>
    internal string Path => $"/proc/{_shell.Id}/root/mnt";

    /// <summary>Changes how much it holds.</summary>
    /// <param name="bytes">Its size; a whole number of pages.</param>
    /// <param name="files">How many files and folders it can have, the root among them.</param>
    internal void Resize(long bytes, int files = 100)
    {
        _shell.StandardInput.WriteLine($"mount -o remount,size={bytes},nr_inodes={files} /mnt");
        Assert.Equal("0", _shell.StandardOutput.ReadLine());
    }

    /// <summary>How much of it is taken.</summary>
    internal long Used
    {
        get
        {
            var drive = new DriveInfo(Path);
            return drive.TotalSize - drive.TotalFreeSpace;
        }
    }

    public void Dispose()
    {
        _shell.StandardInput.Close();
        _shell.WaitForExit();
        _shell.Dispose();
    }
}
