// A lock that one process has at a time, by a file: whoever dies lets go of it, and one can ask whether somebody has it without
// taking it. Open file description locks, fcntl(2): they belong to the open file, and not to the process.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Io;

/// <summary>A lock that is held. Disposing it lets go of it.</summary>
public sealed unsafe class HostLock : IDisposable
{
    private const int OwnerOnly = 0x180; // 0600

    private readonly SafeFileHandle _file;
    private volatile bool _isShared;

    private HostLock(SafeFileHandle file) => _file = file;

    /// <summary>Takes a lock; null where somebody has it. The file is made where there is none, and stays.</summary>
    /// <exception cref="HostException">There can be no such file.</exception>
    public static HostLock? TryTake(string path)
    {
        var file = Open(path, Libc.O_RDWR | Libc.O_CREAT) ?? throw HostException.FromErrno($"cannot open the lock {path}");
        var whole = new Libc.Flock { l_type = Libc.F_WRLCK };
        if (Libc.fcntl((int)file.DangerousGetHandle(), Libc.F_OFD_SETLK, &whole) == 0) return new HostLock(file);
        var error = Marshal.GetLastPInvokeError();
        file.Dispose();
        return error is Libc.EAGAIN or Libc.EACCES ? null : throw new HostException($"cannot lock {path}: {Marshal.GetPInvokeErrorMessage(error)}; its file system has no locks, so choose another folder");
    }

    /// <summary>Whether somebody has a lock.</summary>
    public static bool IsTaken(string path)
    {
        using var file = Open(path, Libc.O_RDWR);
        if (file is null) return false;
        var whole = new Libc.Flock { l_type = Libc.F_WRLCK };
        return Libc.fcntl((int)file.DangerousGetHandle(), Libc.F_OFD_GETLK, &whole) == 0 && whole.l_type != Libc.F_UNLCK;
    }

    /// <summary>The processes that have a lock, as far as this user may look; this one is left out. proc_pid_fdinfo(5).</summary>
    public static IReadOnlyList<int> Holders(string path)
    {
        if (HostPath.Identity(path) is not { } file) return [];
        return [.. Directory.EnumerateDirectories("/proc").Select(folder => int.TryParse(Path.GetFileName(folder), out var number) ? number : 0).Where(number => number > 0 && number != Environment.ProcessId && Holds(number))];

        bool Holds(int process)
        {
            try
            {
                return Directory.EnumerateFileSystemEntries($"/proc/{process}/fd")
                    .Any(descriptor => HostPath.Identity(descriptor) == file && File.ReadAllText($"/proc/{process}/fdinfo/{Path.GetFileName(descriptor)}").Contains("OFDLCK", StringComparison.Ordinal));
            }
            catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }

    /// <summary>Its open file, for another process: the lock is held as long as either has it open, and neither has given it back.</summary>
    public SafeFileHandle Handle => _file;

    /// <summary>Takes over a lock that another process has and gives. Until it is kept (<see cref="Keep"/>) it is that one's as well, and giving it back is its affair.</summary>
    /// <param name="path">Of which file it is to be.</param>
    /// <param name="file">What was given, which is this one's from now on.</param>
    /// <exception cref="HostException">It is no lock of that file, or not held; it is closed.</exception>
    public static HostLock TakeOver(string path, SafeFileHandle file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var whole = new Libc.Flock { l_type = Libc.F_WRLCK };
        var descriptor = (int)file.DangerousGetHandle();
        if (HostPath.Identity(path) is { } wanted && HostPath.Identity($"/proc/self/fd/{descriptor}") == wanted && Libc.fcntl(descriptor, Libc.F_OFD_SETLK, &whole) == 0) return new HostLock(file) { _isShared = true };
        file.Dispose();
        throw new HostException($"what another process gives is not the lock {path}");
    }

    /// <summary>Another process has it from here on: it is closed then, and not given back.</summary>
    public void Leave() => _isShared = true;

    /// <summary>The other process has left it: it is this one's alone.</summary>
    public void Keep() => _isShared = false;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_file.IsClosed) return;
        if (_isShared)
        {
            _file.Dispose();
            return;
        }
        // Closing it is not enough: a process that is being started has copies of this one's open files until it is another program.
        var whole = new Libc.Flock { l_type = Libc.F_UNLCK };
        _ = Libc.fcntl((int)_file.DangerousGetHandle(), Libc.F_OFD_SETLK, &whole);
        _file.Dispose();
    }

    private static SafeFileHandle? Open(string path, int how)
    {
        var descriptor = Libc.open(path, how | Libc.O_CLOEXEC, OwnerOnly);
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }
}
