// A control group of this host: made, given limits, entered, removed. Its files are written as they are: what the kernel refuses is an
// exception with the file's name and the kernel's words.
using System.Globalization;
using System.Text;
using Lamina.Host.Interop;

namespace Lamina.Host.Groups;

/// <summary>A control group.</summary>
/// <param name="Version">1 or 2.</param>
/// <param name="Path">Its folder.</param>
public sealed record ControlGroup(int Version, string Path)
{
    /// <summary>A group below this one.</summary>
    public ControlGroup Below(string name) => this with { Path = System.IO.Path.Combine(Path, name) };

    /// <summary>Whether it is there.</summary>
    public bool Exists => Directory.Exists(Path);

    /// <summary>Makes it, where it is not there; in version 2 its controllers are switched on above it.</summary>
    /// <param name="controllers">What is to be controlled; needed in version 2 only.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public void Make(params IReadOnlyList<string> controllers)
    {
        if (Version == 2) new ControlGroup(2, System.IO.Path.GetDirectoryName(Path)!).Write("cgroup.subtree_control", string.Join(' ', controllers.Select(controller => $"+{controller}")));
        try
        {
            Directory.CreateDirectory(Path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"cannot make the control group {Path}: {refused.Message}");
        }
    }

    /// <summary>Makes a group of version 2 one for threads of the processes above it. Documentation/admin-guide/cgroup-v2.rst, "Threads".</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public void MakeThreaded()
    {
        // One that is threaded already refuses to become it.
        if (Version == 2 && Read("cgroup.type") != "threaded") Write("cgroup.type", "threaded");
    }

    /// <summary>Puts this process into it, with all its threads.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public void EnterProcess() => Write("cgroup.procs", "0");

    /// <summary>Puts the calling thread into it.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public void EnterThread() => Write(Version == 2 ? "cgroup.threads" : "tasks", "0");

    /// <summary>Removes it where nobody is in it and nothing below it.</summary>
    /// <returns>Whether it is gone.</returns>
    public bool TryRemove() => Libc.rmdir(Path) == 0 || !Exists;

    /// <summary>What a file of it says; null where there is none.</summary>
    public string? Read(string file)
    {
        try
        {
            return File.ReadAllText(System.IO.Path.Combine(Path, file)).Trim();
        }
        catch (Exception absent) when (absent is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>A number that a file of it says; null where it says none.</summary>
    public ulong? ReadNumber(string file) => ulong.TryParse(Read(file), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Writes to a file of it, by one call, as the kernel wants it.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public void Write(string file, string text)
    {
        var path = System.IO.Path.Combine(Path, file);
        try
        {
            using var opened = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            RandomAccess.Write(opened, Encoding.ASCII.GetBytes(text), 0);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"cannot write {text} to {path}: {refused.Message}");
        }
    }
}
